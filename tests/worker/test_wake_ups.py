"""While a process trains on a few cores, another one wakes up on each of them."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from helioloop_worker import wake_ups
from helioloop_worker.wake_ups import waking_up

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems do not let a program choose its core")


def helpers() -> list[psutil.Process]:
    """Return the processes of this one that wake up."""
    return [process for process in psutil.Process().children() if wake_ups.__file__ in process.cmdline()]


def switches(process: psutil.Process, thread: int) -> int:
    """Return how often a thread has slept."""
    status = Path(f"/proc/{process.pid}/task/{thread}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("voluntary_ctxt_switches")).split()[1])


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + 20.0
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_thread_wakes_up_on_each_core_and_ends_with_the_training() -> None:
    """Each on one core, many times a second."""
    cores = os.sched_getaffinity(0)
    with waking_up():
        (helper,) = helpers()
        until(lambda: helper.num_threads() == 1 + len(cores))
        threads = [thread.id for thread in helper.threads() if thread.id != helper.pid]
        until(
            lambda: {frozenset(os.sched_getaffinity(thread)) for thread in threads} == {frozenset({k}) for k in cores}
        )
        before = sum(switches(helper, thread) for thread in threads)
        until(lambda: sum(switches(helper, thread) for thread in threads) > before + 100)
        assert os.sched_getaffinity(0) == cores
    assert helpers() == []


def test_nothing_wakes_up_where_there_are_many_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of many is usually free."""
    monkeypatch.setattr(wake_ups, "MOST_CORES", len(os.sched_getaffinity(0)) - 1)
    with waking_up():
        assert helpers() == []


@pytest.mark.parametrize(
    "error",
    [BlockingIOError(11, "Resource temporarily unavailable"), PermissionError(13, "Permission denied")],
    ids=repr,
)
def test_training_goes_on_where_no_process_can_be_started(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: OSError
) -> None:
    """A container at its limit of processes, and an interpreter that cannot be run; what fails inside still does."""

    def refusing(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(subprocess, "Popen", refusing)
    with waking_up():
        pass
    assert str(error) in caplog.text
    with pytest.raises(OSError, match="disk"), waking_up():
        raise OSError("disk")


def test_the_wake_ups_end_when_the_training_process_is_killed() -> None:
    """A job that runs too long is killed, and nothing cleans up after it."""
    code = "import time; from helioloop_worker.wake_ups import waking_up\n"
    code += "with waking_up(): print(flush=True); time.sleep(60)"
    trains = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert trains.stdout is not None
    trains.stdout.readline()
    (helper,) = psutil.Process(trains.pid).children()
    until(lambda: helper.num_threads() > 1)
    trains.kill()
    trains.wait()
    trains.stdout.close()
    psutil.wait_procs([helper], timeout=20.0)
    assert not helper.is_running()
