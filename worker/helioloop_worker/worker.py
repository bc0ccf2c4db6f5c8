"""A worker process: its role, its queues, and the reconciliations that it sends.

The role ``train`` forks a process for each job. The role ``score`` runs jobs in its own process, where members stay
loaded. Reconciliations are sent from the loop of the worker, so an emptied Redis does not stop them.
"""

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from multiprocessing.util import register_after_fork
from typing import Any, ClassVar, Final

import redis
import torch
from rq import Queue, SimpleWorker, Worker, worker_registration
from rq.exceptions import StopRequested
from rq.executions import Execution
from rq.group import Group
from rq.job import Job
from rq.scheduler import RQScheduler
from rq.serializers import JSONSerializer

from helioloop.environment.stored_times import is_ahead
from helioloop.errors import ServiceError
from helioloop.logs import log_fields
from helioloop.messaging import messages, queues, redis_client
from helioloop.messaging.expiries import bring_back
from helioloop.messaging.job_failures import PARKED_SECONDS
from helioloop.messaging.messages import Message
from helioloop.messaging.payloads import read_message
from helioloop.messaging.plain_job import PlainJob
from helioloop.messaging.roles import CODE_FIELD, DEVICE_FIELD, ROLE_QUEUES, Role
from helioloop.messaging.work_figures import JOB_SECONDS, REFUSED_JOBS, add_to_figure
from helioloop.model.device import choose_device
from helioloop.model.provenance import code_version
from helioloop.model.training import preload
from helioloop.settings import Settings, plain_url
from helioloop_worker import jobs
from helioloop_worker.claiming_worker import ClaimingWorker
from helioloop_worker.context import REDIS_SECONDS, Context
from helioloop_worker.forks import accept_signals, end_at_signals, signals_wait
from helioloop_worker.loop.failing import counting, give_second_chance
from helioloop_worker.own_redis import make_model_root
from helioloop_worker.priority import lower_priority, yielding

log = logging.getLogger(__name__)

POLL_SECONDS = 5
"""Time after which an idle worker stops waiting for a job, does its maintenance, and waits again."""
RQ_MARGIN_SECONDS = 15
"""rq waits for a job for ``worker_ttl`` minus this long."""
RQ_LOCK_SECONDS: Final = 60
"""A scheduler of rq that died has its queues for its interval and this long."""
RQ_CLEANING_SECONDS: Final = 899
"""A worker that died while it cleaned a queue's lists keeps others from it for this long."""
RETRY_SECONDS = 5.0
"""Pause between two attempts to reach Redis after its connection was lost."""
_CUDA: Final = "CUDA"
_LOGGED: Final = {"project": "project", "version": "version", "round": "fingerprint", "member": "member"}
"""Field of a line of the log -> argument of a job."""


class LoopJob(PlainJob):
    """A job of the loop: its function is one of `jobs.FUNCTIONS` and receives the context of this process."""

    context: ClassVar[Context]

    def restore(self, raw_data: Any, *, payload: bool = True) -> Any:
        """Read the job from Redis, with its payload; see `PlainJob.restore`."""
        return super().restore(raw_data, payload=payload)

    def _execute(self) -> Any:
        message, function, arguments = self._checked()
        started = time.monotonic()
        name = function.__name__
        with log_fields(job=self.id, **{field: arguments.get(argument) for field, argument in _LOGGED.items()}):
            log.debug("job %s starts", name)
            outcome = "failed"
            try:
                with counting(self.connection, message, self.context.settings, job_id=self.id):
                    result = function(self.context, **arguments)
                outcome = "done"
            finally:
                seconds = time.monotonic() - started
                add_to_figure(self.connection, JOB_SECONDS, name, outcome, value=seconds)
                log.info("job %s %s after %.1f s", name, "is done" if outcome == "done" else outcome, seconds)
        return result

    def _checked(self) -> tuple[Message, Callable[..., Any], dict[str, Any]]:
        """Return the message, the function of this job and its arguments.

        Raises
        ------
        ServiceError
            If it is not a job of helioloop, or its payload has another format or shape; see `read_message`.
        """
        name, payload = str(self.func_name), self.kwargs
        try:
            message = read_message(
                name, {"": "positional arguments"} if self.args or self.instance is not None else payload
            )
        except ServiceError as error:
            log.error("job %r: %s", self.id[:80], error)
            add_to_figure(self.connection, REFUSED_JOBS)
            raise
        return message, jobs.FUNCTIONS[name], {field: value for field, value in payload.items() if field != "format"}


