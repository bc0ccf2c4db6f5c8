"""Workers while Redis is away: real worker processes, and a real Redis that is stopped and started again."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis
from tests.redis_server import start_redis_on_socket, stop_redis
from tests.worker.conftest import LoopProject

from helioloop.messaging import queues
from helioloop.messaging.roles import Role
from helioloop_worker.serving import worker_process
from helioloop_worker.serving.forks import STOPPING
from helioloop_worker.serving.role_workers import ScoringWorker, TrainingWorker

STOP_SECONDS = 30.0
"""Longer than one attempt to reach Redis, and shorter than the 90 s after which systemd kills a service."""


@pytest.fixture
def socket() -> Iterator[Path]:
    """Where a server may listen that only this test has."""
    with tempfile.TemporaryDirectory(prefix="helioloop-redis-") as folder:
        yield Path(folder) / "redis.sock"


def start_worker(
    role: Role, socket: Path, folder: Path, log: Path, *, program: tuple[str, ...] = ("-m", "helioloop")
) -> subprocess.Popen[bytes]:
    """Start a worker of a role, which writes its log to a file."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("HELIOLOOP_")},
        "HELIOLOOP_REDIS_URL": f"unix://{socket}",
        "HELIOLOOP_MODEL_ROOT": str(folder / "models"),
        "HELIOLOOP_LABEL_STUDIO_URL": "http://127.0.0.1:9",
        "HELIOLOOP_LABEL_STUDIO_API_KEY": "x" * 40,
        "HELIOLOOP_DEVICE": "cpu",
    }
    with log.open("w") as output:
        return subprocess.Popen(
            [sys.executable, *program, "worker", "--role", role],
            stdout=output,
            stderr=output,
            env=environment,
            start_new_session=True,
        )


def until(holds: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until something holds while a worker runs."""
    deadline = time.monotonic() + 180
    while not holds():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


@pytest.mark.parametrize("kind", [TrainingWorker, ScoringWorker])
def test_maintenance_in_an_outage_waits_for_redis(
    kind: type[TrainingWorker | ScoringWorker], socket: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It happens when a worker has just started, and every few minutes; rq would end the worker."""
    server = start_redis_on_socket(socket)
    connection = redis.Redis.from_url(f"unix://{socket}")
    idle = kind([queues.queue(connection, "score")], connection=connection)
    stop_redis(server)
    idle.run_maintenance_tasks()
    assert "the maintenance of the queues waits until Redis can be reached" in caplog.text


@pytest.mark.parametrize("role", ["train", "score"])
def test_a_worker_outlives_an_outage_of_redis_and_stops_during_the_next_one(
    role: Role, socket: Path, tmp_path: Path
) -> None:
    """It works again after the first; at SIGTERM in the second it ends soon, and in order."""
    log = tmp_path / "worker.log"
    server = start_redis_on_socket(socket)
    process = start_worker(role, socket, tmp_path, log)

    def serves() -> bool:
        with redis.Redis.from_url(f"unix://{socket}") as client:
            return client.scard("rq:workers") == 1

    def attempts() -> int:
        return log.read_text().count("could not connect to Redis")

    try:
        until(serves, process, log)
        stop_redis(server)
        until(lambda: attempts() > 0, process, log)
        server = start_redis_on_socket(socket)
        until(serves, process, log)
        before = attempts()
        stop_redis(server)
        until(lambda: attempts() > before, process, log)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=STOP_SECONDS) == 0
    finally:
        stop_redis(server)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=10)


AWAY_ONCE = """
import redis
from rq.worker import base

suspended, away = base.is_suspended, [1]

def is_suspended(*arguments):
    if away:
        away.clear()
        raise redis.ConnectionError("away for a moment")
    return suspended(*arguments)

base.is_suspended = is_suspended
"""
STOPPED_WHILE_IT_STARTS_AGAIN = """
import os, signal

bootstrap, begun = base.BaseWorker.bootstrap, []

def starts(self, *arguments, **named):
    begun.append(1)
    bootstrap(self, *arguments, **named)
    if len(begun) == 2:
        os.kill(os.getpid(), signal.SIGTERM)

base.BaseWorker.bootstrap = starts
"""
RUN = """
from helioloop.cli import main
main()
"""


@pytest.mark.parametrize("role", ["train", "score"])
def test_an_outage_that_is_over_when_it_is_noticed_does_not_end_a_worker(
    role: Role, socket: Path, tmp_path: Path
) -> None:
    """rq ends its loop at an error beside the reading of jobs; Redis, restarted, answers again by then."""
    log = tmp_path / "worker.log"
    server = start_redis_on_socket(socket)
    process = start_worker(role, socket, tmp_path, log, program=("-c", AWAY_ONCE + RUN))
    try:
        until(lambda: "was lost; trying again" in log.read_text(), process, log)
        with redis.Redis.from_url(f"unix://{socket}") as client:
            until(lambda: client.scard("rq:workers") == 1, process, log)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=STOP_SECONDS) == 0, log.read_text()
    finally:
        stop_redis(server)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=10)


@pytest.mark.parametrize("role", ["train", "score"])
def test_a_worker_that_is_stopped_while_it_starts_again_ends_in_order(role: Role, socket: Path, tmp_path: Path) -> None:
    """The handler of the worker before it hears the signal; nothing of it stays registered."""
    log = tmp_path / "worker.log"
    server = start_redis_on_socket(socket)
    program = ("-c", AWAY_ONCE + STOPPED_WHILE_IT_STARTS_AGAIN + RUN)
    process = start_worker(role, socket, tmp_path, log, program=program)
    try:
        assert process.wait(timeout=180) == 0, log.read_text()
        assert "Traceback" not in log.read_text().split("was lost; trying again")[1]
        with redis.Redis.from_url(f"unix://{socket}") as client:
            assert client.scard("rq:workers") == 0
    finally:
        stop_redis(server)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=10)


def test_a_worker_that_ends_while_redis_is_away_leaves_no_thread_behind(
    loop_project: LoopProject, socket: Path
) -> None:
    """The next worker of the process has one of its own; each outage would add one."""
    server = start_redis_on_socket(socket)
    settings = loop_project.context.settings.model_copy(update={"redis_url": f"unix://{socket}"})
    ends = worker_process.make_worker("score", replace(loop_project.context, settings=settings), "cpu")
    ends.subscribe()
    stop_redis(server)
    with pytest.raises(redis.ConnectionError):
        ends.teardown()
    ends.pubsub_thread.join(timeout=30)
    assert not ends.pubsub_thread.is_alive()


def test_a_worker_that_is_stopped_before_it_reached_redis_again_ends(
    loop_project: LoopProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its handler is still the one that ends the loop of rq, which is no longer running."""

    def loses_redis(self: TrainingWorker, **_: Any) -> None:
        self._install_signal_handlers()
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM)).start()
        raise redis.ConnectionError("away")

    before = {number: signal.getsignal(number) for number in STOPPING}
    monkeypatch.setattr(TrainingWorker, "work", loses_redis)
    monkeypatch.setattr(worker_process, "RETRY_SECONDS", 60.0)
    worker_process.run("train", loop_project.context)
    for number, handler in before.items():
        signal.signal(number, handler)
