"""Random checks in Label Studio: which cubes are blind now, their marks in the task data, and no prediction of them.

The tasks of random checks are marked ``random check 003`` in their data, where Label Studio can filter and sort them:
the number is the place of the cube in the audit order of its release.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from redis.lock import Lock

from helioloop.errors import RegistryError
from helioloop.evaluation.audit_order import audit_order
from helioloop.evaluation.random_checks import choose_random_checks
from helioloop.labelstudio.tasks import CubeTask
from helioloop.records.cubes import CubeInfo
from helioloop.records.labels import CurrentLabel, LabelSource
from helioloop.registry.acceptances import read_acceptances
from helioloop.registry.random_checks import RandomChecks
from helioloop.registry.version_names import is_version_name
from helioloop_worker.context import Context
from helioloop_worker.labelstudio.port import PredictionRow
from helioloop_worker.labelstudio.project import ProjectState
from helioloop_worker.loop.mark_edits import mark_edits

log = logging.getLogger(__name__)

MARK = "triage"
"""Key in a task's data: ``accepted …``, ``random check …``, ``tied``, or empty."""
TIED = "tied"
"""Mark of a task whose annotators disagree, as many for each class."""
Marks = Mapping[str, str]
"""Cube -> mark."""
DELETED_AT_ONCE = 50
"""Predictions that are deleted before the lock on writing is renewed; each takes a call."""


def update_random_checks(
    context: Context,
    project: int,
    *,
    version: str,
    cubes: Iterable[CubeInfo],
    labels: Mapping[str, CurrentLabel],
    predicted: frozenset[str] = frozenset(),
    more: Iterable[str] = (),
) -> RandomChecks:
    """Choose the random checks of a project, write them into its model folder, and return them.

    Parameters
    ----------
    context : Context
        Settings.
    project : int
        Label Studio project.
    version : str
        The version that is shown, or will be.
    cubes : iterable of CubeInfo
        All cubes of the project.
    labels : mapping of str to CurrentLabel
        Their current labels.
    predicted : frozenset of str
        Cubes that have a prediction in Label Studio. With an unchanged version they are not chosen: an annotator who
        has such a task open could not submit it once the prediction is deleted.
    more : iterable of str
        Further cubes to be checked at random, whether they have a prediction or not.
    """
    model_dir, cubes = context.settings.model_dir(project), list(cubes)
    known = _known(model_dir)
    wanted = set(choose_random_checks(cubes, labels, ready=context.settings.random_checks))
    if known is not None and known.version == version:
        wanted = {*known.cubes, *(wanted - predicted)}
    for found in read_acceptances(model_dir).values():
        wanted |= {*found.random_checks}
    wanted |= {*more}
    checks = RandomChecks(version=version, cubes=tuple(cube for cube in audit_order(cubes) if cube in wanted))
    if checks != known:
        checks.write(model_dir)
    return checks


def _known(model_dir: Path) -> RandomChecks | None:
    """Return the random checks in a model folder; None without any, and where they are damaged."""
    try:
        return RandomChecks.read(model_dir)
    except RegistryError as error:
        log.warning("the random checks are chosen anew, because %s", error)
        return None


def random_marks(checks: RandomChecks, cubes: Iterable[CubeInfo]) -> dict[str, str]:
    """Return the marks of the random checks by cube, with the place in the audit order of the release."""
    releases: dict[str, list[CubeInfo]] = {}
    for cube in cubes:
        releases.setdefault(cube.release, []).append(cube)
    chosen = set(checks.cubes)
    return {
        name: f"random check {place:03d}"
        for of_release in releases.values()
        for place, name in enumerate(audit_order(of_release), start=1)
        if name in chosen
    }


def all_marks(checks: RandomChecks | None, cubes: Iterable[CubeInfo], labels: Mapping[str, CurrentLabel]) -> Marks:
    """Return the marks of random checks and ties by cube; tasks with accepted labels have others."""
    random = {} if checks is None else random_marks(checks, cubes)
    return random | {cube: TIED for cube, label in labels.items() if label.source is LabelSource.TIED}


def set_marks(context: Context, project: int, state: ProjectState, marks: Marks, lock: Lock) -> None:
    """Give the tasks of cubes the marks of `marks` where they have another one.

    Marks of random checks and ties that are over are removed; those of accepted labels stay. Tasks without a mark get
    an empty one: Label Studio's filters do not find a key that only some tasks have.
    """
    tasks: dict[str, list[int]] = {}
    for cube, task in state.tasks.items():
        now = task.exported["data"].get(MARK)
        accepted = isinstance(now, str) and now.startswith("accepted")
        wanted = marks.get(cube, now if accepted else "")
        if now != wanted:
            tasks.setdefault(wanted, []).extend(task.ids)
    write_marks(context, project, tasks, lock)


def write_marks(context: Context, project: int, tasks: Mapping[str, Sequence[int]], lock: Lock) -> None:
    """Give tasks marks, in few calls; `tasks` has the tasks of each mark."""
    for edit in mark_edits(tasks):
        lock.reacquire()
        context.label_studio.set_data_field(project, edit.tasks, MARK, edit.value, replaced=edit.replaced)


def shown_rows(
    rows: Iterable[PredictionRow], tasks: Mapping[str, CubeTask], blind: Iterable[str]
) -> list[PredictionRow]:
    """Return the predictions of blind cubes by any version: Label Studio would show each of them.

    A version that the model folder has lost, after a restore for instance, counts too.
    """
    hidden = {number for cube in blind if cube in tasks for number in tasks[cube].ids}
    return [row for row in rows if row.task in hidden and is_version_name(row.model_version)]


def delete_rows(context: Context, project: int, rows: list[PredictionRow], lock: Lock) -> None:
    """Delete the predictions of blind cubes."""
    for start in range(0, len(rows), DELETED_AT_ONCE):
        lock.reacquire()
        context.label_studio.delete_predictions(rows[start : start + DELETED_AT_ONCE])
    if rows:
        log.info("project %d: %d predictions of random checks that nobody has answered are deleted", project, len(rows))
