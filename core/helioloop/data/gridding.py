"""From observed frames to the instrument's grid: clipped, scaled, gaps filled, off-disk told apart.

Above `cubes`; what comes out is what `cache` keeps, networks see and videos show.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from helioloop.data.cubes import Cube
from helioloop.errors import CubeError
from helioloop.instrument import Instrument

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

OFF_DISK_FILL = np.float32(0.5)
"""What networks see off the disk: 0 G, scaled."""

ROUGH_RATIO = 5.0
"""A frame is wild noise when neighbouring pixels differ this many times more than in the cube's median frame …"""
ROUGH_SHARE = 0.1
"""… and by more than this share of the clip, in the median over its pixels: 100 G for MDI; its noise is 10 to 40."""
HOPELESS_SHARE = 0.25
"""Above this share of the clip it is wild noise whatever the rest of the cube is like."""

_LIMB_SHARE = 0.05
_ROW_STEP = 3  # the roughness of a frame is a median over thousands of pixels: every third row tells it
_SAME_FRAME = np.zeros((3, 3, 3), dtype=np.int8)
_SAME_FRAME[1] = ndimage.generate_binary_structure(2, 1)


def to_grid(cube: Cube, instrument: Instrument) -> Floats:
    """Lay a cube on the instrument's grid.

    Parameters
    ----------
    cube : Cube
        Observed frames.
    instrument : Instrument
        The grid.

    Returns
    -------
    array of float32, shape (n_frames, size_px, size_px)
        0.5 · (1 + B / clip_gauss) in [0, 1], B clipped to ± clip_gauss; NaN off-disk.

    Raises
    ------
    CubeError
        If frames are not of the instrument's size, or no usable frame lies on the grid.

    Notes
    -----
    An observation stands in grid frame ⌊seconds / cadence⌋; of several usable ones there the last counts, those
    outside the grid are dropped. A pixel is interpolated linearly in time between its usable values and repeats the
    first and the last of them beyond; one without any is 0 G. Not usable are bad frames as a whole (`bad_frames`),
    pixels in `corner_regions` and pixels without a number. Off-disk in a grid frame is what is off-disk (`off_disk`)
    in the nearest usable observation, the earlier of two equally near: the limb jumps, it does not fade. Frames that
    are coded all over are bad too, except before the patch has turned onto the disk and after it has left it.

    References
    ----------
    Chatterjee, Muñoz-Jaramillo & Lamb 2022, Nature Astronomy 6, 796, doi:10.1038/s41550-022-01701-3 (Methods).
    """
    frames, observed = _on_grid(cube, instrument)
    at_corner = corner_regions(observed, clip_gauss=instrument.clip_gauss)
    good = ~bad_frames(observed, at_corner, clip_gauss=instrument.clip_gauss)
    if not good.any():
        raise CubeError(
            f"{cube.name}: none of its {len(frames)} frames on the grid is usable, each is empty, constant or wild "
            "noise; correct the file (a wrong byte order looks like noise)"
        )
    usable = np.flatnonzero(good | _beyond_limb(at_corner, good))
    usable = usable[np.append(np.diff(frames[usable]) > 0, True)]
    frames, observed, at_corner = frames[usable], observed[usable], at_corner[usable]
    scaled = _scaled(observed, instrument.clip_gauss).reshape(len(frames), -1)
    _fill_pixels(scaled, frames, usable=~(at_corner.reshape(scaled.shape) | np.isnan(scaled)))
    off = off_disk(at_corner).reshape(scaled.shape)
    gridded = _fill_frames(scaled, off, frames, n_frames=instrument.n_frames)
    return gridded.reshape(instrument.n_frames, *observed.shape[1:])


def fill_off_disk(gridded: Floats) -> Floats:
    """Return a copy with 0.5 (0 G) off-disk: what the authors' network sees there."""
    return np.where(np.isnan(gridded), OFF_DISK_FILL, gridded)


