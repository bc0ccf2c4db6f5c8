"""Write-back: the stored scores of a version become predictions in Label Studio, and Label Studio shows the version.

A write-back can be repeated: tasks that have the prediction of the version are left alone, so a write-back that broke
off continues. One process at a time writes into a project.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

from redis.lock import Lock

from helioloop.labelstudio.predictions import prediction
from helioloop.labelstudio.tasks import CubeTask
from helioloop.messaging.messages import SCORE_CHUNK
from helioloop.progress import Report
from helioloop.records.cubes import CubeInfo, Key
from helioloop.records.labels import CurrentLabel, Label
from helioloop.records.scores import CubeScore
from helioloop.registry.acceptances import accepted_labels
from helioloop.registry.unscorable import read_unscorable
from helioloop_worker.context import Context
from helioloop_worker.labelstudio.port import PredictionRow
from helioloop_worker.labelstudio.project import ProjectState, read_project
from helioloop_worker.labelstudio.tabs import update_tabs
from helioloop_worker.loop.checked import write_written
from helioloop_worker.loop.locks import exclusive
from helioloop_worker.loop.random_checks import (
    all_marks,
    delete_rows,
    set_marks,
    shown_rows,
    update_random_checks,
)
from helioloop_worker.loop.screen_files import write_screens
from helioloop_worker.loop.shown_versions import add_shown_version

log = logging.getLogger(__name__)

WRITER_SECONDS = 180
"""The lock of a writer that died is free after this long; a living writer renews it between calls."""
WAIT_SECONDS = 240
"""How long a second writer waits for the first."""
CHUNK_PREDICTIONS = 500
"""Predictions in one request. Label Studio on SQLite writes about 1,100 a second and locks its database meanwhile."""
SAME_SCORE = 1e-6
"""Two scores that differ by at most this are the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """The result of a write-back.

    Parameters
    ----------
    written, present : int
        Predictions written, and tasks that had one.
    chunks : tuple of tuple of CubeInfo
        Cubes that have no score yet, in one chunk for each scoring job. The chunk of a cube depends only on its place
        among all cubes, so cubes that are scored meanwhile do not move others, and a repeated chunk is the same job.
    """

    written: int
    present: int
    chunks: tuple[tuple[CubeInfo, ...], ...] = ()

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
        project_state = read_project(context.label_studio, project, settings=context.settings)
        scores = registry.scores(version)
        accepted = accepted_labels(context.settings.model_dir(project), version)
        labels = with_accepted(project_state.snapshot.cubes, accepted)
        blind = _hide_random_checks(context, project, project_state, version, lock)
        rows = [row for row in context.label_studio.predictions(project) if row.model_version == version]
        have = {row.task for row in rows}
        entries = [
            _entry(project_state, labels, number, score, version=version)
            for task in project_state.tasks.values()
            if task.cube.name not in blind and (score := scores.get(task.cube.key)) is not None
            for number in task.ids
            if number not in have
        ]
        media = context.settings.media_dir(project)
        write_screens(
            project_state,
            scores,
            version=version,
            media=media,
            blind=blind,
            served=context.media,
            report=_holding(lock, report),
        )
        for start in range(0, len(entries), CHUNK_PREDICTIONS):
            lock.reacquire()
            report(start, len(entries), "writing predictions")
            context.label_studio.import_predictions(project, entries[start : start + CHUNK_PREDICTIONS])
        for row, agreement in outdated(rows, project_state.tasks, scores, labels):
            lock.reacquire()
            context.label_studio.rescore(row, agreement)
        lock.reacquire()
        _delete_duplicates(context, project, version)
        report(len(entries), len(entries), "writing predictions")
        if (entries or have) and project_state.info.model_version != version:
            context.label_studio.set_model_version(project, version)
        lock.reacquire()
        update_tabs(context.label_studio, project, context.settings.model_dir(project))
        add_shown_version(context.settings.model_dir(project), version)
        write_written(context.settings.model_dir(project), project_state.snapshot.annotations)
    unscorable = read_unscorable(context.settings.model_dir(project), version)
    written = Written(written=len(entries), present=len(have), chunks=_chunks(project_state, scores, unscorable))
    log.info(
        "project %d: %s: %d predictions written, %d already present, %d cubes without a score",
        project, version, written.written, written.present, len(written.missing),
    )  # fmt: skip
    return written


