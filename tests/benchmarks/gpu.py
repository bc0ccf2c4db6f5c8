"""The GPU benchmark: `make bench-gpu`. Measures training and masking of the authors' CNN and writes a JSON file.

Videos are made on the device from a seed, with the true shape, so that it needs neither a release nor astropy. They
contain what the network has to learn: in half of them a weak bipole grows in mid-video, in the others it is there from
the start, beside older ones. A fifth of the labels used for training is wrong. The figures of each step
are written when it ends.
"""

import json
import math
import os
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from helioloop.emergence.masking import masking_curves
from helioloop.model.architecture import Architecture
from helioloop.model.architectures import find_architecture
from helioloop.model.device import CPU, Device, choose_device
from helioloop.model.ensemble import load_member, train_all_members
from helioloop.model.joint_training import JointMember, _Training, train_together
from helioloop.model.plan import Plan, make_plan
from helioloop.model.recipes import PAPER, PAPER_ADAMW, Recipe
from helioloop.model.runtime import CubeLoader, Runtime
from helioloop.model.training import Examples, train
from helioloop.progress import silent
from helioloop.records.cubes import CubeInfo
from helioloop.records.instrument import MDI, Instrument
from helioloop.records.labels import Label

ARCHITECTURE = find_architecture("frames-as-channels")
WRONG_LABELS = 0.2
NOISE = 0.01
"""Of the scaled field: 20 G."""
STRENGTH = 0.002, 0.015
"""Range of the peak field that emerges, scaled: 4 to 30 G, about the noise of a pixel."""
N_OLD = 2
"""Number of bipoles that are there throughout, in every video; up to twice as strong."""
SMALL = Instrument(name="small", cadence_seconds=5760.0, n_frames=21, size_px=24, clip_gauss=1000.0, frozen_frames=3)
"""A grid on which all steps run on a CPU in a minute (`--tiny`)."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How much is measured: the true sizes, or tiny ones that only show that everything runs."""

    instrument: Instrument
    cubes: int
    small_cubes: int
    recipes: tuple[Recipe, ...]
    steps: int
    matrix: int
    copy_bytes: int


FULL = Scale(
    instrument=MDI,
    cubes=2000,
    small_cubes=1000,
    recipes=(PAPER, PAPER_ADAMW),
    steps=60,
    matrix=8192,
    copy_bytes=4 << 30,
)
_TINY_NETWORK: dict[str, Any] = {"filters": (4, 6, 8), "dense": 8, "epochs": 2}
TINY = Scale(
    instrument=SMALL, cubes=60, small_cubes=40, steps=8, matrix=256, copy_bytes=1 << 20,
    recipes=(replace(PAPER, **_TINY_NETWORK), replace(PAPER_ADAMW, **_TINY_NETWORK)),
)  # fmt: skip


class Videos:
    """Gridded videos in main memory, float16 as in the cache, with their true and their given labels."""

    def __init__(self, n: int, instrument: Instrument, device: Device, *, seed: int = 1) -> None:
        draw = np.random.default_rng(seed)
        self.truth = draw.permutation(np.arange(n) % 2 == 1)
        self.given = self.truth ^ (draw.random(n) < WRONG_LABELS)
        self.cubes = np.empty((n, instrument.n_frames, instrument.size_px, instrument.size_px), dtype=np.float16)
        generator = torch.Generator(device.kind).manual_seed(seed)
        side = instrument.size_px
        axis = torch.arange(side, device=device.kind) / side
        times = torch.arange(instrument.n_frames, device=device.kind) / instrument.n_frames
        for k in range(n):
            field = NOISE * torch.randn(self.cubes.shape[1:], generator=generator, device=device.kind)
            onset = draw.uniform(0.1, 0.95) if self.truth[k] else draw.uniform(-2.0, -0.5)
            strengths = [draw.uniform(*STRENGTH), *draw.uniform(0.0, 2 * STRENGTH[1], N_OLD)]
            for strength, start in zip(strengths, [onset, *[-2.0] * N_OLD], strict=True):
                growth = torch.sigmoid((times - start) * 25.0)[:, None, None] * float(
                    strength * draw.choice([-1.0, 1.0])
                )
                angle, width, (y, x) = draw.uniform(0, math.pi), draw.uniform(0.04, 0.08), draw.uniform(0.2, 0.8, 2)
                for sign in (1.0, -1.0):
                    dy, dx = (axis - y - sign * width * math.sin(angle)), (axis - x - sign * width * math.cos(angle))
                    field += sign * growth * torch.exp(-(dy[:, None] ** 2 + dx**2) / (2 * width**2))
            self.cubes[k] = (0.5 + field).clamp(0, 1).half().cpu().numpy()
        self.infos = tuple(
            CubeInfo(
                release="made", name=f"cube{k:05d}", sha256=f"{k:064x}", region=f"region{k}", verified=False,
                start=f"{1996 + k % 15}-{1 + k // 15 % 12:02d}-01T00:00:00",
                label=Label.EMERGENCE if self.given[k] else Label.NON_EMERGENCE,
            )
            for k in range(n)
        )  # fmt: skip

    def __call__(self, cube: CubeInfo) -> np.ndarray:
        """Return a video, as the loader of cubes does."""
        return self.cubes[int(cube.name[4:])]


