"""Jobs of a project that failed and have not succeeded since, for ``helioloop status``: retried or parked."""

from dataclasses import dataclass

import redis

from helioloop.messaging.job_failure import JobFailure
from helioloop.messaging.job_failures import JobFailures
from helioloop.messaging.parked import find_parked
from helioloop.registry.parked_jobs import read_parked_jobs
from helioloop.settings import Settings
from helioloop_worker.reports.job_status import kind_of
from helioloop_worker.reports.redaction import hide_secrets, redact
from helioloop_worker.reports.times import iso_time


@dataclass(frozen=True, slots=True, kw_only=True)
class FailingJob:
    """A job or step of reconciliation that failed and has not succeeded since.

    Parameters
    ----------
    name : str
        As ``helioloop retry`` takes it.
    kind : str
        What it does, in words.
    subject : str
        Its release or version, else "".
    failures : int
        How often it failed, or its worker was lost.
    at : str
        When it failed last; "" where only its worker was lost.
    reason : str
        Why, without secrets.
    parked : bool
        Whether nothing tries it again.
    next_at : str or None
        Earliest time of the next attempt; None where it is parked.
    """

    name: str
    kind: str
    subject: str
    failures: int
    at: str
    reason: str
    parked: bool
    next_at: str | None


def failing_jobs(connection: redis.Redis, settings: Settings, project: int) -> list[FailingJob]:
    """Return the jobs that fail, the parked ones first; of many that score cubes of a version the last to fail.

    Among them are parked jobs that Redis has lost, because it was emptied, until a reconciliation parks them again.
    """
    failures, kept = JobFailures(connection), read_parked_jobs(settings.model_dir(project))
    parked = find_parked(failures, project, kept.parked, kept.put_back_at)
    failing = {known.key: known for known in failures.failing(project) if known.key not in parked.outdated}
    failing |= {key: parked.jobs[key] for key in parked.lost}
    found: dict[tuple[str, bool], JobFailure] = {}
    for known in sorted(failing.values(), key=lambda known: known.failed_at):
        found[known.name, known.is_parked] = known
    shown = [_shown(known, settings, project) for known in found.values()]
    return sorted(shown, key=lambda job: (not job.parked, job.name))


def _shown(known: JobFailure, settings: Settings, project: int) -> FailingJob:
    _, _, step = known.key.partition(":")
    kind = f"reconciliation step {step}" if step else kind_of(known.key, project) or known.key
    reason = known.reason or "its worker was lost"
    return FailingJob(
        name=known.name,
        kind=kind,
        subject=known.version or str(known.payload.get("release") or ""),
        failures=known.attempts,
        at=iso_time(known.failed_at) if known.failed_at else "",
        reason=redact(hide_secrets(reason, settings), model_dir=settings.model_dir(project)),
        parked=known.is_parked,
        next_at=None if known.is_parked else iso_time(known.next_at),
    )
