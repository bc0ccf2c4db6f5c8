"""A worker process: its role, its queues, its sweep. The training role forks a job; the scoring role stays warm.

Above `jobs`. The sweep is asked for from the worker's own loop, so that an emptied Redis cannot take it away.
"""

import logging
import os
import sys
import time
from typing import Any, ClassVar, Literal

import redis
import torch
from rq import SimpleWorker, Worker, worker_registration
from rq.job import Job
from rq.serializers import JSONSerializer

from helioloop.errors import ServiceError
from helioloop.messaging import messages, queues
from helioloop.model.device import choose_device
from helioloop.model.training import preload
from helioloop.settings import Settings, plain_url
from helioloop_worker import jobs
from helioloop_worker.context import REDIS_SECONDS, Context

log = logging.getLogger(__name__)

Role = Literal["train", "score"]

ROLE_QUEUES: dict[Role, tuple[str, ...]] = {
    "train": (messages.QUEUE_TRAIN,),
    "score": (messages.QUEUE_SCORE, messages.QUEUE_MAINTENANCE, messages.QUEUE_BULK),
}
"""What each role serves; a queue is served while those before it are empty."""
POLL_SECONDS = 5
"""How often an idle worker looks up from its queue."""
RQ_MARGIN_SECONDS = 15
"""What rq takes off ``worker_ttl`` before it looks up."""
RETRY_SECONDS = 5.0
"""Pause between two tries to reach a Redis that went away."""


class LoopJob(Job):
    """A job of the loop: its function is one of `jobs.FUNCTIONS` and gets this process's context."""

    context: ClassVar[Context]

    def _execute(self) -> Any:
        return jobs.FUNCTIONS[str(self.func_name)](self.context, **self.kwargs)


def job_class(context: Context) -> type[LoopJob]:
    """Return the class under which a worker runs jobs with `context`."""
    return type("LoopJob", (LoopJob,), {"context": context})


class TrainingWorker(Worker):
    """Forks a process for each job, so that a job that dies takes nothing with it."""

    settings: Settings

    def run_maintenance_tasks(self) -> None:
        """Look after rq's registries as rq does; an emptied Redis forgets its workers: sign in again."""
        super().run_maintenance_tasks()  # type: ignore[no-untyped-call]
        worker_registration.register(self)


class ScoringWorker(SimpleWorker):
    """Runs jobs in its own process, so that torch and connections stay warm, and asks for the sweeps."""

    settings: Settings

    def run_maintenance_tasks(self) -> None:
        """Do what the training worker does, and look after the sweeps."""
        super().run_maintenance_tasks()  # type: ignore[no-untyped-call]
        worker_registration.register(self)
        request_reconciliation(self.connection, self.settings)


def request_reconciliation(connection: Any, settings: Settings) -> None:
    """Send a sweep for every project that has a model folder; one that waits already is enough."""
    for project in settings.projects():
        queues.send(connection, messages.Reconcile(project=project))


def run(role: Role, context: Context) -> None:
    """Work until told to stop (SIGTERM or Ctrl-C: the job in hand is finished first); outlast outages of Redis."""
    settings = context.settings
    # the jobs, and what torch imports late, are imported before a job is forked: not every job spends seconds on it
    log.info("role %s serves %s with %s", role, ", ".join(ROLE_QUEUES[role]), jobs.__name__)
    preload()
    _say_device(settings)
    worker = _worker(role, context)
    while True:
        try:
            # rq tells each job and each cleaning; the jobs tell what they do themselves
            worker.work(logging_level="WARNING", with_scheduler=role == "score")
        except redis.RedisError as error:
            log.error("Redis at %s went away (%s); trying again", plain_url(settings.redis_url), error)
        else:
            return
        while True:
            time.sleep(RETRY_SECONDS)
            try:
                worker = _worker(role, context)
            except ServiceError as error:
                log.error("%s", error)
            else:
                break


def _worker(role: Role, context: Context) -> TrainingWorker | ScoringWorker:
    settings = context.settings
    connection = queues.connect(settings, timeout_seconds=REDIS_SECONDS)
    worker = (TrainingWorker if role == "train" else ScoringWorker)(
        [queues.queue(connection, name) for name in ROLE_QUEUES[role]],
        connection=connection,
        serializer=JSONSerializer,
        job_class=job_class(context),
        worker_ttl=POLL_SECONDS + RQ_MARGIN_SECONDS,
        maintenance_interval=max(1, int(settings.sweep_seconds)),
    )
    worker.settings = settings
    return worker


def _say_device(settings: Settings) -> None:
    """Log where networks will run, without touching CUDA: it must not be initialised before a job is forked.

    Raises
    ------
    SettingsError
        Where CUDA is asked for and there is none.
    """
    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")  # torch then asks the driver's monitor instead
    if settings.device != "cpu" and torch.cuda.is_available():
        log.info("networks run on CUDA; each job names the device")
    else:
        log.info("networks run on %s", choose_device(settings.device).name)


_NOISY = ("httpx", "httpcore", "rq.scheduler")
"""Libraries that log every request; their warnings still show."""


def to_stderr() -> None:
    """Send the log to standard error."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
