"""Ingestion: the cubes of a release are checked, rendered as videos and imported as tasks, each once.

An ingestion can be interrupted and repeated at any point: the video of a cube is complete before its task is imported,
and the tasks in Label Studio are read before others are imported. A cube that cannot be used is excluded with its
reason, and the others are imported.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from helioloop.data.release import LabelRow, Release
from helioloop.data.release_profile import read_release_profile
from helioloop.files import tables
from helioloop.progress import Report
from helioloop.records.profiles import Profile
from helioloop_worker.context import Context
from helioloop_worker.loop.known_cubes import KnownCubes
from helioloop_worker.loop.locks import exclusive
from helioloop_worker.loop.preparation import ExcludedCube, Preparation, other_content, prepare
from helioloop_worker.loop.processes import in_processes
from helioloop_worker.loop.project_profiles import check_profile, set_profile

log = logging.getLogger(__name__)

IMPORT_EVERY = 60
"""Tasks are imported as soon as this many are ready, so that annotators can begin."""
IMPORT_SECONDS = 600
"""An ingestion waits this long for another one that imports; the lock of one that died is free after this long."""
MARK_SECONDS = 300
"""An ingestion that was killed counts as running for this long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingested:
    """The result of an ingestion: tasks imported, cubes that had a task, cubes excluded."""

    release: str
    imported: int
    present: int
    excluded: tuple[ExcludedCube, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


def ingesting(context: Context, project: int) -> bool:
    """Tell whether a release is being ingested: no round is planned on half of a release."""
    now = time.time()
    marks = context.connection.hgetall(_marks(project))
    return any(now - float(at) < MARK_SECONDS for at in marks.values())


def _marks(project: int) -> str:
    return f"helioloop:ingesting:{project}"


@contextmanager
def _marked(context: Context, project: int, release: str, report: Report) -> Iterator[Report]:
    """Mark an ingestion as running; each progress report renews the mark."""

    def marking(done: int, total: int, what: str) -> None:
        context.connection.hset(_marks(project), release, str(time.time()))
        report(done, total, what)

    marking(0, 0, "reading the release")
    try:
        yield marking
    finally:
        context.connection.hdel(_marks(project), release)


def ingest(context: Context, project: int, release_name: str, *, report: Report) -> Ingested:
    """Ingest a release that is in one of the release roots.

    Parameters
    ----------
    context : Context
        Settings, Redis and Label Studio.
    project : int
        Label Studio project.
    release_name : str
        Name of the release's folder.
    report : Report
        Called with the number of cubes done.

    Raises
    ------
    ReleaseError
        Where no release root holds the release, its table cannot be read, or its profile is not the project's.
    LabelStudioError
        Where Label Studio refuses a call; repeat the ingestion.
    ServiceError
        Where another ingestion of the project imports for too long, or Redis is emptied during an import; repeat the
        ingestion.
    """
    with _marked(context, project, release_name, report) as marking:
        return _ingest(context, project, release_name, report=marking)


def _ingest(context: Context, project: int, release_name: str, *, report: Report) -> Ingested:
    release = Release.open(context.roots.folder(release_name))
    profile = read_release_profile(release.folder)
    known = KnownCubes(context.label_studio, project)
    check_profile(context, project, release_name, profile, has_cubes=not known.empty)
    loader = context.loader(profile.instrument)
    media = context.settings.media_dir(project)
    (media / release_name).mkdir(parents=True, exist_ok=True)
    context.label_studio.ensure_local_storage(project, str(media))

    excluded = [ExcludedCube(cube=cube, reason="in labels.csv, but its file is missing") for cube in release.missing]
    missing = set(release.missing)
    rows = {row.cube: row for row in release.rows if row.cube not in missing}
    preparations = [
        Preparation(release=release_name, cube=cube, known=known.sha256(cube), loader=loader, media=media)
        for cube in rows
    ]
    ready: list[dict[str, str]] = []
    present = imported = 0
    report(0, len(rows), "preparing cubes")
    for done, (preparation, outcome) in enumerate(in_processes(prepare, preparations), start=1):
        if isinstance(outcome, ExcludedCube):
            log.warning("cube %s is excluded: %s", outcome.cube, outcome.reason)
            excluded.append(outcome)
        elif outcome is None:
            present += 1
        else:
            ready.append({**outcome, "crude_label": _crude_label(rows[preparation.cube])})
        if ready and (len(ready) == IMPORT_EVERY or done == len(rows)):
            chunk = _import(context, project, ready, known, profile)
            imported, present, excluded = imported + chunk[0], present + chunk[1], [*excluded, *chunk[2]]
            ready = []
        report(done, len(rows), "preparing cubes")
    write_excluded(context.settings.model_dir(project), release_name, excluded)
    log.info(
        "project %d: release %s: %d imported, %d already present, %d excluded",
        project, release_name, imported, present, len(excluded),
    )  # fmt: skip
    return Ingested(release=release_name, imported=imported, present=present, excluded=tuple(excluded))


def _import(
    context: Context, project: int, ready: Sequence[dict[str, str]], known: KnownCubes, profile: Profile
) -> tuple[int, int, list[ExcludedCube]]:
    """Import the cubes that have no task yet, and return how many; then those present, and those with other content.

    The ingestions of a project take turns, so that no two of them import the same cube.
    """
    with exclusive(
        context.connection,
        f"helioloop:importing:{project}",
        held_seconds=IMPORT_SECONDS,
        wait_seconds=IMPORT_SECONDS,
        busy=f"another ingestion has been importing into project {project} for over {IMPORT_SECONDS} s; one imports at "
        "a time: ingest again later, nothing is imported twice",
        lost=f"project {project}: the lock on importing was lost, because Redis was emptied or Label Studio took over "
        f"{IMPORT_SECONDS} s to answer; ingest again, nothing is imported twice",
    ) as lock:
        known.update()
        fresh = [data for data in ready if known.sha256(data["cube"]) is None]
        others = [
            other_content(data["cube"]) for data in ready if known.sha256(data["cube"]) not in {None, data["sha256"]}
        ]
        if fresh:
            set_profile(context, project, fresh[0]["release"], profile, has_cubes=not known.empty)
            lock.reacquire()
            context.label_studio.import_tasks(project, fresh)
    return len(fresh), len(ready) - len(fresh) - len(others), others


def _crude_label(row: LabelRow) -> str:
    return "" if row.label is None else row.label.value


def write_excluded(model_dir: Path, release: str, excluded: Sequence[ExcludedCube]) -> None:
    """Write the table of excluded cubes, ``excluded/<release>.csv``; the next ingestion of the release replaces it."""
    rows = (asdict(entry) for entry in sorted(excluded, key=lambda entry: entry.cube))
    tables.write_table(model_dir / "excluded" / f"{release}.csv", ("cube", "reason"), rows)
