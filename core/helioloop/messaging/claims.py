"""Claims on cubes whose scores were requested, so that no two processes request the same score."""

import threading
from collections.abc import Iterable
from typing import Final, Protocol

import redis

from helioloop.messaging.expiries import bring_back
from helioloop.records.cubes import CubeInfo, Key

CLAIM_SECONDS: Final = 600
"""A claim ends after this time: a cube that is still not scored may be requested again, its job was lost."""


class Claims(Protocol):
    """The cubes whose scoring is queued or running, by project and version."""

    def claim(self, project: int, version: str, cubes: Iterable[CubeInfo]) -> list[CubeInfo]:
        """Claim the cubes that are free and return them, each once; claims end after `CLAIM_SECONDS`."""

    def release(self, project: int, version: str, cubes: Iterable[CubeInfo]) -> None:
        """End claims: the cubes are scored, or their job failed or could not be sent."""


class InMemoryClaims:
    """The in-memory fake: for one process; claims end only by `release`."""

    def __init__(self) -> None:
        self._claims: set[tuple[int, str, Key]] = set()
        self._lock = threading.Lock()

    def claim(self, project: int, version: str, cubes: Iterable[CubeInfo]) -> list[CubeInfo]:
        """Claim cubes; see `Claims.claim`."""
        with self._lock:
            claimed = []
            for cube in {cube.key: cube for cube in cubes}.values():
                key = (project, version, cube.key)
                if key not in self._claims:
                    self._claims.add(key)
                    claimed.append(cube)
            return claimed

    def release(self, project: int, version: str, cubes: Iterable[CubeInfo]) -> None:
        """End claims; see `Claims.release`."""
        with self._lock:
            self._claims.difference_update((project, version, cube.key) for cube in cubes)


class RedisClaims:
    """The claims of all processes: one expiring Redis key per cube."""

    def __init__(self, connection: redis.Redis) -> None:
        self._redis = connection

    def claim(self, project: int, version: str, cubes: Iterable[CubeInfo]) -> list[CubeInfo]:
        """Claim cubes; see `Claims.claim`. Claims of a time when the clock of Redis was ahead end in ten minutes."""
        unique = {_claim_key(project, version, cube): cube for cube in cubes}
        pipeline = self._redis.pipeline(transaction=False)
        for key in unique:
            pipeline.set(key, 1, nx=True, ex=CLAIM_SECONDS)
        claimed = dict(zip(unique, pipeline.execute(), strict=True))
        bring_back(self._redis, {key: CLAIM_SECONDS for key, is_new in claimed.items() if not is_new})
        return [cube for key, cube in unique.items() if claimed[key]]

    def release(self, project: int, version: str, cubes: Iterable[CubeInfo]) -> None:
        """End claims; see `Claims.release`."""
        keys = [_claim_key(project, version, cube) for cube in cubes]
        if keys:
            self._redis.delete(*keys)


def _claim_key(project: int, version: str, cube: CubeInfo) -> str:
    return f"helioloop:in-flight:{project:d}:{version}:{cube.sha256}/{cube.name}"
