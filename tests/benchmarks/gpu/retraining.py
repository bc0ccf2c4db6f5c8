"""A whole retraining of ten members, what it learns, and its time."""

import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from helioloop.model.device import Device
from helioloop.model.field_video import FieldVideo
from helioloop.model.joint_training import train_together
from helioloop.model.member_weights import load_member
from helioloop.model.members import train_all_members
from helioloop.model.plan import make_plan
from helioloop.model.recipes import Recipe
from helioloop.model.runtime import Runtime
from helioloop.model.training import EPOCHS, Examples, train
from helioloop.progress import silent
from tests.benchmarks.gpu.figures import Figures, wait
from tests.benchmarks.gpu.operations import step_bytes, step_flops
from tests.benchmarks.gpu.scale import ARCHITECTURE, Scale
from tests.benchmarks.gpu.steps import joint_members, resident
from tests.benchmarks.gpu.videos import Videos, videos_loader


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


def retrain(
    figures: Figures, videos: Videos, scale: Scale, device: Device, recipe: Recipe, *, seed: int = 3, note: str = ""
) -> Path:
    """Train ten members as a round does: load, train together, write weights. Time each part."""
    plan = make_plan(
        videos.infos, recipe=recipe, instrument=scale.instrument, seed=seed, parent=None, reason="benchmark"
    )
    folder = Path(tempfile.mkdtemp())
    plan.save(folder)
    marks: dict[str, float] = {}
    epochs: list[int] = []

    def report(done: int, _: int, what: str) -> None:
        marks[what] = time.perf_counter()
        if what == EPOCHS:
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
        f"retrain: {recipe.name}{note}", members=len(plan.members), videos=len(videos.cubes), seconds=ended - begun,
        loading_seconds=loading, training_seconds=training, epochs_of_members=done, epochs_at_most=recipe.epochs * 10,
        tflops=operations / training / 1e12, petaflop=operations / 1e15,
        terabytes_per_second=moved / training / 1e12, terabytes=moved / 1e12,
        memory_gib=torch.cuda.max_memory_allocated() / 2**30 if device.kind == "cuda" else None,
        auroc_against_truth=auroc(logits, videos.truth), auroc_against_given=auroc(logits, videos.given),
    )  # fmt: skip
    return folder


def seeds(figures: Figures, videos: Videos, scale: Scale, device: Device) -> None:
    """Retrain from other seeds in bfloat16, and once in float32: the spread that one figure does not show."""
    recipe = scale.recipes[1]
    for seed in (103, 203):
        retrain(figures, videos, scale, device, recipe, seed=seed, note=f", seed {seed}")
    retrain(figures, videos, scale, replace(device, bf16=False), recipe, note=", float32")


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
    prepared = [ARCHITECTURE.prepare(FieldVideo(videos.cubes[k], scale.instrument)) for k in member.chosen]
    begun = time.perf_counter()
    train(
        Examples(inputs=prepared.__getitem__, targets=member.targets, groups=member.groups),
        architecture=ARCHITECTURE, recipe=recipe, instrument=scale.instrument, seed=member.seed,
        dropout=member.dropout, device=device, report=silent,
    )  # fmt: skip
    wait(device)
    seconds = (time.perf_counter() - begun) / recipe.steps_per_epoch(len(prepared))
    figures.add("step: ten members one by one, inputs from main memory", milliseconds=10 * 1e3 * seconds)
