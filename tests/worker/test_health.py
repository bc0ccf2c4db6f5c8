"""The check of a running worker: by a real Redis, a real worker process, and what is left of one that ended."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import redis
from click.testing import CliRunner
from rq import Worker

from helioloop.errors import ServiceError
from helioloop.messaging import messages, queues
from helioloop.settings import Settings
from helioloop_worker.commands.services import worker as command
from helioloop_worker.health import running_worker


@pytest.fixture
def settings(redis_url: str, redis_connection: redis.Redis) -> Settings:
    """Settings with an empty Redis."""
    assert redis_connection.dbsize() == 0
    return Settings(redis_url=redis_url)


def register(connection: redis.Redis, queue: str, *, pid: int, hostname: str | None = None) -> Worker:
    """Register a worker of a queue as if it ran as process `pid`, on this host or another one."""
    worker = Worker([queues.queue(connection, queue)], connection=connection)
    worker.pid = pid
    worker.hostname = hostname or socket.gethostname()
    worker.register_birth()
    return worker


def test_a_registered_worker_of_this_host_is_found(settings: Settings, redis_connection: redis.Redis) -> None:
    """Here this process itself, for both roles."""
    register(redis_connection, messages.QUEUE_TRAIN, pid=os.getpid())
    register(redis_connection, messages.QUEUE_SCORE, pid=os.getpid())
    assert f"process {os.getpid()}" in running_worker("train", settings)
    assert f"process {os.getpid()}" in running_worker("score", settings)


def test_a_worker_of_the_other_role_does_not_count(settings: Settings, redis_connection: redis.Redis) -> None:
    """Only a worker with role score runs."""
    register(redis_connection, messages.QUEUE_SCORE, pid=os.getpid())
    with pytest.raises(ServiceError, match="no worker with role train of this host"):
        running_worker("train", settings)


def test_a_worker_of_another_host_does_not_count(settings: Settings, redis_connection: redis.Redis) -> None:
    """Every container has a host name of its own."""
    register(redis_connection, messages.QUEUE_TRAIN, pid=os.getpid(), hostname="elsewhere")
    with pytest.raises(ServiceError, match="no worker with role train"):
        running_worker("train", settings)


def test_the_entry_of_a_worker_that_was_killed_does_not_count(
    settings: Settings, redis_connection: redis.Redis
) -> None:
    """Its entry is still in Redis, its process has ended."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait(timeout=10)
    register(redis_connection, messages.QUEUE_TRAIN, pid=ended.pid)
    with pytest.raises(ServiceError, match="no worker with role train"):
        running_worker("train", settings)


def test_an_expired_entry_does_not_count(settings: Settings, redis_connection: redis.Redis) -> None:
    """As of a worker that hangs: its process runs, but gives no sign of life."""
    hanging = register(redis_connection, messages.QUEUE_TRAIN, pid=os.getpid())
    redis_connection.delete(hanging.key)
    with pytest.raises(ServiceError, match="no worker with role train"):
        running_worker("train", settings)


def test_without_redis_the_check_fails_in_one_sentence(tmp_path: Path) -> None:
    """The address is in the message, the password is not."""
    gone = Settings(redis_url=f"unix://:hidden@{tmp_path}/no.sock")
    with pytest.raises(ServiceError, match="cannot be reached") as error:
        running_worker("train", gone)
    assert "hidden" not in str(error.value)


def test_the_command_follows_a_real_worker_through_its_life(
    settings: Settings, redis_connection: redis.Redis, tmp_path: Path
) -> None:
    """Before its start, while it runs, and after SIGTERM."""
    environment = {
        **os.environ,
        "HELIOLOOP_REDIS_URL": settings.redis_url,
        "HELIOLOOP_MODEL_ROOT": str(tmp_path / "models"),
        "HELIOLOOP_DEVICE": "cpu",
    }
    check = [sys.executable, "-m", "helioloop", "worker", "--role", "score", "--check"]

    def answer() -> subprocess.CompletedProcess[str]:
        return subprocess.run(check, env=environment, capture_output=True, text=True, check=False)

    before = answer()
    assert before.returncode != 0
    assert "no worker with role score" in before.stderr
    process = subprocess.Popen(
        check[:-1], env=environment, cwd=tmp_path, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        deadline = time.monotonic() + 60
        while redis_connection.scard("rq:workers") == 0:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        during = answer()
        assert during.returncode == 0, during.stderr
        assert f"process {process.pid}" in during.stdout
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)
    assert answer().returncode != 0


def test_the_check_imports_no_torch() -> None:
    """It runs every half minute beside the worker."""
    code = "import sys, helioloop_worker.health; print({'torch', 'astropy', 'scipy'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


def test_the_help_explains_the_check() -> None:
    """In one option."""
    assert "For health checks." in " ".join(CliRunner().invoke(command, ["--help"]).output.split())
