"""One training step of the per-frame recipes, whose augmentations are drawn on the CPU."""

import time

import numpy as np

from helioloop.model.architectures import find_architecture
from helioloop.model.device import CPU, Device
from helioloop.model.field_video import FieldVideo
from helioloop.model.recipes import ACCURATE, QUICK, Recipe
from helioloop.model.training import Examples, train
from helioloop.records.instrument import Instrument
from tests.benchmarks.gpu.figures import Figures, wait

EPOCHS = 4
"""The first ones load kernels; the last one is timed."""
CUBES = 320


def per_frame_steps(figures: Figures, instrument: Instrument, device: Device, *, cubes: int = CUBES) -> None:
    """Time a step of one member of each per-frame recipe, on the device and on one thread of the CPU."""
    for recipe in (QUICK, ACCURATE):
        for where in (device,) if device == CPU else (device, CPU):
            milliseconds = _step(recipe, instrument, where, cubes=cubes)
            figures.add(
                f"step: one member of {recipe.name} on {where.kind}", batch=recipe.batch, milliseconds=milliseconds
            )


def _step(recipe: Recipe, instrument: Instrument, device: Device, *, cubes: int) -> float:
    draw, architecture = np.random.default_rng(1), find_architecture(recipe.network)
    shape = (instrument.n_frames, instrument.size_px, instrument.size_px)
    cells = architecture.prepare(FieldVideo(draw.random(shape), instrument))
    inputs = [np.abs(cells + np.float32(draw.normal(0.0, 0.1))) for _ in range(cubes)]
    examples = Examples(
        inputs=inputs.__getitem__, targets=(np.arange(cubes) % 2).astype(np.float32),
        groups=[str(k) for k in range(cubes)],
    )  # fmt: skip
    ends: list[float] = []

    def note_end(*_: object) -> None:
        wait(device)
        ends.append(time.perf_counter())

    recipe = recipe.in_epochs(EPOCHS)
    train(
        examples, architecture=architecture, recipe=recipe, instrument=instrument, seed=1, dropout=0.2, device=device,
        report=note_end,
    )  # fmt: skip
    return 1e3 * (ends[-1] - ends[-2]) / recipe.steps_per_epoch(cubes)
