"""One member trained under the recipe `quick` on cached cubes, against a bare loop over tensors in memory."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from helioloop.model.architectures import find_architecture
from helioloop.model.field_video import FieldVideo
from helioloop.model.members import train_member
from helioloop.model.plan import make_plan
from helioloop.model.recipes import QUICK
from helioloop.records.instrument import MDI
from helioloop.records.labels import Label
from tests.benchmarks.speed.timing import Sides
from tests.benchmarks.speed.work import Work

MEMBER = "fold0-0"


def training(work: Work) -> Sides:
    """Return both sides; ours augments, smooths, re-estimates statistics and writes the weights, too."""
    plan, short = (
        make_plan(work.cubes, recipe=recipe, instrument=MDI, seed=0, parent=None, reason="a benchmark")
        for recipe in (QUICK, QUICK.in_epochs(1))
    )
    architecture = find_architecture(QUICK.network)
    chosen = plan.training_cubes(plan.member(MEMBER))
    x = torch.from_numpy(np.stack([architecture.prepare(FieldVideo(work.runtime.load(cube), MDI)) for cube in chosen]))
    y = torch.tensor([float(cube.label is Label.EMERGENCE) for cube in chosen])
    train_member(short, MEMBER, work.new_folder("member"), work.runtime)  # leaves the inputs in their folder
    return Sides(
        ours=lambda: train_member(plan, MEMBER, work.new_folder("member"), work.runtime),
        reference=lambda: _bare_loop(x, y),
        rounds=2,
    )


def _bare_loop(x: Tensor, y: Tensor) -> None:
    """Train the same network with the same batches and optimiser; nothing else."""
    torch.manual_seed(0)
    network = find_architecture(QUICK.network).build(QUICK, MDI, dropout=0.2)
    epochs = QUICK.passes(len(x))
    optimiser = torch.optim.AdamW(network.parameters(), lr=QUICK.learning_rate, weight_decay=QUICK.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=QUICK.learning_rate, total_steps=epochs * QUICK.steps_per_epoch(len(x))
    )
    for _ in range(epochs):
        for some in torch.randperm(len(x)).split(QUICK.batch):
            if len(some) > 1:
                optimiser.zero_grad(set_to_none=True)
                functional.binary_cross_entropy_with_logits(network(x[some]), y[some]).backward()
                optimiser.step()
                schedule.step()
