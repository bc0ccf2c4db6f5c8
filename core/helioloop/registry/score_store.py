"""Scores of a model version on disk: files that are written once, and read once by each process.

`StoredScores` keeps the scores of the files that it has read in memory, without masking curves.
"""

import json
import re
import threading
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from helioloop.errors import RegistryError
from helioloop.files import atomic
from helioloop.records.cubes import CubeInfo, Key
from helioloop.records.scores import CubeScore

VERSIONS_IN_MEMORY: Final = 8
"""Scores of this many versions are kept in memory by one process."""
_READINGS: Final = 5
_CURVE: Final = re.compile(r'"(curve|curve_spread)": ?\[[^\]"]*\]')
"""A masking curve or its spread in a line, most of its length. Text cannot look like it: its quotes are escaped."""


def write_scores(folder: Path, scores: Iterable[CubeScore], *, make_folder: bool = True) -> None:
    """Write scores as a new file in `folder`.

    The files sort by time, and of two scores of one cube the one in the later file counts. With `make_folder` False a
    folder that is gone is a `FileNotFoundError`.
    """
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    path = folder / f"{stamp}-{uuid.uuid4().hex[:8]}.jsonl"
    atomic.write_json_lines(path, [score.as_dict() for score in scores], make_folders=make_folder)


def read_scores(folder: Path, *, curves: bool = True) -> dict[Key, CubeScore]:
    """Return the scores in all files of `folder`, by cube name and content hash; without curves it takes less time."""
    for _ in range(_READINGS):
        with suppress(FileNotFoundError):  # `remove_curves` replaced the files that were just listed
            paths = sorted(folder.glob("*.jsonl"))
            return {score.key: score for path in paths for score in read_score_file(path, curves=curves)}
    raise RegistryError(f"the files in {folder} change again and again; repeat this when nothing prunes them")


def curve_bytes(folder: Path) -> int:
    """Return how much shorter the files of `folder` are without masking curves, in bytes."""
    return sum(len(text) - len(_shortened(text)) for text in (path.read_text() for path in folder.glob("*.jsonl")))


def remove_curves(folder: Path) -> None:
    """Replace the files of `folder` by one with the same scores without masking curves; it can be interrupted."""
    paths = sorted(folder.glob("*.jsonl"))
    if paths:
        write_scores(folder, read_scores(folder, curves=False).values())
    for path in paths:
        path.unlink(missing_ok=True)


def read_score_file(path: Path, *, curves: bool = True) -> list[CubeScore]:
    """Return the scores in one file, with or without curves; a line that is not a score is a `RegistryError`."""
    try:
        text = path.read_text()
        if not curves:
            text = _shortened(text)
        return [CubeScore.from_dict(json.loads(line)) for line in text.splitlines()]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise RegistryError(
            f"{path} has a line that is not a score ({error}); delete that file: its cubes are scored again"
        ) from None


@dataclass(slots=True)
class _Folder:
    """The files of one version that were read so far, and their scores."""

    files: set[str] = field(default_factory=set)
    scores: dict[Key, CubeScore] = field(default_factory=dict)


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

    def _read(self, project: int, version: str) -> dict[Key, CubeScore]:
        folder = self._folder_of(project, version) / "scores"
        for _ in range(_READINGS):
            with suppress(FileNotFoundError):  # as in `read_scores`
                return self._update(project, version, folder)
        raise RegistryError(f"the files in {folder} change again and again; repeat this when nothing prunes them")

    def _update(self, project: int, version: str, folder: Path) -> dict[Key, CubeScore]:
        """Read the files that were not read before, and return the scores of all."""
        with self._lock:
            paths = sorted(folder.glob("*.jsonl"))
            read = self._folders.setdefault((project, version), _Folder())
            if not read.files <= {path.name for path in paths}:  # the model folder was replaced by another one
                read = self._folders[project, version] = _Folder()
            self._folders.move_to_end((project, version))
            for path in paths:
                if path.name not in read.files:
                    read.scores.update(_without_curves(path))
                    read.files.add(path.name)
            while len(self._folders) > VERSIONS_IN_MEMORY:
                self._folders.popitem(last=False)
            return read.scores


def _shortened(text: str) -> str:
    """Return the lines of a score file without masking curves."""
    return _CURVE.sub(r'"\1": null', text)


def _without_curves(path: Path) -> dict[Key, CubeScore]:
    return {score.key: score for score in read_score_file(path, curves=False)}
