"""The weaker of both polarities at each place and step, and its means before and after each step. Needs numpy only.

An emergence brings both polarities up together, at one place. What one polarity does alone does not count.
"""

import numpy as np
import numpy.typing as npt

from helioloop.model.cells import CELL_PX, GROUP_FRAMES, median_steps
from helioloop.model.inputs import FloatArray
from helioloop.records.instrument import Instrument

NOISE_GAUSS = 25.0
"""Field of a pixel that does not count: somewhat more than the noise of one MDI pixel."""
SQUARE_CELLS = 3
"""Side of the square of cells over which each polarity is averaged: three heliographic degrees."""

Bools = npt.NDArray[np.bool_]


def weaker_polarity(cube: npt.NDArray[np.floating], instrument: Instrument) -> tuple[FloatArray, Bools]:
    """Return W in gauss and where its whole square is on the disk, both (n_steps, n_squares, n_squares).

    A square is centred on each cell that has neighbours on all sides. A patch of fewer than three cells has none.

    Parameters
    ----------
    cube : ndarray, shape (n_frames, size_px, size_px)
        Gridded cube, NaN off-disk.
    instrument : Instrument
        The grid.

    Notes
    -----
    In steps of three frames, by their median: P and N are the means over a square of `SQUARE_CELLS` × `SQUARE_CELLS`
    cells of max(B − 25 G, 0) and max(−B − 25 G, 0), and W = min(P, N).
    """
    field, disk = median_steps(cube, instrument)
    positive, negative = (
        _square_means(_cell_means(np.maximum(sign * field - NOISE_GAUSS, 0.0))) for sign in (1.0, -1.0)
    )
    covered = _square_means((_cell_means(disk) > 0.5).astype(np.float32)) > 1.0 - 1e-3
    return np.minimum(positive, negative), covered


def steps_of(seconds: float, instrument: Instrument) -> int:
    """Return a window's length in steps of the instrument's grid: at least one, at most a third of the video."""
    steps = round(seconds / instrument.cadence_seconds / GROUP_FRAMES)
    return min(max(steps, 1), max(instrument.n_frames // GROUP_FRAMES // 3, 1))


def before_and_after(
    weaker: FloatArray, on_disk: Bools, *, length: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the means over the windows of `length` steps before and after each step, NaN off-disk.

    Parameters
    ----------
    weaker, on_disk : ndarray, shape (n_steps, …)
        From `weaker_polarity`.
    length : int
        Steps of each window.

    Returns
    -------
    before, after : ndarray, shape (n_steps - 2 · length + 1, …)
        Entry k belongs to step k + length. NaN unless the place is on the disk in both windows. Empty for a video
        shorter than two windows.
    """
    if len(weaker) < 2 * length:
        empty = np.empty((0, *weaker.shape[1:]))
        return empty, empty
    means = _running_sum(np.where(on_disk, weaker, 0.0), length) / length
    whole = _running_sum(on_disk, 2 * length) == 2 * length
    before, after = means[: len(means) - length], means[length:]
    return np.where(whole, before, np.nan), np.where(whole, after, np.nan)


def _running_sum(values: npt.NDArray[np.generic], length: int) -> npt.NDArray[np.float64]:
    """Return the sums of `length` neighbours along the first axis, wherever they fit."""
    total = np.cumsum(values, axis=0, dtype=np.float64)
    total = np.concatenate((np.zeros_like(total[:1]), total))
    return np.asarray(total[length:] - total[:-length])


def _cell_means(field: FloatArray) -> FloatArray:
    n_cells = field.shape[-1] // CELL_PX
    means: FloatArray = field.reshape(-1, n_cells, CELL_PX, n_cells, CELL_PX).mean(axis=(2, 4))
    return means


def _square_means(cells: FloatArray) -> FloatArray:
    """Return the means over squares of cells, (n_steps, n_cells - 2, n_cells - 2)."""
    n = max(cells.shape[-1] - SQUARE_CELLS + 1, 0)
    shifts = [(row, column) for row in range(SQUARE_CELLS) for column in range(SQUARE_CELLS)]
    total = sum((cells[:, row : row + n, column : column + n] for row, column in shifts), np.float32(0.0))
    return np.asarray(total / np.float32(len(shifts)), dtype=np.float32)
