"""A worker process: it serves the queues of its role until it is stopped, also across outages of Redis."""

import logging
import time
from contextlib import suppress

import redis
from rq.exceptions import StopRequested
from rq.serializers import JSONSerializer

from helioloop.errors import ServiceError
from helioloop.messaging import queues, redis_client
from helioloop.messaging.roles import ROLE_QUEUES, Role
from helioloop.model.training import preload
from helioloop.settings import Settings, plain_url
from helioloop_worker import jobs
from helioloop_worker.context import REDIS_SECONDS, Context
from helioloop_worker.loop.failing import give_second_chance
from helioloop_worker.own_redis import make_model_root
from helioloop_worker.priority import lower_priority
from helioloop_worker.serving.described_worker import RETRY_SECONDS
from helioloop_worker.serving.device_name import device_name
from helioloop_worker.serving.loop_job import job_class
from helioloop_worker.serving.role_workers import ScoringWorker, TrainingWorker

log = logging.getLogger(__name__)

POLL_SECONDS = 5
"""Time after which an idle worker stops waiting for a job, does its maintenance, and waits again."""
RQ_MARGIN_SECONDS = 15
"""rq waits for a job for ``worker_ttl`` minus this long."""


def run(role: Role, context: Context) -> None:
    """Run jobs until SIGTERM or Ctrl-C, after which the running job is finished; reconnect after outages of Redis.

    Raises
    ------
    ServiceError
        Where Redis serves another model root, or rq ended the worker because of an error, so that the process ends with
        a status that a supervisor sees.
    """
    settings = context.settings
    lower_priority()
    root_identity = make_model_root(settings)
    log.info("model folders are in %s", settings.model_root.absolute())
    # Jobs, and the modules that torch imports late, are imported before a fork: a job does not spend seconds on it.
    log.info("role %s serves %s with %s", role, ", ".join(ROLE_QUEUES[role]), jobs.__name__)
    preload()
    device = device_name(settings)
    log.info("networks run on %s", device)
    worker = make_worker(role, context, device, root_identity)
    with suppress(redis.RedisError):  # the loop says so, and the claim is made again before each job
        worker.claim()
    give_second_chance(worker.connection, settings)
    while True:
        cause = refusal = ""
        try:
            # rq logs each job and each maintenance; the jobs log their own progress. A job that waits for its next
            # attempt is scheduled, and the scheduler of a worker starts those of its own queues only.
            worker.work(logging_level="WARNING", with_scheduler=True)
        except StopRequested:  # while it starts, by the handler of the worker before it
            with suppress(redis.RedisError):
                worker.teardown()
            return
        except (redis.ConnectionError, redis.TimeoutError) as error:
            cause = f" ({error})"
        except redis.RedisError as error:
            refusal = redis_client.sentence(error, settings)
        if worker.refusal is not None:
            raise worker.refusal
        if worker.was_stopped:
            return
        if not cause and not refusal and not worker.lost_redis and _answers(settings):
            raise ServiceError(
                f"the worker with role {role} ended because of an error, which is above in its log; start it again"
            )
        lost = f"the connection to Redis at {plain_url(settings.redis_url)} was lost{cause}"
        log.error("%s; trying again", refusal or lost)
        again = _reconnected(worker, role, context)
        if again is None:
            return
        worker = again


def _reconnected(
    lost: TrainingWorker | ScoringWorker, role: Role, context: Context
) -> TrainingWorker | ScoringWorker | None:
    """Return a worker in place of one that lost Redis, once Redis answers; None where that one is stopped first."""
    try:
        while not lost.was_stopped:
            time.sleep(RETRY_SECONDS)
            try:
                return make_worker(role, context, lost.device_name, lost.root_identity)
            except ServiceError as error:
                log.error("%s", error)
    except StopRequested:  # by the handler of the worker that lost Redis, which is still installed
        pass
    return None


def _answers(settings: Settings) -> bool:
    """Return whether Redis answers now."""
    try:
        redis_client.connect(settings, timeout_seconds=REDIS_SECONDS).close()
    except ServiceError:
        return False
    return True


def make_worker(
    role: Role, context: Context, device: str, root_identity: str | None = None
) -> TrainingWorker | ScoringWorker:
    """Return a worker of a role that is connected to Redis and does not run yet.

    Parameters
    ----------
    role : str
        ``train`` or ``score``.
    context : Context
        What its jobs work with.
    device : str
        Name of the device of networks, for `helioloop doctor`.
    root_identity : str, optional
        The identity of its model root; without it, Redis is not claimed.

    Raises
    ------
    ServiceError
        Where Redis does not answer.
    """
    settings = context.settings
    connection = redis_client.connect(settings, timeout_seconds=REDIS_SECONDS)
    worker = (TrainingWorker if role == "train" else ScoringWorker)(
        [queues.queue(connection, name) for name in ROLE_QUEUES[role]],
        connection=connection,
        serializer=JSONSerializer,
        job_class=job_class(context),
        worker_ttl=POLL_SECONDS + RQ_MARGIN_SECONDS,
        maintenance_interval=max(1, int(settings.reconcile_seconds)),
    )
    worker.settings, worker.device_name, worker.root_identity = settings, device, root_identity
    return worker
