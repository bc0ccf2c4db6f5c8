"""Services as processes: what a log keeps, when waiting ends, and that stopping reaches children."""

import socket
import sys
import time
from pathlib import Path

import psutil
import pytest

from helioloop.errors import ServiceError
from helioloop_worker.demo.process import Service, free_port, wait_until_ready

PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
print("child", child.pid, flush=True)
time.sleep(60)
"""


def start(folder: Path, code: str, **environment: str) -> Service:
    """Start a Python program with a log in `folder`."""
    return Service.start(
        "program", [sys.executable, "-c", code], environment=environment, folder=folder, log=folder / "program.log"
    )


def wait_for_log(service: Service) -> str:
    """Wait until the program has written to its log, and return it."""
    deadline = time.monotonic() + 20
    while not service.tail() and time.monotonic() < deadline:
        time.sleep(0.05)
    return service.tail()


def test_stopping_a_service_stops_its_children_too(tmp_path: Path) -> None:
    """Also a child in a process group of its own, as the jobs of a worker are."""
    service = start(tmp_path, PARENT)
    child = psutil.Process(int(wait_for_log(service).split()[1]))
    assert child.is_running()
    service.stop()
    assert not service.alive()
    assert child.wait(timeout=10) is None or not child.is_running()


def test_a_service_gets_only_the_settings_it_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables of helioloop and Redis in the environment of the demo are not inherited."""
    monkeypatch.setenv("HELIOLOOP_SEED", "7")
    monkeypatch.setenv("REDIS_URL", "redis://elsewhere")
    monkeypatch.setenv("ANOTHER_VARIABLE", "kept")
    names = "('HELIOLOOP_SEED', 'REDIS_URL', 'ANOTHER_VARIABLE', 'HELIOLOOP_DEVICE')"
    service = start(tmp_path, f"import os; print([os.environ.get(name) for name in {names}])", HELIOLOOP_DEVICE="cpu")
    assert wait_for_log(service) == "[None, None, 'kept', 'cpu']"
    service.stop()


def test_waiting_ends_when_the_service_answers(tmp_path: Path) -> None:
    """Errors of the network count as not ready."""
    replies = iter([OSError("refused"), False, True])

    def ready() -> bool:
        reply = next(replies)
        if isinstance(reply, OSError):
            raise reply
        return reply

    wait_until_ready("program", None, ready, patience_seconds=20, logs=tmp_path)
    assert next(replies, None) is None


def test_a_service_that_ends_while_starting_is_reported_with_its_log(tmp_path: Path) -> None:
    """The error has the last lines of the log."""
    service = start(tmp_path, "raise SystemExit('the port is taken')")
    service.process.wait(timeout=20)
    with pytest.raises(ServiceError, match=r"program ended while starting.*\n.*the port is taken"):
        wait_until_ready("program", service, lambda: False, patience_seconds=20, logs=tmp_path)


def test_a_service_that_does_not_answer_in_time_is_reported(tmp_path: Path) -> None:
    """The error names the folder of the logs."""
    with pytest.raises(ServiceError, match=f"did not answer within 0 s; read its log in {tmp_path}"):
        wait_until_ready("program", None, lambda: False, patience_seconds=0, logs=tmp_path)


def test_a_taken_port_is_replaced_by_a_free_one() -> None:
    """Here the preferred port is held by another socket."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        taken = other.getsockname()[1]
        assert free_port(taken) != taken
    assert free_port(taken) == taken
