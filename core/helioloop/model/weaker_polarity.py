"""Both polarities, or the weaker one, at each place and step, and means before and after each step. Needs numpy only.

An emergence brings both polarities up together, at one place. What one polarity does alone does not count. Places are
measured in heliographic degrees, so that a region has the same values whatever the size of the grid's pixels.
"""

import numpy as np
import numpy.typing as npt

from helioloop.model.area_means import area_means
from helioloop.model.field_video import GROUP_FRAMES, Bools, FieldVideo
from helioloop.model.inputs import FloatArray
from helioloop.records.instrument import Instrument

NOISE_GAUSS = 25.0
"""Field of a pixel of `FINEST_PX_PER_DEGREE` that does not count: somewhat more than the noise of one MDI pixel."""
FINEST_PX_PER_DEGREE = 6.0
"""MDI's grid. The field of finer grids is averaged over pixels of this size first."""
COARSEST_PX_PER_DEGREE = 3.0
"""Coarser pixels mix the polarities of small regions: nothing is measured on them."""
SQUARE_CELLS = 3
"""Side of the square of cells over which each polarity is averaged: three heliographic degrees."""


def weaker_polarity(video: FieldVideo, *, patch_deg: float) -> tuple[FloatArray, Bools]:
    """Return W = min(P, N) in gauss and where its whole square is on the disk, both (n_steps, n_squares, n_squares).

    The parameters are those of `both_polarities`, which computes P and N.
    """
    fields, on_disk = both_polarities(video, patch_deg=patch_deg)
    return fields.min(axis=1), on_disk


def both_polarities(video: FieldVideo, *, patch_deg: float) -> tuple[FloatArray, Bools]:
    """Return P and N in gauss, (n_steps, 2, n_squares, n_squares), and where the whole square is on the disk.

    A square is centred on each cell of one degree that has neighbours on all sides. A patch of less than three degrees
    has none, nor has a grid of less than `COARSEST_PX_PER_DEGREE`.

    Parameters
    ----------
    video : FieldVideo
        The cube.
    patch_deg : float
        Side of the patch in heliographic degrees.

    Notes
    -----
    In steps of three frames, by their median: P and N are the means over a square of `SQUARE_CELLS` × `SQUARE_CELLS`
    cells of max(B − b, 0) and max(−B − b, 0). B is the mean field of a pixel, on grids finer than
    MDI's that of a pixel of MDI's size. b is 25 G for such a pixel, and on coarser grids in proportion to the pixels
    per degree, like the noise of a mean over pixels that are independent. Pixels that two cells share count in each by
    their area inside it.
    """
    px_per_degree, n_cells = video.instrument.size_px / patch_deg, int(patch_deg + 1e-6)
    field, disk = video.steps.gauss, video.steps.on_disk.astype(np.float32)
    if not _measured(px_per_degree, n_cells):
        return np.zeros((len(field), 2, 0, 0), dtype=np.float32), np.zeros((len(field), 0, 0), dtype=np.bool_)
    if px_per_degree > FINEST_PX_PER_DEGREE:
        n_fine = round(n_cells * FINEST_PX_PER_DEGREE)
        field, disk = (area_means(f, n_fine, side_px=px_per_degree / FINEST_PX_PER_DEGREE) for f in (field, disk))
        px_per_degree = FINEST_PX_PER_DEGREE
    noise_gauss = np.float32(NOISE_GAUSS * px_per_degree / FINEST_PX_PER_DEGREE)
    fields = [
        _square_means(area_means(polarity, n_cells, side_px=px_per_degree))
        for polarity in (_above(field, noise_gauss), _above(np.negative(field), noise_gauss))
    ]
    return np.stack(fields, axis=1), _covered(disk, n_cells, px_per_degree)


