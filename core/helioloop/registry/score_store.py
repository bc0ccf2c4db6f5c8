"""Scores on disk: written once into a version's folder, read once by each process.

The truth of what a version says of a cube. The web side keeps the files it has read in memory, without masking curves.
"""

import json
import threading
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from helioloop import atomic
from helioloop.errors import RegistryError
from helioloop.records import CubeInfo, CubeScore, Key

VERSIONS_IN_MEMORY: Final = 8
"""How many versions' files a process keeps read."""


def write_scores(folder: Path, scores: Iterable[CubeScore]) -> None:
    """Write scores as one new file in `folder`; later files win over earlier ones (names sort by time)."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    atomic.write_json_lines(folder / f"{stamp}-{uuid.uuid4().hex[:8]}.jsonl", [score.as_dict() for score in scores])


def read_scores(folder: Path) -> dict[Key, CubeScore]:
    """Read all score files in `folder`, by (cube, sha256)."""
    return {score.key: score for path in sorted(folder.glob("*.jsonl")) for score in read_score_file(path)}


def read_score_file(path: Path) -> list[CubeScore]:
    """Read one score file; a line that is no score is a `RegistryError`."""
    try:
        return [CubeScore.from_dict(json.loads(line)) for line in path.read_text().splitlines()]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise RegistryError(
            f"{path} holds a line that is no score ({error}); delete that file, its cubes are scored again"
        ) from None


@dataclass(slots=True)
class _Folder:
    """What was read of one version's scores so far: which files, and what they say together."""

    files: set[str] = field(default_factory=set)
    scores: dict[Key, CubeScore] = field(default_factory=dict)


class StoredScores:
    """Scores read from the versions' folders.

    Score files are written once and never changed, so each is read once by a process.

    Parameters
    ----------
    folder_of : callable
        Project id and version -> the version's folder; an `UnknownVersion` where there is none.
    """

    def __init__(self, folder_of: Callable[[int, str], Path]) -> None:
        self._folder_of = folder_of
        self._folders: OrderedDict[tuple[int, str], _Folder] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, project: int, version: str, cubes: Iterable[CubeInfo]) -> dict[Key, CubeScore]:
        """Return the stored scores; a cube that this version has not scored is absent. Curves are None.

        Raises
        ------
        UnknownVersion
            Where the project's registry does not hold `version`.
        RegistryError
            Where a score file is damaged.
        """
        held = self._read(project, version)
        return {cube.key: held[cube.key] for cube in cubes if cube.key in held}

    def _read(self, project: int, version: str) -> dict[Key, CubeScore]:
        folder = self._folder_of(project, version) / "scores"
        with self._lock:
            paths = sorted(folder.glob("*.jsonl"))
            held = self._folders.setdefault((project, version), _Folder())
            if not held.files <= {path.name for path in paths}:  # another model folder in the same place
                held = self._folders[project, version] = _Folder()
            self._folders.move_to_end((project, version))
            for path in paths:
                if path.name not in held.files:
                    held.scores.update(_without_curves(path))
                    held.files.add(path.name)
            while len(self._folders) > VERSIONS_IN_MEMORY:
                self._folders.popitem(last=False)
            return held.scores


def _without_curves(path: Path) -> dict[Key, CubeScore]:
    return {score.key: replace(score, curve=None) for score in read_score_file(path)}
