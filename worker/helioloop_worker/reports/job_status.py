"""The lines of ``helioloop status`` about jobs: those that run, and of each kind the one that failed last."""

import re
from collections.abc import Iterator
from typing import Final

import redis
from rq.job import Job
from rq.registry import FailedJobRegistry

from helioloop.messaging import job_monitor, queues
from helioloop.settings import Settings
from helioloop_worker.reports.redaction import hide_secrets, redact
from helioloop_worker.reports.status import Line

_KINDS: Final = {
    "ingest": "ingestion",
    "retrain-check": "retrain check",
    "plan-round": "round planning",
    "write-back": "write-back",
    "score": "scoring",
    "bulk": "scoring of many cubes",
    "accept": "acceptance",
    "reconcile": "reconciliation",
}
"""First part of a job's id -> what the status calls it. The steps of a round are not listed: the round has a line."""
_JOB_ID: Final = re.compile(rf"(?P<kind>{'|'.join(_KINDS)})-(?P<project>\d+)(?:-|\Z)")
"""For example ``ingest-1-release-3`` or ``reconcile-1``."""


def job_lines(connection: redis.Redis, settings: Settings, project: int) -> list[Line]:
    """Return the progress of a project's running jobs, and when and why the last one of each kind failed.

    A failed job that was sent again does not count as failed.
    """
    failed = dict.fromkeys(_KINDS.values(), "")
    for name in queues.QUEUES:
        registry = FailedJobRegistry(queue=queues.queue(connection, name))
        for job_id in registry.get_job_ids(
            cleanup=False
        ):  # sorted by expiry, thus by failure: all are kept equally long
            if kind := _kind(job_id, project):
                failed[kind] = job_id
    failures = [
        Line(name=f"last failed {kind}", value=_failure(job, settings, project))
        for kind, job_id in failed.items()
        if job_id and (job := job_monitor.find_job(connection, job_id)) is not None
    ]
    return [*_running(connection, project), *(failures or [Line(name="failed jobs", value="none")])]


def _kind(job_id: str, project: int) -> str | None:
    """Return the kind of a job of this project; None for steps of a round and for other projects' jobs."""
    found = _JOB_ID.match(job_id)
    return _KINDS[found["kind"]] if found is not None and int(found["project"]) == project else None


def _running(connection: redis.Redis, project: int) -> Iterator[Line]:
    for job_id in job_monitor.running(connection):
        kind = _kind(job_id, project)
        if kind is not None and (job := job_monitor.find_job(connection, job_id)) is not None:
            progress = job.get_meta().get("progress")
            state = f"{progress['what']}, {progress['done']} of {progress['total']}" if progress else "started"
            yield Line(name=f"running {kind}", value=f"{_subject(job)}{state}")


def _failure(job: Job, settings: Settings, project: int) -> str:
    """Return when a job failed, its release or version, and the error message."""
    result = job.latest_result()
    at = "" if result is None else f"{result.created_at.isoformat(timespec='seconds')}, "
    message = redact(hide_secrets(job_monitor.failure(job), settings), model_dir=settings.model_dir(project))
    return f"{at}{_subject(job)}{message}"


def _subject(job: Job) -> str:
    """Return the release or version that a job works on, with a colon."""
    subject = job.kwargs.get("release") or job.kwargs.get("version")
    return f"{subject}: " if subject else ""
