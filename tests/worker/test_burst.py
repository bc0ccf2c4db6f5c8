"""A burst of webhooks through a backend of its own, with a real Redis and real rounds: few trainings, little memory."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import psutil
import pytest
from rq.scheduler import RQScheduler
from rq.serializers import JSONSerializer

from helioloop.messaging import queues
from helioloop_worker.loop import planning
from tests.benchmarks.speed.servers import _free_port, _wait_for, event_request, latencies
from tests.worker.conftest import CUBES, LoopProject, work

Data = dict[str, dict[str, str]]

EVENTS = int(os.environ.get("HELIOLOOP_TEST_BURST", "2000"))
"""Events of the burst; `make bench` sends ten thousand."""
AT_ONCE = 50
WARM = 300
"""Events before the burst, after which the backend has what it keeps."""
POLL_SECONDS = 0.05
"""Pause between two looks at the queues."""


@contextmanager
def running_backend(loop_project: LoopProject, log: Path) -> Iterator[tuple[int, psutil.Process]]:
    """Run `helioloop backend` on the project's Redis and model folder; yield its port and the process that serves."""
    port, settings = _free_port(), loop_project.context.settings
    variables = {
        "PATH": os.environ["PATH"],
        "REDIS_URL": settings.redis_url,
        "HELIOLOOP_MODEL_ROOT": str(settings.model_root),
        "HELIOLOOP_LOG_LEVEL": "WARNING",
    }
    program = "from helioloop.cli import main; main()"
    with log.open("ab") as file:
        server = subprocess.Popen(
            [sys.executable, "-c", program, "backend", "--port", str(port)], env=variables, stdout=file, stderr=file
        )
    try:
        _wait_for(port)
        yield port, psutil.Process(server.pid).children()[0]
    finally:
        server.terminate()
        server.wait(timeout=30)


def test_a_burst_makes_two_trainings_at_most_in_bounded_memory(
    loop_project: LoopProject, task_data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A label changes before the burst, another one while the first round runs: that one is trained in a second round.

    All events are taken in. Meanwhile jobs and keys in Redis do not become more, and neither does the backend's memory.
    """
    assert loop_project.id == 1  # as in the events
    tasks = loop_project.import_cubes(task_data)
    loop_project.publish()
    before = loop_project.registry.versions()
    loop_project.label_studio.annotate(tasks[CUBES[0]], "emergence")
    begun: list[str] = []

    def begins(*arguments: Any, **options: Any) -> Any:
        begun.append("round")
        if len(begun) == 1:
            loop_project.label_studio.annotate(tasks[CUBES[1]], "non-emergence")
        return make_plan(*arguments, **options)

    make_plan = planning.make_plan
    monkeypatch.setattr(planning, "make_plan", begins)
    answered: list[float] = []
    failed: list[Exception] = []
    jobs: list[int] = []
    keys: list[int] = []
    with running_backend(loop_project, tmp_path / "backend.log") as (port, server):
        latencies(port, event_request(), total=WARM, at_once=AT_ONCE)
        resident, dataset = server.memory_info().rss, _dataset(loop_project)

        def send() -> None:
            try:
                answered.extend(latencies(port, event_request(), total=EVENTS, at_once=AT_ONCE))
            except (AssertionError, OSError) as error:
                failed.append(error)

        burst = Thread(target=send)
        burst.start()
        while True:
            alive = burst.is_alive()
            _queue_due_jobs(loop_project)
            work(loop_project)
            jobs.append(len(loop_project.queued()) + len(loop_project.scheduled()))
            keys.append(_n_keys(loop_project))
            if not alive and not loop_project.queued() and not _is_due(loop_project):
                break
            time.sleep(POLL_SECONDS)
        burst.join()
        grown = server.memory_info().rss - resident
    made = [version for version in loop_project.registry.versions() if version not in before]
    assert not failed, (tmp_path / "backend.log").read_text()
    assert len(answered) == EVENTS
    assert 1 <= len(begun) <= 2
    assert len(made) <= 2
    assert max(jobs) <= 5
    assert max(keys) <= 60
    assert grown < 16 * 2**20
    assert _dataset(loop_project) - dataset < 2**20


def _n_keys(loop_project: LoopProject) -> int:
    """Return the number of keys in Redis, without those of workers: each look at the queues here is one that ends.

    rq keeps what ended a minute longer. On a slow machine thousands look while the burst lasts; a worker looks once.
    """
    return sum(not key.startswith(b"rq:worker:") for key in loop_project.context.connection.scan_iter(count=1000))


def _dataset(loop_project: LoopProject) -> int:
    return int(loop_project.context.connection.info("memory")["used_memory_dataset"])


def _is_due(loop_project: LoopProject) -> bool:
    """Return whether a scheduled job is due; with twenty events a retrain check is due at once."""
    return bool(loop_project.context.state.pending_events(loop_project.id)) and bool(loop_project.scheduled())


def _queue_due_jobs(loop_project: LoopProject) -> None:
    """Do what the scheduler of a worker does every second."""
    connection = loop_project.context.connection
    waiting = [queues.queue(connection, name) for name in queues.QUEUES]
    scheduler = RQScheduler(waiting, connection=connection, serializer=JSONSerializer)
    scheduler.acquire_locks()
    scheduler.enqueue_scheduled_jobs()
    scheduler.release_locks()
