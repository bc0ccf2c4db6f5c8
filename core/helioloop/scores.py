"""What a model version says of cubes, at hand for the web side; and which cubes a worker was asked to score.

Above `registry`. The files of the version's folder are read once each and kept in memory, without masking curves. What
was asked for stands in Redis, for all processes.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Protocol

import redis

from helioloop.records import CubeRef, CubeScore
from helioloop.registry import Registry, read_score_file

CLAIM_SECONDS: Final = 600
"""After this long a cube that was asked for and is still not scored may be asked for again: its job was lost."""
VERSIONS_IN_MEMORY: Final = 8
"""How many versions' files a process keeps read."""


@dataclass(slots=True)
class _Folder:
    """What was read of one version's scores so far: which files, and what they say together."""

    files: set[str] = field(default_factory=set)
    scores: dict[tuple[str, str], CubeScore] = field(default_factory=dict)


class StoredScores:
    """Scores read from the versions' folders.

    Score files are written once and never changed, so each is read once by a process.

    Parameters
    ----------
    registry_of : callable
        Project id -> `Registry` of its model folder.
    """

    def __init__(self, registry_of: Callable[[int], Registry]) -> None:
        self._registry_of = registry_of
        self._folders: OrderedDict[tuple[int, str], _Folder] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, project: int, version: str, refs: Iterable[CubeRef]) -> dict[CubeRef, CubeScore]:
        """Return the stored scores; a cube that this version has not scored is absent. Curves are None.

        Raises
        ------
        UnknownVersion
            Where the project's registry does not hold `version`.
        RegistryError
            Where a score file is damaged.
        """
        held = self._read(project, version)
        return {ref: held[ref.cube, ref.sha256] for ref in refs if (ref.cube, ref.sha256) in held}

    def _read(self, project: int, version: str) -> dict[tuple[str, str], CubeScore]:
        folder = self._registry_of(project).folder(version) / "scores"
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


def _without_curves(path: Path) -> dict[tuple[str, str], CubeScore]:
    return {(score.cube, score.sha256): replace(score, curve=None) for score in read_score_file(path)}


def _field(cube: str, sha256: str) -> str:
    return f"{sha256}/{cube}"


class InFlight(Protocol):
    """Port of what has been asked for: cubes whose scoring is queued or running, so that they are asked for once."""

    def claim(self, project: int, version: str, refs: Iterable[CubeRef]) -> list[CubeRef]:
        """Return those that nobody has claimed, and claim them; claims end by themselves after a while."""

    def release(self, project: int, version: str, refs: Iterable[CubeRef]) -> None:
        """Give claims back: the cubes are scored, or their job could not be sent or failed."""


class MemoryInFlight:
    """The in-memory twin: one process, claims never end by themselves."""

    def __init__(self) -> None:
        self._claims: set[tuple[int, str, str]] = set()
        self._lock = threading.Lock()

    def claim(self, project: int, version: str, refs: Iterable[CubeRef]) -> list[CubeRef]:
        """Claim what is free; see `InFlight.claim`."""
        with self._lock:
            claimed = []
            for ref in dict.fromkeys(refs):
                key = (project, version, _field(ref.cube, ref.sha256))
                if key not in self._claims:
                    self._claims.add(key)
                    claimed.append(ref)
            return claimed

    def release(self, project: int, version: str, refs: Iterable[CubeRef]) -> None:
        """Give claims back; see `InFlight.release`."""
        with self._lock:
            self._claims.difference_update((project, version, _field(ref.cube, ref.sha256)) for ref in refs)


class RedisInFlight:
    """The claims of all processes: one expiring Redis key a cube."""

    def __init__(self, connection: redis.Redis) -> None:
        self._redis = connection

    def claim(self, project: int, version: str, refs: Iterable[CubeRef]) -> list[CubeRef]:
        """Claim what is free; see `InFlight.claim`."""
        asked = list(dict.fromkeys(refs))
        pipeline = self._redis.pipeline(transaction=False)
        for ref in asked:
            pipeline.set(_claim_key(project, version, ref), 1, nx=True, ex=CLAIM_SECONDS)
        return [ref for ref, fresh in zip(asked, pipeline.execute(), strict=True) if fresh]

    def release(self, project: int, version: str, refs: Iterable[CubeRef]) -> None:
        """Give claims back; see `InFlight.release`."""
        keys = [_claim_key(project, version, ref) for ref in refs]
        if keys:
            self._redis.delete(*keys)


def _claim_key(project: int, version: str, ref: CubeRef) -> str:
    return f"helioloop:in-flight:{project:d}:{version}:{_field(ref.cube, ref.sha256)}"