def arrival_steps(video: FieldVideo, *, patch_deg: float) -> npt.NDArray[np.float64]:
    """Return the step at which each square came onto the disk, (n_squares, n_squares); −inf if it was there at once.

    The first frames count as they are, not frozen, so that the east limb is seen. A step is judged by the middle one of
    its frames. The parameters are those of `both_polarities`, whose squares these are.
    """
    px_per_degree, n_cells = video.instrument.size_px / patch_deg, int(patch_deg + 1e-6)
    if not _measured(px_per_degree, n_cells):
        return np.zeros((0, 0))
    middle, frozen = GROUP_FRAMES // 2, video.instrument.frozen_frames
    as_observed = np.isfinite(video.cube[middle:frozen:GROUP_FRAMES])
    on_disk = np.concatenate((as_observed, video.frames.on_disk[middle::GROUP_FRAMES][len(as_observed) :]))
    covered = _covered(on_disk.astype(np.float32), n_cells, px_per_degree)
    return np.where(covered[0], -np.inf, np.argmax(covered, axis=0).astype(np.float64))


def steps_of(seconds: float, instrument: Instrument) -> int:
    """Return a window's length in steps of the instrument's grid, rounded; 0 if a step is over twice as long."""
    return round(seconds / instrument.cadence_seconds / GROUP_FRAMES)


def before_and_after(
    fields: FloatArray, on_disk: Bools, *, length: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the means over the windows of `length` steps before and after each step, NaN off-disk.

    Parameters
    ----------
    fields : ndarray, shape (n_steps, …)
        From `weaker_polarity` or `both_polarities`.
    on_disk : ndarray of bool
        Of a shape that broadcasts with `fields`.
    length : int
        Steps of each window.

    Returns
    -------
    before, after : ndarray, shape (n_steps - 2 · length + 1, …)
        Entry k belongs to step k + length. NaN unless the place is on the disk in both windows. Empty for a video
        shorter than two windows.
    """
    if len(fields) < 2 * length:
        empty = np.empty((0, *fields.shape[1:]))
        return empty, empty
    means = _running_sum(np.where(on_disk, fields, 0.0), length) / length
    whole = _running_sum(on_disk, 2 * length) == 2 * length
    before, after = means[: len(means) - length], means[length:]
    return np.where(whole, before, np.nan), np.where(whole, after, np.nan)


def _measured(px_per_degree: float, n_cells: int) -> bool:
    return px_per_degree > COARSEST_PX_PER_DEGREE - 1e-6 and n_cells >= SQUARE_CELLS


def _above(field: FloatArray, gauss: np.float32) -> FloatArray:
    """Return by how much a field exceeds a value, 0 where it does not; two passes over one array."""
    excess: FloatArray = field - gauss
    np.maximum(excess, np.float32(0.0), out=excess)
    return excess


def _running_sum(values: npt.NDArray[np.generic], length: int) -> npt.NDArray[np.float64]:
    """Return the sums of `length` neighbours along the first axis, wherever they fit."""
    total = np.cumsum(values, axis=0, dtype=np.float64)
    total = np.concatenate((np.zeros_like(total[:1]), total))
    return np.asarray(total[length:] - total[:-length])


def _covered(disk: FloatArray, n_cells: int, px_per_degree: float) -> Bools:
    """Return where most of each cell of a square is on the disk, (n_steps, n_cells - 2, n_cells - 2)."""
    on_disk = area_means(disk, n_cells, side_px=px_per_degree) > 0.5
    return np.asarray(_square_means(on_disk.astype(np.float32)) > 1.0 - 1e-3)


def _square_means(cells: FloatArray) -> FloatArray:
    """Return the means over squares of cells, (n_steps, n_cells - 2, n_cells - 2)."""
    n = max(cells.shape[-1] - SQUARE_CELLS + 1, 0)
    shifts = [(row, column) for row in range(SQUARE_CELLS) for column in range(SQUARE_CELLS)]
    total = sum((cells[:, row : row + n, column : column + n] for row, column in shifts), np.float32(0.0))
    return np.asarray(total / np.float32(len(shifts)), dtype=np.float32)
