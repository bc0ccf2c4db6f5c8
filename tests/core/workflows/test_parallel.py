"""How many processes a round uses."""

import os

import joblib
import pytest
import torch

from helioloop.model.device import CPU, Device
from helioloop.model.plan import make_plan
from helioloop.model.recipes import QUICK
from helioloop.records.cubes import CubeInfo
from helioloop.records.instrument import MDI
from helioloop.records.labels import Label
from helioloop.workflows.parallel import process_count

PLAN = make_plan(
    [
        CubeInfo(release="r", name=f"c{k}", sha256=f"{k:064x}", region=f"r{k}", label=tuple(Label)[k % 2])
        for k in range(20)
    ],
    recipe=QUICK, instrument=MDI, seed=0, parent=None, reason="test",
)  # fmt: skip
"""Ten members."""


@pytest.mark.parametrize(("cores", "processes"), [(1, 1), (4, 4), (64, 10)])
def test_one_process_per_usable_core_and_at_most_one_per_member(
    monkeypatch: pytest.MonkeyPatch, cores: int, processes: int
) -> None:
    """As joblib counts them, which also respects the CPU limit of a container."""
    monkeypatch.setattr(joblib, "cpu_count", lambda: cores)
    assert process_count(PLAN, CPU) == processes


def test_the_affinity_of_the_process_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is bound to one core of a large machine uses one."""
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
    assert process_count(PLAN, CPU) == 1


@pytest.mark.parametrize(("cores", "free_gib", "processes"), [(64, 79, 10), (64, 7, 3), (64, 1, 1), (4, 79, 4)])
def test_processes_share_a_gpu_while_its_memory_and_the_cores_suffice(
    monkeypatch: pytest.MonkeyPatch, cores: int, free_gib: int, processes: int
) -> None:
    """Ten members on a server's GPU, three on a laptop's, one where others have taken its memory."""
    monkeypatch.setattr(joblib, "cpu_count", lambda: cores)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (free_gib << 30, 80 << 30))
    assert process_count(PLAN, Device(kind="cuda", name="a GPU", bf16=False)) == processes
