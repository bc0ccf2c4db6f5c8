"""Scores of a model version on disk: files that are written once, and read once by each process.

`StoredScores` keeps the scores of the files that it has read in memory, without masking curves.
"""

import json
import os
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Final

from helioloop.errors import RegistryError
from helioloop.files import atomic
from helioloop.records.cubes import CubeInfo, Key
from helioloop.records.scores import CubeScore
from helioloop.registry.score_index import (
    Place,
    find_places,
    indexed_bytes,
    places_in,
    plain_lines,
    score_file_names,
    update_index,
    without_curves,
)

VERSIONS_IN_MEMORY: Final = 8
"""Scores of this many versions are kept in memory by one process."""
FILES_IN_MEMORY: Final = 256
"""Score files that no index has, and of which one process keeps the places of their scores."""
STEP_SECONDS: Final = 3
"""Two changes of a folder within this time may have the same time; some file systems count in two seconds."""
_READINGS: Final = 5


def write_scores(folder: Path, scores: Iterable[CubeScore], *, make_folder: bool = True) -> None:
    """Write scores as a new file in `folder`.

    The files sort by time, and of two scores of one cube the one in the later file counts. With `make_folder` False a
    folder that is gone is a `FileNotFoundError`.
    """
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    path = folder / f"{stamp}-{uuid.uuid4().hex[:8]}.jsonl"
    atomic.write_json_lines(path, [score.as_dict() for score in scores], make_folders=make_folder)
    update_index(folder)


def read_scores(folder: Path, *, curves: bool = True) -> dict[Key, CubeScore]:
    """Return the scores in all files of `folder`, by cube name and content hash; without curves it takes less time."""
    for _ in range(_READINGS):
        with suppress(FileNotFoundError):  # `remove_curves` replaced the files that were just listed
            names = score_file_names(folder)
            if not curves:
                return {key: score for name in names for key, score in _without_curves(folder / name, names).items()}
            return {score.key: score for name in names for score in read_score_file(folder / name)}
    raise RegistryError(f"the files in {folder} change again and again; repeat this when nothing prunes them")


def read_some_scores(folder: Path, keys: Iterable[Key], *, curves: bool = True) -> dict[Key, CubeScore]:
    """Return the scores of some cubes; how many others the folder has makes little difference.

    The index leads to them. Where it lacks a file, this process reads that once and keeps where its scores are.
    """
    wanted = set(keys)
    if not wanted:
        return {}
    for _ in range(_READINGS):
        with suppress(FileNotFoundError):  # as in `read_scores`
            places, covered = find_places(folder, wanted)
            names = set(score_file_names(folder))
            if not covered <= names:  # it is of files that were replaced
                places, covered = {}, frozenset()
            for name in sorted(names - covered):
                later = _places_in(folder / name)
                places |= {
                    key: later[key] for key in wanted & later.keys() if key not in places or places[key].file < name
                }
            return {key: _score_at(folder, place, curves=curves) for key, place in places.items()}
    raise RegistryError(f"the files in {folder} change again and again; repeat this when nothing prunes them")


@lru_cache(maxsize=FILES_IN_MEMORY)
def _places_in(path: Path) -> Mapping[Key, Place]:
    """Return the places of the scores in a file, which is written once; a damaged one is a `RegistryError`."""
    try:
        return places_in(path)
    except (ValueError, KeyError, TypeError, AttributeError):
        read_score_file(path)  # raises the error that names the remedy
        raise


def _score_at(folder: Path, place: Place, *, curves: bool) -> CubeScore:
    text = place.plain
    if curves:
        with (folder / place.file).open("rb") as file:
            file.seek(place.start)
            text = file.read(place.length).decode()
    return _parsed([text], folder / place.file)[0]


def curve_bytes(folder: Path) -> int:
    """Return how much shorter the files of `folder` are without masking curves, in bytes."""
    texts = ((folder / name).read_text() for name in score_file_names(folder))
    return sum(len(text) - len(without_curves(text)) for text in texts)


def remove_curves(folder: Path) -> None:
    """Replace the files of `folder` by one with the same scores without masking curves; it can be interrupted."""
    names = score_file_names(folder)
    if names:
        write_scores(folder, read_scores(folder, curves=False).values())
    for name in names:
        (folder / name).unlink(missing_ok=True)
    update_index(folder)


def read_score_file(path: Path, *, curves: bool = True) -> list[CubeScore]:
    """Return the scores in one file, with or without curves; a line that is not a score is a `RegistryError`."""
    text = path.read_text()
    return _parsed((text if curves else without_curves(text)).splitlines(), path)


