"""A job as it is stored in Redis: its status, also where its worker was killed, and how it is enqueued, moved, deleted.

A queue is one of `queues`; several processes may do each of these to one job at the same time.
"""

import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

import redis
from rq import Queue
from rq.exceptions import DuplicateJobError, InvalidJobOperation
from rq.job import Dependency, Job, JobStatus
from rq.utils import utcparse

from helioloop.environment.stored_times import ahead_sentence, is_ahead, is_recent
from helioloop.messaging.plain_job import PlainJob

log = logging.getLogger(__name__)

STRANDED_SECONDS: Final = 60
"""A job that is in no list, was enqueued this long ago and never started has lost its worker."""

OVER: Final = frozenset({JobStatus.FINISHED, JobStatus.FAILED, JobStatus.STOPPED, JobStatus.CANCELED})


def enqueue(
    target: Queue,
    function: str,
    job_id: str,
    *,
    delay_seconds: float,
    depends_on: Dependency | Sequence[str] | None,
    options: dict[str, Any],
) -> bool:
    """Enqueue a job under its id; False where another job has that id."""
    try:
        if depends_on is not None:
            return _enqueue_behind(target, function, job_id, depends_on=depends_on, options=options)
        if delay_seconds > 0:
            target.enqueue_in(timedelta(seconds=delay_seconds), function, job_id=job_id, unique=True, **options)
        else:
            target.enqueue(function, job_id=job_id, unique=True, **options)
    except DuplicateJobError:
        return False
    return True


def _enqueue_behind(
    target: Queue, function: str, job_id: str, *, depends_on: Dependency | Sequence[str], options: dict[str, Any]
) -> bool:
    """Enqueue a job with dependencies; rq 3.0 has no `unique` for these, so watch the id, then write."""
    waits_for = depends_on if isinstance(depends_on, Dependency) else list(depends_on)
    while True:
        pipeline: Any = target.connection.pipeline()  # redis-py's `watch` is untyped
        with pipeline:
            pipeline.watch(Job.key_for(job_id))
            if pipeline.exists(Job.key_for(job_id)):
                return False
            try:
                target.enqueue(function, job_id=job_id, depends_on=waits_for, pipeline=pipeline, **options)
                pipeline.execute()
            except redis.WatchError:
                continue  # the id was taken, or a dependency ended: try again
            return True


def status_of(target: Queue, job_id: str) -> JobStatus | None:
    """Return a job's status; None where there is no job, or only a remnant that will never run."""
    status = _stored_status(target, job_id)
    if status is JobStatus.STARTED:
        # Its worker may have been killed: then rq has an execution without recent heartbeat. Mark the job as failed
        # now; rq's own maintenance does the same, but only every ten minutes.
        _bring_back(target, job_id)
        target.started_job_registry.cleanup()
        return _stored_status(target, job_id)
    return None if _stranded(target, job_id) else status


def _bring_back(target: Queue, job_id: str) -> None:
    """Let the heartbeat of a running job that is ahead count from now; rq would wait until then for a killed worker."""
    now, registry = time.time(), target.started_job_registry
    for execution in PlainJob(job_id, connection=target.connection).execution_registry.get_executions():
        beat = execution.last_heartbeat.timestamp()
        expires_at = target.connection.zscore(registry.key, execution.composite_key)
        if expires_at is None or expires_at < beat or not is_ahead(beat, now=now):  # the second was brought back before
            continue
        log.warning("%s", ahead_sentence(f"the last heartbeat of job {job_id[:80]}", beat))
        target.connection.zadd(registry.key, {execution.composite_key: expires_at - beat + now}, xx=True, lt=True)


def _stored_status(target: Queue, job_id: str) -> JobStatus | None:
    """Return the status stored in Redis; None where there is none, or another one than rq has."""
    raw = cast("bytes | None", target.connection.hget(Job.key_for(job_id), "status"))
    with suppress(ValueError):  # somebody else, or another version of rq, wrote it
        return None if raw is None else JobStatus(raw.decode())
    return None


def _stranded(target: Queue, job_id: str) -> bool:
    """Return whether a job counts as waiting but is in no list: its worker died before starting it."""
    status = _stored_status(target, job_id)
    if status is JobStatus.SCHEDULED:
        taken = target.connection.zscore(target.scheduled_job_registry.key, job_id) is None
        # The scheduler changes list and status in one step, so the status is read again after the list.
        return taken and _stored_status(target, job_id) is JobStatus.SCHEDULED
    if status is not JobStatus.QUEUED:
        return False
    for key in (
        target.key,
        target.intermediate_queue_key,
    ):  # rq's maintenance marks jobs that stay in the second as failed
        if target.connection.lpos(key, job_id) is not None:
            return False
    raw = cast("bytes | None", target.connection.hget(Job.key_for(job_id), "enqueued_at"))
    if raw is None or _stored_status(target, job_id) is not JobStatus.QUEUED:
        return False
    try:
        enqueued_at = utcparse(raw.decode()).timestamp()
    except ValueError:  # somebody else, or another version of rq, wrote it
        log.warning("job %s in Redis has no readable time (%r): it is taken for a lost one", job_id[:80], raw[:40])
        return True
    return not is_recent(enqueued_at, now=time.time(), seconds=STRANDED_SECONDS)


def move(target: Queue, job_id: str, *, delay_seconds: float) -> bool:
    """Move a scheduled job to another time, in one round trip; False where there is none (any more)."""
    at = int(datetime.now(UTC).timestamp() + delay_seconds)  # whole seconds, as rq's scheduler counts
    schedule = target.scheduled_job_registry.key
    pipeline = target.connection.pipeline()
    pipeline.zadd(schedule, {job_id: at}, xx=True)
    pipeline.zscore(schedule, job_id)
    pipeline.hget(Job.key_for(job_id), "status")
    _, scheduled_at, status = pipeline.execute()
    return scheduled_at is not None and status == JobStatus.SCHEDULED.value.encode()


def clear(target: Queue, job_id: str) -> None:
    """Delete a job that is over, or the remnant of one, unless it was enqueued again meanwhile."""
    key = Job.key_for(job_id)
    pipeline: Any = target.connection.pipeline()  # redis-py's `watch` is untyped
    with pipeline, suppress(redis.WatchError):  # the caller's loop tries again
        pipeline.watch(key)
        status = _stored_status(target, job_id)
        if status is None:
            # The process of a job outlived its worker and wrote its progress when the job was gone; rq deletes no such
            # remnant.
            pipeline.multi()
            pipeline.lrem(target.key, 0, job_id)
            pipeline.delete(key)
            pipeline.execute()
        elif status in OVER or _stranded(target, job_id):
            pipeline.multi()
            job = PlainJob(job_id, connection=target.connection)
            job.origin = target.name
            try:
                job.delete(pipeline=pipeline)
            except InvalidJobOperation:  # it has no status: another thread has deleted it since, or it is a remnant
                pipeline.delete(key)
            pipeline.execute()
