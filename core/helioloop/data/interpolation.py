"""Interpolation in time: unusable values of observed frames, and grid frames between the observed ones.

Both work in place on a gridded cube of the shape (n_frames, n_px), in which a row is a frame.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


def interpolate_pixels(gridded: Floats, frames: Ints, *, usable: Mask, off: Mask, fill: np.float32) -> None:
    """Replace unusable values of successive observations by interpolation between usable values of the same pixel.

    Values that no grid frame shows are left as they are. A pixel that is off-disk in an observation is NaN in its grid
    frame, and also in those between this observation and the next one or the one before, if it is off-disk there too.

    Parameters
    ----------
    gridded : array, shape (n_frames, n_px)
        The observed frames at their grid frames. Changed in place where not `usable`; see step 3 of `to_grid`.
    frames : array of int, shape (n_obs,)
        Grid frame of each observation, strictly increasing.
    usable : array of bool, shape (n_obs, n_px)
        Where the observations have a value to keep.
    off : array of bool, shape (n_obs, n_px)
        Which pixels are off-disk.
    fill : float32
        Value of pixels without any usable value.
    """
    apart = np.diff(frames) > 1
    hidden = off.copy()
    hidden[1:][apart] &= off[:-1][apart]
    hidden[:-1][apart] &= off[1:][apart]
    hidden |= usable
    gaps = np.flatnonzero(~hidden)
    if not gaps.size:
        return
    observation, pixel = np.divmod(gaps, usable.shape[1])
    before, after = (found.ravel()[gaps].astype(np.int64) for found in _usable_neighbours(usable))
    known_before, known_after = before >= 0, after < len(frames)
    low, high = np.where(known_before, before, after), np.where(known_after, after, before)
    known = known_before | known_after
    low[~known] = high[~known] = 0
    span = np.maximum(frames[high] - frames[low], 1)
    weight = ((frames[observation] - frames[low]) / span).astype(np.float32)
    value = gridded[frames[low], pixel]
    value += weight * (gridded[frames[high], pixel] - value)
    gridded[frames[observation], pixel] = np.where(known, value, fill)


def interpolate_frames(gridded: Floats, frames: Ints, *, off: Mapping[int, Mask]) -> None:
    """Interpolate the grid frames that were not observed, and set off-disk pixels to NaN, in place.

    Parameters
    ----------
    gridded : array, shape (n_frames, n_px)
        Without NaN in the observed grid frames; the others are overwritten.
    frames : array of int, shape (n_obs,)
        Grid frames that were observed, strictly increasing.
    off : mapping of int to array of bool, shape (n_px,)
        Which pixels of an observation are off-disk; an observation without such pixels is absent. A grid frame has the
        off-disk pixels of the nearest observation, the earlier one of two equally near.
    """
    grid = np.arange(len(gridded))
    before = np.clip(np.searchsorted(frames, grid, side="right") - 1, 0, None)
    after = np.minimum(before + 1, len(frames) - 1)
    span = np.maximum(frames[after] - frames[before], 1)
    weight = np.clip((grid - frames[before]) / span, 0.0, 1.0).astype(np.float32)
    moves = (weight > 0.0) & (after > before)
    nearest = np.where((weight > 0.5) & moves, after, before)
    for f in np.flatnonzero(grid != frames[before]):  # row by row, so that the rows stay in the processor's cache
        row, low = gridded[f], gridded[frames[before[f]]]
        if moves[f]:
            np.subtract(gridded[frames[after[f]]], low, out=row)
            np.multiply(row, weight[f], out=row)
            np.add(row, low, out=row)
        else:
            np.copyto(row, low)
    for f, observation in enumerate(nearest.tolist()):  # afterwards: these pixels of observed frames were needed
        if observation in off:
            np.copyto(gridded[f], np.nan, where=off[observation])


def _usable_neighbours(usable: Mask) -> tuple[NDArray[np.signedinteger], NDArray[np.signedinteger]]:
    """Return the last usable observation up to each one, and the first from it on, per pixel.

    Parameters
    ----------
    usable : array of bool, shape (n_obs, n_px)

    Returns
    -------
    tuple of array of int, shape (n_obs, n_px)
        −1 where there is none before, n_obs where there is none after.

    Notes
    -----
    Maxima of whole rows are ten times faster than `numpy.maximum.accumulate` along the first axis.
    """
    n_obs = len(usable)
    kind = np.min_scalar_type(-n_obs - 1)
    number = np.arange(1, n_obs + 1, dtype=kind)[:, None]
    before = usable.view(np.int8) * number  # branches of `numpy.where` would cost ten times as much
    after = usable.view(np.int8) * number[::-1]
    for k in range(1, n_obs):
        np.maximum(before[k], before[k - 1], out=before[k])
    for k in reversed(range(n_obs - 1)):
        np.maximum(after[k], after[k + 1], out=after[k])
    before -= 1
    np.subtract(n_obs, after, out=after)
    return before, after
