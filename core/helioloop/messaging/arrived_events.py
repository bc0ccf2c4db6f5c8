"""How many of Label Studio's events arrived at the backend: per project and action, in Redis.

The backend counts, `helioloop init` compares the counts before and after an event that it caused. The time on one
machine is not compared with the time on another one.
"""

from typing import Final

import redis

from helioloop.messaging.unreadable import read_hash, read_or_discard

KEPT_SECONDS: Final = 30 * 24 * 3600
"""The counts of a project without events are deleted after this time."""
PROJECT_UPDATED: Final = "PROJECT_UPDATED"
"""The event of a changed project. The loop ignores it; `helioloop init` causes it to try the way to the backend."""


def count_arrived_event(connection: redis.Redis, project: int, action: str) -> None:
    """Count an event that arrived with the right credentials."""
    arrived_events(connection, project)  # what cannot be counted up is discarded
    with connection.pipeline(transaction=False) as pipeline:
        pipeline.hincrby(_key(project), action, 1)
        pipeline.expire(_key(project), KEPT_SECONDS)
        pipeline.execute()


def arrived_events(connection: redis.Redis, project: int) -> dict[str, int]:
    """Return action -> number of events of a project that arrived."""
    key = _key(project)
    found = read_or_discard(
        connection, key, lambda: {name: int(count) for name, count in read_hash(connection, key).items()}
    )
    return found or {}


def _key(project: int) -> str:
    return f"helioloop:arrived-events:{project:d}"
