"""What a scrape of /metrics reads from Redis and from the model folders; what cannot be read is left out."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import redis

from helioloop.errors import RegistryError, ServiceError
from helioloop.messaging import redis_client
from helioloop.messaging.job_failure import JobFailure
from helioloop.messaging.job_failures import JobFailures
from helioloop.messaging.queue_states import QueueState, queue_states
from helioloop.messaging.redis_retrain_state import RedisRetrainState
from helioloop.messaging.retrain_state import PendingEvents
from helioloop.messaging.work_figures import WorkFigure, work_figures
from helioloop.registry.label_snapshot import FILE_NAME
from helioloop.registry.publications import POINTER
from helioloop.registry.staging import Staging
from helioloop.registry.versions import Registry
from helioloop.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedProject:
    """One project.

    Parameters
    ----------
    published : str or None
        The published version.
    published_at, labels_read_at : float or None
        When the pointer to it was written, and when the annotations were read last (Unix seconds).
    parked : int
        Rounds that failed too often.
    pending : PendingEvents or None
        Events that no retrain check has covered.
    is_running : bool
        Whether a round is running; False also while Redis does not answer.
    failing : sequence of JobFailure
        Jobs that failed and have not succeeded since, parked ones included.
    """

    published: str | None
    published_at: float | None
    labels_read_at: float | None
    parked: int
    pending: PendingEvents | None = None
    is_running: bool = False
    failing: Sequence[JobFailure] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """Everything that is read for one scrape; `queues` is None and `work` empty while Redis does not answer."""

    queues: Mapping[str, QueueState] | None = None
    projects: Mapping[int, ObservedProject] = field(default_factory=dict)
    work: Sequence[WorkFigure] = ()


def observe(settings: Settings, connection: redis.Redis) -> Observed:
    """Return the present state."""
    try:
        with redis_client.plain_errors(settings):
            queues, work = queue_states(connection), work_figures(connection)
    except ServiceError:
        queues, work = None, []
    projects = {}
    for number in _numbers(settings):
        try:
            projects[number] = _project(settings, connection, number, has_redis=queues is not None)
        except (RegistryError, OSError):
            continue
    return Observed(queues=queues, projects=projects, work=work)


def _numbers(settings: Settings) -> Sequence[int]:
    """Return the projects that have a model folder; none where the model root cannot be read, which /ready says."""
    try:
        return settings.projects()
    except OSError:
        return ()


def _project(settings: Settings, connection: redis.Redis, number: int, *, has_redis: bool) -> ObservedProject:
    folder = settings.model_dir(number)
    pending, is_running = None, False
    failing: list[JobFailure] = []
    if has_redis:
        try:
            with redis_client.plain_errors(settings):
                state = RedisRetrainState(connection)
                pending, is_running = state.pending_events(number), state.running(number) is not None
                failing = JobFailures(connection).failing(number)
        except (ServiceError, ValueError, LookupError):  # what others wrote into Redis must not hide the other metrics
            pass
    return ObservedProject(
        published=Registry(folder).published(),
        published_at=_changed_at(folder / POINTER),
        labels_read_at=_changed_at(folder / FILE_NAME),
        parked=len(Staging(folder).all_parked()),
        pending=pending,
        is_running=is_running,
        failing=failing,
    )


def _changed_at(path: os.PathLike[str]) -> float | None:
    try:
        return os.stat(path).st_mtime  # noqa: PTH116 - of any kind of path
    except OSError:
        return None
