"""Wakes up on each core once a millisecond while a process trains, so that others who wait for the core get it then.

Linux does not always interrupt a computing process for a program that wakes up on another core; that program then
waits for the next tick of the kernel's clock, up to 4 ms at 250 Hz. A wake-up on the same core always interrupts.

This file is also the program that wakes up, a process of its own: in a thread of the training process, each wake-up
would wait for Python's interpreter lock.
"""

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

PERIOD_SECONDS: Final = 0.001
MOST_CORES: Final = 8
"""Cores on which a process wakes up; with more of them, one is usually free, and the wake-ups would cost too much."""


@contextmanager
def waking_up() -> Iterator[None]:
    """Wake up on each core of this process once a millisecond, in the priority that the caller has now.

    On systems other than Linux, with more than `MOST_CORES` cores, and where no other process can be started, nothing
    happens.
    """
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if not 0 < len(cores) <= MOST_CORES:
        yield
        return
    command = [sys.executable, "-I", "-S", str(Path(__file__)), str(os.getpid()), *map(str, cores)]
    try:
        process = subprocess.Popen(  # noqa: S603 - this file, with numbers
            command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
    except OSError as error:  # a container has a limit of processes; training needs none of this
        log.warning("training goes on without wake-ups for other programs, because no process starts: %s", error)
        yield
        return
    try:
        yield
    finally:
        process.kill()
        process.wait()


def wake_up(parent: int, cores: list[int]) -> None:
    """Wake up on each of the cores until the parent has ended."""
    for core in cores:
        threading.Thread(target=_wake_up, args=(parent, core)).start()


def _wake_up(parent: int, core: int) -> None:
    os.sched_setaffinity(0, {core})  # of this thread only
    while os.getppid() == parent:
        time.sleep(PERIOD_SECONDS)


if __name__ == "__main__":
    wake_up(int(sys.argv[1]), [int(core) for core in sys.argv[2:]])
