"""Jobs looked at from outside: whether they run, what came of them, why they failed."""

from typing import Any

import redis
from rq.exceptions import NoSuchJobError
from rq.job import Job, JobStatus
from rq.registry import StartedJobRegistry
from rq.serializers import JSONSerializer

from helioloop.errors import ServiceError
from helioloop.messaging import queues
from helioloop.messaging.messages import Message


def outcome_of(connection: redis.Redis, message: Message) -> Any:
    """Return what a job returned; None while it is not over.

    Raises
    ------
    ServiceError
        Where the job failed or vanished.
    """
    job = find_job(connection, message.job_id)
    if job is None:
        raise ServiceError(f"job {message.job_id} is gone from Redis; was it emptied? send it again")
    status = job.get_status()
    if status in {JobStatus.FAILED, JobStatus.STOPPED, JobStatus.CANCELED}:
        raise ServiceError(f"job {message.job_id} {status.value}: {failure(job)}; it can be sent again")
    return job.return_value() if status is JobStatus.FINISHED else None


def running(connection: redis.Redis) -> list[str]:
    """Return the ids of the jobs that run now."""
    return [
        job_id
        for name in queues.QUEUES
        for job_id in StartedJobRegistry(queue=queues.queue(connection, name)).get_job_ids(cleanup=False)
    ]


def failure(job: Job) -> str:
    """Return the last line of a failed job's traceback: the sentence that was raised."""
    result = job.latest_result()
    lines = ((result.exc_string if result is not None else None) or "").strip().splitlines()
    return lines[-1] if lines else "it left no reason; read the worker's log"


def find_job(connection: redis.Redis, job_id: str) -> Job | None:
    """Return a job by name, None where there is none."""
    try:
        return Job.fetch(job_id, connection=connection, serializer=JSONSerializer)
    except NoSuchJobError:
        return None
