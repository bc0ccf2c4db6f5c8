"""The scheduler of a worker: it ends with the worker, however that ends."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from typing import Any

import psutil
from tests.worker.conftest import LoopProject

from helioloop_worker.serving.worker_process import make_worker

PATIENCE_SECONDS = 30.0


def test_the_scheduler_of_a_worker_that_was_killed_ends_and_leaves_its_queues_to_the_next_one(
    loop_project: LoopProject,
) -> None:
    """Killed as by the system where memory is short, so that no handler runs: what is left is the scheduler alone."""
    context, connection = loop_project.context, loop_project.context.connection

    def work() -> None:
        """Start a worker's scheduler, and do nothing until this process is killed."""
        worker = make_worker("score", context, "cpu")
        worker._start_scheduler(logging_level="CRITICAL")
        connection.set("scheduler", worker.scheduler._process.pid)
        signal.pause()

    worker = multiprocessing.get_context("fork").Process(target=work)
    worker.start()
    number = int(_until(lambda: connection.get("scheduler")))
    _until(lambda: connection.keys("rq:scheduler-lock:*"))
    scheduler = psutil.Process(number)
    assert scheduler.is_running()
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    worker.join(timeout=PATIENCE_SECONDS)
    _until(lambda: not scheduler.is_running() or scheduler.status() == psutil.STATUS_ZOMBIE)
    assert connection.keys("rq:scheduler-lock:*") == []


def _until(found: Callable[[], Any]) -> Any:
    """Return the first value of `found` that is true."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (value := found()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return value