def _hide_random_checks(
    context: Context, project: int, project_state: ProjectState, version: str, lock: Lock
) -> frozenset[str]:
    """Choose and mark the random checks, delete predictions of the blind ones, and return these.

    The file is written first, so that the backend does not answer with new predictions meanwhile.
    """
    rows = context.label_studio.predictions(project)
    predicted_tasks = {row.task for row in rows if row.model_version == version}
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
    versions = context.registry(project).versions()
    delete_rows(context, project, shown_rows(rows, project_state.tasks, blind, versions), lock)
    set_marks(context, project, project_state, all_marks(checks, cubes, labels), lock)
    return blind


def with_accepted(labels: Mapping[str, CurrentLabel], accepted: Mapping[str, Label]) -> dict[str, CurrentLabel]:
    """Return the labels that scores in Label Studio agree with: the accepted one where a cube is not verified.

    The ensemble is sure of accepted labels, so their tasks come last in the queue, even where the crude label is
    another one.
    """
    return {
        cube: replace(label, label=accepted[cube]) if cube in accepted and not label.verified else label
        for cube, label in labels.items()
    }


def outdated(
    rows: Iterable[PredictionRow],
    tasks: Mapping[str, CubeTask],
    scores: Mapping[Key, CubeScore],
    labels: Mapping[str, CurrentLabel],
) -> list[tuple[PredictionRow, float]]:
    """Return the prediction rows whose score is not the agreement with the current label, and the agreement.

    Labels change while a version is shown: until the next version is published, and longer where the promotion check
    rejects that one.

    Parameters
    ----------
    rows : iterable of PredictionRow
        Rows of one version.
    tasks : mapping
        Cube name -> tasks.
    scores : mapping
        The scores of the version.
    labels : mapping
        Cube name -> current label.
    """
    agreement: dict[int, float] = {}
    for cube, task in tasks.items():
        score, label = scores.get(task.cube.key), labels.get(cube)
        if score is not None and label is not None:
            agreement.update(dict.fromkeys(task.ids, score.agreement(label.label or score.predicted)))
    return [
        (row, agreement[row.task])
        for row in rows
        if row.task in agreement and (row.score is None or abs(row.score - agreement[row.task]) > SAME_SCORE)
    ]


def _chunks(
    project_state: ProjectState, scores: Mapping[Key, CubeScore], unscorable: frozenset[str]
) -> tuple[tuple[CubeInfo, ...], ...]:
    """Return the cubes to be scored, in chunks; see `Written`."""
    tasks = list(project_state.tasks.values())
    chunks = (
        tuple(
            task.cube
            for task in tasks[start : start + SCORE_CHUNK]
            if task.cube.key not in scores and task.cube.sha256 not in unscorable
        )
        for start in range(0, len(tasks), SCORE_CHUNK)
    )
    return tuple(chunk for chunk in chunks if chunk)


def _delete_duplicates(context: Context, project: int, version: str) -> None:
    """Delete the younger of two rows of a task: Label Studio asked the backend during the write-back and kept both."""
    seen: set[int] = set()
    younger = []
    for row in sorted(context.label_studio.predictions(project), key=lambda row: row.id):
        if row.model_version == version:
            if row.task in seen:
                younger.append(row)
            seen.add(row.task)
    if younger:
        log.info("project %d: %d tasks had two predictions of %s; one is deleted", project, len(younger), version)
        context.label_studio.delete_predictions(younger)


def _entry(
    project_state: ProjectState, labels: Mapping[str, CurrentLabel], task: int, score: CubeScore, *, version: str
) -> dict[str, object]:
    label, n_frames = labels[score.cube].label, project_state.profile.instrument.n_frames
    body = prediction(score, label, project_state.controls, model_version=version, n_frames=n_frames)
    return {"task": task, **body}


def _holding(lock: Lock, report: Report) -> Report:
    """Return a report that also renews the lock."""

    def renewing(done: int, total: int, what: str) -> None:
        lock.reacquire()
        report(done, total, what)

    return renewing


@contextmanager
def writing(context: Context, project: int) -> Iterator[Lock]:
    """Hold the lock on writing into a project: the SQLite below Label Studio takes one bulk writer at a time.

    Raises
    ------
    ServiceError
        Where another process holds the lock for too long, or the lock is lost; see `exclusive`.
    """
    with exclusive(
        context.connection,
        f"helioloop:writer:{project}",
        held_seconds=WRITER_SECONDS,
        wait_seconds=WAIT_SECONDS,
        busy=f"another process has been writing into project {project} for over {WAIT_SECONDS} s; one writes at a "
        "time: repeat this later",
        lost=f"project {project}: the lock on writing was lost, because Redis was emptied or Label Studio took over "
        f"{WRITER_SECONDS} s to answer; the next write-back writes what is missing",
    ) as lock:
        yield lock
