"""Write-back: a version's stored scores become predictions in Label Studio, then the project's model version.

Above `view` and `gateway`. Repeatable: tasks that already have the version's prediction are passed over, so a write
that broke off goes on where it stopped. One writer a project at a time.
"""

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from redis.exceptions import LockError
from redis.lock import Lock

from helioloop import atomic
from helioloop.errors import ServiceError
from helioloop.labelstudio.predictions import prediction
from helioloop.messaging.messages import SCORE_CHUNK
from helioloop.progress import Report
from helioloop.records import CubeInfo, CubeScore, CurrentLabel
from helioloop.registry.unscorable import read_unscorable
from helioloop_worker.context import Context
from helioloop_worker.labelstudio.port import PredictionRow
from helioloop_worker.labelstudio.project import CubeTask, ProjectState, read_project

log = logging.getLogger(__name__)

WRITER_SECONDS = 180
"""A writer that died frees its place after this long; a living one renews it between calls."""
WAIT_SECONDS = 240
"""How long a second writer waits for the first."""
CHUNK_PREDICTIONS = 500
"""Predictions a request; Label Studio on SQLite takes about 1,100 a second, so that its writer lock is held briefly."""
SAME_SCORE = 1e-6
"""Two scores nearer than this are one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """One line of ``writebacks.jsonl``: Label Studio shows `version` since `at` (UTC, ISO 8601)."""

    version: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a write-back did.

    Parameters
    ----------
    written, present : int
        Predictions written, and tasks that had one.
    shares : tuple of tuple of CubeInfo
        Cubes that have no score yet, one scoring job a share. They are shared out by their places among all cubes:
        what is scored meanwhile leaves the other shares as they are, and a share asked for again is the same job.
    """

    written: int
    present: int
    shares: tuple[tuple[CubeInfo, ...], ...] = ()

    @property
    def missing(self) -> tuple[CubeInfo, ...]:
        """All cubes that have no score yet."""
        return tuple(cube for share in self.shares for cube in share)


def write_back(context: Context, project: int, version: str, *, report: Report) -> Written:
    """Give every task the prediction of `version` once, then make it the project's model version.

    A version that is no longer the published one is left alone: the later one has a write-back of its own.

    Raises
    ------
    LabelStudioError
        Where Label Studio refuses or drops a prediction; repeat the call.
    ServiceError
        Where another writer holds the project for too long.
    """
    with writing(context, project) as lock:
        registry = context.registry(project)
        if registry.published() != version:
            return Written(written=0, present=0)
        view = read_project(context.label_studio, project, settings=context.settings, instrument=context.instrument)
        scores = registry.scores(version)
        rows = [row for row in context.label_studio.predictions(project) if row.model_version == version]
        have = {row.task for row in rows}
        entries = [
            _entry(context, view, number, score, version=version)
            for task in view.tasks.values()
            if (score := scores.get(task.cube.key)) is not None
            for number in task.ids
            if number not in have
        ]
        for start in range(0, len(entries), CHUNK_PREDICTIONS):
            lock.reacquire()
            report(start, len(entries), "writing predictions")
            context.label_studio.import_predictions(project, entries[start : start + CHUNK_PREDICTIONS])
        for row, agreement in stale(rows, view.tasks, scores, view.snapshot.cubes):
            lock.reacquire()
            context.label_studio.rescore(row, agreement)
        lock.reacquire()
        _drop_doubles(context, project, version)
        report(len(entries), len(entries), "writing predictions")
        if (entries or have) and view.project.model_version != version:
            context.label_studio.set_model_version(project, version)
        _note_switch(context.settings.model_dir(project), version)
    unscorable = read_unscorable(context.settings.model_dir(project), version)
    written = Written(written=len(entries), present=len(have), shares=_shares(view, scores, unscorable))
    log.info(
        "project %d: %s: %d predictions written, %d were there, %d cubes have no score yet",
        project, version, written.written, written.present, len(written.missing),
    )  # fmt: skip
    return written


