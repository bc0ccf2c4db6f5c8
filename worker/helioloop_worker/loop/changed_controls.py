"""A labelling configuration that is changed while the loop works: it is noticed, and what needs its controls waits.

Where the configuration lacks a control, reconciliation leaves out what needs it until it is there again. Where the
controls are sufficient and others than noted, a write-back looks at all predictions (`stored_predictions`).
"""

from typing import Final

from helioloop.labelstudio.control_changes import control_changes
from helioloop.messaging.job_failures import JobFailures
from helioloop.records.controls import Controls
from helioloop.registry.prediction_controls import read_prediction_controls, write_prediction_controls
from helioloop_worker.context import Context
from helioloop_worker.labelstudio.port import ProjectInfo
from helioloop_worker.labelstudio.project import read_controls
from helioloop_worker.loop.failing import forget_failures, step_key

CONFIGURATION: Final = "configuration"
"""Name of the step of reconciliation below; it costs nothing, so no pause follows its failure."""
NEED_CONTROLS: Final = frozenset({"planning", "repeat-failed", "labels", "annotations", "predictions", "acceptance"})
"""Steps of reconciliation that need the controls, or send jobs that need them."""


def configuration(context: Context, project: int, info: ProjectInfo) -> str | None:
    """Look whether the labelling configuration has the controls; return what was done where it has them again.

    Jobs that failed meanwhile are put back. `info` is the project in Label Studio.

    Raises
    ------
    ConfigurationError
        Where the configuration lacks the controls.
    """
    read_controls(info, settings=context.settings)
    if JobFailures(context.connection).find(project, step_key(project, CONFIGURATION)) is None:
        return None
    forget_failures(context, project, "the labelling configuration has the controls again")
    return "the labelling configuration has the controls again: going on"


def changed_controls(context: Context, project: int, version: str, now: Controls) -> str | None:
    """Return in words what has changed since a version was written back; None where nothing has, or without a note."""
    before = noted_controls(context, project, version)
    return None if before is None else control_changes(before, now)


def noted_controls(context: Context, project: int, version: str) -> Controls | None:
    """Return the controls that all predictions of a version fitted; None where a project is of an older helioloop."""
    return read_prediction_controls(context.settings.model_dir(project)).get(version)


def note_controls(context: Context, project: int, version: str, now: Controls) -> None:
    """Note that all predictions of a version fit the controls of now."""
    versions = context.registry(project).versions()
    write_prediction_controls(context.settings.model_dir(project), version, now, versions=versions)