def check_score_file(path: Path) -> None:
    """Raise a `RegistryError` where a file has a line that is not a score, or another length than when it was written.

    A file that was cut off at the end of a line, or is empty as after a power failure, has only scores.
    """
    read_score_file(path, curves=False)
    expected, found = indexed_bytes(path), path.stat().st_size
    if expected is not None and expected != found:
        raise RegistryError(
            f"{path} has {found} bytes and had {expected}; delete that file: its cubes are scored again"
        )


def _parsed(lines: Iterable[str], path: Path) -> list[CubeScore]:
    try:
        return [CubeScore.from_dict(json.loads(line)) for line in lines]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise RegistryError(
            f"{path} has a line that is not a score ({error}); delete that file: its cubes are scored again"
        ) from None


@dataclass(slots=True)
class _Folder:
    """The files of one version that were read so far, and their scores."""

    files: set[str] = field(default_factory=set)
    scores: dict[Key, CubeScore] = field(default_factory=dict)
    listed: tuple[str, tuple[int, int]] | None = None
    """Path of the folder, with the time of its last change and its number, where it had not changed for a while."""


class StoredScores:
    """Scores of all versions, read from their folders when first needed; for several threads.

    Parameters
    ----------
    folder_of : callable
        Project id and version -> folder of the version; raises `UnknownVersion` where there is none.
    """

    def __init__(self, folder_of: Callable[[int, str], Path]) -> None:
        self._folder_of = folder_of
        self._folders: OrderedDict[tuple[int, str], _Folder] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, project: int, version: str, cubes: Iterable[CubeInfo]) -> dict[Key, CubeScore]:
        """Return the stored scores by cube name and content hash, without curves.

        Cubes without a stored score are absent.

        Raises
        ------
        UnknownVersion
            Where the project does not have this version.
        RegistryError
            Where a score file is damaged.
        """
        scores = self._read(project, version)
        return {cube.key: scores[cube.key] for cube in cubes if cube.key in scores}

    def recent(self, project: int, version: str) -> Mapping[Key, CubeScore]:
        """Return all stored scores of a version, perhaps without those that were added a moment ago.

        The folder is listed only where it has changed since. File systems count times in steps, so a folder that
        changed within `STEP_SECONDS` before it was listed is listed again. `get` finds everything that is there.

        Raises
        ------
        UnknownVersion, RegistryError
            As `get`.
        """
        held = self._folders.get((project, version))
        if held is not None and held.listed is not None:
            path, changed = held.listed
            with suppress(OSError):  # then `get` gives the reason
                found = os.stat(path)  # noqa: PTH116 - on each request
                if (found.st_mtime_ns, found.st_ino) == changed:
                    with suppress(KeyError):  # another thread has dropped it
                        self._folders.move_to_end((project, version))
                    return held.scores
        return self._read(project, version)

    def _read(self, project: int, version: str) -> dict[Key, CubeScore]:
        folder = self._folder_of(project, version) / "scores"
        for _ in range(_READINGS):
            with suppress(FileNotFoundError):  # as in `read_scores`
                return self._update(project, version, folder)
        raise RegistryError(f"the files in {folder} change again and again; repeat this when nothing prunes them")

    def _update(self, project: int, version: str, folder: Path) -> dict[Key, CubeScore]:
        """Read the files that were not read before, and return the scores of all."""
        with self._lock:
            listed = _settled(folder)
            names = score_file_names(folder)
            read = self._folders.setdefault((project, version), _Folder())
            if not read.files <= set(names):  # the model folder was replaced by another one
                read = self._folders[project, version] = _Folder()
            self._folders.move_to_end((project, version))
            for name in names:
                if name not in read.files:
                    read.scores.update(_without_curves(folder / name, names))
                    read.files.add(name)
            read.listed = listed
            while len(self._folders) > VERSIONS_IN_MEMORY:
                self._folders.popitem(last=False)
            return read.scores


def _settled(folder: Path) -> tuple[str, tuple[int, int]] | None:
    """Return what `_Folder.listed` holds; None where the folder has changed just now, or is not there."""
    try:
        found = folder.stat()
    except OSError:
        return None
    if time.time_ns() - found.st_mtime_ns < STEP_SECONDS * 10**9:
        return None
    return str(folder), (found.st_mtime_ns, found.st_ino)


def _without_curves(path: Path, listed: Collection[str]) -> dict[Key, CubeScore]:
    """Return the scores of a file without masking curves, from the index where it has them: that is much less text."""
    lines = plain_lines(path, listed)
    scores = read_score_file(path, curves=False) if lines is None else _parsed(lines, path)
    return {score.key: score for score in scores}