def job_class(context: Context) -> type[LoopJob]:
    """Return the class under which a worker runs jobs with `context`."""
    return type("LoopJob", (LoopJob,), {"context": context})


class LoopScheduler(RQScheduler):
    """A process that sends jobs which are due; it is forked from a worker and runs none of the worker's handlers."""

    def acquire_locks(self, auto_start: bool = False) -> Any:
        """Take the queues that no other scheduler has; see `rq.scheduler.RQScheduler.acquire_locks`.

        A scheduler that died while the clock of Redis was ahead keeps none: no job of its queues would ever be due.
        """
        keys = [self.get_locking_key(name) for name in self._queue_names]
        bring_back(self.connection, dict.fromkeys(keys, self.interval + RQ_LOCK_SECONDS))
        return super().acquire_locks(auto_start)  # type: ignore[no-untyped-call]

    def start(self) -> Any:
        """Fork the process; see `rq.scheduler.RQScheduler.start`."""
        register_after_fork(self, lambda _: end_at_signals())  # until it has its own handlers, in a moment
        with signals_wait():
            return super().start()  # type: ignore[no-untyped-call]


class DescribedWorker(ClaimingWorker):
    """Writes what it is, its code, device and model root into Redis with each heartbeat, for `helioloop doctor`.

    All of it is written each time, and the worker registered, because Redis may have been emptied since its start.
    """

    device_name: str
    lost_redis = False
    """Whether Redis was away in the last step that rq's loop does not repeat; an outage may be short."""
    max_connection_wait_time = RETRY_SECONDS
    """rq waits twice as long at each attempt to reach Redis, up to this; its own minute would be a delay for people."""

    @property
    def was_stopped(self) -> bool:
        """Whether a signal or a command asked this worker to stop; rq ends its loop in the same way after an error."""
        return self._stop_requested or self._shutdown_requested_date is not None

    @contextmanager
    def _noticing_outages(self) -> Iterator[None]:
        """Remember whether Redis was away. rq ends its loop without saying why, and Redis may be back by then."""
        self.lost_redis = False
        try:
            yield
        except (redis.ConnectionError, redis.TimeoutError):
            self.lost_redis = True
            raise

    def check_for_suspension(self, burst: bool) -> None:
        """Wait while workers are suspended; see `rq.Worker`."""
        with self._noticing_outages():
            super().check_for_suspension(burst)

    def dequeue_job_and_maintain_ttl(
        self, timeout: int | None, max_idle_time: int | None = None
    ) -> tuple[Job, Queue] | None:
        """Wait for a job and take it; see `ClaimingWorker`. rq itself waits for the end of most outages."""
        with self._noticing_outages():
            return super().dequeue_job_and_maintain_ttl(timeout, max_idle_time)

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Run a job; see `rq.Worker.execute_job`."""
        with self._noticing_outages():
            super().execute_job(job, queue)

    def _pubsub_exception_handler(self, exc: Exception, pubsub: Any, pubsub_thread: Any) -> None:
        """Go on after an error of the thread that hears commands to this worker; see `rq.Worker`.

        Where the user of Redis may not use channels, as a new one of Redis 7 may not, the worker does without: the loop
        sends no such command.
        """
        if isinstance(exc, redis.exceptions.NoPermissionError):
            log.warning(
                "%s; until then this worker hears no commands of rq, such as to stop a job",
                redis_client.sentence(exc, self.settings),
            )
            pubsub_thread.stop()
        else:
            super()._pubsub_exception_handler(exc, pubsub, pubsub_thread)

    @property
    def should_run_maintenance_tasks(self) -> bool:
        """Whether the last maintenance was long ago, or its time is ahead, because this machine's clock was then."""
        last = self.last_cleaned_at
        if last is not None and is_ahead(last.timestamp(), now=time.time()):
            return True
        return bool(super().should_run_maintenance_tasks)

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        """Give a sign of life; see `rq.Worker.heartbeat`."""
        with self._noticing_outages():
            super().heartbeat(timeout, pipeline)
            about: dict[Any, Any] = {**self.serialize(), CODE_FIELD: code_version(), DEVICE_FIELD: self.device_name}
            about |= self.root_fields
            (self.connection if pipeline is None else pipeline).hset(self.key, mapping=about)
            worker_registration.register(self, pipeline)

    def run_maintenance_tasks(self) -> None:
        """Do the maintenance. While Redis is away it waits, and the loop reconnects; rq would end the worker."""
        try:
            self.maintain()
        except (redis.ConnectionError, redis.TimeoutError) as error:
            log.warning("the maintenance of the queues waits until Redis can be reached: %s", error)

    def maintain(self) -> None:
        """Do the maintenance of rq, also where the clock of Redis was ahead at the last one."""
        cleaning = {queue.registry_cleaning_key: RQ_CLEANING_SECONDS for queue in self.queues}
        bring_back(self.connection, {**cleaning, Group.REDIS_GROUP_CLEANING_KEY: self.maintenance_interval})
        super().run_maintenance_tasks()  # type: ignore[no-untyped-call]

    def _start_scheduler(
        self,
        burst: bool = False,  # noqa: ARG002 - an argument of the method that this replaces
        logging_level: str | None = None,
        date_format: str = "",
        log_format: str = "",
    ) -> None:
        """Start the process that sends jobs which are due, where no other worker of these queues has one.

        ``burst``, for workers that end when no job is left, has no effect: those of helioloop do not end by themselves.
        """
        self.scheduler = LoopScheduler(
            self.queues,
            connection=self.connection,
            logging_level=logging_level or self.log.level,
            date_format=date_format,
            log_format=log_format,
            serializer=self.serializer,
        )
        self.scheduler.acquire_locks(auto_start=True)

    def teardown(self) -> None:
        """End what belongs to this worker, also where Redis is away; see `rq.Worker.teardown`."""
        try:
            super().teardown()  # type: ignore[no-untyped-call]
        finally:
            if self.pubsub_thread:  # it would try to reach Redis for ever, beside that of the next worker
                self.pubsub_thread.stop()


