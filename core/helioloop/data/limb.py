"""Off-disk pixels: unusual codes for them, and from which side the limb crosses a patch."""

from enum import Enum, auto

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]

_STEP = 4  # every fourth row and column is enough for a mean position
_ON_DISK = 0.02
_MOSTLY_OFF = 0.85
_FEWEST_FRAMES = 3
_LEAST_MOTION = 0.1
_LEAST_SHIFT = 0.15
_MIDDLE = 0.25
_LEAST_AGREEING = 0.8
_LOWEST_CODE_CLIPS = -0.9  # such as -999
_LEAST_CODED = 0.05
_FEWEST_CODED = 20


class Limb(Enum):
    """How the limb moves over a patch.

    `UPRIGHT`: the last off-disk pixels are east while the patch rotates onto the disk, and the first are west when it
    leaves. `REVERSED`: the other way round. `SIDEWAYS`: along the columns.
    """

    UPRIGHT = auto()
    REVERSED = auto()
    SIDEWAYS = auto()


def corner_codes(frames_gauss: NDArray[np.float32], *, code_gauss: float) -> list[float]:
    """Return the values, other than the usual codes, that stand for off-disk pixels, such as 5000 or −999.

    Such a value is in a corner of a frame, is above `code_gauss` or below −0.9 times it, and is shared by 5 % of the
    pixels, 20 or more, in at least two frames. A saturated spot is smaller.

    Parameters
    ----------
    frames_gauss : array, shape (n_obs, ny, nx)
        Gauss; may contain NaN.
    code_gauss : float
        The clip of the instrument; values at or below −`code_gauss` are codes anyway.
    """
    corners, counts = np.unique(frames_gauss[:, [0, 0, -1, -1], [0, -1, 0, -1]], return_counts=True)
    unusual = (corners > code_gauss) | ((corners > -code_gauss) & (corners <= _LOWEST_CODE_CLIPS * code_gauss))
    fewest = max(_FEWEST_CODED, _LEAST_CODED * frames_gauss[0].size) if len(frames_gauss) else 0.0
    return [
        float(value)
        for value in corners[unusual & (counts > 1)]
        if np.count_nonzero((frames_gauss == value).sum(axis=(1, 2)) >= fewest) > 1
    ]


def limb_motion(frames_gauss: NDArray[np.float32], *, code_gauss: float) -> Limb | None:
    """Return how the limb moves over a patch; None where too few frames show it, or entry and exit contradict.

    Parameters
    ----------
    frames_gauss : array, shape (n_obs, ny, nx)
        In order of time; off-disk pixels NaN, 0, at or below −`code_gauss`, or as found by `corner_codes`.
    code_gauss : float
        The clip of the instrument.

    Notes
    -----
    Entry are the frames before the first one that is on-disk all over, exit those after the last one. Either counts if
    at least three frames show the limb, 2 % to 85 % of the pixels are off-disk, that fraction changes by 10 % of the
    patch, and the off-disk pixels' mean position is on the same side in most frames.
    """
    off = _off_disk(frames_gauss, code_gauss=code_gauss)
    fraction = off.mean(axis=(1, 2))
    on_disk = np.flatnonzero(fraction < _ON_DISK)
    if not on_disk.size or on_disk.size == len(fraction):
        return None
    seen = (fraction >= _ON_DISK) & (fraction <= _MOSTLY_OFF)
    index = np.arange(len(fraction))
    entry = _side(off, fraction, np.flatnonzero(seen & (index < on_disk[0])), east=1)
    leaving = _side(off, fraction, np.flatnonzero(seen & (index > on_disk[-1])), east=-1)
    sides = {side for side in (entry, leaving) if side is not None}
    return sides.pop() if len(sides) == 1 else None


def limb_frames(frames_gauss: NDArray[np.float32], *, code_gauss: float) -> NDArray[np.int64]:
    """Return the frames in which the limb crosses the middle of the patch: 25 % to 75 % of the pixels are off-disk."""
    fraction = _off_disk(frames_gauss, code_gauss=code_gauss).mean(axis=(1, 2))
    return np.flatnonzero(np.abs(fraction - 0.5) <= _MIDDLE)


def _off_disk(frames_gauss: NDArray[np.float32], *, code_gauss: float) -> NDArray[np.bool_]:
    """Return which of every fourth row and column are off-disk, in all frames."""
    view = frames_gauss[:, ::_STEP, ::_STEP]
    off: NDArray[np.bool_] = np.isnan(view) | (view == 0.0) | (view <= -code_gauss)
    for code in corner_codes(frames_gauss, code_gauss=code_gauss):
        off |= view == np.float32(code)
    return off


def _side(off: NDArray[np.bool_], fraction: Floats, chosen: NDArray[np.int64], *, east: int) -> Limb | None:
    """Return how the limb moves in some frames; `east` is 1 where off-disk pixels should be east, else −1."""
    if len(chosen) < _FEWEST_FRAMES or east * (fraction[chosen[0]] - fraction[chosen[-1]]) < _LEAST_MOTION:
        return None
    along_x, along_y = (_mean_position(off[chosen], axis=axis) for axis in (2, 1))
    x, y = float(np.median(along_x)), float(np.median(along_y))
    if abs(x) >= _LEAST_SHIFT:
        if np.mean(np.sign(along_x) == np.sign(x)) < _LEAST_AGREEING:
            return None
        return Limb.UPRIGHT if east * x < 0.0 else Limb.REVERSED
    if abs(y) >= 2.0 * _LEAST_SHIFT and np.mean(np.sign(along_y) == np.sign(y)) >= _LEAST_AGREEING:
        return Limb.SIDEWAYS
    return None


def _mean_position(off: NDArray[np.bool_], *, axis: int) -> Floats:
    """Return the mean position of off-disk pixels along an axis, from −1 at its begin to 1 at its end, per frame."""
    size = off.shape[axis]
    place = np.linspace(-1.0, 1.0, size)
    counts = off.sum(axis=3 - axis)
    mean: Floats = (counts * place).sum(axis=1) / np.maximum(counts.sum(axis=1), 1)
    return mean
