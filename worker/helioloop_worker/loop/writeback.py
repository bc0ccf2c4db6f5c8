"""Write-back: the stored scores of a version become predictions in Label Studio, and Label Studio shows the version.

A write-back can be repeated: tasks that have the prediction of the version are left alone, so a write-back that broke
off continues. One process at a time writes into a project.
"""

import logging
from collections.abc import Iterable, Set
from dataclasses import dataclass, replace

from helioloop.progress import Report
from helioloop.records.cubes import CubeInfo
from helioloop.registry.shown_versions import add_shown_version
from helioloop.registry.version_names import is_version_name
from helioloop_worker.context import Context
from helioloop_worker.labelstudio.port import PredictionRow, ProjectInfo
from helioloop_worker.labelstudio.project import ProjectState
from helioloop_worker.labelstudio.tabs import update_tabs
from helioloop_worker.loop.changed_controls import note_controls
from helioloop_worker.loop.contested_predictions import say_contested_version
from helioloop_worker.loop.hiding import hide_random_checks
from helioloop_worker.loop.screen_files import write_screens
from helioloop_worker.loop.stored_predictions import delete_differing
from helioloop_worker.loop.unscored import unscored_chunks
from helioloop_worker.loop.updating import Update, update_predictions
from helioloop_worker.loop.writing import holding, writing
from helioloop_worker.loop.written_back import (
    needs_whole_write_back,
    require_whole_write_back,
    settle_whole_write_back,
    write_written,
    written_now,
)
from helioloop_worker.loop.written_screens import note_screens

log = logging.getLogger(__name__)

