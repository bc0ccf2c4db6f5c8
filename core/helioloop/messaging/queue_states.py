"""The state of each queue for monitoring: how many jobs wait, for how long, how many failed, and who serves it."""

from dataclasses import dataclass
from typing import Any

import redis
from rq.job import Job
from rq.utils import utcparse
from rq.worker_registration import WORKERS_BY_QUEUE_KEY

from helioloop.messaging.queues import QUEUES, queue


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueState:
    """The state of one queue.

    Parameters
    ----------
    waiting : int
        Jobs that wait, including those scheduled for later.
    oldest_at : float or None
        When the job that is next was enqueued (Unix seconds); None where none waits for a worker.
    failed : int
        Jobs that failed during the last days.
    workers : int
        Workers that are registered for the queue and have shown since, within rq's time, that they live.
    """

    waiting: int
    oldest_at: float | None
    failed: int
    workers: int


def queue_states(connection: redis.Redis) -> dict[str, QueueState]:
    """Return the state of each queue by name, in two round trips to Redis."""
    pipeline = connection.pipeline(transaction=False)
    for name in QUEUES:
        of_rq = queue(connection, name)
        pipeline.llen(of_rq.key)
        pipeline.zcard(of_rq.scheduled_job_registry.key)
        pipeline.zcard(of_rq.failed_job_registry.key)
        pipeline.smembers(WORKERS_BY_QUEUE_KEY % name)
        pipeline.lindex(of_rq.key, 0)
    found = pipeline.execute()
    rows = [found[start : start + 5] for start in range(0, len(found), 5)]
    for *_, keys, oldest in rows:
        pipeline.hget(Job.key_for(oldest.decode(errors="replace") if oldest else ""), "enqueued_at")
        # The set keeps the key of a worker that was killed; the worker's own hash expires.
        pipeline.exists(*(keys or [b""]))
    found = pipeline.execute()
    return {
        name: QueueState(waiting=now + later, oldest_at=_seconds(at), failed=failed, workers=workers)
        for name, (now, later, failed, _, _), at, workers in zip(QUEUES, rows, found[::2], found[1::2], strict=True)
    }


def _seconds(at: Any) -> float | None:
    """Return a time as rq writes it in Unix seconds; None without one."""
    try:
        return utcparse(at.decode()).timestamp() if at else None
    except ValueError:
        return None
