"""Which network the GPU benchmark measures, and how much of it."""

from dataclasses import dataclass, replace
from typing import Any

from helioloop.model.architectures import find_architecture
from helioloop.model.recipes import ACCURATE, PAPER, PAPER_ADAMW, QUICK, Recipe
from helioloop.records.instrument import MDI, Instrument

ARCHITECTURE = find_architecture("frames-as-channels")
SMALL = Instrument(name="small", cadence_seconds=5760.0, n_frames=21, size_px=24, clip_gauss=1000.0, frozen_frames=3)
"""A grid on which all steps run on a CPU in a minute (`--tiny`)."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How much is measured: the true sizes, or tiny ones that only show that everything runs."""

    instrument: Instrument
    cubes: int
    small_cubes: int
    recipes: tuple[Recipe, ...]
    round_recipes: tuple[Recipe, ...]
    round_cubes: int
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
    # on elements, so pretrained on the other generator alone
    round_recipes=(
        replace(ACCURATE, pretrained="accurate-flux-transport"),
        PAPER_ADAMW,
        replace(QUICK, pretrained="quick-flux-transport"),
        PAPER,
    ),
    round_cubes=2000,
)
_TINY_NETWORK: dict[str, Any] = {"filters": (4, 6, 8), "dense": 8, "epochs": 2}
TINY = Scale(
    instrument=SMALL, cubes=60, small_cubes=40, steps=8, matrix=256, copy_bytes=1 << 20,
    recipes=(replace(PAPER, **_TINY_NETWORK), replace(PAPER_ADAMW, **_TINY_NETWORK)),
    round_cubes=24,
    round_recipes=(
        replace(QUICK, filters=(4, 6, 6), dense=8, epochs=2, min_steps=0, pretrained=None),
        replace(PAPER_ADAMW, filters=(4, 6, 8, 8, 8), dense=8, epochs=1),
    ),
)  # fmt: skip