class TrainingWorker(DescribedWorker, Worker):
    """Forks a process for each job, so that a job that dies does not end the worker.

    The worker itself never initialises CUDA, which does not work in a forked process afterwards.
    """

    def fork_work_horse(self, job: Job, queue: Queue) -> None:
        """Fork the process of a job; see `rq.Worker.fork_work_horse`."""
        with signals_wait():
            super().fork_work_horse(job, queue)

    def setup_work_horse_signals(self) -> None:
        """Install the handlers of the process of a job, in this process; see `rq.Worker`."""
        super().setup_work_horse_signals()  # type: ignore[no-untyped-call]
        accept_signals()

    def perform_job(self, job: Job, queue: Queue, execution: Execution) -> bool:
        """Run a job in the forked process; training on a CPU yields to other programs, the worker itself does not."""
        trains = job.func_name == messages.TrainMember.job and not self.device_name.startswith(_CUDA)
        with yielding() if trains and self.settings.training_yields else nullcontext():
            return super().perform_job(job, queue, execution)


class ScoringWorker(DescribedWorker, SimpleWorker):
    """Runs jobs in its own process, where members stay loaded and connections open, and sends reconciliations."""

    def maintain(self) -> None:
        """Do the maintenance of rq, and send reconciliations."""
        super().maintain()
        give_second_chance(self.connection, self.settings, parked_seconds=PARKED_SECONDS)
        request_reconciliation(self.connection, self.settings)


def request_reconciliation(connection: Any, settings: Settings) -> None:
    """Send a reconciliation for every project that has a model folder, unless one waits already."""
    for project in settings.projects():
        queues.send(connection, messages.Reconcile(project=project))


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
    device_name = _device_name(settings)
    log.info("networks run on %s", device_name)
    worker = _worker(role, context, device_name, root_identity)
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
                return _worker(role, context, lost.device_name, lost.root_identity)
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


def _worker(
    role: Role, context: Context, device_name: str, root_identity: str | None = None
) -> TrainingWorker | ScoringWorker:
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
    worker.settings, worker.device_name, worker.root_identity = settings, device_name, root_identity
    return worker


def _device_name(settings: Settings) -> str:
    """Return the device of networks without initialising CUDA, which must not happen before a fork.

    Raises
    ------
    SettingsError
        Where the settings want CUDA and there is none.
    """
    os.environ.setdefault(
        "PYTORCH_NVML_BASED_CUDA_CHECK", "1"
    )  # torch then asks the driver's monitor and does not initialise CUDA
    if settings.device != "cpu" and torch.cuda.is_available():
        return f"{_CUDA} (each job logs the device)"
    return choose_device(settings.device).name
