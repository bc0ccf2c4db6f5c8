"""Pools of processes, in a program of their own that is killed or interrupted."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

PROGRAM = """
import os, sys, time
from helioloop.environment.pools import make_pool

def work(folder):
    open(os.path.join(folder, str(os.getpid())), "w").close()
    time.sleep(600)

if __name__ == "__main__":
    with make_pool(2, ignores_interrupt=True) as pool:
        tasks = [pool.submit(work, sys.argv[1]) for _ in range(6)]
        tasks[0].result()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_processes_of_a_pool_end_with_a_program_that_is_killed(tmp_path: Path, number: signal.Signals) -> None:
    """They work, and more tasks are queued; without their owner nobody wants the results."""
    program, begun = tmp_path / "program.py", tmp_path / "begun"
    program.write_text(PROGRAM)
    begun.mkdir()
    with subprocess.Popen([sys.executable, str(program), str(begun)], start_new_session=True) as owner:
        try:
            pool = [psutil.Process(pid) for pid in _two(begun)]
            os.kill(owner.pid, number)
            owner.wait(timeout=30)
            _, alive = psutil.wait_procs(pool, timeout=30)
            assert not alive
        finally:
            with suppress(ProcessLookupError):
                os.killpg(owner.pid, signal.SIGKILL)


def _two(folder: Path) -> list[int]:
    """Return the ids of two processes that work, when both do."""
    for _ in range(600):
        if len(found := list(folder.iterdir())) == 2:
            return [int(path.name) for path in found]
        time.sleep(0.1)
    raise AssertionError("the pool does not begin")
