"""Counts how jobs and steps of reconciliation end, sends failed jobs again after a pause, and puts parked ones back.

The counts are in Redis; see `helioloop.messaging.job_failures` for the rules.
"""

import errno
import logging
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from typing import Final

import redis
from rq.job import JobStatus

from helioloop.errors import HelioloopError, ServiceError
from helioloop.messaging import queues
from helioloop.messaging.job_failures import JobFailure, JobFailures
from helioloop.messaging.messages import Message, Reconcile, RetrainCheck, read_message
from helioloop.registry.staging import Staging
from helioloop.settings import Settings
from helioloop_worker.context import Context

log = logging.getLogger(__name__)

STEP_ATTEMPTS: Final = 4
"""A step of reconciliation that failed so often is parked."""
_PASSING: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.ESTALE, errno.EIO, errno.EMFILE, errno.ENFILE})
"""Errors of a disk that is full, of a file system that is away, and of too many open files."""
_ALIVE: Final = frozenset({JobStatus.QUEUED, JobStatus.STARTED, JobStatus.SCHEDULED, JobStatus.DEFERRED})


@contextmanager
def counting(connection: redis.Redis, message: Message, *, sweep_seconds: float) -> Iterator[None]:
    """Count how the job in the block ends.

    Raises
    ------
    ServiceError
        Where the job is parked, or its worker was lost too often; the block is not run then.
    """
    if not message.attempts:
        yield
        return
    failures = JobFailures(connection)
    if (parked := failures.begin(message)) is not None:
        raise ServiceError(f"{parked.key} is parked, because {parked.reason}")
    try:
        yield
    except Exception as error:
        if getattr(error, "is_counted", False) or isinstance(error, message.refused_by):
            failures.succeed(message.project, message.failure_key)
        else:
            with suppress(redis.RedisError):  # Redis may be what failed
                _log(message.project, _fail(failures, message, error, sweep_seconds=sweep_seconds))
        raise
    failures.succeed(message.project, message.failure_key)


def _fail(failures: JobFailures, message: Message, error: Exception, *, sweep_seconds: float) -> JobFailure:
    return failures.fail(
        message.project,
        message.failure_key,
        reason_of(error),
        limit=message.attempts,
        may_pass=may_pass(error),
        sweep_seconds=sweep_seconds,
    )


def fail_step(context: Context, project: int, step: str, error: Exception) -> None:
    """Count the failure of a step of reconciliation."""
    failed = JobFailures(context.connection).fail(
        project,
        step_key(project, step),
        reason_of(error),
        limit=STEP_ATTEMPTS,
        may_pass=may_pass(error),
        sweep_seconds=context.settings.sweep_seconds,
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


def may_pass(error: Exception) -> bool:
    """Return whether the cause of a failure may pass without anybody's doing: an outage, or a full disk."""
    if isinstance(error, HelioloopError):
        return error.may_pass
    return isinstance(error, redis.RedisError) or (isinstance(error, OSError) and error.errno in _PASSING)


def repeat_failed(context: Context, project: int) -> list[str]:
    """Send jobs again that failed, or whose worker was lost, once their pause is over; return one sentence each."""
    failures, done = JobFailures(context.connection), []
    for known in failures.all(project):
        if known.is_held(time.time()) or known.payload is None:
            continue
        try:
            message = read_message(known.job, known.payload)
        except ServiceError as error:  # of another version of helioloop, or written by somebody else
            log.error("project %d: %s is not sent again: %s", project, known.key[:80], error)
            failures.succeed(project, known.key)
            continue
        if queues.job_status(context.connection, message) in _ALIVE:
            continue
        if queues.send(context.connection, message):
            cause = f"failed {times(known.failures)}" if known.failures else "lost its worker"
            done.append(f"{known.key} {cause}: trying it again")
    return done


def put_back(connection: redis.Redis, settings: Settings, project: int, keys: Collection[str] = ()) -> dict[str, str]:
    """Put jobs back that are parked or wait for another attempt, and without `keys` the parked rounds too.

    Returns
    -------
    dict
        Name -> what was done, in words.
    """
    done: dict[str, str] = {}
    for known in JobFailures(connection).put_back(project, keys or None):
        done[known.key] = f"put back; it failed {times(known.failures)}: {known.reason}"
        if known.payload is None:
            continue
        with suppress(ServiceError):  # of another version of helioloop: whoever needs it sends it again
            queues.send(connection, read_message(known.job, known.payload))
    if not keys and (parked := Staging(settings.model_dir(project)).all_parked()):
        queues.send(connection, RetrainCheck(project=project, forced=True), anew=True)
        done["round"] = f"a round on the current labels is requested; {parked[-1].partition('; remove')[0]}"
    queues.send(connection, Reconcile(project=project), anew=True)
    return done


def give_second_chance(connection: redis.Redis, settings: Settings) -> None:
    """Let the parked jobs of all projects be tried once more, because a worker starts, maybe with other settings."""
    failures = JobFailures(connection)
    for project in settings.projects():
        for known in failures.give_second_chance(project):
            log.info("project %d: %s was parked and is tried once more", project, known.key)


def times(n: int) -> str:
    """Return how often, in words."""
    return "once" if n == 1 else f"{n} times"


def _log(project: int, failed: JobFailure) -> None:
    if failed.is_parked:
        log.error(
            "project %d: %s failed %s and is parked: %s; remove the cause, then run `helioloop retry --project %d`",
            project, failed.key, times(failed.failures), failed.reason, project,
        )  # fmt: skip
        return
    log.warning(
        "project %d: %s failed %s: %s; it is tried again in %.0f s or later",
        project, failed.key, times(failed.failures), failed.reason, failed.next_at - failed.failed_at,
    )  # fmt: skip
