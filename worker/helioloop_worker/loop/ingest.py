"""Ingestion: a release's cubes are checked, rendered to videos and imported as tasks, once each.

Above `gateway` and `video`. The order makes it safe to interrupt: the video is whole before its task is imported, and
what Label Studio holds is read before anything is sent, so a repeated run does only what is missing. A bad cube is set
aside with its reason; the rest goes on.
"""

import logging
import multiprocessing
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import joblib

from helioloop import tables
from helioloop.data.loader import Loader
from helioloop.data.release import LabelRow, Release
from helioloop.errors import CubeError, VideoError
from helioloop.instrument import Instrument
from helioloop.labelstudio.config import FPS
from helioloop.labelstudio.tasks import cube_of
from helioloop.progress import Report
from helioloop_worker.context import Context
from helioloop_worker.loop.video import check_video, render_video

log = logging.getLogger(__name__)

IMPORT_EVERY = 60
"""Tasks are imported as soon as this many are ready, so that annotators can begin."""
MARK_SECONDS = 300
"""An ingestion that was killed stops counting as going on after this long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """A cube that cannot be ingested, and why."""

    cube: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingested:
    """What an ingestion did: tasks imported, cubes that had a task, cubes set aside."""

    release: str
    imported: int
    present: int
    set_aside: tuple[SetAside, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """What one process needs to prepare a cube: where it lies, where its video goes, how it is gridded.

    `known` is the content hash of the cube's task, where it has one.
    """

    release: str
    cube: str
    known: str | None
    roots: tuple[Path, ...]
    media: Path
    cache: Path
    instrument: Instrument


def ingesting(context: Context, project: int) -> bool:
    """Tell whether a release is being taken in: no round is judged on half of one."""
    now = time.time()
    marks = context.connection.hgetall(_marks(project))
    return any(now - float(at) < MARK_SECONDS for at in marks.values())


def _marks(project: int) -> str:
    return f"helioloop:ingesting:{project}"


@contextmanager
def _marked(context: Context, project: int, release: str, report: Report) -> Iterator[Report]:
    """Mark an ingestion as going on, kept alive by what it reports."""

    def marking(done: int, total: int, what: str) -> None:
        context.connection.hset(_marks(project), release, str(time.time()))
        report(done, total, what)

    marking(0, 0, "reading the release")
    try:
        yield marking
    finally:
        context.connection.hdel(_marks(project), release)


def ingest(context: Context, project: int, release_name: str, *, report: Report) -> Ingested:
    """Ingest a release that lies in one of the release roots.

    Parameters
    ----------
    context : Context
        The worker's parts.
    project : int
        Label Studio project.
    release_name : str
        Name of the release's folder.
    report : Report
        Told how many cubes are done.

    Raises
    ------
    ReleaseError
        Where no release root holds the release, or its table cannot be read.
    LabelStudioError
        Where Label Studio refuses; repeat the call.
    """
    with _marked(context, project, release_name, report) as marking:
        return _ingest(context, project, release_name, report=marking)


def _ingest(context: Context, project: int, release_name: str, *, report: Report) -> Ingested:
    release = Release.open(context.roots.folder(release_name))
    known = _known_cubes(context, project)
    media = context.settings.media_dir(project)
    (media / release_name).mkdir(parents=True, exist_ok=True)
    context.label_studio.ensure_local_storage(project, str(media))

    set_aside = [SetAside(cube=cube, reason="in labels.csv, but its file is missing") for cube in release.missing]
    rows = {row.cube: row for row in release.rows if row.cube not in release.missing}
    ready: list[dict[str, str]] = []
    present = imported = 0
    report(0, len(rows), "preparing cubes")
    for done, (cube, prepared) in enumerate(_prepare_all(context, release_name, list(rows), media, known), start=1):
        outcome = _once(prepared, known)
        if isinstance(outcome, SetAside):
            log.warning("cube %s is set aside: %s", cube, outcome.reason)
            set_aside.append(outcome)
        elif outcome is None:
            present += 1
        else:
            ready.append({**outcome, "crude_label": _word(rows[cube])})
        if ready and (len(ready) == IMPORT_EVERY or done == len(rows)):
            imported += _import(context, project, ready)
            ready = []
        report(done, len(rows), "preparing cubes")
    _write_set_aside(context.settings.model_dir(project), release_name, set_aside)
    log.info(
        "project %d: release %s: %d imported, %d were there, %d set aside",
        project, release_name, imported, present, len(set_aside),
    )  # fmt: skip
    return Ingested(release=release_name, imported=imported, present=present, set_aside=tuple(set_aside))


def _import(context: Context, project: int, ready: list[dict[str, str]]) -> int:
    """Import what has no task by now; ingestions of one project take turns, so that no two import the same cube."""
    with context.connection.lock(f"helioloop:importing:{project}", timeout=600, blocking_timeout=600):
        known = _known_cubes(context, project)
        fresh = [data for data in ready if data["cube"] not in known]
        return len(context.label_studio.import_tasks(project, fresh)) if fresh else 0


def _known_cubes(context: Context, project: int) -> dict[str, str]:
    """Return cube name -> content hash of the tasks that Label Studio holds."""
    cubes = (cube_of(entry.get("data")) for entry in context.label_studio.tasks(project))
    return {cube.name: cube.sha256 for cube in cubes if cube is not None}


def _once(outcome: "dict[str, str] | SetAside", known: Mapping[str, str]) -> "dict[str, str] | SetAside | None":
    """Return None for a cube that has its task; a changed file under a known name is set aside, not a second task."""
    if isinstance(outcome, SetAside) or outcome["cube"] not in known:
        return outcome
    if known[outcome["cube"]] == outcome["sha256"]:
        return None
    return SetAside(
        cube=outcome["cube"],
        reason="the project has a cube of this name with other content; task data is fixed: rename the new file",
    )


def _prepare_all(
    context: Context, release: str, cubes: list[str], media: Path, known: Mapping[str, str]
) -> Iterator[tuple[str, "dict[str, str] | SetAside"]]:
    """Prepare cubes in several processes, in the order in which they get ready."""
    workers = max(1, min(len(cubes), joblib.cpu_count()))
    # spawned, not forked: the job's process holds connections and perhaps a thread pool
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        preparations = [
            Preparation(
                release=release,
                cube=cube,
                known=known.get(cube),
                roots=tuple(context.settings.release_roots),
                media=media,
                cache=context.settings.cache_root,
                instrument=context.instrument,
            )
            for cube in cubes
        ]
        futures = {pool.submit(prepare, preparation): preparation.cube for preparation in preparations}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def prepare(what: Preparation) -> "dict[str, str] | SetAside":
    """Check a cube and render its video, unless a whole one is there; return its task's data, label apart."""
    try:
        loader = Loader(roots=what.roots, cache=what.cache, instrument=what.instrument)
        files = loader.read_files(what.release, what.cube)
        known = what.known if what.known is not None and what.known == files.sha256 else None
        if known is not None and (what.media / _video_name(what, known)).exists():
            return {"cube": what.cube, "sha256": known}  # it has its task, and nothing is imported twice
        planned, gridded = loader.parse(files)
        name = _video_name(what, planned.sha256)
        _ensure_video(what.media / name, gridded, n_frames=what.instrument.n_frames)
    except (CubeError, VideoError) as error:
        return SetAside(cube=what.cube, reason=str(error))
    return {
        "video": f"/data/local-files/?d={quote(f'helioloop/{what.media.name}/{name}')}",
        "cube": what.cube,
        "release": what.release,
        "region": planned.region or "",
        "start": f"{planned.start}Z" if planned.start else "",
        "sha256": planned.sha256,
    }


def _video_name(what: Preparation, sha256: str) -> str:
    """Return where in the media folder a cube's video is; with its hash, so that a task's video never changes."""
    return f"{what.release}/{what.cube}-{sha256[:12]}.mp4"


def _ensure_video(path: Path, gridded: Any, *, n_frames: int) -> None:
    """Render a video unless a whole one is there; a broken one is rendered again."""
    with suppress(VideoError):
        if path.exists() and check_video(path).n_frames == n_frames:
            return
    render_video(gridded, path, fps=FPS)


def _word(row: LabelRow) -> str:
    return "" if row.label is None else row.label.value


def _write_set_aside(model_dir: Path, release: str, set_aside: list[SetAside]) -> None:
    """Leave the list of cubes set aside as a table, replaced at each ingestion of the release."""
    rows = (asdict(entry) for entry in sorted(set_aside, key=lambda entry: entry.cube))
    tables.write_table(model_dir / "set-aside" / f"{release}.csv", ("cube", "reason"), rows)