@dataclass
class Figures:
    """What was measured so far; written after each step."""

    path: Path
    values: dict[str, Any]

    def add(self, name: str, **figures: Any) -> None:
        """Print and keep the figures of a step."""
        rounded = {key: float(f"{one:.4g}") if isinstance(one, float) else one for key, one in figures.items()}
        self.values[name] = rounded
        click.echo(f"{name}: {json.dumps(rounded)}")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps(self.values, indent=1) + "\n")

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Keep the error of a step as its figure, so that the other steps are measured."""
        begun = time.perf_counter()
        try:
            yield
        except Exception as error:  # noqa: BLE001 - device time is short; the other steps go on
            self.add(name, error=repr(error)[:500])
        click.echo(f"  ({name} took {time.perf_counter() - begun:.1f} s)")


def wait(device: Device) -> None:
    """Wait until the device has done what was launched."""
    if device.kind == "cuda":
        torch.cuda.synchronize()


def seconds_of(work: Callable[[], object], device: Device, *, repeats: int = 7) -> float:
    """Return the median duration of `work` after two runs that do not count."""
    work(), work()
    times = []
    for _ in range(repeats):
        wait(device)
        begun = time.perf_counter()
        work()
        wait(device)
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


# -- what the chip can do ---------------------------------------------------------------------------


def ceilings(figures: Figures, scale: Scale, device: Device) -> None:
    """Measure the rate of a large matrix product on random data, and of a device copy, read and written bytes."""
    n, dtype = scale.matrix, torch.bfloat16 if device.bf16 else torch.float32
    a, b = (torch.randn((n, n), device=device.kind).to(dtype) for _ in "ab")
    ten = seconds_of(lambda: [a @ b for _ in range(10)], device)
    source = torch.empty(scale.copy_bytes, dtype=torch.uint8, device=device.kind).random_()
    target = torch.empty_like(source)
    copying = seconds_of(lambda: target.copy_(source), device)
    figures.add(
        "ceilings", matrix=n, tflops=10 * 2 * n**3 / ten / 1e12, copy_bytes=scale.copy_bytes,
        terabytes_per_second=2 * scale.copy_bytes / copying / 1e12,
    )  # fmt: skip


def forward_flops(recipe: Recipe, instrument: Instrument) -> tuple[float, float]:
    """Return the operations (multiplications and additions) of one video's forward pass, and of its first layer."""
    network = ARCHITECTURE.build(recipe, instrument, dropout=0.0).eval()
    counts: list[float] = []

    def count(layer: nn.Module, _: Any, out: Tensor) -> None:
        weight = layer.weight
        assert isinstance(weight, Tensor)
        counts.append(2.0 * weight.numel() * (out[0, 0].numel() if out.ndim == 4 else 1))

    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(count)
    with torch.no_grad():
        network(torch.zeros(1, instrument.n_frames, instrument.size_px, instrument.size_px))
    return sum(counts), counts[0]


def step_flops(recipe: Recipe, instrument: Instrument) -> float:
    """Return the operations of one video in one training step: forward, and backward without the input's gradient."""
    whole, first = forward_flops(recipe, instrument)
    return 3 * whole - first


