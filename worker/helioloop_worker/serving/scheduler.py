"""The scheduler of a worker: a process that sends jobs which are due."""

import multiprocessing
import os
from multiprocessing.util import register_after_fork
from typing import Any, Final

from rq.scheduler import RQScheduler

from helioloop.messaging.expiries import bring_back
from helioloop_worker.serving.forks import end_at_signals, signals_wait

RQ_LOCK_SECONDS: Final = 60
"""A scheduler of rq that died has its queues for its interval and this long."""


class LoopScheduler(RQScheduler):
    """A process that sends jobs which are due; it is forked from a worker and runs none of the worker's handlers.

    It ends with its worker, also where that was killed: else each killed worker would leave a process, which goes on
    with the code and settings that the worker had, and keeps the scheduler of the next worker from its queues.
    """

    def acquire_locks(self, auto_start: bool = False) -> Any:
        """Take the queues that no other scheduler has; see `rq.scheduler.RQScheduler.acquire_locks`.

        A scheduler that died while the clock of Redis was ahead keeps none: no job of its queues would ever be due.
        """
        keys = [self.get_locking_key(name) for name in self._queue_names]
        bring_back(self.connection, dict.fromkeys(keys, self.interval + RQ_LOCK_SECONDS))
        return super().acquire_locks(auto_start)  # type: ignore[no-untyped-call]

    def heartbeat(self) -> None:
        """Give a sign of life, the last one where the worker has ended; see `rq.scheduler.RQScheduler.heartbeat`."""
        worker = multiprocessing.parent_process()
        if worker is not None and os.getppid() != worker.pid:
            self.request_stop()  # type: ignore[no-untyped-call]
        super().heartbeat()  # type: ignore[no-untyped-call]

    def start(self) -> Any:
        """Fork the process; see `rq.scheduler.RQScheduler.start`."""
        register_after_fork(self, lambda _: end_at_signals())  # until it has its own handlers, in a moment
        with signals_wait():
            return super().start()  # type: ignore[no-untyped-call]