CHUNK_SCREENS = 500
"""Tasks whose scores with masking curves are in memory at one time; a curve takes about 10 kB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """The result of a write-back.

    Parameters
    ----------
    written, present : int
        Predictions written, and tasks that had one.
    chunks : tuple of tuple of CubeInfo
        Cubes that have no score yet, in one chunk for each scoring job.
    whole : bool
        True where all tasks were looked at, and not only those with something new.
    """

    written: int
    present: int
    chunks: tuple[tuple[CubeInfo, ...], ...] = ()
    whole: bool = True

    @property
    def missing(self) -> tuple[CubeInfo, ...]:
        """All cubes that have no score yet."""
        return tuple(cube for chunk in self.chunks for cube in chunk)


def write_back(context: Context, project: int, version: str, *, report: Report) -> Written:
    """Give every task one prediction of `version`, then make it the model version of the project.

    Nothing is written for a version that is not the published one: the published version has its own write-back.
    Random checks that nobody has answered get no prediction, and lose the one they have.

    Parameters
    ----------
    context : Context
        Settings, Redis and Label Studio.
    project : int
        Label Studio project.
    version : str
        The published version.
    report : Report
        Called with the number of predictions written.

    Raises
    ------
    LabelStudioError
        Where Label Studio refuses or drops a prediction; repeat the call.
    ServiceError
        Where another process writes into the project for too long, or Redis is emptied meanwhile; repeat the call.
    """
    with writing(context, project) as lock:
        registry = context.registry(project)
        if registry.published() != version:
            return Written(written=0, present=0)
        model_dir = context.settings.model_dir(project)
        repairs = needs_whole_write_back(model_dir)
        request = require_whole_write_back(model_dir)  # if this one breaks off, the next one is whole, too
        project_state = context.projects.read_fully(project) if repairs else context.projects.read(project)
        now = written_now(project_state, registry, version)  # before the scores are read: they may become more
        scores = registry.scores(version, curves=False)
        every = _rows(context, project, version, whole=repairs)
        blind, hidden = hide_random_checks(
            context, project, project_state, version=version, rows=every, lock=lock, report=report
        )
        rows = [row for row in every or () if row.model_version == version and row.id not in hidden]
        update = Update.of(context, project_state, version, scores=scores, lock=lock, report=report)
        entries, differing = update_predictions(update, rows, without=blind)
        have = {row.task for row in rows}
        deleted = frozenset[int]()
        if not entries:
            deleted = delete_duplicates(context, project, version, rows)
        elif _n_rows(context, project, version) != len(have) + len(entries):
            deleted = delete_duplicates(context, project, version, context.label_studio.predictions(project))
        if entries or have:
            show_version(context, project_state.info, version)
        # After the predictions: an answer to a task that has none of the shown version counts as blind.
        _write_all_screens(context, project, project_state, version=version, blind=blind, report=holding(lock, report))
        delete_differing(context, differing, lock, without=deleted)
        lock.reacquire()
        update_tabs(context.label_studio, project, model_dir)
        add_shown_version(model_dir, version)
        write_written(model_dir, now)
        note_controls(context, project, version, project_state.controls)
        note_screens(model_dir, context.settings.media_dir(project))
        settle_whole_write_back(model_dir, request)
    written = Written(
        written=len(entries), present=len(have), chunks=unscored_chunks(project_state, scores, update.unscorable)
    )
    log.info(
        "project %d: %s: %d predictions written, %d already present, %d cubes without a score",
        project, version, written.written, written.present, len(written.missing),
    )  # fmt: skip
    return written


def _rows(context: Context, project: int, version: str, *, whole: bool) -> list[PredictionRow] | None:
    """Return all prediction rows of a project; None where `version` has none, and earlier versions have.

    Those are many, and only the ones of blind cubes matter.
    """
    counts = context.label_studio.model_versions(project)
    if counts.get(version) or whole:
        return context.label_studio.predictions(project)
    return None if any(count for name, count in counts.items() if is_version_name(name)) else []


def _n_rows(context: Context, project: int, version: str) -> int:
    """Return how many predictions of a version Label Studio has."""
    return context.label_studio.model_versions(project).get(version, 0)


def _write_all_screens(
    context: Context, project: int, project_state: ProjectState, *, version: str, blind: Set[str], report: Report
) -> None:
    """Write the files of all tasks; scores with masking curves are read for some tasks at a time, as they are large."""
    tasks = list(project_state.tasks.items())
    for start in range(0, len(tasks), CHUNK_SCREENS):
        chosen = dict(tasks[start : start + CHUNK_SCREENS])
        write_screens(
            replace(project_state, tasks=chosen),
            context.registry(project).scores_of(version, [task.cube for task in chosen.values()]),
            version=version,
            media=context.settings.media_dir(project),
            blind=blind,
            served=context.media,
            report=lambda done, _, what, start=start: report(start + done, len(tasks), what),  # type: ignore[misc]
        )


def show_version(context: Context, info: ProjectInfo, version: str) -> None:
    """Let Label Studio show a version in the place of the one that `info` names.

    That one is recorded first, because it may be another one than was last written back, as where Label Studio was
    restored from a backup: its predictions, too, stay for the grace time from now on. Or another deployment shows it.
    """
    if info.model_version == version:
        return
    if info.model_version is not None and is_version_name(info.model_version):
        add_shown_version(context.settings.model_dir(info.id), info.model_version, instead_of=version)
        say_contested_version(context, info.id, version)
    context.label_studio.set_model_version(info.id, version)


def delete_duplicates(context: Context, project: int, version: str, rows: Iterable[PredictionRow]) -> frozenset[int]:
    """Delete the younger of two rows of a task and return them.

    Label Studio asked the backend during the write-back and kept both.
    """
    seen: set[int] = set()
    younger = []
    for row in sorted(rows, key=lambda row: row.id):
        if row.model_version == version:
            if row.task in seen:
                younger.append(row)
            seen.add(row.task)
    if younger:
        log.info("project %d: %d tasks had two predictions of %s; one is deleted", project, len(younger), version)
        context.label_studio.delete_predictions(younger)
    return frozenset(row.id for row in younger)
