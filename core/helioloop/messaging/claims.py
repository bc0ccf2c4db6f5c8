"""Which cubes a worker was asked to score: each is asked for once, by whichever process.

What was asked for is kept in Redis, for all processes.
"""

import threading
from collections.abc import Iterable
from typing import Final, Protocol

import redis

from helioloop.records import CubeRef

CLAIM_SECONDS: Final = 600
"""After this long a cube that was asked for and is still not scored may be asked for again: its job was lost."""


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
