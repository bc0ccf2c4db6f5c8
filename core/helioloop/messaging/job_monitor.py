"""The state of jobs: which ones are running, what they returned, why they failed."""

from typing import Any, Final

import redis
from rq.exceptions import NoSuchJobError
from rq.job import Job, JobStatus
from rq.registry import StartedJobRegistry

from helioloop.errors import ServiceError
from helioloop.messaging import queues
from helioloop.messaging.messages import Message
from helioloop.messaging.plain_job import PlainJob

_TRACEBACK: Final = "Traceback (most recent call last):"


def outcome_of(connection: redis.Redis, message: Message) -> Any:
    """Return what the job of a message returned; None while the job is waiting or running.

    Raises
    ------
    ServiceError
        Where the job failed, was stopped, or is not in Redis.
    """
    job = find_job(connection, message.job_id)
    if job is None:
        raise ServiceError(
            f"job {message.job_id} is not in Redis, which was emptied or keeps finished jobs for a day; send it again"
        )
    status = job.get_status(refresh=False)  # it may be deleted by now
    if status in {JobStatus.FAILED, JobStatus.STOPPED, JobStatus.CANCELED}:
        raise ServiceError(f"job {message.job_id} {status.value}: {failure(job)}; correct the cause and send it again")
    return job.return_value() if status is JobStatus.FINISHED else None


def running(connection: redis.Redis) -> list[str]:
    """Return the ids of the running jobs."""
    return [
        job_id
        for name in queues.QUEUES
        for job_id in StartedJobRegistry(queue=queues.queue(connection, name)).get_job_ids(cleanup=False)
    ]


def failure(job: Job) -> str:
    """Return the line of a failed job's traceback that has the error and the beginning of its message.

    Messages of several lines, such as those of CUDA, have the cause in the first one and advice in the others.
    """
    result = job.latest_result()
    lines = ((result.exc_string if result is not None else None) or "").strip().splitlines()
    if not lines:
        return "no reason was stored; read the worker's log"
    if _TRACEBACK not in lines:
        return lines[-1]
    after = lines[len(lines) - lines[::-1].index(_TRACEBACK) :]
    return next((line for line in after if not line.startswith(" ")), lines[-1])


def find_job(connection: redis.Redis, job_id: str) -> Job | None:
    """Return a job by its id; None where there is none."""
    try:
        return PlainJob.fetch(job_id, connection=connection)
    except NoSuchJobError:
        return None
