"""A project's jobs for ``helioloop status``: those that run, and of each kind the one that failed last."""

import re
from dataclasses import dataclass
from typing import Final

import redis
from rq.job import Job
from rq.registry import FailedJobRegistry

from helioloop.messaging import job_monitor, queues
from helioloop.progress import in_words
from helioloop.settings import Settings
from helioloop_worker.reports.redaction import hide_secrets, redact

_KINDS: Final = {
    "ingest": "ingestion",
    "retrain-check": "retrain check",
    "plan-round": "round planning",
    "write-back": "write-back",
    "score": "scoring",
    "bulk": "scoring of many cubes",
    "accept": "acceptance",
    "reconcile": "reconciliation",
    "report": "report",
}
"""First part of a job's id -> what the status calls it. The steps of a round are not listed: the round has a line."""
_JOB_ID: Final = re.compile(rf"(?P<kind>{'|'.join(_KINDS)})-(?P<project>\d+)(?:-|:|\Z)")
"""For example ``ingest-1-release-3`` or ``reconcile-1``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningJob:
    """A running job: its kind, its release or version ("" if it has none), and its progress, None before the first."""

    kind: str
    subject: str
    what: str | None = None
    done: int | None = None
    total: int | None = None

    @property
    def progress(self) -> str | None:
        """Its progress in words, such as "preparing cubes, 12 of 120"; None before the first report."""
        if self.what is None or self.done is None or self.total is None:
            return None
        return in_words(self.done, self.total, self.what)


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedJob:
    """The last failed job of a kind: its release or version ("" if none), when it failed ("" if unknown), and why."""

    kind: str
    subject: str
    at: str
    reason: str


def failed_jobs(connection: redis.Redis, settings: Settings, project: int) -> list[FailedJob]:
    """Return when and why the last job of each kind failed, without secrets; a job that was sent again does not count.

    Failed jobs of a project are kept for a week.
    """
    failed = dict.fromkeys(_KINDS.values(), "")
    for name in queues.QUEUES:
        registry = FailedJobRegistry(queue=queues.queue(connection, name))
        for job_id in registry.get_job_ids(
            cleanup=False
        ):  # sorted by expiry, thus by failure: all are kept equally long
            if kind := kind_of(job_id, project):
                failed[kind] = job_id
    return [
        _failure(kind, job, settings, project)
        for kind, job_id in failed.items()
        if job_id and (job := job_monitor.find_job(connection, job_id)) is not None
    ]


def running_jobs(connection: redis.Redis, project: int) -> list[RunningJob]:
    """Return a project's running jobs with their progress; the steps of a round are not listed."""
    found = []
    for job_id in job_monitor.running(connection):
        kind = kind_of(job_id, project)
        if kind is not None and (job := job_monitor.find_job(connection, job_id)) is not None:
            progress = job.get_meta().get("progress") or {}
            found.append(RunningJob(kind=kind, subject=_subject(job), **progress))
    return found


def kind_of(job_id: str, project: int) -> str | None:
    """Return the kind of a job of this project; None for steps of a round and for other projects' jobs."""
    found = _JOB_ID.match(job_id)
    return _KINDS[found["kind"]] if found is not None and int(found["project"]) == project else None


def _failure(kind: str, job: Job, settings: Settings, project: int) -> FailedJob:
    result = job.latest_result()
    return FailedJob(
        kind=kind,
        subject=_subject(job),
        at="" if result is None else result.created_at.isoformat(timespec="seconds"),
        reason=redact(hide_secrets(job_monitor.failure(job), settings), model_dir=settings.model_dir(project)),
    )


def _subject(job: Job) -> str:
    """Return the release or version that a job works on, else ""."""
    return str(job.kwargs.get("release") or job.kwargs.get("version") or "")
