"""What a step of the benchmark costs: wall and CPU time of helioloop, and calls to Label Studio."""

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.benchmarks.growth.counted import CountedLabelStudio

MEASURABLE_SECONDS = 0.02
"""CPU time below which a power of the number of cubes is not given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a step cost.

    Parameters
    ----------
    own_seconds : float
        Time in helioloop, without the time of the fake.
    cpu_seconds : float
        CPU time of the process and its own ones meanwhile, without that of the fake; other programs hardly change it.
    server_seconds : float
        Time that a real Label Studio would take for the calls.
    calls, rows : int
        Calls to Label Studio, and tasks or rows in them.
    """

    own_seconds: float
    cpu_seconds: float = 0.0
    server_seconds: float = 0.0
    calls: int = 0
    rows: int = 0


def cost_of(label_studio: CountedLabelStudio, step: Callable[[], object]) -> Cost:
    """Return what a step costs."""
    with label_studio.counting() as traffic:
        begun, cpu = time.perf_counter(), _cpu_seconds()
        step()
        seconds, cpu_seconds = time.perf_counter() - begun, _cpu_seconds() - cpu
    return Cost(
        own_seconds=seconds - traffic.inside_seconds,
        cpu_seconds=cpu_seconds - traffic.inside_cpu_seconds,
        server_seconds=traffic.server_seconds,
        calls=sum(traffic.calls.values()),
        rows=sum(traffic.rows.values()),
    )


def _cpu_seconds() -> float:
    """Return the CPU time of this process and of its processes that have ended."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def power(small: tuple[int, float], large: tuple[int, float]) -> float | None:
    """Return the p for which the time grows as N to the power of p between two sizes; 1 is linear.

    Parameters
    ----------
    small, large : tuple of int and float
        Number of cubes, and CPU time in seconds.

    Returns
    -------
    float or None
        None where a time is too short to be measured.
    """
    if min(small[1], large[1]) < MEASURABLE_SECONDS or small[0] == large[0]:
        return None
    return math.log(large[1] / small[1]) / math.log(large[0] / small[0])
