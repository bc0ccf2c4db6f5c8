"""Messages into Redis queues: at most one job of a name waits, and none is lost to one that failed or already runs.

Above `messages`, below web and worker: both send through here, so both agree on names, JSON payloads and lifetimes.
The connection is made where a process starts; nothing is opened at import.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import Queue, Worker
from rq.exceptions import DuplicateJobError
from rq.job import Dependency, Job, JobStatus
from rq.serializers import JSONSerializer
from rq.utils import utcparse

from helioloop.errors import ServiceError, SettingsError
from helioloop.messaging.messages import QUEUE_BULK, QUEUE_MAINTENANCE, QUEUE_SCORE, QUEUE_TRAIN, Message
from helioloop.settings import Settings, plain_url

QUEUES: Final = (QUEUE_SCORE, QUEUE_MAINTENANCE, QUEUE_BULK, QUEUE_TRAIN)
RESULT_SECONDS: Final = 24 * 3600
"""How long a finished job can be looked at; it never blocks a new one."""
FAILURE_SECONDS: Final = 7 * 24 * 3600
"""How long a failed job can be looked at; it never blocks a new one."""
STRANDED_SECONDS: Final = 60
"""A job that left its list this long after it was enqueued and never started has lost its worker."""

_OVER: Final = frozenset({JobStatus.FINISHED, JobStatus.FAILED, JobStatus.STOPPED, JobStatus.CANCELED})


def client(settings: Settings, *, timeout_seconds: float = 5.0) -> redis.Redis:
    """Return a client of the Redis in the settings without touching the network.

    Parameters
    ----------
    settings : Settings
        Their ``redis_url`` counts.
    timeout_seconds : float
        Longest wait for a connection and for one answer; a worker's own blocking reads are lengthened by rq.

    Raises
    ------
    SettingsError
        Where ``redis_url`` is no Redis URL.
    """
    try:
        return redis.Redis.from_url(
            settings.redis_url,
            socket_connect_timeout=timeout_seconds,
            socket_timeout=timeout_seconds,
            health_check_interval=30,
            # One fresh attempt heals a connection that the server closed. A timeout is not tried again: whoever asked
            # is waiting, and says what it means.
            retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
        )
    except ValueError as error:
        raise SettingsError(
            f"REDIS_URL is {plain_url(settings.redis_url)!r}, which is no Redis URL ({error}); "
            "write redis://HOST:PORT/DB, rediss://… or unix:///PATH"
        ) from None


def connect(settings: Settings, *, timeout_seconds: float = 5.0) -> redis.Redis:
    """Return a client of the Redis in the settings that has answered once.

    Raises
    ------
    ServiceError
        Where no Redis answers there.
    SettingsError
        Where ``redis_url`` is no Redis URL.
    """
    connection = client(settings, timeout_seconds=timeout_seconds)
    with plain_errors(settings):
        connection.ping()
    return connection


@contextmanager
def plain_errors(settings: Settings) -> Iterator[None]:
    """Turn an error of Redis in the block into a `ServiceError` of one sentence without secrets."""
    try:
        yield
    except redis.AuthenticationError:
        raise ServiceError(
            f"Redis at {plain_url(settings.redis_url)} refuses the credentials in REDIS_URL; correct them"
        ) from None
    except redis.ConnectionError:
        raise ServiceError(
            f"Redis at {plain_url(settings.redis_url)} cannot be reached; start it or set REDIS_URL to the one in use"
        ) from None
    except redis.TimeoutError:
        raise ServiceError(
            f"Redis at {plain_url(settings.redis_url)} does not answer in time; look at its load and memory"
        ) from None
    except redis.RedisError as error:
        raise ServiceError(
            f"Redis at {plain_url(settings.redis_url)} refuses a command ({type(error).__name__}); read its log"
        ) from None


def queue(connection: redis.Redis, name: str) -> Queue:
    """Return one of helioloop's queues; payloads are JSON, never pickled."""
    return Queue(name, connection=connection, serializer=JSONSerializer)


def send(
    connection: redis.Redis,
    message: Message,
    *,
    delay_seconds: float = 0.0,
    depends_on: Dependency | Sequence[str] | None = None,
    meta: Mapping[str, Any] | None = None,
) -> bool:
    """Enqueue a message, unless the same job waits already; a job that is over never stands in the way.

    A job that waits for its time is moved to the time asked for now, earlier or later; sent without a delay it runs
    at once (within a second, by the worker's scheduler). While the same job *runs*, a message whose `running_counts`
    is True is not enqueued; any other waits behind it under the next free name, ``<job_id>-2`` and so on, because the
    running one may have read its inputs before the event that this message is about.

    Parameters
    ----------
    connection : redis.Redis
        From `connect` or `client`.
    message : Message
        The job.
    delay_seconds : float
        Earliest start from now; 0 is at once.
    depends_on : Dependency or sequence of str, optional
        Ids of jobs, or a `rq.job.Dependency`, that have to be over first. Not together with a delay.
    meta : mapping, optional
        JSON values shown with the job.

    Returns
    -------
    bool
        False when the same job is waiting, or running where that counts.
    """
    if depends_on is not None and delay_seconds > 0:
        raise ValueError("delay_seconds and depends_on exclude each other; a job waits for a time or for other jobs")
    options: dict[str, Any] = {
        "kwargs": message.payload(),
        "job_timeout": message.timeout_seconds,
        "result_ttl": RESULT_SECONDS,
        "failure_ttl": FAILURE_SECONDS,
        "meta": dict(meta or {}),
        "description": message.job_id,  # rq would spell out all arguments, thousands of cubes, in every log line
    }
    target = queue(connection, message.queue)
    slot = 1
    while True:
        job_id = message.job_id if slot == 1 else f"{message.job_id}-{slot}"
        if _move(target, job_id, delay_seconds=delay_seconds):  # first, because most events of a burst end here
            return False
        if _enqueue(target, message.job, job_id, delay_seconds=delay_seconds, depends_on=depends_on, options=options):
            return True
        status = _status(target, job_id)
        if status is JobStatus.STARTED:
            if message.running_counts:
                return False
            slot += 1
        elif status is JobStatus.SCHEDULED:
            continue  # scheduled by another sender just now: move it
        elif status is not None and status not in _OVER:
            return False
        else:
            _clear(target, job_id)


