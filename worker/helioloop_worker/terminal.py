"""Following jobs from a terminal: a progress bar a job, fed by what the job says of itself."""

import time
from collections.abc import Callable
from typing import Any

import redis
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from helioloop.messaging.job_monitor import find_job, outcome_of, running
from helioloop.messaging.messages import Message

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