def step_bytes(recipe: Recipe, instrument: Instrument) -> tuple[float, float]:
    """Return the bytes that a training step moves, counted layer by layer in bfloat16: per video, and per member.

    Forward, a layer reads its input and writes its output; backward, it reads the output's gradient and its input and
    writes the input's gradient. Batch norm reads its input once more in both directions, for the statistics. Per
    member, weights are cast to bfloat16 and gradients back; the optimiser reads three and writes two float32 numbers.
    """
    network = ARCHITECTURE.build(recipe, instrument, dropout=0.0)
    numbers = 2.0 * instrument.n_frames * instrument.size_px**2  # the gather reads and writes the video

    def count(layer: nn.Module, inputs: tuple[Tensor, ...], out: Tensor) -> None:
        nonlocal numbers
        own, after = inputs[0][0].numel(), out[0].numel()
        first = own == instrument.n_frames * instrument.size_px**2
        numbers += (own + after) + (after + own + (0 if first else own))
        numbers += 2 * own if isinstance(layer, nn.BatchNorm2d) else 0

    for layer in network.modules():
        if not list(layer.children()):
            layer.register_forward_hook(count)
    with torch.no_grad():
        network(torch.zeros(2, instrument.n_frames, instrument.size_px, instrument.size_px))
    weights = sum(weight.numel() for weight in network.parameters())
    return 2.0 * numbers, (12.0 + 20.0) * weights


# -- one step in several ways -----------------------------------------------------------------------


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


class GroupedSteps:
    """Members merged into one network: grouped convolutions over the channels of all, recorded as a CUDA graph."""

    def __init__(self, inputs: Any, recipe: Recipe, scale: Scale, device: Device, *, count: int) -> None:
        self.device, self.inputs, self.recipe, self.count = device, inputs, recipe, count
        self.instrument = scale.instrument
        pixels = inputs._pixels
        channels = pixels.shape[-1]
        layers: list[nn.Module] = []
        widths = recipe.filters

        def block(narrow: int, wide: int, kernel: int, padding: int) -> list[nn.Module]:
            return [
                nn.Conv2d(count * narrow, count * wide, kernel, padding=padding, groups=count), nn.SiLU(),
                nn.BatchNorm2d(count * wide),
            ]  # fmt: skip

        layers += [*block(channels, widths[0], 3, 1), *block(widths[0], widths[0], 3, 1), nn.MaxPool2d(2)]
        for narrow, wide in pairwise(widths[:-1]):
            layers += [*block(narrow, wide, 3, 0), *block(wide, wide, 3, 0), nn.MaxPool2d(2)]
        layers += [*block(widths[-2], widths[-1], 2, 0)]
        side = scale.instrument.size_px // 2
        for _ in widths[1:-1]:
            side = (side - 4) // 2
        dense = nn.Conv2d(count * widths[-1], count * recipe.dense, side - 1, groups=count)
        layers += [dense, nn.SiLU(), nn.Conv2d(count * recipe.dense, count * recipe.dense, 1, groups=count), nn.SiLU()]
        layers += [nn.Conv2d(count * recipe.dense, count, 1, groups=count)]
        self.network = nn.Sequential(*layers).to(device.kind).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimiser = torch.optim.SGD(
            self.network.parameters(), lr=1e-4, momentum=0.9, nesterov=True, fused=device.kind == "cuda"
        )
        self.chosen = torch.randint(0, len(pixels), (recipe.batch * count,), device=device.kind)
        self.graph: Any = None

    def step(self) -> None:
        """Make one step of all members."""
        side, count = self.instrument.size_px, self.count
        self.optimiser.zero_grad(set_to_none=True)
        with self.device.autocast():
            x = self.inputs._pixels.index_select(0, self.chosen).view(
                -1, count, side, side, self.inputs._pixels.shape[-1]
            )
            x = x.permute(0, 2, 3, 1, 4).flatten(3).permute(0, 3, 1, 2)  # (batch, members × channels, rows, columns)
            logits = self.network(x)
        functional.binary_cross_entropy_with_logits(
            logits.float(), torch.ones_like(logits, dtype=torch.float32)
        ).backward()
        self.optimiser.step()

    def seconds(self, n: int) -> float:
        """Return the seconds of one step of all members."""
        run: Callable[[], None] = self.step
        if self.device.kind == "cuda":
            stream = torch.cuda.Stream()
            wait(self.device)
            with torch.cuda.stream(stream):
                for _ in range(3):
                    self.step()
                self.optimiser.zero_grad(set_to_none=True)
                self.graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(self.graph, stream=stream):
                    self.step()
            run = self.graph.replay
        run()
        wait(self.device)
        begun = time.perf_counter()
        for _ in range(n):
            run()
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
        merged = GroupedSteps(inputs, recipe, scale, device, count=10)
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
        one = Steps(replace_videos(videos, 200), inputs, scale.recipes[0], scale, device, count=1)
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


