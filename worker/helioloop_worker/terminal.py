"""Progress of jobs and of work in this process: bars on a terminal, and lines where stderr is a file or a pipe."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import click
import redis
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, Task, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text
from rq.job import Job

from helioloop.messaging.job_monitor import find_job, outcome_of, running
from helioloop.messaging.messages import Message
from helioloop.progress import Report

POLL_SECONDS = 0.5
LINE_SECONDS = 10.0
"""Time between two lines about one bar where there is no terminal; shorter work prints none."""


class Count(MofNCompleteColumn):
    """How many are done, of how many; nothing where the total is not known."""

    def render(self, task: Task) -> Text:
        """Return the text of the column."""
        return Text() if task.total is None else super().render(task)


class Bars(Progress):
    """Progress bars on stderr; where that is no terminal, a line about each unfinished bar every `LINE_SECONDS`.

    Parameters
    ----------
    transient : bool
        True for bars that disappear at the end.
    """

    def __init__(self, *, transient: bool = False) -> None:
        console = Console(stderr=True)
        self._as_lines = not console.is_terminal
        self._printed_at: dict[TaskID, float] = {}
        super().__init__(
            TextColumn("{task.description}"),
            BarColumn(),
            Count(),
            TimeElapsedColumn(),
            console=console,
            transient=transient,
            disable=self._as_lines,
        )

    def update(self, task_id: TaskID, **changes: Any) -> None:
        """Change a bar; see `rich.progress.Progress.update`."""
        super().update(task_id, **changes)
        if not self._as_lines or task_id not in self._tasks:
            return
        now, task = time.monotonic(), self._tasks[task_id]
        if now - self._printed_at.setdefault(task_id, now) < LINE_SECONDS or task.finished:
            return
        self._printed_at[task_id] = now
        count = "" if task.total is None else f", {task.completed:.0f} of {task.total:.0f}"
        click.echo(f"{datetime.now(UTC):%H:%M:%S} UTC  {task.description}{count}", err=True)


def bars(*, transient: bool = False) -> Progress:
    """Return progress bars on stderr; transient ones disappear at the end."""
    return Bars(transient=transient)


def bar_report(progress: Progress, what: str, *, total: int | None = None) -> Report:
    """Add a bar and return the report that moves it.

    Parameters
    ----------
    progress : Progress
        Where the bar is shown.
    what : str
        What it says before the first report.
    total : int or None
        Its total before the first report; None where that is not known.
    """
    bar = progress.add_task(what, total=total)

    def report(done: int, total: int, what: str) -> None:
        progress.update(bar, completed=done, total=total, description=what)

    return report


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
                shown[job_id] = progress.add_task(reported["what"], total=reported["total"] or None)
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
    if reported is None:
        progress.update(bar)  # so that a log has a line about a long wait
    else:
        total = reported["total"] or None  # rich takes 0 of 0 for finished
        progress.update(bar, description=reported["what"], completed=reported["done"], total=total)
