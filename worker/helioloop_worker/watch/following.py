"""A job sent and followed until it ends; a job of an earlier watch that still runs is joined."""

import time
from typing import Any

import redis
from rq.job import JobStatus

from helioloop.errors import HelioloopError, ReleaseError, ServiceError
from helioloop.messaging import queues
from helioloop.messaging.job_failures import JobFailures
from helioloop.messaging.job_monitor import failure, find_job
from helioloop.messaging.messages import Message
from helioloop.progress import Report

POLL_SECONDS = 0.5
_OURS = "helioloop.errors."
_OF_THE_RELEASE = frozenset({"ReleaseError", "CubeError", "SettingsError", "WrongUsage"})
_OVER = frozenset({JobStatus.FAILED, JobStatus.STOPPED, JobStatus.CANCELED})


def run_job(connection: redis.Redis, message: Message, report: Report) -> Any:
    """Have a worker run a job, and return its result.

    Raises
    ------
    ReleaseError
        If the job failed because of the release.
    ServiceError
        If no worker serves the queue, or the job failed for another reason: send it again later. Also where it waits
        for its next attempt, or is parked.
    """
    queues.require_worker(connection, message.queue)
    held = JobFailures(connection).find(message.project, message.failure_key)
    if held is not None and held.is_parked:
        raise ServiceError(
            f"job {message.job_id} is parked, because {held.reason}; remove the cause, then run `helioloop retry "
            f"--project {message.project}`"
        )
    if held is not None and held.is_held(time.time()):
        raise ServiceError(f"job {message.job_id} failed ({held.reason}): it is sent again")
    queues.send(connection, message)
    while True:
        status = queues.job_status(connection, message)
        job = find_job(connection, message.job_id)
        if status is None or job is None:
            raise ServiceError(f"job {message.job_id} is not in Redis any more, which was emptied: it is sent again")
        if status in _OVER:
            raise _error(message.job_id, failure(job))
        if status is JobStatus.FINISHED and (result := job.return_value()) is not None:
            return result
        progress = job.get_meta().get("progress")
        if progress:
            report(progress["done"], progress["total"], progress["what"])
        time.sleep(POLL_SECONDS)


def _error(job_id: str, text: str) -> HelioloopError:
    """Return the error of a failed job from the last line of its traceback."""
    name, _, sentence = text.partition(": ")
    if name.removeprefix(_OURS) in _OF_THE_RELEASE:
        return ReleaseError(sentence)
    return ServiceError(f"job {job_id} failed ({sentence if name.startswith(_OURS) else text}): it is sent again")