def corner_regions(observed_gauss: Floats, *, clip_gauss: float) -> Mask:
    """Find the pixels coded as off-disk in regions that touch a corner of their frame.

    Archives code off-disk as NaN, as 0 or as a large negative number. All three count at once, so the same disk gives
    the same mask whichever is used. A coded pixel elsewhere (a lone 0 G, a dark umbra below −clip) is on-disk.

    Parameters
    ----------
    observed_gauss : array, shape (n_obs, ny, nx)
        Gauss.
    clip_gauss : float
        At or below −clip_gauss counts as coded.

    Returns
    -------
    array of bool, shape (n_obs, ny, nx)
        Pixels connected to a corner by edges, within their frame.
    """
    coded = np.isnan(observed_gauss) | (observed_gauss == 0.0) | (observed_gauss <= -clip_gauss)
    found = np.zeros(coded.shape, dtype=np.bool_)
    concerned = np.flatnonzero(coded[:, [0, 0, -1, -1], [0, -1, 0, -1]].any(axis=1))
    if concerned.size:
        regions, n_regions = ndimage.label(coded[concerned], structure=_SAME_FRAME)
        touches: Mask = np.zeros(n_regions + 1, dtype=np.bool_)
        touches[regions[:, [0, 0, -1, -1], [0, -1, 0, -1]]] = True
        touches[0] = False
        found[concerned] = touches[regions]
    return found


def off_disk(at_corner: Mask) -> Mask:
    """Tell the limb from lost data in corner regions of successive usable frames.

    The patch turns onto the disk and off it once, so a pixel cannot be off-disk in one frame and on it both before and
    after: such a pixel was lost, not off-disk, and is interpolated.

    Parameters
    ----------
    at_corner : array of bool, shape (n_obs, ny, nx)
        From `corner_regions`.

    Returns
    -------
    array of bool, shape (n_obs, ny, nx)
        `at_corner` without pixels that are so in a single frame between two others.
    """
    off = at_corner.copy()
    off[1:-1] &= at_corner[:-2] | at_corner[2:]
    return off