def stale(
    rows: Iterable[PredictionRow],
    tasks: Mapping[str, CubeTask],
    scores: Mapping[tuple[str, str], CubeScore],
    labels: Mapping[str, CurrentLabel],
) -> list[tuple[PredictionRow, float]]:
    """Return the rows of a version whose score is not the agreement with the current label, and what it is now.

    Labels change while a version stays: until the next one is published, and for good where the gate keeps that.
    """
    due: dict[int, float] = {}
    for cube, task in tasks.items():
        score, label = scores.get(task.cube.key), labels.get(cube)
        if score is not None and label is not None:
            agreement = score.agreement(label.label or score.predicted)
            due.update(dict.fromkeys(task.ids, agreement))
    return [
        (row, due[row.task])
        for row in rows
        if row.task in due and (row.score is None or abs(row.score - due[row.task]) > SAME_SCORE)
    ]


def _shares(
    view: ProjectState, scores: Mapping[tuple[str, str], CubeScore], unscorable: frozenset[str]
) -> tuple[tuple[CubeInfo, ...], ...]:
    """Return the cubes to be scored, in shares; see `Written`."""
    tasks = list(view.tasks.values())
    shares = (
        tuple(
            task.cube
            for task in tasks[start : start + SCORE_CHUNK]
            if task.cube.key not in scores and task.cube.sha256 not in unscorable
        )
        for start in range(0, len(tasks), SCORE_CHUNK)
    )
    return tuple(share for share in shares if share)


def _drop_doubles(context: Context, project: int, version: str) -> None:
    """Delete the younger of two rows of one task: Label Studio asked the backend while we wrote, and stored both."""
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


def _entry(context: Context, view: ProjectState, task: int, score: CubeScore, *, version: str) -> dict[str, object]:
    current = view.label(score.cube).label
    body = prediction(score, current, view.controls, model_version=version, n_frames=context.instrument.n_frames)
    return {"task": task, **body}


@contextmanager
def writing(context: Context, project: int) -> Iterator[Lock]:
    """Hold the one writer's place of a project: SQLite under Label Studio takes one bulk writer at a time."""
    lock = context.connection.lock(f"helioloop:writer:{project}", timeout=WRITER_SECONDS, blocking_timeout=WAIT_SECONDS)
    if not lock.acquire():
        raise ServiceError(
            f"project {project} is being written to for over {WAIT_SECONDS} s; one writer at a time: repeat this later"
        )
    try:
        yield lock
    except LockError:
        raise ServiceError(
            f"project {project}: the writer's place was lost (Redis emptied, or an answer took {WRITER_SECONDS} s); "
            "what is missing is written by the next write-back"
        ) from None
    finally:
        with suppress(LockError):
            lock.release()


# -- which version Label Studio shows since when --------------------------------------------------


def switches(model_dir: Path) -> list[Switch]:
    """Return when Label Studio was switched to which version, oldest first."""
    path = model_dir / "writebacks.jsonl"
    if not path.exists():
        return []
    return [Switch(**json.loads(line)) for line in path.read_text().splitlines()]


def superseded_since(model_dir: Path, version: str) -> datetime | None:
    """Return since when Label Studio shows another version than this one.

    A version that was never shown (a later one overtook its write-back) counts as superseded since the last switch;
    None while it is the one shown, or nothing is.
    """
    known = switches(model_dir)
    if not known or known[-1].version == version:
        return None
    shown = [index for index, switch in enumerate(known) if switch.version == version]
    return datetime.fromisoformat(known[shown[-1] + 1 if shown else -1].at)


def _note_switch(model_dir: Path, version: str) -> None:
    known = switches(model_dir)
    if known and known[-1].version == version:
        return
    line = Switch(version=version, at=datetime.now(UTC).isoformat())
    atomic.write_json_lines(model_dir / "writebacks.jsonl", [asdict(entry) for entry in [*known, line]])
