"""The lines of ``helioloop status`` about what Redis holds: the running round, queues, running and failed jobs."""

from typing import Final

from helioloop.words import count, times
from helioloop_worker.reports.failing_jobs import FailingJob
from helioloop_worker.reports.service_facts import RunningRound, ServiceFacts
from helioloop_worker.reports.status_line import Line, capped

SILENT_SECONDS: Final = 120.0
"""A round without a sign of life for this long is marked; reconciliation resumes it."""


def round_line(running: RunningRound | None) -> Line:
    """Return the line about the running round: version, step, time left and reason."""
    if running is None:
        return Line(name="running round", value="none")
    if running.progress is None:
        value = f"being closed (since {running.since})"
    else:
        value = f"{running.progress.summary} (since {running.since})"
    if running.silent_seconds is None:
        value += (
            "; its last sign of life has a time in the future, so a clock was wrong, and unless a step of it runs it "
            "will be resumed"
        )
    elif running.silent_seconds > SILENT_SECONDS:
        value += f"; no sign of life for {running.silent_seconds / 60.0:.0f} min, so it will be resumed"
    return Line(name="running round", value=value)


def queue_lines(services: ServiceFacts) -> list[Line]:
    """Return the lines about waiting events, and about the queues with their workers."""
    due = "" if services.check_due_at is None else f"; the retrain check is due at {services.check_due_at}"
    return [
        Line(name="annotation events waiting", value=f"{services.events_waiting}{due}"),
        *(
            Line(name=f"queue {queue.name}", value=f"{queue.waiting} waiting, {count(queue.workers, 'worker')}")
            for queue in services.queues
        ),
    ]


def job_lines(services: ServiceFacts, *, full: bool = False) -> list[Line]:
    """Return the progress of running jobs, and when and why the last job of each kind failed."""
    running = [
        Line(
            name=f"running {job.kind}",
            value=_subject(job.subject) + (job.progress or "started"),
        )
        for job in services.running_jobs
    ]
    failed = [
        Line(
            name=f"last failed {job.kind}",
            value=(f"{job.at}, " if job.at else "") + _subject(job.subject) + job.reason,
        )
        for job in services.failed_jobs
    ]
    return [
        *capped(running, full=full, name="running jobs"),
        *(failed or [Line(name="failed jobs", value="none")]),
        *capped([_failing(job) for job in services.failing_jobs], full=full, name="failing jobs"),
    ]


def _failing(job: FailingJob) -> Line:
    """Return the line of a job that is tried again or parked, under the name that ``helioloop retry`` takes."""
    then = "nothing tries it again" if job.parked else f"tried again from {job.next_at} on"
    return Line(
        name=f"{'parked' if job.parked else 'failing'} {job.name}",
        value=f"failed {times(job.failures)}, {then}: {job.reason}",
    )


def _subject(subject: str) -> str:
    return f"{subject}: " if subject else ""
