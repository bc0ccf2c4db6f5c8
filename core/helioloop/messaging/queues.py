"""Sends messages as jobs into Redis queues: of one name at most one job waits, and none is lost.

Web and workers both send through this module, so that job names, JSON payloads and lifetimes are the same.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import redis
from rq import Queue, Worker
from rq.job import Dependency, JobStatus
from rq.serializers import JSONSerializer

from helioloop.environment.stored_times import ahead_sentence, is_ahead
from helioloop.errors import ServiceError
from helioloop.messaging import stored_jobs
from helioloop.messaging.job_failure import LONGEST_PAUSE_SECONDS
from helioloop.messaging.job_failures import JobFailures
from helioloop.messaging.messages import Message
from helioloop.messaging.plain_job import PlainJob
from helioloop.messaging.roles import ROLE_QUEUES, role_of

log = logging.getLogger(__name__)

QUEUES: Final = (*ROLE_QUEUES["score"], *ROLE_QUEUES["train"])
RESULT_SECONDS: Final = 24 * 3600
"""How long a finished job is kept; it never blocks a new one."""
FAILURE_SECONDS: Final = 7 * 24 * 3600
"""How long a failed job is kept; it never blocks a new one."""


def queue(connection: redis.Redis, name: str) -> Queue:
    """Return a queue by name; payloads are JSON, never pickled, and nothing that a job names is imported."""
    return Queue(name, connection=connection, serializer=JSONSerializer, job_class=PlainJob)


def send(
    connection: redis.Redis,
    message: Message,
    *,
    delay_seconds: float = 0.0,
    depends_on: Dependency | Sequence[str] | None = None,
    meta: Mapping[str, Any] | None = None,
    anew: bool = False,
) -> bool:
    """Enqueue a message as a job, unless the same job is waiting already, or is parked because it failed too often.

    A job that is over never blocks a new one. A job that is scheduled for later is moved to the new time, earlier or
    later; sent without a delay it starts within a second, by the worker's scheduler. While the same job is running, a
    message whose `running_counts` is True is not enqueued. Any other message is enqueued under the next free name,
    ``<job_id>-2`` and so on, because the running job may have read its inputs before the event that this message is
    about. A job that failed lately is scheduled for the time of its next attempt.

    Parameters
    ----------
    connection : redis.Redis
        From `redis_client`.
    message : Message
        The job.
    delay_seconds : float
        Earliest start, counted from now.
    depends_on : Dependency or sequence of str, optional
        Jobs that have to be over first: their ids, or a `rq.job.Dependency`. Not together with a delay.
    meta : mapping, optional
        JSON values stored with the job.
    anew : bool
        True where somebody asks for the job: what is known of earlier failures is forgotten first.

    Returns
    -------
    bool
        False where no job was enqueued, because the same one is waiting, or running and `running_counts`, or parked.

    Raises
    ------
    ValueError
        Where both a delay and jobs to wait for are given.
    """
    if depends_on is not None and delay_seconds > 0:
        raise ValueError("delay_seconds and depends_on exclude each other; give one of the two")
    pause_seconds = _pause_seconds(connection, message, anew=anew)
    if pause_seconds is None:
        return False
    delay_seconds = max(delay_seconds, pause_seconds)
    options: dict[str, Any] = {
        "kwargs": message.payload(),
        "job_timeout": message.timeout_seconds,
        "result_ttl": RESULT_SECONDS,
        "failure_ttl": FAILURE_SECONDS,
        "meta": dict(meta or {}),
        "description": message.job_id,  # rq would write all arguments, thousands of cubes, into every log line
    }
    target = queue(connection, message.queue)
    slot = 1
    while True:
        job_id = message.job_id if slot == 1 else f"{message.job_id}-{slot}"
        if stored_jobs.move(target, job_id, delay_seconds=delay_seconds):
            return False  # the first question, because in a burst of events most calls end here
        if stored_jobs.enqueue(
            target, message.job, job_id, delay_seconds=delay_seconds, depends_on=depends_on, options=options
        ):
            return True
        status = stored_jobs.status_of(target, job_id)
        if status is JobStatus.STARTED:
            if message.running_counts:
                return False
            slot += 1
        elif status is JobStatus.SCHEDULED:
            continue  # scheduled by another process just now: move it
        elif status is not None and status not in stored_jobs.OVER:
            return False
        else:
            stored_jobs.clear(target, job_id)


def _pause_seconds(connection: redis.Redis, message: Message, *, anew: bool) -> float | None:
    """Return the time until a job that failed may be tried again, 0 or less for any other; None where it is parked."""
    if not message.attempts:
        return 0.0
    failures = JobFailures(connection)
    if anew:
        failures.forget(message.project, message.failure_key)
        return 0.0
    known = failures.find(message.project, message.failure_key)
    if known is None:
        return 0.0
    now = time.time()
    if is_ahead(known.failed_at, now=now):
        log.warning(
            "%s", ahead_sentence(f"project {message.project}: the last failure of {known.key[:80]}", known.failed_at)
        )
    return None if known.is_parked else known.pause_left(now)


def queue_lengths(connection: redis.Redis) -> dict[str, int]:
    """Return how many jobs wait in each queue, including those scheduled for later."""
    pipeline = connection.pipeline(transaction=False)
    for name in QUEUES:
        waiting = queue(connection, name)
        pipeline.llen(waiting.key)
        pipeline.zcard(waiting.scheduled_job_registry.key)
    lengths = pipeline.execute()
    return {name: lengths[2 * index] + lengths[2 * index + 1] for index, name in enumerate(QUEUES)}


def job_status(connection: redis.Redis, message: Message) -> JobStatus | None:
    """Return the status of a message's job, failed where its worker was killed.

    None without a job, or where it is scheduled later than a pause can be: a clock was ahead then. `send` moves it.
    """
    target = queue(connection, message.queue)
    status = stored_jobs.status_of(target, message.job_id)
    if status is JobStatus.SCHEDULED:
        due = target.connection.zscore(target.scheduled_job_registry.key, message.job_id)
        if due is not None and is_ahead(due, now=time.time() + LONGEST_PAUSE_SECONDS):
            return None
    return status


def is_running(connection: redis.Redis, name: str, job_id: str) -> bool:
    """Return whether a job of the queue `name` runs, by rq's id; False where its worker was killed."""
    return stored_jobs.status_of(queue(connection, name), job_id) is JobStatus.STARTED


def why_parked(connection: redis.Redis, message: Message) -> str | None:
    """Return why a job is parked, so that `send` does not enqueue it; None where it is not."""
    known = JobFailures(connection).find(message.project, message.failure_key) if message.attempts else None
    return known.reason if known is not None and known.is_parked else None


def is_parked(connection: redis.Redis, message: Message) -> bool:
    """Return whether a job failed too often, so that `send` does not enqueue it."""
    return why_parked(connection, message) is not None


def has_worker(connection: redis.Redis, name: str) -> bool:
    """Return whether a worker serves the queue `name` now."""
    return Worker.count(queue=queue(connection, name)) > 0


def require_worker(connection: redis.Redis, name: str) -> None:
    """Do nothing where a worker serves a queue.

    Raises
    ------
    ServiceError
        If none does.
    """
    if not has_worker(connection, name):
        raise ServiceError(
            f"no worker serves the queue {name}; start one with `helioloop worker --role {role_of(name)}`"
        )
