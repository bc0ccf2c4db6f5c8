"""The priority of workers: people wait for the backend, Redis and Label Studio, and nobody waits for a round."""

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from helioloop_worker.wake_ups import waking_up

log = logging.getLogger(__name__)

NICE: Final = 10
"""Priority of workers, as that of the command nice; 0 is that of other programs."""
LEAST_FRACTION: Final = 0.2
"""Fraction of a core below which training hardly advances; alone on a machine it has at least one core."""
_OF_SESSION: Final = Path("/proc/self/autogroup")


def lower_priority() -> None:
    """Give this process the priority of workers.

    Linux may divide the time of a core among sessions first, and nice then counts only within a session. Where this
    process leads its session, as under a supervisor, the session gets the same priority.
    """
    os.nice(max(0, NICE - os.nice(0)))
    if os.getsid(0) == os.getpid():
        with suppress(OSError):  # another system, or a kernel without it
            _OF_SESSION.write_text(str(NICE))


def yield_to_others() -> None:
    """Let other programs of the session interrupt this process whenever they have something to do.

    A program with a higher priority by nice alone waits up to some milliseconds for the running one, each time that it
    wakes up, and a webhook needs four times: two threads of the backend, Redis, and a thread again. On systems other
    than Linux nothing changes.
    """
    if hasattr(os, "SCHED_IDLE"):
        with suppress(OSError):  # not permitted, in some containers
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


@contextmanager
def yielding() -> Iterator[None]:
    """Yield to other programs from now on, and log at the end if they left hardly anything of a core."""
    began, used = time.monotonic(), time.process_time()
    with waking_up():  # its process keeps the priority from before
        yield_to_others()
        yield
    fraction = (time.process_time() - used) / max(time.monotonic() - began, 1e-9)
    if fraction < LEAST_FRACTION:
        log.warning(
            "training had %.0f %% of a core, because other programs keep the cores busy: set "
            "HELIOLOOP_TRAINING_YIELDS=false for this worker, so that training has a low priority and not the lowest",
            100.0 * fraction,
        )
