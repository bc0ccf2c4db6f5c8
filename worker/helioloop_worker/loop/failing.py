"""Counts how jobs and steps of reconciliation end, sends failed jobs again after a pause, and puts parked ones back.

The counts are in Redis; see `helioloop.messaging.job_failures` for the rules. Parked jobs are in the model folder, too.
"""

import errno
import logging
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Final

import redis
from rq.job import JobStatus
from rq.timeouts import BaseTimeoutException

from helioloop.errors import ConfigurationError, HelioloopError, ServiceError, WrongUsage
from helioloop.messaging import queues
from helioloop.messaging.job_failure import Attempt, JobFailure
from helioloop.messaging.job_failures import JobFailures
from helioloop.messaging.messages import Ingest, Message, Reconcile, RetrainCheck
from helioloop.messaging.payloads import read_message
from helioloop.registry.staging import Staging
from helioloop.registry.unscorable import clear_unscorable
from helioloop.settings import Settings
from helioloop.words import times
from helioloop_worker.context import Context
from helioloop_worker.loop.parked_jobs import is_kept, keep_parked
from helioloop_worker.loop.round_requests import was_fulfilled

log = logging.getLogger(__name__)

_PASSING: Final = frozenset({
    errno.ENOSPC, errno.EDQUOT, errno.ESTALE, errno.EIO, errno.ENOTCONN, errno.EHOSTDOWN, errno.EHOSTUNREACH,
    errno.ENETUNREACH, errno.EMFILE, errno.ENFILE, errno.ENOMEM,
})  # fmt: skip
"""Errors of a disk that is full, of a file system that is away, and of too many open files."""
_ALIVE: Final = frozenset({JobStatus.QUEUED, JobStatus.STARTED, JobStatus.SCHEDULED, JobStatus.DEFERRED})


@contextmanager
def counting(
    connection: redis.Redis, message: Message, settings: Settings, *, job_id: str | None = None
) -> Iterator[None]:
    """Count how the job in the block ends; `job_id` is rq's, by default that of the message.

    Where the job is parked by that, or was and succeeded, the model folder has this at once.

    Raises
    ------
    ServiceError
        Where the job is parked, or its worker was lost too often; the block is not run then.
    """
    if not message.attempts:
        yield
        return
    failures, model_dir = JobFailures(connection), settings.model_dir(message.project)
    is_alive = partial(queues.is_running, connection, message.queue)
    if (parked := failures.begin(message, job_id=job_id, is_alive=is_alive)) is not None:
        raise ServiceError(f"{parked.key} is parked, because {parked.reason}")
    try:
        yield
    except Exception as error:
        if getattr(error, "is_counted", False) or isinstance(error, message.refused_by):
            failures.succeed(message, job_id=job_id)
        else:
            with suppress(redis.RedisError):  # Redis may be what failed
                failed = failures.fail(
                    message.project,
                    message.failure_key,
                    reason_of(error),
                    limit=message.limit,
                    may_pass=may_pass(error),
                    timed_out=isinstance(error, BaseTimeoutException),
                    reconcile_seconds=settings.reconcile_seconds,
                    message=message,
                    job_id=job_id,
                )
                _log(message.project, failed)
                if failed.is_parked:
                    keep_parked(connection, model_dir, message.project)
        raise
    failures.succeed(message, job_id=job_id)
    if is_kept(model_dir, message.failure_key):
        keep_parked(connection, model_dir, message.project)


def fail_step(context: Context, project: int, step: str, error: Exception) -> None:
    """Count the failure of a step of reconciliation, which is never parked: everything else depends on it."""
    failed = JobFailures(context.connection).fail(
        project,
        step_key(project, step),
        reason_of(error),
        limit=None,
        may_pass=may_pass(error),
        reconcile_seconds=context.settings.reconcile_seconds,
    )
    _log(project, failed)


def step_key(project: int, step: str) -> str:
    """Return the name under which the failures of a step of reconciliation are counted."""
    return f"reconcile-{project}:{step}"


def reason_of(error: Exception) -> str:
    """Return why something failed: the sentence of an error of helioloop, else type and first line."""
    lines = str(error).strip().splitlines()
    first = lines[0] if lines else "without a message"
    return first if isinstance(error, HelioloopError) else f"{type(error).__name__}: {first}"


def may_pass(error: BaseException) -> bool:
    """Return whether the cause of a failure may pass without a command: an outage, or a full disk.

    So may a labelling configuration that was changed: somebody changes it back in Label Studio.
    """
    if isinstance(error, ConfigurationError):
        return True
    if isinstance(error, HelioloopError):
        # A sentence may have replaced the error of a disk.
        return error.may_pass or (error.__context__ is not None and may_pass(error.__context__))
    return isinstance(error, redis.RedisError | ConnectionError | TimeoutError) or (
        isinstance(error, OSError) and error.errno in _PASSING
    )


def repeat_failed(context: Context, project: int) -> list[str]:
    """Send jobs again that failed, or whose worker was lost, once their pause is over; return one sentence each.

    What failed for a version that is not published any more is forgotten.
    """
    failures, done = JobFailures(context.connection), []
    published = context.registry(project).published()
    for known in failures.all(project):
        if known.version and known.version != published:
            failures.drop(project, known.key)
            continue
        if known.is_held(time.time()):
            continue
        for attempt in _to_repeat(context, known):
            try:
                message = read_message(attempt.job, attempt.payload or {})
            except ServiceError as error:  # of another version of helioloop, or written by somebody else
                log.error("project %d: %s is not sent again: %s", project, known.key[:80], error)
                failures.drop(project, known.key)
                break
            if queues.job_status(context.connection, message) in _ALIVE:
                continue
            if _was_fulfilled(context, message, known):
                failures.drop(project, known.key)
                break
            if queues.send(context.connection, message):
                lost = "lost its worker" if known.lost or known.running else "was put back"
                cause = f"failed {times(known.attempts)}" if known.failed_at else lost
                done.append(f"{attempt.name} {cause}: trying it again")
    return done


