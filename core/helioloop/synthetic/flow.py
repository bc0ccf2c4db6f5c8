"""The supergranular flow that carries free magnetic elements, and the scale of pixels and frames.

Sixth room of `helioloop.synthetic`.
"""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from helioloop.instrument import Instrument
from helioloop.synthetic.scenario import PATCH_DEG

MARGIN_PX = 15
MEGAMETRE_PER_DEGREE = 12.147

_CELL_MM = 30.0
_CELL_LIFE_SECONDS = 150e3
_FLOW_METRE_PER_SECOND = 260.0

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Scale:
    """Pixels and frames in physical units."""

    n_frames: int
    box_px: int
    mm_per_px: float
    cadence_seconds: float

    @classmethod
    def of(cls, instrument: Instrument) -> Self:
        """Return the scale of a 15° patch on the instrument's grid."""
        return cls(
            n_frames=instrument.n_frames,
            box_px=instrument.size_px + 2 * MARGIN_PX,
            mm_per_px=PATCH_DEG * MEGAMETRE_PER_DEGREE / instrument.size_px,
            cadence_seconds=instrument.cadence_seconds,
        )

    def gauss_px(self, flux_mx: float) -> float:
        """Return a flux in gauss times pixels."""
        return flux_mx / (self.mm_per_px * 1e8) ** 2

    def px_per_frame(self, metre_per_second: float) -> float:
        """Return a speed in pixels per frame."""
        return metre_per_second * self.cadence_seconds / (self.mm_per_px * 1e6)

    def walk_px(self, metre2_per_second: float) -> float:
        """Return the standard deviation per axis and frame of a random walk."""
        return math.sqrt(2.0 * metre2_per_second * self.cadence_seconds) / (self.mm_per_px * 1e6)


class Supergranules:
    """Cells that push outwards from their centres, each replaced elsewhere after its life."""

    _EVERY = 3  # frames between two states: a few hours, much shorter than a cell's life
    _COARSE_PX = 3

    def __init__(self, rng: np.random.Generator, scale: Scale, n_frames: int) -> None:
        box = scale.box_px
        self._box = box
        cell_px = _CELL_MM / scale.mm_per_px
        self._radius_px = 0.5 * cell_px
        self._speed_px = scale.px_per_frame(_FLOW_METRE_PER_SECOND)
        n_cells = max(4, round(box**2 / cell_px**2))
        life = _CELL_LIFE_SECONDS / scale.cadence_seconds
        centres = _spread_points(rng, n_cells, box)
        steps = n_frames // self._EVERY + 1
        self._n = box // self._COARSE_PX
        axis = (np.arange(self._n, dtype=np.float32) + 0.5) * self._COARSE_PX
        self._centres = np.empty((steps, n_cells, 2), dtype=np.float32)
        self._nearest = np.empty((steps, self._n * self._n), dtype=np.int32)
        for step in range(steps):
            reborn = np.flatnonzero(rng.random(n_cells) < self._EVERY / life)
            for cell in reborn:
                tries = rng.uniform(0.0, box, size=(6, 2))
                others = np.delete(centres, cell, axis=0)
                gap = wrap(tries[:, None, :] - others[None], box)
                centres[cell] = tries[np.argmax((gap**2).sum(-1).min(1))]
            self._centres[step] = centres
            dx2 = wrap(axis[:, None] - self._centres[step, :, 0], box) ** 2
            dy2 = wrap(axis[:, None] - self._centres[step, :, 1], box) ** 2
            self._nearest[step] = (dy2[:, None, :] + dx2[None, :, :]).argmin(-1).ravel()

    def velocity(self, position: Floats, frame: int) -> Floats:
        """Return the flow at `position`, shape (n, 2), in pixels per frame."""
        step = frame // self._EVERY
        place = np.minimum((position % self._box) / self._COARSE_PX, self._n - 1).astype(np.int32)
        cell = self._nearest[step, place[:, 1] * self._n + place[:, 0]]
        outward = wrap(position - self._centres[step, cell], self._box)
        distance = np.sqrt((outward**2).sum(1, keepdims=True)) + np.float32(1e-3)
        return np.asarray(outward / distance * np.minimum(distance / self._radius_px, 1.0) * self._speed_px)


def wrap(difference: NDArray[np.floating], box: float) -> Floats:
    """Return the shortest periodic difference."""
    return np.asarray(difference - box * np.round(difference / box), dtype=np.float32)


def _spread_points(rng: np.random.Generator, n: int, box: float) -> NDArray[np.float64]:
    """Draw points that keep some distance: best of six candidates each."""
    points = rng.uniform(0.0, box, size=(n, 2))
    for k in range(1, n):
        tries = rng.uniform(0.0, box, size=(6, 2))
        gap = wrap(tries[:, None, :] - points[None, :k], box)
        points[k] = tries[np.argmax((gap**2).sum(-1).min(1))]
    return points
