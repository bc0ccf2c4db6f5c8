"""How many of Label Studio's events arrived at the backend: per project and action, in Redis.

The backend counts, `helioloop init` compares the counts before and after an event that it caused. The time on one
machine is not compared with the time on another one.
"""

from typing import Any, Final, cast

import redis

KEPT_SECONDS: Final = 30 * 24 * 3600
"""The counts of a project without events are deleted after this time."""
PROJECT_UPDATED: Final = "PROJECT_UPDATED"
"""The event of a changed project. The loop ignores it; `helioloop init` causes it to try the way to the backend."""


def count_arrived_event(connection: redis.Redis, project: int, action: str) -> None:
    """Count an event that arrived with the right credentials."""
    with connection.pipeline(transaction=False) as pipeline:
        pipeline.hincrby(_key(project), action, 1)
        pipeline.expire(_key(project), KEPT_SECONDS)
        pipeline.execute()


def arrived_events(connection: redis.Redis, project: int) -> dict[str, int]:
    """Return action -> number of events of a project that arrived."""
    found = cast("dict[Any, Any]", connection.hgetall(_key(project)))
    return {(name.decode() if isinstance(name, bytes) else name): int(count) for name, count in found.items()}


def _key(project: int) -> str:
    return f"helioloop:arrived-events:{project:d}"
