"""Hides what the model says about the random checks that nobody has answered yet, as part of a write-back."""

from collections.abc import Sequence, Set
from dataclasses import replace

from redis.lock import Lock

from helioloop.progress import Report
from helioloop.registry.random_checks import RandomChecks
from helioloop_worker.context import Context
from helioloop_worker.labelstudio.port import PredictionRow, TaskNow
from helioloop_worker.labelstudio.project import ProjectState
from helioloop_worker.loop.announcing import withdraw_report
from helioloop_worker.loop.random_checks import all_marks, delete_rows, set_marks, shown_rows, update_random_checks
from helioloop_worker.loop.screen_files import write_screens
from helioloop_worker.loop.writing import holding


def hide_random_checks(
    context: Context,
    project: int,
    project_state: ProjectState,
    *,
    version: str,
    rows: Sequence[PredictionRow] | None,
    lock: Lock,
    report: Report,
) -> tuple[frozenset[str], set[int]]:
    """Choose and mark the random checks, delete predictions of the blind ones; return these and the deleted rows.

    The list of random checks is written first, so that the backend does not answer with new predictions meanwhile.
    `rows` are all rows of the project; None where `version` has none, and those of the blind cubes are read.
    """
    predicted_tasks = {row.task for row in rows or () if row.model_version == version}
    labels, cubes = project_state.snapshot.cubes, [task.cube for task in project_state.tasks.values()]
    checks = update_random_checks(
        context,
        project,
        version=version,
        cubes=cubes,
        labels=labels,
        predicted=frozenset(
            name for name, task in project_state.tasks.items() if not predicted_tasks.isdisjoint(task.ids)
        ),
    )
    blind = checks.blind(labels)
    if rows is None:
        numbers = [number for name in blind & project_state.tasks.keys() for number in project_state.tasks[name].ids]
        rows = [row for task in context.label_studio.tasks_now(project, numbers) for row in task.predictions]
    shown = shown_rows(rows, project_state.tasks, blind)
    _write_blind_screens(context, project, project_state, version=version, blind=blind, report=holding(lock, report))
    delete_rows(context, project, shown, lock)
    set_marks(context, project, project_state, all_marks(checks, cubes, labels), lock)
    return blind, {row.id for row in shown}


def hide_new_random_checks(
    context: Context,
    project: int,
    whole: ProjectState,
    part: ProjectState,
    *,
    version: str,
    there: list[TaskNow],
    have_joined: bool,
    lock: Lock,
    report: Report,
) -> tuple[frozenset[str], set[int]]:
    """Choose further random checks among cubes without a prediction; mark those of `part` and hide their predictions.

    Return the blind cubes and the deleted rows.
    """
    cubes, labels = [task.cube for task in whole.tasks.values()], whole.snapshot.cubes
    predicted = {task.id for task in there if any(row.model_version == version for row in task.predictions)}
    lacking = {cube for cube, task in part.tasks.items() if predicted.isdisjoint(task.ids)}
    checks = RandomChecks.read(context.settings.model_dir(project))
    if lacking or checks is None:
        checks = update_random_checks(
            context,
            project,
            version=version,
            cubes=cubes,
            labels=labels,
            predicted=frozenset(whole.tasks.keys() - lacking),  # tasks without a score get theirs later
        )
    blind = checks.blind(labels)
    rows = [row for task in there for row in task.predictions]
    shown = shown_rows(rows, part.tasks, blind & part.tasks.keys())
    _write_blind_screens(context, project, part, version=version, blind=blind, report=holding(lock, report))
    delete_rows(context, project, shown, lock)
    checked = None if part.tasks.keys().isdisjoint(checks.cubes) else checks
    marks = all_marks(checked, cubes, {cube: labels[cube] for cube in part.tasks})
    if have_joined:  # and have moved the places of others
        others = replace(whole, tasks={cube: whole.tasks[cube] for cube in checks.cubes if cube in whole.tasks})
        numbers = [number for task in others.tasks.values() for number in task.ids]
        others = others.with_data_of(context.label_studio.tasks_now(project, numbers))
        set_marks(context, project, others, all_marks(checks, cubes, labels), lock)
    set_marks(context, project, part, marks, lock)
    return blind, {row.id for row in shown}


def _write_blind_screens(
    context: Context, project: int, project_state: ProjectState, *, version: str, blind: Set[str], report: Report
) -> None:
    """Write the files of blind tasks, before their predictions are deleted.

    An answer that Label Studio stored without a prediction counts as blind. So curve, reason and the gallery of the
    report must have nothing of the model when the last prediction goes, also where writing the files of all tasks takes
    minutes, or scoring new cubes hours.
    """
    withdraw_report(context, project, blind)
    chosen = {cube: task for cube, task in project_state.tasks.items() if cube in blind}
    write_screens(
        replace(project_state, tasks=chosen),
        {},
        version=version,
        media=context.settings.media_dir(project),
        blind=blind,
        served=context.media,
        report=report,
    )