def depth(connection: redis.Redis) -> dict[str, int]:
    """Return how many jobs wait in each queue, those waiting for their time included."""
    pipeline = connection.pipeline(transaction=False)
    for name in QUEUES:
        waiting = queue(connection, name)
        pipeline.llen(waiting.key)
        pipeline.zcard(waiting.scheduled_job_registry.key)
    lengths = pipeline.execute()
    return {name: lengths[2 * index] + lengths[2 * index + 1] for index, name in enumerate(QUEUES)}


def stands(connection: redis.Redis, message: Message) -> JobStatus | None:
    """Return how a message's job stands, a killed worker's one as failed; None where there is none."""
    return _status(queue(connection, message.queue), message.job_id)


def _enqueue(
    target: Queue,
    function: str,
    job_id: str,
    *,
    delay_seconds: float,
    depends_on: Dependency | Sequence[str] | None,
    options: dict[str, Any],
) -> bool:
    """Enqueue under a name that must be free; False where a job has it."""
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
    """Do the same for a job with dependencies, for which rq 3.0 has no `unique`: watch the name, then write."""
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
                continue  # the name was taken, or a dependency ended: look again
            return True


def _status(target: Queue, job_id: str) -> JobStatus | None:
    """Return a job's status; None where there is none by now, or only a remnant that will never run."""
    status = _stored_status(target, job_id)
    if status is JobStatus.STARTED:
        # Its worker may have been killed: rq then holds an execution that is past its heartbeat. Fail it as rq's own
        # maintenance does, which comes by only every ten minutes.
        target.started_job_registry.cleanup()
        return _stored_status(target, job_id)
    return None if _stranded(target, job_id) else status


def _stored_status(target: Queue, job_id: str) -> JobStatus | None:
    """Return the status that Redis holds, None where it holds none."""
    raw = cast("bytes | None", target.connection.hget(Job.key_for(job_id), "status"))
    return None if raw is None else JobStatus(raw.decode())


def _stranded(target: Queue, job_id: str) -> bool:
    """Tell a job that counts as waiting but stands in no list: its worker died after taking it, before starting it."""
    status = _stored_status(target, job_id)
    if status is JobStatus.SCHEDULED:
        taken = target.connection.zscore(target.scheduled_job_registry.key, job_id) is None
        # The scheduler changes list and status in one step: a status read after the list tells the two apart.
        return taken and _stored_status(target, job_id) is JobStatus.SCHEDULED
    if status is not JobStatus.QUEUED:
        return False
    for key in (target.key, target.intermediate_queue_key):  # rq's maintenance empties the second into the first
        if target.connection.lpos(key, job_id) is not None:
            return False
    raw = cast("bytes | None", target.connection.hget(Job.key_for(job_id), "enqueued_at"))
    if raw is None or _stored_status(target, job_id) is not JobStatus.QUEUED:
        return False
    return (datetime.now(UTC) - utcparse(raw.decode())).total_seconds() > STRANDED_SECONDS


def _move(target: Queue, job_id: str, *, delay_seconds: float) -> bool:
    """Move a scheduled job to its new time, in one round trip; False where there is none (any more)."""
    at = int(datetime.now(UTC).timestamp() + delay_seconds)  # whole seconds, as rq's scheduler counts
    schedule = target.scheduled_job_registry.key
    pipeline = target.connection.pipeline()
    pipeline.zadd(schedule, {job_id: at}, xx=True)
    pipeline.zscore(schedule, job_id)
    pipeline.hget(Job.key_for(job_id), "status")
    _, stands, status = pipeline.execute()
    return stands is not None and status == JobStatus.SCHEDULED.value.encode()


def _clear(target: Queue, job_id: str) -> None:
    """Remove a job that is over (or a remnant of one), unless it came back to life meanwhile."""
    key = Job.key_for(job_id)
    pipeline: Any = target.connection.pipeline()  # redis-py's `watch` is untyped
    with pipeline, suppress(redis.WatchError):  # the caller's loop looks again
        pipeline.watch(key)
        status = _stored_status(target, job_id)
        if status in _OVER or status is None or _stranded(target, job_id):
            pipeline.multi()
            job = Job(job_id, connection=target.connection, serializer=JSONSerializer)
            job.origin = target.name
            job.delete(pipeline=pipeline)
            pipeline.execute()


def served(connection: redis.Redis, name: str) -> bool:
    """Tell whether a worker serves this queue now."""
    return Worker.count(queue=queue(connection, name)) > 0
