"""Following jobs from a terminal: a progress bar a job, fed by what the job says of itself."""

import time
from collections.abc import Callable
from typing import Any

import redis
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rq.exceptions import NoSuchJobError
from rq.job import Job, JobStatus
from rq.registry import StartedJobRegistry
from rq.serializers import JSONSerializer

from helioloop import queues
from helioloop.errors import ServiceError
from helioloop.messages import Message

POLL_SECONDS = 0.5


def bars(*, transient: bool = False) -> Progress:
    """Return helioloop's progress bars, on stderr; transient ones go away at the end."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=transient,
    )


def follow(connection: redis.Redis, message: Message) -> Any:
    """Show a job's progress until it is over and return what it returned.

    Raises
    ------
    ServiceError
        Where the job failed or vanished.
    """
    with bars() as progress:
        bar = progress.add_task("waiting for a worker", total=None)
        while (outcome := outcome_of(connection, message)) is None:
            job = find_job(connection, message.job_id)
            said = job.get_meta().get("progress") if job is not None else None
            if said:
                progress.update(bar, description=said["what"], completed=said["done"], total=said["total"])
            time.sleep(POLL_SECONDS)
    return outcome


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


def follow_all(connection: redis.Redis, progress: Progress, *, until: Callable[[], bool]) -> None:
    """Show whatever jobs run, a bar each, until `until` says so."""
    shown: dict[str, Any] = {}
    while not until():
        started = running(connection)
        for job_id in started:
            job = find_job(connection, job_id)
            said = job.get_meta().get("progress") if job is not None else None
            if said is None:
                continue
            if job_id not in shown:
                shown[job_id] = progress.add_task(said["what"], total=said["total"])
            progress.update(shown[job_id], description=said["what"], completed=said["done"], total=said["total"])
        for job_id in set(shown) - set(started):
            progress.remove_task(shown.pop(job_id))
        time.sleep(POLL_SECONDS)


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