def replace_videos(videos: Videos, n: int) -> Videos:
    """Return the first `n` videos."""
    part = object.__new__(Videos)
    part.truth, part.given, part.cubes, part.infos = (
        videos.truth[:n],
        videos.given[:n],
        videos.cubes[:n],
        videos.infos[:n],
    )
    return part


# -- a whole training ---------------------------------------------------------------------------------


def auroc(score: np.ndarray, positive: np.ndarray) -> float:
    """Return the area under the ROC curve."""
    order = np.argsort(np.argsort(score)) + 1.0
    n = positive.sum()
    return float((order[positive].sum() - n * (n + 1) / 2) / (n * (len(score) - n)))


def out_of_fold(
    networks: dict[str, nn.Module], chosen: dict[str, np.ndarray], inputs: Any, n: int, device: Device
) -> np.ndarray:
    """Return the mean logit of each video by the networks not trained on it."""
    total, count = np.zeros(n), np.zeros(n)
    for name, network in networks.items():
        left = np.setdiff1d(np.arange(n), chosen[name])
        with torch.inference_mode(), device.autocast():
            for some in torch.from_numpy(left).to(device.kind).split(100):
                total[some.cpu().numpy()] += inputs.logits(network.to(device.kind).eval(), some).float().cpu().numpy()
        count[left] += 1
    return total / np.maximum(count, 1)


def retrain(figures: Figures, videos: Videos, scale: Scale, device: Device, recipe: Recipe) -> Path:
    """Train ten members as a round does: load, train together, write weights. Time each part."""
    plan = make_plan(videos.infos, recipe=recipe, instrument=scale.instrument, seed=3, parent=None, reason="benchmark")
    folder = Path(tempfile.mkdtemp())
    plan.save(folder)
    marks: dict[str, float] = {}
    epochs: list[int] = []

    def report(done: int, _: int, what: str) -> None:
        marks[what] = time.perf_counter()
        if what.startswith("training"):
            epochs.append(done)

    runtime = Runtime(instrument=scale.instrument, load=videos_loader(videos), device=device, report=report)
    if device.kind == "cuda":
        torch.cuda.reset_peak_memory_stats()
    begun = time.perf_counter()
    train_all_members(plan, folder, runtime)
    wait(device)
    ended = time.perf_counter()
    loading = marks["loading cubes into the GPU's memory"] - begun
    done = epochs[-2]  # the last report counts the epochs left out by members that stopped early
    per_epoch = recipe.symmetries_per_epoch * np.mean([len(plan.training_cubes(member)) for member in plan.members])
    per_epoch *= 0.9 if recipe.patience is not None else 1.0
    training = ended - begun - loading
    operations = done * per_epoch * step_flops(recipe, scale.instrument)
    per_video, per_member = step_bytes(recipe, scale.instrument)
    moved = done * per_epoch * (per_video + per_member / recipe.batch)
    inputs = resident(videos, scale.instrument, device)
    networks = {member.name: load_member(plan, member, folder).to(device.kind) for member in plan.members}
    number = {cube.name: k for k, cube in enumerate(plan.labelled)}
    chosen = {
        member.name: np.array([number[cube.name] for cube in plan.training_cubes(member)]) for member in plan.members
    }
    logits = out_of_fold(networks, chosen, inputs, len(videos.cubes), device)
    figures.add(
        f"retrain: {recipe.name}", members=len(plan.members), videos=len(videos.cubes), seconds=ended - begun,
        loading_seconds=loading, training_seconds=training, epochs_of_members=done, epochs_at_most=recipe.epochs * 10,
        tflops=operations / training / 1e12, petaflop=operations / 1e15,
        terabytes_per_second=moved / training / 1e12, terabytes=moved / 1e12,
        memory_gib=torch.cuda.max_memory_allocated() / 2**30 if device.kind == "cuda" else None,
        auroc_against_truth=auroc(logits, videos.truth), auroc_against_given=auroc(logits, videos.given),
    )  # fmt: skip
    return folder


def videos_loader(videos: Videos) -> CubeLoader:
    """Return the videos as a loader of cubes; only calls are needed here."""
    return videos  # type: ignore[return-value]