def bad_frames(observed_gauss: Floats, at_corner: Mask, *, clip_gauss: float) -> Mask:
    """Find frames that show no Sun: no field outside the corner regions, a constant one, or wild noise.

    Noise is judged by roughness, the median difference of pixels next to each other in a row, beside the bounds
    `ROUGH_RATIO`, `ROUGH_SHARE` and `HOPELESS_SHARE`. An active region does not reach them: it fills a part of the
    patch, and the median does not see it.

    Parameters
    ----------
    observed_gauss : array, shape (n_obs, ny, nx)
        Gauss.
    at_corner : array of bool, same shape
        From `corner_regions`.
    clip_gauss : float
        Beyond it differences do not count.

    Returns
    -------
    array of bool, shape (n_obs,)
        True for bad frames.
    """
    n_obs = len(observed_gauss)
    shown = ~(at_corner | np.isnan(observed_gauss))
    axes = (1, 2)
    lowest = np.min(observed_gauss, axis=axes, where=shown, initial=np.inf)
    highest = np.max(observed_gauss, axis=axes, where=shown, initial=-np.inf)
    rows = np.where(shown[:, ::_ROW_STEP], observed_gauss[:, ::_ROW_STEP], np.nan).clip(-clip_gauss, clip_gauss)
    steps = np.abs(np.diff(rows, axis=2)).reshape(n_obs, -1)
    steps.sort(axis=1)  # NaN comes last
    n_steps = np.isfinite(steps).sum(axis=1)
    roughness = np.where(n_steps > 0, steps[np.arange(n_obs), n_steps // 2], 0.0)
    usual = float(np.median(roughness[n_steps > 0])) if n_steps.any() else 0.0
    bound = min(max(ROUGH_SHARE * clip_gauss, ROUGH_RATIO * usual), HOPELESS_SHARE * clip_gauss)
    bad: Mask = (lowest >= highest) | (roughness > bound)
    return bad


def _on_grid(cube: Cube, instrument: Instrument) -> tuple[NDArray[np.int64], Floats]:
    """Return grid frame and field of the observations on the grid, in order."""
    height, width = cube.observed_gauss.shape[1:]
    if (height, width) != (instrument.size_px, instrument.size_px):
        raise CubeError(
            f"{cube.name}: its frames have {height} × {width} px, {instrument.name}'s have {instrument.size_px} × "
            f"{instrument.size_px}; cut them to that size"
        )
    frames = np.floor(cube.seconds / instrument.cadence_seconds)
    inside = (frames >= 0) & (frames < instrument.n_frames)
    if not inside.any():
        raise CubeError(
            f"{cube.name}: its times run from {cube.seconds[0]:g} to {cube.seconds[-1]:g} s and none lies on the grid "
            f"of {instrument.n_frames} frames of {instrument.cadence_seconds:g} s: correct times or start"
        )
    whole = bool(inside.all())
    observed = cube.observed_gauss if whole else cube.observed_gauss[inside]
    return frames[inside].astype(np.int64), observed


def _beyond_limb(at_corner: Mask, good: Mask) -> Mask:
    """Tell frames before the patch has reached the disk, or after it has left it, from lost ones: shape (n_obs,).

    They are coded all over and lie before the first good frame or after the last one, which shows the limb.
    """
    blank: Mask = np.all(at_corner, axis=(1, 2))
    first, last = np.flatnonzero(good)[[0, -1]]
    beyond = np.zeros_like(good)
    if at_corner[first].mean() > _LIMB_SHARE:
        beyond[:first] = blank[:first]
    if at_corner[last].mean() > _LIMB_SHARE:
        beyond[last:] = blank[last:]
    return beyond


def _scaled(observed_gauss: Floats, clip_gauss: float) -> Floats:
    """Return the field clipped and scaled to [0, 1]."""
    scaled = np.clip(observed_gauss, -clip_gauss, clip_gauss)
    scaled *= np.float32(0.5 / clip_gauss)
    scaled += np.float32(0.5)
    return scaled


def _fill_pixels(scaled: Floats, frames: NDArray[np.int64], *, usable: Mask) -> None:
    """Interpolate unusable values of `scaled`, shape (n_obs, n_px), between usable ones of the same pixel, in place."""
    lacking = np.flatnonzero(~usable.all(axis=0))
    if not lacking.size:
        return
    usable = usable[:, lacking]
    n_obs = len(frames)
    index = np.arange(n_obs, dtype=np.int32)[:, None]
    gap = np.nonzero(~usable)
    before = np.maximum.accumulate(np.where(usable, index, np.int32(-1)), axis=0)[gap]
    after = np.minimum.accumulate(np.where(usable, index, np.int32(n_obs))[::-1], axis=0)[::-1][gap]
    pixel = lacking[gap[1]]
    known = (before >= 0) | (after < n_obs)
    before, after = np.where(before < 0, after, before), np.where(after == n_obs, before, after)
    before, after = np.where(known, before, 0), np.where(known, after, 0)
    span = np.maximum(frames[after] - frames[before], 1)
    share = ((frames[gap[0]] - frames[before]) / span).astype(np.float32)
    low = scaled[before, pixel]
    scaled[gap[0], pixel] = np.where(known, low + share * (scaled[after, pixel] - low), OFF_DISK_FILL)


def _fill_frames(scaled: Floats, off: Mask, frames: NDArray[np.int64], *, n_frames: int) -> Floats:
    """Interpolate whole frames onto the grid; the off-disk mask is that of the nearest one."""
    grid = np.arange(n_frames)
    before = np.clip(np.searchsorted(frames, grid, side="right") - 1, 0, None)
    after = np.minimum(before + 1, len(frames) - 1)
    span = np.maximum(frames[after] - frames[before], 1)
    share = np.clip((grid - frames[before]) / span, 0.0, 1.0).astype(np.float32)
    gridded = scaled[before]
    between = np.flatnonzero((share > 0.0) & (after > before))
    gridded[between] += share[between, None] * (scaled[after[between]] - gridded[between])
    nearest = np.where((share > 0.5) & (after > before), after, before)
    gridded[off[nearest]] = np.nan
    return gridded
