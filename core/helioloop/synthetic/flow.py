"""Flow: the supergranules that move free elements, and the conversion to pixels and frames."""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from helioloop.records.instrument import Instrument
from helioloop.synthetic.constants import Constants
from helioloop.synthetic.scenario import PATCH_DEG

MARGIN_PX = 15
"""The periodic box in which fields are made is wider than the patch by this much on each side."""
MEGAMETRE_PER_DEGREE = 12.147
"""Length of one heliographic degree on the Sun's surface."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Scale:
    """Size of the box in pixels and frames, and of a pixel and a frame in physical units.

    Parameters
    ----------
    n_frames : int
        Frames on the grid.
    box_px : int
        Width and height of the periodic box.
    mm_per_px : float
        Megametres per pixel.
    cadence_seconds : float
        Seconds per frame.
    """

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
        """Convert a flux from maxwell to gauss times pixel area."""
        return flux_mx / (self.mm_per_px * 1e8) ** 2

    def px_per_frame(self, metre_per_second: float) -> float:
        """Convert a speed from metres per second to pixels per frame."""
        return metre_per_second * self.cadence_seconds / (self.mm_per_px * 1e6)

    def walk_px(self, metre2_per_second: float) -> float:
        """Return the step of a random walk per axis and frame in pixels: √(2 · diffusivity · cadence)."""
        return math.sqrt(2.0 * metre2_per_second * self.cadence_seconds) / (self.mm_per_px * 1e6)


class Supergranules:
    """Supergranular cells of limited lifetime, and the flow from their centres to their borders.

    Parameters
    ----------
    rng : numpy.random.Generator
        Places the cells.
    scale : Scale
        Box and units.
    n_frames : int
        Frames for which the flow is needed.
    constants : Constants
        Size, lifetime and speed of the cells.

    Notes
    -----
    Every place belongs to the cell with the nearest centre (periodic Voronoi cells). At the vector d from that centre
    the velocity is ::

        speed · min(|d| / radius, 1) · d / |d|.

    A cell that ends is replaced by a new one far from the others.
    """

    _STEP_FRAMES = 3  # frames between two states: a few hours, much shorter than a cell's lifetime
    _COARSE_PX = 3  # the nearest cell is stored on a grid this coarse

    def __init__(self, rng: np.random.Generator, scale: Scale, n_frames: int, constants: Constants) -> None:
        box = scale.box_px
        self._box = box
        cell_px = constants.cell_mm / scale.mm_per_px
        self._radius_px = 0.5 * cell_px
        self._speed_px = scale.px_per_frame(constants.flow_metre_per_second)
        n_cells = max(4, round(box**2 / cell_px**2))
        life_frames = constants.cell_life_seconds / scale.cadence_seconds
        centres = rng.uniform(0.0, box, size=(n_cells, 2))
        for cell in range(1, n_cells):
            centres[cell] = _distant_point(rng, centres[:cell], box)
        steps = n_frames // self._STEP_FRAMES + 1
        self._n = box // self._COARSE_PX
        axis = (np.arange(self._n, dtype=np.float32) + 0.5) * self._COARSE_PX
        self._centres = np.empty((steps, n_cells, 2), dtype=np.float32)
        self._nearest = np.empty((steps, self._n * self._n), dtype=np.int32)
        for step in range(steps):
            for cell in np.flatnonzero(rng.random(n_cells) < self._STEP_FRAMES / life_frames):
                centres[cell] = _distant_point(rng, np.delete(centres, cell, axis=0), box)
            self._centres[step] = centres
            dx2 = wrap(axis[:, None] - self._centres[step, :, 0], box) ** 2
            dy2 = wrap(axis[:, None] - self._centres[step, :, 1], box) ** 2
            self._nearest[step] = (dy2[:, None, :] + dx2[None, :, :]).argmin(-1).ravel()

    def velocity(self, position: Floats, frame: int) -> Floats:
        """Return the flow in pixels per frame at `position` (x, y) in pixels, both of shape (n, 2)."""
        step = frame // self._STEP_FRAMES
        place = np.minimum((position % self._box) / self._COARSE_PX, self._n - 1).astype(np.int32)
        cell = self._nearest[step, place[:, 1] * self._n + place[:, 0]]
        outward = wrap(position - self._centres[step, cell], self._box)
        distance = np.sqrt((outward**2).sum(1, keepdims=True)) + np.float32(1e-3)
        return np.asarray(outward / distance * np.minimum(distance / self._radius_px, 1.0) * self._speed_px)


def wrap(difference: NDArray[np.floating], box: float) -> Floats:
    """Return the shortest equivalent of a difference in a periodic box, within ± box / 2, same shape."""
    return np.asarray(difference - box * np.round(difference / box), dtype=np.float32)


def _distant_point(rng: np.random.Generator, others: NDArray[np.float64], box: float) -> NDArray[np.float64]:
    """Draw six points and return the one farthest from its nearest neighbour in `others`, shape (n, 2)."""
    candidates = rng.uniform(0.0, box, size=(6, 2))
    gap = wrap(candidates[:, None, :] - others[None], box)
    return np.asarray(candidates[np.argmax((gap**2).sum(-1).min(1))])
