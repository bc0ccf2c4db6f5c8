"""What Redis holds about a project: waiting events, the running round, queues, running and failed jobs."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import redis
from rq import Worker
from rq.job import JobStatus
from rq.worker import BaseWorker

from helioloop.environment.stored_times import is_ahead
from helioloop.messaging import queues, redis_client
from helioloop.messaging.messages import PlanRound
from helioloop.messaging.redis_retrain_state import RedisRetrainState
from helioloop.messaging.retrain_state import due_at
from helioloop.messaging.served_root import ServedRoot, read_served_root, root_of, why_used
from helioloop.registry.root_identity import lacks_root_identity, read_root_identity
from helioloop.registry.versions import Registry
from helioloop.settings import Settings
from helioloop_worker.reports.failing_jobs import FailingJob, failing_jobs
from helioloop_worker.reports.job_status import FailedJob, RunningJob, failed_jobs, running_jobs
from helioloop_worker.reports.round_progress import RoundProgress, read_round_progress
from helioloop_worker.reports.times import iso_time

_TO_COME: Final = frozenset({JobStatus.QUEUED, JobStatus.SCHEDULED, JobStatus.DEFERRED, JobStatus.STARTED})
"""Statuses of a job that runs, or will."""


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

    `failing_jobs` are those that failed and have not succeeded since; each is tried again or parked. `is_planned` says
    whether a job that plans a round waits or runs. `foreign_workers` are those that work in another model folder, each
    as host name and process id; `foreign_redis` is None, or by what all of Redis is in use for another one.
    Both are left out where the identity of this model folder cannot be read: it may be the same one.
    `was_replaced` is true where Redis was in use for one that was at the place of this one. `no_writes` is None, or why
    Redis, which answers, stores nothing, in a sentence: then no job runs.
    """

    events_waiting: int
    check_due_at: str | None
    running_round: RunningRound | None
    queues: tuple[QueueFacts, ...]
    running_jobs: tuple[RunningJob, ...]
    failed_jobs: tuple[FailedJob, ...]
    failing_jobs: tuple[FailingJob, ...] = ()
    is_planned: bool = False
    foreign_workers: tuple[str, ...] = ()
    foreign_redis: str | None = None
    was_replaced: bool = False
    no_writes: str | None = None


def read_services(
    connection: redis.Redis, registry: Registry, settings: Settings, project: int, *, now: float
) -> ServiceFacts:
    """Return what Redis holds about a project."""
    # Before all else: a new connection pings, which a Redis that cannot save refuses like a write, and then goes on.
    no_writes = redis_client.why_it_takes_no_writes(connection, settings)
    state = RedisRetrainState(connection)
    pending, running = state.pending_events(project), state.running(project)
    registered = Worker.all(connection=connection)
    workers = Counter(name for worker in registered for name in worker.queue_names())
    root_identity = read_root_identity(settings.model_root)
    is_known = root_identity is not None or lacks_root_identity(settings.model_root)
    other = _other_root(connection, root_identity) if is_known else None
    used = None if other is None else why_used(connection, other, now=now)
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
        is_planned=queues.job_status(connection, PlanRound(project=project)) in _TO_COME,
        foreign_workers=_foreign_workers(connection, registered, root_identity) if is_known else (),
        foreign_redis=used,
        was_replaced=other is not None and used is None and other.is_place_of(settings),
        no_writes=no_writes,
    )


def _foreign_workers(
    connection: redis.Redis, workers: Sequence[BaseWorker], root_identity: str | None
) -> tuple[str, ...]:
    """Return the workers that state another model root than this one, which may have no identity."""
    foreign = [worker for worker in workers if root_of(connection, worker) not in {None, root_identity}]
    return tuple(sorted(f"{worker.hostname or '?'}:{worker.pid or '?'}" for worker in foreign))


def _other_root(connection: redis.Redis, root_identity: str | None) -> ServedRoot | None:
    """Return the other model root for which Redis was claimed last; None where it was for this one, or for none.

    A folder without an identity is another one, such as the mount point of a disk that is not mounted.
    """
    served = read_served_root(connection)
    return served if served is not None and served.identity != root_identity else None
