"""Off-disk pixels of observed frames: regions of coded pixels that touch a corner."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from helioloop.data.limb import corner_codes

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

_SAME_FRAME = np.zeros((3, 3, 3), dtype=np.int8)
_SAME_FRAME[1] = ndimage.generate_binary_structure(2, 1)


def corner_regions(observed_gauss: Floats, *, clip_gauss: float) -> Mask:
    """Find the regions of pixels that are coded as off-disk and touch a corner of their frame.

    Archives code off-disk pixels as NaN, as 0 or as a large negative number. All three codes are accepted at once, so
    the same disk gives the same mask with any of them, and those that `corner_codes` finds, such as 5000. Pixels with
    such a value elsewhere are on-disk: a single 0 G, or a dark umbra below −clip_gauss.

    Parameters
    ----------
    observed_gauss : array, shape (n_obs, ny, nx)
        Gauss; may contain NaN.
    clip_gauss : float
        Values at or below −clip_gauss are codes.

    Returns
    -------
    array of bool, shape (n_obs, ny, nx)
        True for coded pixels that are connected to a corner pixel of the same frame through edges of coded pixels.
    """
    codes = corner_codes(observed_gauss, code_gauss=clip_gauss)
    found = np.zeros(observed_gauss.shape, dtype=np.bool_)
    corners = _coded(observed_gauss[:, [0, 0, -1, -1], [0, -1, 0, -1]], codes, clip_gauss=clip_gauss)
    with_corner = np.flatnonzero(corners.any(axis=1))
    if with_corner.size:
        coded = _coded(observed_gauss[with_corner], codes, clip_gauss=clip_gauss)
        regions, n_regions = ndimage.label(coded, structure=_SAME_FRAME)
        touches: Mask = np.zeros(n_regions + 1, dtype=np.bool_)
        touches[regions[:, [0, 0, -1, -1], [0, -1, 0, -1]]] = True
        touches[0] = False
        found[with_corner] = touches[regions]
    return found


def off_disk(at_corner: Mask) -> Mask:
    """Return which corner-region pixels are off-disk, as opposed to lost data.

    The patch rotates onto the disk once and off it once, so a pixel cannot be off-disk in one frame and on-disk in both
    the frame before and the frame after. Such a pixel was lost, and is interpolated.

    Parameters
    ----------
    at_corner : array of bool, shape (n_obs, ny, nx)
        From `corner_regions`, for successive usable frames.

    Returns
    -------
    array of bool, shape (n_obs, ny, nx)
        `at_corner[k]` and (`at_corner[k − 1]` or `at_corner[k + 1]`); the first and last frame are unchanged.
    """
    off = at_corner.copy()
    off[1:-1] &= at_corner[:-2] | at_corner[2:]
    return off


def _coded(values_gauss: Floats, codes: Sequence[float], *, clip_gauss: float) -> Mask:
    """Return which values are codes of off-disk pixels: NaN, 0, at or below −clip_gauss, or in `codes`; same shape."""
    coded: Mask = ~(values_gauss > -clip_gauss)  # True for NaN
    coded |= values_gauss == 0.0
    for code in codes:
        coded |= values_gauss == np.float32(code)
    return coded
