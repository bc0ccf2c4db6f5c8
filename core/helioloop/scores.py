"""The score cache's port: what a model version says of cubes, at hand for the web side and the write-back.

Above `registry`. Files are the truth: the cache may be empty at any time, `StoredScores` then answers from the
version's folder and fills the cache again. Masking curves stay in the files.
"""

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Protocol, cast

import redis

from helioloop.records import CubeRef, CubeScore
from helioloop.registry import Registry, read_score_file

EXPIRY_SECONDS: Final = 7 * 24 * 3600
"""How long a version's scores stay in the cache after the last one was put there."""
CLAIM_SECONDS: Final = 600
"""After this long a cube that was asked for and is still not scored may be asked for again: its job was lost."""
VERSIONS_IN_MEMORY: Final = 8
"""How many versions' files a process keeps read."""


class ScoreCache(Protocol):
    """Port of the score cache. Keyed by project and version; a cube is known by its name and content hash."""

    def get(self, project: int, version: str, refs: Iterable[CubeRef]) -> dict[CubeRef, CubeScore]:
        """Return the scores at hand; a cube without one is absent. Curves are None."""

    def put(self, project: int, version: str, scores: Iterable[CubeScore]) -> None:
        """Put scores in; the later of two for one cube counts."""

    def forget(self, project: int) -> None:
        """Drop all scores of a project."""


class MemoryScoreCache:
    """The in-memory twin: one process, nothing kept."""

    def __init__(self) -> None:
        self._scores: dict[tuple[int, str], dict[tuple[str, str], CubeScore]] = {}

    def get(self, project: int, version: str, refs: Iterable[CubeRef]) -> dict[CubeRef, CubeScore]:
        """Return the scores at hand; see `ScoreCache.get`."""
        return _pick(self._scores.get((project, version), {}), refs)

    def put(self, project: int, version: str, scores: Iterable[CubeScore]) -> None:
        """Put scores in; see `ScoreCache.put`."""
        held = self._scores.setdefault((project, version), {})
        held.update({(score.cube, score.sha256): replace(score, curve=None) for score in scores})

    def forget(self, project: int) -> None:
        """Drop a project's scores; see `ScoreCache.forget`."""
        for key in [key for key in self._scores if key[0] == project]:
            del self._scores[key]


class RedisScoreCache:
    """The cache of all processes: one Redis hash per project and version, one JSON value per cube."""

    def __init__(self, connection: redis.Redis) -> None:
        self._redis = connection

    def get(self, project: int, version: str, refs: Iterable[CubeRef]) -> dict[CubeRef, CubeScore]:
        """Return the scores at hand; see `ScoreCache.get`."""
        asked = list(refs)
        if not asked:
            return {}
        fields = [_field(ref.cube, ref.sha256) for ref in asked]
        values = cast("list[bytes | None]", self._redis.hmget(_key(project, version), fields))
        return {
            ref: CubeScore.from_dict(json.loads(value))
            for ref, value in zip(asked, values, strict=True)
            if value is not None
        }

    def put(self, project: int, version: str, scores: Iterable[CubeScore]) -> None:
        """Put scores in; see `ScoreCache.put`."""
        values: dict[Any, Any] = {
            _field(score.cube, score.sha256): json.dumps(replace(score, curve=None).as_dict(), allow_nan=False)
            for score in scores
        }
        if not values:
            return
        pipeline = self._redis.pipeline()
        pipeline.hset(_key(project, version), mapping=values)
        pipeline.expire(_key(project, version), EXPIRY_SECONDS)
        pipeline.execute()

    def forget(self, project: int) -> None:
        """Drop a project's scores; see `ScoreCache.forget`."""
        keys = list(self._redis.scan_iter(match=f"helioloop:scores:{project:d}:*", count=1000))
        if keys:
            self._redis.delete(*keys)


@dataclass(slots=True)
class _Folder:
    """What was read of one version's scores so far: which files, and what they say together."""

    files: set[str] = field(default_factory=set)
    scores: dict[tuple[str, str], CubeScore] = field(default_factory=dict)


class StoredScores:
    """Reads through: the cache, then the version's files, and fills the cache from them.

    Score files are written once and never changed, so each is read once by a process.

    Parameters
    ----------
    cache : ScoreCache
        Where scores are looked for first; an error of Redis counts as an empty cache.
    registry_of : callable
        Project id -> `Registry` of its model folder.
    """

    def __init__(self, cache: ScoreCache, registry_of: Callable[[int], Registry]) -> None:
        self._cache = cache
        self._registry_of = registry_of
        self._folders: OrderedDict[tuple[int, str], _Folder] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, project: int, version: str, refs: Iterable[CubeRef]) -> dict[CubeRef, CubeScore]:
        """Return the stored scores; a cube that this version has not scored is absent. Curves are None.

        Raises
        ------
        UnknownVersion
            Where the project's registry does not hold `version` and the cache lacks a score.
        RegistryError
            Where a score file is damaged.
        """
        asked = list(refs)
        try:
            found = self._cache.get(project, version, asked)
        except redis.RedisError:
            found = {}
        missing = [ref for ref in asked if ref not in found]
        if not missing:
            return found
        from_files = _pick(self._read(project, version), missing)
        if from_files:
            with suppress(redis.RedisError):  # the files have answered; the cache fills when Redis is back
                self._cache.put(project, version, from_files.values())
        return found | from_files

    def _read(self, project: int, version: str) -> dict[tuple[str, str], CubeScore]:
        folder = self._registry_of(project).folder(version) / "scores"
        with self._lock:
            held = self._folders.setdefault((project, version), _Folder())
            self._folders.move_to_end((project, version))
            for path in sorted(folder.glob("*.jsonl")):
                if path.name not in held.files:
                    held.scores.update(_without_curves(path))
                    held.files.add(path.name)
            while len(self._folders) > VERSIONS_IN_MEMORY:
                self._folders.popitem(last=False)
            return held.scores


def _without_curves(path: Path) -> dict[tuple[str, str], CubeScore]:
    return {(score.cube, score.sha256): replace(score, curve=None) for score in read_score_file(path)}


def _pick(held: dict[tuple[str, str], CubeScore], refs: Iterable[CubeRef]) -> dict[CubeRef, CubeScore]:
    return {ref: held[ref.cube, ref.sha256] for ref in refs if (ref.cube, ref.sha256) in held}


def _key(project: int, version: str) -> str:
    return f"helioloop:scores:{project:d}:{version}"


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
