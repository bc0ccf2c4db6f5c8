"""What Redis holds about a project: waiting events, the running round, queues, running and failed jobs."""

from collections import Counter
from dataclasses import dataclass

import redis
from rq import Worker

from helioloop.environment.stored_times import is_ahead
from helioloop.messaging import queues
from helioloop.messaging.redis_retrain_state import RedisRetrainState
from helioloop.messaging.retrain_state import due_at
from helioloop.registry.versions import Registry
from helioloop.settings import Settings
from helioloop_worker.reports.failing_jobs import FailingJob, failing_jobs
from helioloop_worker.reports.job_status import FailedJob, RunningJob, failed_jobs, running_jobs
from helioloop_worker.reports.round_progress import RoundProgress, read_round_progress
from helioloop_worker.reports.times import iso_time


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningRound:
    """The running round, with its progress; `progress` is None in the moment in which it becomes a version.

    `silent_seconds` is None where its last heartbeat has a time in the future, which does not say that it lives.
    """

    fingerprint: str
    since: str
    silent_seconds: float | None
    progress: RoundProgress | None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueFacts:
    """A job queue: its jobs that wait, also for their time, and the workers that serve it."""

    name: str
    waiting: int
    workers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceFacts:
    """What Redis holds about a project: waiting events, the running round, queues, running and failed jobs.

    `failing_jobs` are those that failed and have not succeeded since; each is tried again or parked.
    """

    events_waiting: int
    check_due_at: str | None
    running_round: RunningRound | None
    queues: tuple[QueueFacts, ...]
    running_jobs: tuple[RunningJob, ...]
    failed_jobs: tuple[FailedJob, ...]
    failing_jobs: tuple[FailingJob, ...] = ()


def read_services(
    connection: redis.Redis, registry: Registry, settings: Settings, project: int, *, now: float
) -> ServiceFacts:
    """Return what Redis holds about a project."""
    state = RedisRetrainState(connection)
    pending, running = state.pending_events(project), state.running(project)
    workers = Counter(name for worker in Worker.all(connection=connection) for name in worker.queue_names())
    return ServiceFacts(
        events_waiting=0 if pending is None else pending.count,
        check_due_at=None if pending is None else iso_time(due_at(pending, settings, now=now)),
        running_round=None
        if running is None
        else RunningRound(
            fingerprint=running.fingerprint[:16],
            since=iso_time(running.since),
            silent_seconds=None if is_ahead(running.heartbeat_at, now=now) else max(now - running.heartbeat_at, 0.0),
            progress=read_round_progress(registry, running, now=now),
        ),
        queues=tuple(
            QueueFacts(name=name, waiting=waiting, workers=workers[name])
            for name, waiting in queues.queue_lengths(connection).items()
        ),
        running_jobs=tuple(running_jobs(connection, project)),
        failed_jobs=tuple(failed_jobs(connection, settings, project)),
        failing_jobs=tuple(failing_jobs(connection, settings, project)),
    )
