"""Which cubes a worker was asked to score: each is asked for once, by whichever process.

What was asked for is kept in Redis, for all processes.
"""

import threading
from collections.abc import Iterable
from typing import Final, Protocol

import redis

from helioloop.records import CubeInfo, Key

CLAIM_SECONDS: Final = 600
"""After this long a cube that was asked for and is still not scored may be asked for again: its job was lost."""


class Claims(Protocol):
    """Port of what has been asked for: cubes whose scoring is queued or running, so that they are asked for once."""

    def claim(self, project: int, version: str, cubes: Iterable[CubeInfo]) -> list[CubeInfo]:
        """Return those that nobody has claimed, and claim them; claims end by themselves after a while."""

    def release(self, project: int, version: str, cubes: Iterable[CubeInfo]) -> None:
        """Give claims back: the cubes are scored, or their job could not be sent or failed."""


class InMemoryClaims:
    """The in-memory twin: one process, claims never end by themselves."""

    def __init__(self) -> None:
        self._claims: set[tuple[int, str, Key]] = set()
        self._lock = threading.Lock()

    def claim(self, project: int, version: str, cubes: Iterable[CubeInfo]) -> list[CubeInfo]:
        """Claim what is free; see `Claims.claim`."""
        with self._lock:
            claimed = []
            for cube in {cube.key: cube for cube in cubes}.values():
                key = (project, version, cube.key)
                if key not in self._claims:
                    self._claims.add(key)
                    claimed.append(cube)
            return claimed

    def release(self, project: int, version: str, cubes: Iterable[CubeInfo]) -> None:
        """Give claims back; see `Claims.release`."""
        with self._lock:
            self._claims.difference_update((project, version, cube.key) for cube in cubes)


class RedisClaims:
    """The claims of all processes: one expiring Redis key a cube."""

    def __init__(self, connection: redis.Redis) -> None:
        self._redis = connection

    def claim(self, project: int, version: str, cubes: Iterable[CubeInfo]) -> list[CubeInfo]:
        """Claim what is free; see `Claims.claim`."""
        asked = list({cube.key: cube for cube in cubes}.values())
        pipeline = self._redis.pipeline(transaction=False)
        for cube in asked:
            pipeline.set(_claim_key(project, version, cube), 1, nx=True, ex=CLAIM_SECONDS)
        return [cube for cube, fresh in zip(asked, pipeline.execute(), strict=True) if fresh]

    def release(self, project: int, version: str, cubes: Iterable[CubeInfo]) -> None:
        """Give claims back; see `Claims.release`."""
        keys = [_claim_key(project, version, cube) for cube in cubes]
        if keys:
            self._redis.delete(*keys)


def _claim_key(project: int, version: str, cube: CubeInfo) -> str:
    return f"helioloop:in-flight:{project:d}:{version}:{cube.sha256}/{cube.name}"
