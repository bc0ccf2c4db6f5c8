"""A worker that writes into Redis what it is, and notices outages of Redis where rq hides them."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import redis
from rq import Queue, worker_registration
from rq.job import Job

from helioloop.environment.stored_times import is_ahead
from helioloop.messaging import redis_client
from helioloop.messaging.expiries import bring_back
from helioloop.messaging.roles import CODE_FIELD, DEVICE_FIELD
from helioloop.model.provenance import code_version
from helioloop_worker.serving.claiming_worker import ClaimingWorker
from helioloop_worker.serving.scheduler import LoopScheduler

log = logging.getLogger(__name__)

RETRY_SECONDS = 5.0
"""Pause between two attempts to reach Redis after its connection was lost."""
RQ_CLEANING_SECONDS: Final = 899
"""A worker that died while it cleaned a queue's lists keeps others from it for this long."""


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
        bring_back(self.connection, {queue.registry_cleaning_key: RQ_CLEANING_SECONDS for queue in self.queues})
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
