"""One training step of ten members, timed in several ways."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

from helioloop.model.device import Device
from helioloop.model.joint_training import JointMember, _Training
from helioloop.model.recipes import Recipe
from helioloop.records.instrument import Instrument
from tests.benchmarks.gpu.figures import Figures, wait
from tests.benchmarks.gpu.merged_members import MergedMembers
from tests.benchmarks.gpu.operations import step_bytes, step_flops
from tests.benchmarks.gpu.scale import ARCHITECTURE, Scale
from tests.benchmarks.gpu.videos import Videos


def resident(videos: Videos, instrument: Instrument, device: Device, *, n: int | None = None) -> Any:
    """Return the first `n` videos in the device's memory."""
    n = len(videos.cubes) if n is None else n
    inputs = ARCHITECTURE.resident_inputs(n, instrument=instrument, device=device)
    assert inputs is not None
    for k in range(0, n, 32):
        inputs.put(k, videos.cubes[k : min(k + 32, n)])
    return inputs


def joint_members(videos: Videos, recipe: Recipe, n: int, count: int = 10) -> list[JointMember]:
    """Return members of ten, two per fold, of the first `n` videos."""
    folds = [np.flatnonzero(np.arange(n) % 5 != fold) for fold in range(5)]
    return [
        JointMember(
            name=f"m{k}", seed=k, dropout=recipe.dropouts[k % 2], chosen=folds[k // 2],
            targets=videos.given[folds[k // 2]].astype(np.float32), groups=[str(one) for one in folds[k // 2]],
        )
        for k in range(count)
    ]  # fmt: skip


class Steps:
    """Trainings of members that have begun an epoch, of which single steps are timed."""

    def __init__(
        self, videos: Videos, inputs: Any, recipe: Recipe, scale: Scale, device: Device, *, count: int
    ) -> None:
        self.device = device
        self.trainings = [
            _Training(
                member, inputs, architecture=ARCHITECTURE, recipe=recipe, instrument=scale.instrument, device=device
            )
            for member in joint_members(videos, recipe, len(videos.cubes), count)
        ]
        wait(device)
        for training in self.trainings:
            with training.stream():
                training.network.train()
                training._begin_epoch()

    def run(self, n: int, *, recorded: bool) -> None:
        """Make `n` steps of each member, several of one member before those of the next."""
        for k in range(0, n, 4):
            for training in self.trainings:
                with training.stream():
                    for _ in range(min(4, n - k)):
                        training._whole_step() if recorded else training._selected_step()

    def seconds(self, n: int, *, recorded: bool) -> float:
        """Return the seconds of one step of all members."""
        for training in self.trainings:
            with training.stream():
                training._step.zero_()  # the epoch's tables have rows for so many steps only
        self.run(8, recorded=recorded)
        wait(self.device)
        begun = time.perf_counter()
        self.run(n, recorded=recorded)
        wait(self.device)
        return (time.perf_counter() - begun) / n


@contextmanager
def fast() -> Iterator[None]:
    """Allow algorithms whose result may differ between runs, chosen by trying them."""
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = False


def steps(figures: Figures, videos: Videos, scale: Scale, device: Device, *, streams_only: bool = False) -> None:
    """Time one step of ten members: one after another, recorded, on streams, and merged."""
    recipe, n = scale.recipes[0], scale.steps
    inputs = resident(videos, scale.instrument, device)
    flops = 10 * recipe.batch * step_flops(recipe, scale.instrument)
    per_video, per_member = step_bytes(recipe, scale.instrument)
    moved = 10 * (recipe.batch * per_video + per_member)
    figures.add("step: ten members", teraflop=flops / 1e12, gigabytes=moved / 1e9)

    def add(name: str, seconds: float) -> None:
        figures.add(
            f"step: {name}", milliseconds=1e3 * seconds, tflops=flops / seconds / 1e12,
            terabytes_per_second=moved / seconds / 1e12,
        )  # fmt: skip

    def timed(name: str, seconds: Callable[[], float], *, determined: bool) -> None:
        name += "" if determined else ", any algorithm"
        with figures.step(f"step: {name}"), device.deterministic() if determined else fast():
            add(name, seconds())

    def of(count: int) -> Steps:
        return Steps(videos, inputs, recipe, scale, device, count=count)

    streams = "ten members on ten streams, recorded"
    timed(streams, lambda: of(10).seconds(n, recorded=True), determined=True)
    if streams_only:
        return
    timed(
        "one member at a time, launched kernel by kernel",
        lambda: 10 * of(1).seconds(n, recorded=False),
        determined=True,
    )
    timed("one member at a time, recorded", lambda: 10 * of(1).seconds(n, recorded=True), determined=True)
    for determined in (True, False):
        merged = MergedMembers(inputs, recipe, scale, device, count=10)
        timed(
            "ten members merged by grouped convolutions, recorded",
            lambda merged=merged: merged.seconds(max(4, n // 4)),  # type: ignore[misc]
            determined=determined,
        )
    timed(streams, lambda: of(10).seconds(n, recorded=True), determined=False)


def kernels(figures: Figures, videos: Videos, scale: Scale, device: Device, folder: Path) -> None:
    """List the kernels of a recorded step by their time."""
    if device.kind != "cuda":
        return
    inputs = resident(videos, scale.instrument, device, n=200)
    with device.deterministic():
        one = Steps(videos.first(200), inputs, scale.recipes[0], scale, device, count=1)
        one.run(8, recorded=True)
        wait(device)
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
            one.run(4, recorded=True)
            wait(device)
    averages = profile.key_averages()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "kernels.txt").write_text(
        averages.table(sort_by="cuda_time_total", row_limit=60, max_name_column_width=110)
    )
    figures.add(
        "kernels of a step", count=sum(event.count for event in averages) / 4,
        microseconds=sum(event.self_device_time_total for event in averages) / 4,
    )  # fmt: skip
    list_kernels(profile, 4)


def list_kernels(profile: Any, n: int) -> None:
    """Print the kernels that took most time, per repetition of `n`."""
    for event in sorted(profile.key_averages(), key=lambda event: -event.self_device_time_total)[:12]:
        click.echo(f"    {event.self_device_time_total / n:8.1f} µs {event.count / n:5.1f} × {event.key[:110]}")
