"""Workers and their jobs let other programs go first."""

import os
import subprocess
import sys
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rq import Worker

from helioloop_worker import worker
from helioloop_worker.priority import NICE
from helioloop_worker.worker import TrainingWorker

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="other systems have neither")
SHOW = "import os; print(os.nice(0), os.sched_getscheduler(0) == os.SCHED_IDLE, end=' ')"
SESSION = "from pathlib import Path; p = Path('/proc/self/autogroup'); print(p.exists() and p.read_text().split()[-1])"


def shown(code: str, *, own_session: bool) -> list[str]:
    """Return what a process of its own prints."""
    code = f"from helioloop_worker.priority import lower_priority, yield_to_others; {code}"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, start_new_session=own_session)
    return run.stdout.decode().split()


@LINUX
def test_a_worker_is_nice_and_a_job_that_yields_is_idle() -> None:
    """The worker itself stays in the common scheduling, so that its heartbeats go on; its session is nice, too."""
    before = max(NICE, os.nice(0))
    nice, idle, session = shown(f"lower_priority(); {SHOW}; {SESSION}", own_session=True)
    assert (nice, idle) == (str(before), "False")
    assert session in {str(NICE), "False"}  # a kernel without groups of sessions, or one where others may not be set
    assert shown(f"lower_priority(); yield_to_others(); {SHOW}", own_session=False) == [str(before), "True"]


@pytest.mark.parametrize(("device", "yields"), [("CPU", 1), ("CUDA (each job logs the device)", 0)])
def test_training_on_a_cpu_yields_in_the_forked_process(
    device: str, yields: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Training on a GPU does not: the GPU would wait for its data."""
    calls: list[str] = []
    monkeypatch.setattr(worker, "yield_to_others", lambda: calls.append("yields"))
    monkeypatch.setattr(Worker, "main_work_horse", lambda *_: calls.append("runs"))
    trains = TrainingWorker.__new__(TrainingWorker)
    trains.device_name = device
    trains.main_work_horse(cast("Any", SimpleNamespace()), cast("Any", SimpleNamespace()))
    assert calls == ["yields"] * yields + ["runs"]
