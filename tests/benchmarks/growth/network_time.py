"""CPU time of scoring and locating a cube by the recipe quick, in its networks and beside them, on MDI's grid."""

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from helioloop.emergence.locate import locate_emergences
from helioloop.model.device import CPU
from helioloop.model.ensemble import Ensemble, score_cubes
from helioloop.model.plan import make_plan
from helioloop.model.recipes import QUICK
from helioloop.records.instrument import MDI
from helioloop.records.labels import Label
from tests.benchmarks.growth.network_clock import network_clock
from tests.benchmarks.speed.work import Work, random_networks

CUBES = 24
"""Cubes of the release: the fewest with which folds can be made are twenty."""
LOCATED_FRACTION = 0.5
"""Fraction of the cubes whose emergence is located: those whose label or probability is emergence."""


def network_seconds(n: int = CUBES) -> tuple[float, float]:
    """Return the CPU time in networks of scoring a cube by its out-of-fold members and locating half of them.

    Members have random weights, which take as long as trained ones. Cubes are in the cache and their inputs are kept.

    Returns
    -------
    tuple of float
        Seconds of a cube in networks, and beside them.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with tempfile.TemporaryDirectory(prefix="helioloop-growth-") as name:
            return _measured(Work(Path(name), n))
    finally:
        torch.set_num_threads(threads)


def _measured(work: Work) -> tuple[float, float]:
    plan = make_plan(work.cubes, recipe=QUICK, instrument=MDI, seed=0, parent=None, reason="a benchmark")
    _, networks = random_networks(QUICK)
    by_name = {member.name: network for member, network in zip(plan.members, networks, strict=True)}
    members = Ensemble(plan=plan, networks=by_name, device=CPU)
    some = work.cubes[:8]
    scores = score_cubes(members, some, work.runtime)  # leaves the inputs in their folder
    none = [replace(score, curve=None) for score in scores]
    labels: dict[str, Label | None] = {cube.name: Label.EMERGENCE for cube in some}
    scoring = _seconds(lambda: score_cubes(members, some, work.runtime))
    locating = _seconds(lambda: locate_emergences(members, some, none, work.runtime, labels=labels))
    inside, beside = ((scoring[k] + LOCATED_FRACTION * locating[k]) / len(some) for k in range(2))
    return inside, beside


def _seconds(step: Callable[[], object]) -> tuple[float, float]:
    """Return the CPU time of a step in networks and beside them, of the shorter one of two runs."""
    found = []
    for _ in range(2):
        with network_clock() as clock:
            begun = time.process_time()
            step()
            total = time.process_time() - begun
        found.append((total, clock.cpu_seconds))
    total, inside = min(found)
    return inside, total - inside
