"""The grid frame of each observation, from its time since the start."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_FEWEST_AT_START_FRACTION = 0.9


def grid_frames(seconds: Floats, *, cadence_seconds: float, tolerance_seconds: float) -> Ints:
    """Return the grid frame of each observation: ⌊t / cadence⌋, or the nearest one where that would lose observations.

    Archives take observations at the starts of slots, and a minute early or late. Rounding down puts an early one into
    the slot before its own, where it displaces another. So if nine in ten observations are within the tolerance of the
    start of a slot, and rounding these to the nearest slot separates more of them, they belong to the nearest slot.

    Parameters
    ----------
    seconds : array, shape (n_obs,)
        Times since the start of grid frame 0, finite.
    cadence_seconds : float
        Time between two grid frames.
    tolerance_seconds : float
        An observation may be earlier than its slot by this much; less than half the cadence. 0 always rounds down.

    Returns
    -------
    array of int, shape (n_obs,)
        May be negative or beyond the grid.
    """
    down = np.floor(seconds / cadence_seconds)
    nearest = np.rint(seconds / cadence_seconds)
    at_start = np.abs(seconds - nearest * cadence_seconds) <= tolerance_seconds
    if np.any(at_start & (nearest > down)) and at_start.mean() >= _FEWEST_AT_START_FRACTION:
        rounded = np.where(at_start, nearest, down)
        if np.unique(rounded[rounded >= 0]).size > np.unique(down[down >= 0]).size:
            return rounded.astype(np.int64)
    return down.astype(np.int64)
