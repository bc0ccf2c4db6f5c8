"""A labelling configuration that is changed while the loop works: what needs its controls waits, or is written again.

Where the configuration lacks a control, reconciliation leaves out what needs it until it is there again. Where the
controls are sufficient and others than before, predictions are written again. They are changed in place, so that open
tasks stay valid and no answer counts as blind meanwhile.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from helioloop.labelstudio.control_changes import changes_predictions, control_changes
from helioloop.messaging.job_failures import JobFailures
from helioloop.progress import Report
from helioloop.records.controls import Controls
from helioloop.registry.prediction_controls import read_prediction_controls, write_prediction_controls
from helioloop_worker.context import Context
from helioloop_worker.labelstudio.port import PredictionRow, ProjectInfo
from helioloop_worker.labelstudio.project import read_controls
from helioloop_worker.loop.failing import forget_failures, step_key

log = logging.getLogger(__name__)

CONFIGURATION: Final = "configuration"
"""Name of the step of reconciliation below; it costs nothing, so no pause follows its failure."""
NEED_CONTROLS: Final = frozenset({"planning", "repeat-failed", "annotations", "predictions", "acceptance"})
"""Steps of reconciliation that need the controls, or send jobs that need them."""


def configuration(context: Context, project: int, info: ProjectInfo | None) -> str | None:
    """Look whether the labelling configuration has the controls; return what was done where it has them again.

    Jobs that failed meanwhile are put back. `info` is the project in Label Studio; None where that is not known.

    Raises
    ------
    ConfigurationError
        Where the configuration lacks the controls.
    """
    if info is None:
        return None
    read_controls(info, settings=context.settings)
    if JobFailures(context.connection).find(project, step_key(project, CONFIGURATION)) is None:
        return None
    forget_failures(context, project, "the labelling configuration has the controls again")
    return "the labelling configuration has the controls again: going on"


def changed_controls(context: Context, project: int, version: str, now: Controls) -> str | None:
    """Return in words what has changed since a version's predictions were written; None where nothing has."""
    before = read_prediction_controls(context.settings.model_dir(project)).get(version)
    return None if before is None else control_changes(before, now)


def rewrite_predictions(
    context: Context,
    project: int,
    version: str,
    *,
    controls: Controls,
    rows: Sequence[PredictionRow],
    make: Callable[[], Sequence[Mapping[str, object]]],
    report: Report,
) -> frozenset[int]:
    """Write predictions again that were written with other controls, and note the controls of now.

    Parameters
    ----------
    context : Context
        Model folder and Label Studio.
    project : int
        Label Studio project.
    version : str
        The version of the rows.
    controls : Controls
        The controls of now.
    rows : sequence of PredictionRow
        All predictions of the version that are to stay.
    make : callable
        Returns the predictions of all tasks with the controls of now. The row of a task without one is deleted, and
        written once there is one.
    report : Report
        Called with the number of rows.

    Returns
    -------
    frozenset of int
        The rows that were written again.
    """
    model_dir = context.settings.model_dir(project)
    before, again = read_prediction_controls(model_dir).get(version), frozenset[int]()
    if rows and before is not None and changes_predictions(before, controls):
        log.warning(
            "project %d: the labelling configuration was changed: %s; %d predictions of %s are written again",
            project, control_changes(before, controls), len(rows), version,
        )  # fmt: skip
        entries = {entry["task"]: entry for entry in make()}
        for done, row in enumerate(rows):
            report(done, len(rows), "writing predictions again")
            if row.task in entries:
                context.label_studio.rewrite(row, entries[row.task])
        context.label_studio.delete_predictions([row for row in rows if row.task not in entries])
        again = frozenset(row.id for row in rows)
    versions = context.registry(project).versions()
    write_prediction_controls(model_dir, version, controls, versions=versions)
    return again