def precision(figures: Figures, videos: Videos, scale: Scale, device: Device) -> None:
    """Compare what is learned: together in bfloat16, together in float32, and one by one in float32 by `train`."""
    n, recipe = scale.small_cubes, scale.recipes[1]
    members = joint_members(videos, recipe, n)
    truth = videos.truth[:n]
    chosen = {member.name: member.chosen for member in members}
    single = replace(device, bf16=False)
    weights: dict[str, dict[str, nn.Module]] = {}
    for name, where, some in (
        ("bfloat16", device, members),
        ("bfloat16 again, three of ten", device, members[3:6]),
        ("float32", single, members),
    ):
        inputs = resident(videos, scale.instrument, where, n=n)
        networks: dict[str, nn.Module] = {}
        begun = time.perf_counter()
        train_together(
            some, inputs, architecture=ARCHITECTURE, recipe=recipe, instrument=scale.instrument, device=where,
            report=silent, on_trained=networks.__setitem__,
        )  # fmt: skip
        wait(device)
        seconds = time.perf_counter() - begun
        weights[name] = networks
        if len(some) == len(members):
            logits = out_of_fold(networks, chosen, inputs, n, where)
            figures.add(
                f"learning: together, {name}", seconds=seconds, videos=n, auroc_against_truth=auroc(logits, truth)
            )
    same = [
        torch.equal(one, other)
        for member in members[3:6]
        for one, other in zip(
            weights["bfloat16"][member.name].state_dict().values(),
            weights["bfloat16 again, three of ten"][member.name].state_dict().values(), strict=True,
        )
    ]  # fmt: skip
    figures.add("learning: three members alone equal themselves among ten", equal_tensors=sum(same), tensors=len(same))


def one_by_one(figures: Figures, videos: Videos, scale: Scale, device: Device) -> None:
    """Time an epoch of one member by `train`, as members are trained where they do not train together.

    The prepared inputs are in main memory here; a round prepares those of this network anew for each batch.
    """
    n, recipe = scale.small_cubes // 4, replace(scale.recipes[1], epochs=1, reestimate_norm=False)
    (member,) = joint_members(videos, recipe, n, 1)
    prepared = [ARCHITECTURE.prepare(videos.cubes[k], scale.instrument) for k in member.chosen]
    begun = time.perf_counter()
    train(
        Examples(inputs=prepared.__getitem__, targets=member.targets, groups=member.groups),
        architecture=ARCHITECTURE, recipe=recipe, instrument=scale.instrument, seed=member.seed,
        dropout=member.dropout, device=device, report=silent,
    )  # fmt: skip
    wait(device)
    seconds = (time.perf_counter() - begun) / recipe.steps_per_epoch(len(prepared))
    figures.add("step: ten members one by one, inputs from main memory", milliseconds=10 * 1e3 * seconds)


# -- masking ----------------------------------------------------------------------------------------


@contextmanager
def convolutions(*, tf32: bool) -> Iterator[None]:
    """Choose whether convolutions in float32 may use TF32; cuDNN stays on, which its `flags` switch off by default."""
    with torch.backends.cudnn.flags(enabled=torch.backends.cudnn.enabled, deterministic=True, allow_tf32=tf32):
        yield


def masking(figures: Figures, videos: Videos, scale: Scale, device: Device, folder: Path | None) -> None:
    """Time the masking curves of ten members on one cube against the loop over masks and members, one at a time."""
    recipe, instrument = scale.recipes[0], scale.instrument
    if folder is None:
        networks = [ARCHITECTURE.build(recipe, instrument, dropout=0.0).eval().to(device.kind) for _ in range(10)]
    else:
        plan = Plan.read(folder)
        networks = [load_member(plan, member, folder).to(device.kind) for member in plan.members]
    cube = np.asarray(videos.cubes[int(np.flatnonzero(videos.truth)[0])])

    def loop(where: Device) -> np.ndarray:
        with torch.inference_mode(), where.autocast():
            prepared = torch.from_numpy(ARCHITECTURE.prepare(cube, instrument)).to(device.kind)
            rows = []
            for network in networks:
                logits = []
                for frame in range(instrument.frozen_frames, instrument.n_frames):
                    video = prepared.clone()
                    video[frame + 1 :] = prepared[frame]
                    logits.append(network(video[None]).float())
                rows.append(torch.sigmoid(torch.cat(logits)))
            return torch.stack(rows).cpu().numpy()

    def curves(where: Device) -> np.ndarray:
        return masking_curves(ARCHITECTURE, networks, cube, instrument=instrument, device=where)[
            :, instrument.frozen_frames :
        ]

    single = replace(device, bf16=False)
    with device.deterministic(), convolutions(tf32=False):
        exact = loop(single)
    for name, where, tf32 in (("bfloat16", device, True), ("TF32", single, True), ("float32", single, False)):
        with device.deterministic(), convolutions(tf32=tf32):
            loop(where)  # loads kernels
            begun = time.perf_counter()
            expected = loop(where)
            reference = time.perf_counter() - begun
            ours = seconds_of(lambda where=where: curves(where), device)  # type: ignore[misc]
            figures.add(
                f"masking: {name}", members=len(networks), masks=expected.shape[1], milliseconds=1e3 * ours,
                loop_seconds=reference, ratio=reference / ours,
                largest_difference_from_float32_loop=float(np.abs(curves(where) - exact).max()),
                largest_difference_of_the_loop_itself=float(np.abs(expected - exact).max()),
            )  # fmt: skip


