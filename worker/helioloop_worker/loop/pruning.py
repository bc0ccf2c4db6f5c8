"""Finds and removes what a project no longer needs: old weights, leftovers, media files without a task, unused cache.

Each kind is found again right before it is removed, so that nothing goes that is needed by then. Removal can be
interrupted and repeated.
"""

import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from helioloop.errors import HelioloopError, ServiceError
from helioloop.registry import pruning
from helioloop.registry.pruning import LEFT_SECONDS, Prunable, sizes
from helioloop.registry.staging import Staging
from helioloop.registry.versions import Registry
from helioloop_worker.context import Context
from helioloop_worker.labelstudio.project import check_owner, claim_media
from helioloop_worker.loop.locks import exclusive
from helioloop_worker.loop.running_ingestions import ingesting, pruning_lock

LOCK_SECONDS: Final = 300
"""The lock of a process that died while it removed media files is free after this long."""
REMOVED_AT_ONCE: Final = 100
"""Media files that are removed before the lock is renewed."""

_MEDIA_FILE: Final = re.compile(r".+-([0-9a-f]{12})(-[^/]+G)?\.(mp4|facts\.json|curve\.json|reason\.txt)\Z")
_CACHE_FILE: Final = re.compile(r"[0-9a-f]{64}(-[0-9a-f]{12}-\d+)?\.npy\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of thing that can go: how to find it, and how to remove what is found by then."""

    find: Callable[[], Prunable]
    remove: Callable[[], None]


def kinds_in_model_folder(registry: Registry, *, keep: int, running: Callable[[], Sequence[str]]) -> list[Kind]:
    """Return the kinds in a model folder.

    Parameters
    ----------
    registry : Registry
        The model folder.
    keep : int
        See `pruning.kept_versions`.
    running : callable
        Returns the fingerprints of the rounds that run.
    """
    staging = Staging(registry.root)

    def rounds() -> list[str]:
        return pruning.abandoned_rounds(registry, running=running(), now=time.time())

    def find_rounds() -> Prunable:
        folders = [staging.folder(fingerprint) for fingerprint in rounds()]
        return Prunable(what="rounds that were left a day ago", files=len(folders), n_bytes=sizes(folders))

    def remove_rounds() -> None:
        for fingerprint in rounds():
            staging.delete(fingerprint)

    return [
        Kind(
            find=lambda: pruning.find_superseded(registry, keep=keep),
            remove=lambda: pruning.remove_superseded(registry, keep=keep),
        ),
        Kind(find=find_rounds, remove=remove_rounds),
        _files("lists of cubes that superseded versions could not score", lambda: pruning.old_unscorable(registry)),
        _files(
            "unfinished files in the model folder",
            lambda: pruning.unfinished_files(registry.root, now=time.time()),
        ),
    ]


def kinds_of_cache(cache: Path, *, days: float) -> list[Kind]:
    """Return the entries of the cache that were neither written nor read for some days, and unfinished ones.

    On disks that record no times of reading (noatime), the time of writing alone counts.
    """

    def unused() -> list[Path]:
        now = time.time()
        entries = [path for path in cache.rglob("*.npy") if _CACHE_FILE.match(path.name)]
        return [path for path in entries if now - _used_at(path) > days * 24 * 3600.0]

    return [
        _files(f"cached cubes and inputs that were not used for {days:g} days", unused),
        _files("unfinished files in the cache", lambda: pruning.unfinished_files(cache, now=time.time())),
    ]


def kinds_of_media(context: Context, project: int) -> list[Kind]:
    """Return the media files of a project that no task shows, and unfinished ones.

    Raises
    ------
    LabelStudioError
        By their functions, where Label Studio does not answer.
    RegistryError
        By their functions, where the folder or the bucket belongs to another project.
    ServiceError
        By their functions: where a release is being ingested, its files have no task yet; where Label Studio has no
        tasks at all, it may be another Label Studio.
    """
    media = context.settings.media_dir(project)

    def without_task() -> list[Path]:
        files = media_files(media)
        if not files:
            return []
        if ingesting(context, project):
            raise ServiceError(
                f"a release is being ingested into project {project}: media files are left alone; repeat this later"
            )
        check_owner(context.label_studio.project(project), settings=context.settings, claim=False)
        tasks = context.label_studio.tasks(project)
        if not tasks:
            raise ServiceError(
                f"Label Studio has no tasks in project {project}: media files are left alone; check the project id, or "
                f"delete {media} by hand"
            )
        shown = _shown(tasks, media)
        return [path for path in files if path not in shown.paths and _hash(path) not in shown.hashes and _is_old(path)]

    def remove() -> None:
        with exclusive(
            context.connection,
            pruning_lock(project),
            held_seconds=LOCK_SECONDS,
            wait_seconds=0,
            busy=f"another process removes media files of project {project}; one at a time: repeat this later",
            lost="the lock on removing media files was lost, because Redis was emptied; repeat this",
        ) as lock:
            paths = without_task()
            if paths:
                claim_media(context.media, context.label_studio.project(project), media=media)
            for start in range(0, len(paths), REMOVED_AT_ONCE):
                lock.reacquire()
                some = paths[start : start + REMOVED_AT_ONCE]
                context.media.withdraw(f"{media.name}/{path.relative_to(media).as_posix()}" for path in some)
                for path in some:
                    path.unlink(missing_ok=True)

    def find() -> Prunable:
        paths = without_task()
        return Prunable(what="media files of cubes without a task", files=len(paths), n_bytes=sizes(paths))

    return [
        Kind(find=find, remove=remove),
        _files("unfinished files in the media folder", lambda: pruning.unfinished_files(media, now=time.time())),
    ]


def running_rounds(context: Context, project: int) -> list[str]:
    """Return the fingerprint of the running round of a project, if there is one."""
    running = context.state.running(project)
    return [] if running is None else [running.fingerprint]


def media_files(media: Path) -> list[Path]:
    """Return the files of cubes below a project's media folder; pages and the instruction's pictures are left out."""
    return sorted(path for path in media.glob("*/*") if _MEDIA_FILE.match(path.name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """The outcome of finding or removing a kind: what it is, or why that failed."""

    prunable: Prunable | None = None
    problem: str | None = None


def found(kinds: Iterable[Kind]) -> list[Tried]:
    """Return what there is of each kind, or why it cannot be found."""
    return [_try(kind.find) for kind in kinds]


def _try(find: Callable[[], Prunable]) -> Tried:
    try:
        return Tried(prunable=find())
    except HelioloopError as error:
        return Tried(problem=str(error))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """The files that tasks show, and the first digits of the content hashes of their cubes."""

    paths: frozenset[Path]
    hashes: frozenset[str]


def _shown(tasks: Iterable[dict[str, Any]], media: Path) -> _Shown:
    texts = [text for task in tasks for text in task["data"].values() if isinstance(text, str)]
    named = {place for text in texts for place in parse_qs(urlsplit(text).query).get("d", ()) if "?" in text}
    hashes = {str(task["data"].get("sha256", ""))[:12] for task in tasks}
    prefix = f"helioloop/{media.name}/"
    paths = frozenset(media / place.removeprefix(prefix) for place in named if place.startswith(prefix))
    return _Shown(paths=paths, hashes=frozenset(hashes))


def _hash(path: Path) -> str:
    match = _MEDIA_FILE.match(path.name)
    return "" if match is None else match[1]


def _is_old(path: Path) -> bool:
    return time.time() - path.stat().st_mtime > LEFT_SECONDS


def _used_at(path: Path) -> float:
    try:
        times = path.stat()
    except FileNotFoundError:
        return time.time()
    return max(times.st_atime, times.st_mtime)


def _files(what: str, paths: Callable[[], Sequence[Path]]) -> Kind:
    """Return the kind of files that `paths` finds."""

    def find() -> Prunable:
        present = paths()
        return Prunable(what=what, files=len(present), n_bytes=sizes(present))

    def remove() -> None:
        for path in paths():
            path.unlink(missing_ok=True)

    return Kind(find=find, remove=remove)
