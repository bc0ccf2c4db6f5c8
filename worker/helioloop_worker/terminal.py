"""Progress bars on the terminal, for jobs and for work in this process."""

import time
from collections.abc import Callable
from typing import Any

import redis
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rq.job import Job

from helioloop.messaging.job_monitor import find_job, outcome_of, running
from helioloop.messaging.messages import Message

POLL_SECONDS = 0.5


def bars(*, transient: bool = False) -> Progress:
    """Return progress bars on stderr; transient ones disappear at the end."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=transient,
    )


def follow_job(connection: redis.Redis, message: Message) -> Any:
    """Show a job's progress until it ends, and return its result.

    Raises
    ------
    ServiceError
        If the job failed, or Redis no longer has it.
    """
    with bars() as progress:
        bar = progress.add_task("waiting for a worker", total=None)
        while (outcome := outcome_of(connection, message)) is None:
            _show(progress, bar, _progress(find_job(connection, message.job_id)))
            time.sleep(POLL_SECONDS)
    return outcome


def follow_all(connection: redis.Redis, progress: Progress, *, until: Callable[[], bool]) -> None:
    """Show the progress of all running jobs, one bar each, until `until` returns True."""
    shown: dict[str, TaskID] = {}
    while not until():
        started = running(connection)
        for job_id in started:
            reported = _progress(find_job(connection, job_id))
            if reported and job_id not in shown:
                shown[job_id] = progress.add_task(reported["what"], total=reported["total"])
            if reported:
                _show(progress, shown[job_id], reported)
        for job_id in set(shown) - set(started):
            progress.remove_task(shown.pop(job_id))
        time.sleep(POLL_SECONDS)


def _progress(job: Job | None) -> dict[str, Any] | None:
    """Return what a job last reported: ``done``, ``total`` and ``what``; None before its first report."""
    reported: dict[str, Any] | None = job.get_meta().get("progress") if job is not None else None
    return reported


def _show(progress: Progress, bar: TaskID, reported: dict[str, Any] | None) -> None:
    if reported:
        progress.update(bar, description=reported["what"], completed=reported["done"], total=reported["total"])