# -- the command --------------------------------------------------------------------------------------


def machine(device: Device) -> dict[str, Any]:
    """Return the machine and the versions."""
    cuda: dict[str, Any] = {}
    if device.kind == "cuda":
        properties = torch.cuda.get_device_properties(0)
        query = ["nvidia-smi", "--query-gpu=driver_version,clocks.sm,clocks.mem,power.limit", "--format=csv,noheader"]
        cuda = {
            "multiprocessors": properties.multi_processor_count,
            "memory_gib": round(properties.total_memory / 2**30, 1),
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
            "driver_clocks_power": subprocess.run(query, capture_output=True, text=True, check=False).stdout.strip(),
        }
    return {
        "device": device.name, "torch": torch.__version__, "numpy": np.__version__, "python": platform.python_version(),
        "cores": os.cpu_count(), **cuda,
    }  # fmt: skip


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path("bench-data/gpu.json"), show_default=True)
@click.option("--tiny", is_flag=True, help="Tiny sizes, to see that all steps run; on a CPU too.")
@click.option("--only", default="", help="Comma-separated steps; all by default.")
def main(out: Path, *, tiny: bool, only: str) -> None:
    """Measure training and masking of the authors' CNN on a GPU, and write the figures to a JSON file."""
    device = choose_device("auto")
    if device.kind != "cuda" and not tiny:
        raise click.ClickException("there is no GPU here, so nothing is measured; --tiny runs all steps at tiny sizes")
    scale = TINY if tiny else FULL
    wanted = set(filter(None, only.split(",")))
    figures = Figures(out, {})
    figures.add("machine", **machine(device))
    assert isinstance(ARCHITECTURE, Architecture)
    flops, first = forward_flops(scale.recipes[0], scale.instrument)
    figures.add(
        "operations", forward_gflop=flops / 1e9, first_layer_gflop=first / 1e9, step_gflop=(3 * flops - first) / 1e9
    )

    begun = time.perf_counter()
    videos = Videos(scale.cubes, scale.instrument, device if device.kind == "cuda" else CPU)
    click.echo(f"  (making {scale.cubes} videos took {time.perf_counter() - begun:.1f} s)")
    paper, adamw = scale.recipes
    all_epochs = replace(paper, name="paper, all epochs", patience=paper.epochs)
    folder: list[Path] = []

    def masks() -> None:
        masking(figures, videos, scale, device, folder[0] if folder else None)

    parts: dict[str, Callable[[], object]] = {
        "ceilings": lambda: ceilings(figures, scale, device),
        "streams": lambda: steps(figures, videos, scale, device, streams_only=True),
        "steps": lambda: steps(figures, videos, scale, device),
        "paper-adamw": lambda: folder.append(retrain(figures, videos, scale, device, adamw)),
        "masking": masks,
        "learning": lambda: precision(figures, videos, scale, device),
        "kernels": lambda: kernels(figures, videos, scale, device, out.parent),
        "paper": lambda: retrain(figures, videos, scale, device, paper),
        "one-by-one": lambda: one_by_one(figures, videos, scale, device),
        "paper-all-epochs": lambda: retrain(figures, videos, scale, device, all_epochs),
    }
    for name, part in parts.items():
        if name in wanted or (not wanted and name != "streams"):
            with figures.step(name):
                part()


if __name__ == "__main__":
    main()
