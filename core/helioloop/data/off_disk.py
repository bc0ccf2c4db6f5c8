"""Off-disk pixels of observed frames: regions of coded pixels that touch a corner."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from helioloop.data.limb import corner_codes

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

_BLOCK = 16  # frames that are worked on at once: they fit into the processor's cache
_GROWTH = 8  # pixels

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
    coded = np.empty((len(with_corner), *found.shape[1:]), dtype=np.bool_)
    for first in range(0, len(with_corner), _BLOCK):
        block = slice(first, first + _BLOCK)
        coded[block] = _coded(observed_gauss[with_corner[block]], codes, clip_gauss=clip_gauss)
    partly = np.flatnonzero(~coded.all(axis=(1, 2)))
    if partly.size:
        coded[partly] = _connected_to_corner(coded[partly])
    found[with_corner] = coded
    return found


def touches_corner(at_corner: Mask) -> Mask:
    """Return which frames have a corner region, shape (n_obs,), from the mask of all (n_obs, ny, nx)."""
    touches: Mask = np.logical_or.reduce(at_corner[:, [0, 0, -1, -1], [0, -1, 0, -1]], axis=1)
    return touches


def blank_frames(at_corner: Mask) -> Mask:
    """Return which frames are corner region all over, shape (n_obs,), from the mask of all (n_obs, ny, nx)."""
    blank = touches_corner(at_corner)
    blank[blank] = at_corner[blank].all(axis=(1, 2))
    return blank


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


def _connected_to_corner(coded: Mask) -> Mask:
    """Return the coded pixels that are connected to a corner through edges of coded pixels, shape (n, ny, nx).

    Where the limb crosses a frame, each row is off-disk from its east or west end on. These runs of pixels are taken
    first and grown by a few pixels. Frames that have regions of another shape are labelled, which takes longer.
    """
    n, height, width = coded.shape
    framed = np.zeros((n, height + 2, width + 2), dtype=np.bool_)
    found = framed[:, 1:-1, 1:-1]
    for toward in (slice(None), slice(None, None, -1)):
        chosen = coded[:, [0, -1]][:, :, toward][:, :, 0].any(axis=1)
        found[chosen, :, toward] |= _runs_from_corners(coded[chosen, :, toward])
    flat = framed.reshape(-1)
    frame, y, x = np.unravel_index(np.flatnonzero(coded & ~found), coded.shape)
    width += 2
    left = (frame * (height + 2) + y + 1) * width + x + 1
    for _ in range(_GROWTH):
        near = flat[left - 1] | flat[left + 1] | flat[left - width] | flat[left + width]
        if not near.any():
            return found
        flat[left[near]] = True
        left = left[~near]
    return _labelled_to_corner(coded)


def _labelled_to_corner(coded: Mask) -> Mask:
    """Return the same as `_connected_to_corner`, for regions of any shape."""
    regions, n_regions = ndimage.label(coded, structure=_SAME_FRAME)
    touches: Mask = np.zeros(n_regions + 1, dtype=np.bool_)
    touches[regions[:, [0, 0, -1, -1], [0, -1, 0, -1]]] = True
    touches[0] = False
    connected: Mask = touches[regions]
    return connected


def _runs_from_corners(coded: Mask) -> Mask:
    """Return the runs of coded pixels from x = 0 on in the rows that are connected to a corner along x = 0."""
    n_rows, n_columns = coded.shape[1:]
    length = _run(coded)
    edge = coded[:, :, 0]
    row = np.arange(n_rows)
    connected = (row < _run(edge)[:, None]) | (row >= n_rows - _run(edge[:, ::-1])[:, None])
    length[~connected] = 0
    return np.tri(n_columns + 1, n_columns, -1, dtype=np.bool_).take(length, axis=0)  # row n has n pixels


def _run(coded: Mask) -> Ints:
    """Return how many pixels along the last axis are coded before the first one that is not."""
    length: Ints = coded.argmin(axis=-1)  # 0 where all are coded, too
    length[(length == 0) & coded[..., 0]] = coded.shape[-1]
    return length


def _coded(values_gauss: Floats, codes: Sequence[float], *, clip_gauss: float) -> Mask:
    """Return which values are codes of off-disk pixels: NaN, 0, at or below −clip_gauss, or in `codes`; same shape."""
    coded: Mask = ~(values_gauss > -clip_gauss)  # True for NaN
    coded |= values_gauss == 0.0
    for code in codes:
        coded |= values_gauss == np.float32(code)
    return coded
