"""Gridding by whole arrays: labelled regions, sorted differences, every observation and grid frame in full.

`helioloop.data.gridding.to_grid` gives the same arrays to the last bit, in a fraction of the time.
"""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from helioloop.data.bad_frames import NOISE_CLIP_FRACTION, ROUGH_CLIP_FRACTION, ROUGH_RATIO
from helioloop.data.cubes import Cube
from helioloop.data.gridding import observed_frames
from helioloop.data.limb import corner_codes
from helioloop.data.off_disk import off_disk
from helioloop.records.instrument import Instrument

_EDGES = ndimage.generate_binary_structure(2, 1)[None] & (np.arange(3) == 1)[:, None, None]


def to_grid_slowly(cube: Cube, instrument: Instrument) -> np.ndarray | None:
    """Return what `to_grid` returns; None where it refuses a cube without usable frames."""
    frames, clip = observed_frames(cube, instrument), instrument.clip_gauss
    inside = (frames >= 0) & (frames < instrument.n_frames)
    frames, observed = frames[inside], cube.observed_gauss[inside]
    at_corner = corner_regions_slowly(observed, clip_gauss=clip)
    good = ~bad_frames_slowly(observed, at_corner, clip_gauss=clip)
    if not good.any():
        return None
    shown = np.flatnonzero(good | _beyond_limb(at_corner, good))
    kept = shown[np.append(np.diff(frames[shown]) > 0, True)]
    if not good[kept].any():
        shown = np.array([k for k in shown if good[k] or frames[k] not in frames[good]])
        kept = shown[np.append(np.diff(frames[shown]) > 0, True)]
    frames, observed, at_corner = frames[kept], observed[kept], at_corner[kept]
    scaled = np.clip(observed, -clip, clip) * np.float32(0.5 / clip) + np.float32(0.5)
    usable = (observed >= np.float32(-7000.0)) & ~at_corner
    off = off_disk(at_corner)
    _fill_gaps(scaled, frames, usable)
    return _between(scaled, off, frames, instrument.n_frames)


def corner_regions_slowly(observed: np.ndarray, *, clip_gauss: float) -> np.ndarray:
    """Return what `corner_regions` returns, from the connected regions of all coded pixels."""
    codes: Sequence[float] = corner_codes(observed, code_gauss=clip_gauss)
    coded = ~(observed > -clip_gauss) | (observed == 0.0)
    for code in codes:
        coded |= observed == np.float32(code)
    regions, _ = ndimage.label(coded, structure=_EDGES)
    touching = np.unique(regions[:, [0, 0, -1, -1], [0, -1, 0, -1]])
    return np.isin(regions, touching[touching > 0])


def bad_frames_slowly(observed: np.ndarray, at_corner: np.ndarray, *, clip_gauss: float) -> np.ndarray:
    """Return what `bad_frames` returns, from the sorted differences of every frame."""
    roughness, seen = np.zeros(len(observed)), np.zeros(len(observed), dtype=bool)
    bad = np.zeros(len(observed), dtype=bool)
    for k, (frame, corner) in enumerate(zip(observed, at_corner, strict=True)):
        rows = np.where(corner, np.float32(np.nan), frame.clip(-clip_gauss, clip_gauss))[::3]
        steps = np.abs(np.diff(rows, axis=1))
        steps = np.sort(steps[np.isfinite(steps)])
        values = frame[~corner & ~np.isnan(frame)]
        seen[k] = steps.size > 0
        roughness[k] = steps[len(steps) // 2] if steps.size else 0.0
        if not steps.size or steps[-1] <= 0.0:
            bad[k] = not values.size or values.min() >= values.max()
    usual = float(np.median(roughness[seen])) if seen.any() else 0.0
    bound = min(max(ROUGH_CLIP_FRACTION * clip_gauss, ROUGH_RATIO * usual), NOISE_CLIP_FRACTION * clip_gauss)
    return bad | (roughness > bound)


def _beyond_limb(at_corner: np.ndarray, good: np.ndarray) -> np.ndarray:
    blank = at_corner.all(axis=(1, 2))
    first, last = np.flatnonzero(good)[[0, -1]]
    beyond = np.zeros_like(good)
    if at_corner[first].mean() > 0.05:
        beyond[:first] = blank[:first]
    if at_corner[last].mean() > 0.05:
        beyond[last:] = blank[last:]
    return beyond


def _fill_gaps(scaled: np.ndarray, frames: np.ndarray, usable: np.ndarray) -> None:
    """Interpolate every unusable value, also those that are off-disk in all grid frames."""
    for y, x in zip(*np.nonzero(~usable.all(axis=0)), strict=True):
        known = np.flatnonzero(usable[:, y, x])
        for k in np.flatnonzero(~usable[:, y, x]):
            if not known.size:
                scaled[k, y, x] = 0.5
                continue
            before, after = known[known < k], known[known > k]
            low = before[-1] if before.size else after[0]
            high = after[0] if after.size else before[-1]
            weight = np.float32((frames[k] - frames[low]) / max(frames[high] - frames[low], 1))
            value = scaled[low, y, x]
            scaled[k, y, x] = value + weight * (scaled[high, y, x] - value)


def _between(scaled: np.ndarray, off: np.ndarray, frames: np.ndarray, n_frames: int) -> np.ndarray:
    gridded = np.empty((n_frames, *scaled.shape[1:]), dtype=np.float32)
    for f in range(n_frames):
        low = max(0, int(np.searchsorted(frames, f, side="right")) - 1)
        high = min(low + 1, len(frames) - 1)
        weight = np.float32(min(max((f - frames[low]) / max(frames[high] - frames[low], 1), 0.0), 1.0))
        gridded[f] = (scaled[high] - scaled[low]) * weight + scaled[low] if weight > 0 else scaled[low]
        gridded[f][off[high if weight > 0.5 and high > low else low]] = np.nan
    return gridded