def _was_fulfilled(context: Context, message: Message, known: JobFailure) -> bool:
    """Return whether a failed check was for a forced request that a round has fulfilled since.

    That is so where Redis has the state that it had before.
    """
    is_forced = isinstance(message, RetrainCheck) and message.forced
    return is_forced and known.failed_at > 0 and was_fulfilled(context, message.project, known.failed_at)


def _to_repeat(context: Context, known: JobFailure) -> list[Attempt]:
    """Return what has to be sent again of a job: what failed, and what lost its worker, each once."""
    found = dict(known.failed)
    for job_id, attempt in known.running.items():
        found.setdefault(attempt.name, attempt)
        if attempt.payload is not None:
            message_queue = _queue_of(attempt)
            if message_queue is not None and queues.is_running(context.connection, message_queue, job_id):
                found.pop(attempt.name)
    return [attempt for attempt in found.values() if attempt.payload is not None]


def _queue_of(attempt: Attempt) -> str | None:
    """Return the queue of an attempt; None where its payload cannot be read."""
    with suppress(ServiceError):
        return read_message(attempt.job, attempt.payload or {}).queue
    return None


def put_back(connection: redis.Redis, settings: Settings, project: int, names: Collection[str] = ()) -> dict[str, str]:
    """Put jobs back that are parked or wait for another attempt, and without `names` the parked rounds too.

    Returns
    -------
    dict
        Name -> what was done, in words.

    Raises
    ------
    WrongUsage
        Where the project has no model folder, or no such job is parked or waits; nothing is put back then.
    """
    if project not in settings.projects():
        raise WrongUsage(
            f"project {project} has no model folder below {settings.model_root}; run `helioloop init` for it, or "
            "correct the number"
        )
    failures, model_dir = JobFailures(connection), settings.model_dir(project)
    keep_parked(connection, model_dir, project)  # Redis may have been emptied since
    failing = {name for known in failures.failing(project) for name in (known.key, known.name)}
    if unknown := [name for name in names if name not in failing]:
        raise WrongUsage(
            f"{', '.join(unknown)}: no such job of project {project} is parked or waits for another attempt; "
            f"`helioloop status --project {project}` lists them"
        )
    done: dict[str, str] = {}
    for known in failures.put_back(project, names or None):
        done[known.name] = f"put back; it failed {times(known.attempts)}: {known.reason}"
        for attempt in known.failed.values():
            if attempt.payload is not None:
                with suppress(ServiceError):  # of another version of helioloop: whoever needs it sends it again
                    queues.send(connection, read_message(attempt.job, attempt.payload))
    keep_parked(connection, model_dir, project)
    if not names and (parked := Staging(model_dir).all_parked()):
        queues.send(connection, RetrainCheck(project=project, forced=True), anew=True)
        done["round"] = f"a round on the current labels is requested; {parked[-1].partition('; remove')[0]}"
    if done:
        queues.send(connection, Reconcile(project=project), anew=True)
    return done


def forget_failures(context: Context, project: int, why: str = "a release was ingested") -> None:
    """Put the jobs of a project back that failed, but for ingestions: what they read has changed."""
    failures = JobFailures(context.connection)
    names = {known.key for known in failures.failing(project) if not _is_ingestion(known)}
    for known in failures.put_back(project, names):
        log.info("project %d: %s is put back, because %s", project, known.key, why)


def _is_ingestion(known: JobFailure) -> bool:
    return any(attempt.job == Ingest.job for attempt in (*known.failed.values(), *known.running.values()))


def give_second_chance(connection: redis.Redis, settings: Settings, *, parked_seconds: float = 0.0) -> None:
    """Let jobs of all projects that have been parked for so long be tried once more, and cubes that had no score.

    A worker that starts, maybe with other settings, does that for all of them, and now and then for those that have
    been parked for hours: nobody may have seen that their cause is gone. A release root that was not mounted, for
    example, leaves many cubes without a score.
    """
    failures = JobFailures(connection)
    for project in settings.projects():
        keep_parked(connection, settings.model_dir(project), project)  # Redis may have been emptied since
        for known in failures.give_second_chance(project, parked_seconds=parked_seconds):
            log.info("project %d: %s was parked and is tried once more", project, known.key)
        if clear_unscorable(settings.model_dir(project), older_than_seconds=parked_seconds):
            log.info("project %d: cubes that could not be read for a score are tried once more", project)


def _log(project: int, failed: JobFailure) -> None:
    if failed.is_parked:
        log.error(
            "project %d: %s failed %s and is parked: %s; remove the cause, then run `helioloop retry --project %d`",
            project, failed.key, times(failed.attempts), failed.reason, project,
        )  # fmt: skip
        return
    log.warning(
        "project %d: %s failed %s: %s; it is tried again in %.0f s or later",
        project, failed.key, times(failed.attempts), failed.reason, failed.next_at - failed.failed_at,
    )  # fmt: skip
