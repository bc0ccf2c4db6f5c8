"""Workers and their jobs let other programs go first."""

import os
import subprocess
import sys
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import ANY

import pytest
from rq import Worker

from helioloop.settings import Settings
from helioloop_worker import priority
from helioloop_worker.priority import NICE
from helioloop_worker.serving.role_workers import TrainingWorker

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


@pytest.mark.parametrize(
    ("job", "device", "setting", "yields"),
    [
        ("train_member", "CPU", True, True),
        ("train_member", "CPU", False, False),
        ("train_member", "CUDA (each job logs the device)", True, False),
        ("plan_round", "CPU", True, False),
    ],
)
def test_training_on_a_cpu_yields_if_the_setting_says_so(
    job: str, device: str, setting: bool, yields: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Training on a GPU does not: the GPU would wait for its data."""
    calls: list[str] = []
    monkeypatch.setattr(priority, "yield_to_others", lambda: calls.append("yields"))
    monkeypatch.setattr(Worker, "perform_job", lambda *_: calls.append("runs"))
    trains = TrainingWorker.__new__(TrainingWorker)
    trains.device_name, trains.settings = device, Settings(training_yields=setting)
    trains.perform_job(cast("Any", SimpleNamespace(func_name=f"helioloop_worker.jobs.{job}")), ANY, ANY)
    assert calls == ["yields"] * yields + ["runs"]


@pytest.mark.parametrize(("used_seconds", "warns"), [(19.0, True), (21.0, False)])
def test_training_that_got_less_than_a_fifth_of_a_core_says_so(
    used_seconds: float, warns: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """In 100 seconds."""
    clocks = SimpleNamespace(monotonic=iter([0.0, 100.0]).__next__, process_time=iter([0.0, used_seconds]).__next__)
    monkeypatch.setattr(priority, "yield_to_others", lambda: None)
    monkeypatch.setattr(priority, "time", clocks)
    with priority.yielding():
        pass
    assert ("had 19 % of a core" in caplog.text and "HELIOLOOP_TRAINING_YIELDS=false" in caplog.text) is warns
