"""Bad frames: observed frames that do not show the Sun, because they are empty, constant or noise."""

import numpy as np
from numpy.typing import NDArray

from helioloop.data.off_disk import blank_frames, touches_corner

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

ROUGH_RATIO = 5.0
"""A frame is noise if its roughness exceeds this many times the median roughness of the cube's frames …"""
ROUGH_CLIP_FRACTION = 0.1
"""… and this fraction of the clip: 100 G for MDI, whose noise is 10 to 40 G."""
NOISE_CLIP_FRACTION = 0.25
"""A frame is noise if its roughness exceeds this fraction of the clip, whatever the other frames are like."""

_BLOCK = 32  # frames that are worked on at once: they fit into the processor's cache
_ROW_STEP = 3  # every third row: the roughness of a frame is a median over thousands of pixels


def bad_frames(observed_gauss: Floats, at_corner: Mask, *, clip_gauss: float) -> Mask:
    """Find frames that do not show the Sun: without values outside the corner regions, constant, or noise.

    Parameters
    ----------
    observed_gauss : array, shape (n_obs, ny, nx)
        Gauss; may contain NaN.
    at_corner : array of bool, shape (n_obs, ny, nx)
        From `corner_regions`.
    clip_gauss : float
        The field is clipped to ± this value.

    Returns
    -------
    array of bool, shape (n_obs,)
        True for bad frames.

    Notes
    -----
    The roughness r of a frame is the median of |B[y, x + 1] − B[y, x]| over the pixels of every third row that are
    outside the corner regions, with B clipped. With r̃ the median roughness of the cube's frames, a frame is noise if ::

        r > min(max(ROUGH_CLIP_FRACTION · clip_gauss, ROUGH_RATIO · r̃), NOISE_CLIP_FRACTION · clip_gauss).

    An active region covers less than half of the patch, so it hardly changes the median.

    A median is at most a bound if more than half of the values are, which needs no sorting. So frames that are smooth
    for certain are found first; r is computed of the others, and of all frames only where r̃ decides.
    """
    bad = blank_frames(at_corner)
    rough = np.flatnonzero(~bad & ~_surely_smooth(observed_gauss, at_corner, clip_gauss=clip_gauss))
    if not rough.size:
        return bad
    low, high = ROUGH_CLIP_FRACTION * clip_gauss, NOISE_CLIP_FRACTION * clip_gauss
    roughness, varied, _ = _roughness(observed_gauss, at_corner, rough, clip_gauss=clip_gauss)
    bound = low
    if np.any((roughness > low) & (roughness <= high)):
        all_frames = np.arange(len(observed_gauss))
        of_all, _, all_seen = _roughness(observed_gauss, at_corner, all_frames, clip_gauss=clip_gauss)
        usual = float(np.median(of_all[all_seen])) if all_seen.any() else 0.0
        bound = min(max(low, ROUGH_RATIO * usual), high)
    bad[rough] = roughness > bound
    for frame in rough[~varied]:  # few: only those are looked at in all rows
        values = observed_gauss[frame][~(at_corner[frame] | np.isnan(observed_gauss[frame]))]
        bad[frame] |= not values.size or values.min() >= values.max()
    return bad


def _surely_smooth(observed_gauss: Floats, at_corner: Mask, *, clip_gauss: float) -> Mask:
    """Find frames that are not constant and whose roughness is at most ROUGH_CLIP_FRACTION · clip_gauss.

    Some of these frames may be missed. A frame is found if more than half of its differences are within the bound,
    computed from fields that are not clipped, which makes none smaller. NaN counts as beyond the bound.
    """
    bound = _at_most(ROUGH_CLIP_FRACTION * clip_gauss)
    sampled, sampled_corner = observed_gauss[:, ::_ROW_STEP], at_corner[:, ::_ROW_STEP]
    counts = np.zeros(len(sampled), dtype=np.int64)
    n_steps = np.full(len(sampled), sampled.shape[1] * (sampled.shape[2] - 1))
    with_corner = touches_corner(at_corner)
    for first in range(0, len(sampled), _BLOCK):
        block = slice(first, first + _BLOCK)
        rows = sampled[block]
        steps = rows[:, :, 1:] - rows[:, :, :-1]
        within = np.abs(steps, out=steps) <= bound
        if with_corner[block].any():
            pairs = _pairs(sampled_corner[block])
            within &= pairs
            n_steps[block] = [np.count_nonzero(each) for each in pairs]
        counts[block] = [np.count_nonzero(each) for each in within]
    middle = np.clip(sampled[:, sampled.shape[1] // 2], -clip_gauss, clip_gauss)
    varied = (np.abs(np.diff(middle, axis=1)) > 0.0) & _pairs(sampled_corner[:, sampled.shape[1] // 2])
    smooth: Mask = (counts > n_steps // 2) & varied.any(axis=1)
    return smooth


def _pairs(at_corner: Mask) -> Mask:
    """Return which neighbours along the last axis are both outside the corner regions."""
    pairs: Mask = ~(at_corner[..., 1:] | at_corner[..., :-1])
    return pairs


def _roughness(
    observed_gauss: Floats, at_corner: Mask, chosen: Ints, *, clip_gauss: float
) -> tuple[Doubles, Mask, Mask]:
    """Return the roughness of some frames, whether their sampled pixels differ, and whether there are any.

    Each has the shape of `chosen`, the indices of the frames. The roughness is 0 where there are no pixels.
    """
    roughness, varied = np.zeros(len(chosen)), np.zeros(len(chosen), dtype=np.bool_)
    seen = np.zeros_like(varied)
    for first in range(0, len(chosen), _BLOCK):
        block = slice(first, first + _BLOCK)
        rows = observed_gauss[chosen[block], ::_ROW_STEP].clip(-clip_gauss, clip_gauss)
        np.copyto(rows, np.nan, where=at_corner[chosen[block], ::_ROW_STEP])
        steps = np.abs(np.diff(rows, axis=2)).reshape(len(rows), -1)
        steps.sort(axis=1)  # NaN comes last
        n_steps = np.isfinite(steps).sum(axis=1)
        index = np.arange(len(rows))
        seen[block] = n_steps > 0
        roughness[block] = np.where(seen[block], steps[index, n_steps // 2], 0.0)
        varied[block] = seen[block] & (steps[index, n_steps - 1] > 0.0)
    return roughness, varied, seen


def _at_most(bound: float) -> np.float32:
    """Return the largest number in single precision that does not exceed `bound`."""
    rounded = np.float32(bound)
    return rounded if rounded <= bound else np.nextafter(rounded, np.float32(-np.inf))
