"""Gridding: puts the observed frames of a cube on the instrument's time grid, scaled to [0, 1].

Bad frames and missing pixels are interpolated in time; off-disk pixels become NaN. The result is what the cache
stores, networks receive and videos show.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from helioloop.data.absent_values import LOWEST_GAUSS, AbsentValues, absent_values, refuse_without_values
from helioloop.data.bad_frames import bad_frames
from helioloop.data.cubes import Cube
from helioloop.data.interpolation import interpolate_frames, interpolate_pixels
from helioloop.data.off_disk import blank_frames, corner_regions, off_disk, touches_corner
from helioloop.data.slots import grid_frames
from helioloop.errors import CubeError
from helioloop.records.instrument import Instrument

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

OFF_DISK_FILL = np.float32(0.5)
"""Value that networks receive for off-disk pixels: 0 G, scaled."""

_LIMB_FRACTION = 0.05
_BLOCK = 8  # frames that are worked on at once: they fit into the processor's cache
_NEAR = 8  # observations; stretches with missing values that are nearer to each other are interpolated together


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameUse:
    """Which observations of a cube are used on the grid, and how many are dropped for which reason.

    Parameters
    ----------
    grid_frames : tuple of int
        Grid frame of each observation that is used, increasing.
    observations : tuple of int
        Which observations of the cube these are, counted from 0.
    before_grid, after_grid : int
        Observations before the start and after the end of the grid.
    bad : int
        Bad frames on the grid; see `bad_frames`.
    same_slot : int
        Observations followed by another usable one in the same grid frame.
    early : int
        Observations counted to the grid frame that begins after them; see `grid_frames`.
    absent : AbsentValues
        What the observations that are used lack.
    """

    grid_frames: tuple[int, ...]
    observations: tuple[int, ...]
    before_grid: int
    after_grid: int
    bad: int
    same_slot: int
    early: int
    absent: AbsentValues


def frame_use(cube: Cube, instrument: Instrument) -> FrameUse:
    """Return which observations `to_grid` uses, and why it drops the others.

    Raises
    ------
    CubeError
        As from `to_grid`.
    """
    all_frames = observed_frames(cube, instrument)
    frames, observed = _frames_on_grid(cube, instrument)
    shown, usable, at_corner = _usable(cube.name, frames, observed, instrument)
    n_frozen = int((frames[usable] < instrument.frozen_frames).sum())
    return FrameUse(
        grid_frames=tuple(frames[usable].tolist()),
        observations=tuple(np.flatnonzero((all_frames >= 0) & (all_frames < instrument.n_frames))[usable].tolist()),
        before_grid=int((all_frames < 0).sum()),
        after_grid=int((all_frames >= instrument.n_frames).sum()),
        bad=len(frames) - len(shown),
        same_slot=len(shown) - len(usable),
        early=int((all_frames * instrument.cadence_seconds > cube.seconds).sum()),
        absent=absent_values(observed[usable], at_corner[usable], n_frozen=n_frozen),
    )


def observed_frames(cube: Cube, instrument: Instrument) -> Ints:
    """Return the grid frame of each observation, shape (n_obs,), also of those outside the grid; see `grid_frames`."""
    return grid_frames(
        cube.seconds, cadence_seconds=instrument.cadence_seconds, tolerance_seconds=cube.grid_tolerance_seconds
    )


def to_grid(cube: Cube, instrument: Instrument) -> Floats:
    """Return a cube on the instrument's grid, scaled to [0, 1] and without gaps.

    Parameters
    ----------
    cube : Cube
        Observed frames, shape (n_obs, size_px, size_px), and their times.
    instrument : Instrument
        Its cadence_seconds, n_frames, size_px and clip_gauss define the grid.

    Returns
    -------
    array of float32, shape (n_frames, size_px, size_px)
        0.5 · (1 + B / clip_gauss) with the field B clipped to ± clip_gauss; NaN off-disk.

    Raises
    ------
    CubeError
        If the frames are not size_px × size_px, none on the grid is usable, or too many pixels have no value in any
        of them; see `refuse_without_values`.

    Notes
    -----
    1. *Grid frame.* An observation at t seconds belongs to grid frame ⌊t / cadence_seconds⌋, except where observations
       jitter around the starts of grid frames (see `grid_frames`). Those outside the grid are dropped; of several
       usable ones in one grid frame the last is kept, or the last on the disk where no other grid frame shows it.
    2. *Unusable values.* Bad frames (see `bad_frames`), pixels in corner regions (see `corner_regions`), NaN, and
       values below −7000 G, which no field reaches.
       Frames that are corner region all over are bad as well, except before the patch has rotated onto the disk and
       after it has left it.
    3. *Interpolation.* Let f_1 < … < f_m be the grid frames in which a pixel has usable values v_1 … v_m. At grid frame
       f it gets ::

           v_k + (f − f_k) / (f_{k+1} − f_k) · (v_{k+1} − v_k)    for f_k ≤ f ≤ f_{k+1},
           v_1 for f < f_1,    v_m for f > f_m,    0.5 (0 G) for m = 0.

    4. *Off-disk.* A pixel of grid frame f is NaN if it is off-disk (see `off_disk`) in the usable observation nearest
       to f, the earlier one of two equally near. The limb therefore moves in steps and is not blended.

    References
    ----------
    Chatterjee, Muñoz-Jaramillo & Lamb 2022, Nature Astronomy 6, 796, doi:10.1038/s41550-022-01701-3 (Methods).
    """
    all_frames, observed = _frames_on_grid(cube, instrument)
    _, kept, at_corner = _usable(cube.name, all_frames, observed, instrument)
    kept = kept[_next_to_shown(blank_frames(at_corner)[kept])]
    frames = all_frames[kept]
    gridded = np.empty((instrument.n_frames, observed[0].size), dtype=np.float32)
    fields = observed.reshape(len(observed), -1)
    lowest = _place(gridded, fields, frames, kept, clip_gauss=instrument.clip_gauss)
    incomplete = ~(lowest >= LOWEST_GAUSS) | touches_corner(at_corner)[kept]  # a NaN makes the lowest value NaN
    off: dict[int, Mask] = {}
    for first, end in _stretches(incomplete):
        chosen = kept[first:end]
        in_corner = at_corner[chosen].reshape(len(chosen), -1)
        in_a_row = chosen[-1] - chosen[0] == len(chosen) - 1  # an index would copy them
        values = fields[chosen[0] : chosen[-1] + 1] if in_a_row else fields[chosen]
        usable = values >= LOWEST_GAUSS  # False for NaN
        usable &= ~in_corner
        hidden = off_disk(in_corner)
        interpolate_pixels(gridded, frames[first:end], usable=usable, off=hidden, fill=OFF_DISK_FILL)
        off.update((first + k, hidden[k]) for k in np.flatnonzero(hidden.any(axis=1)).tolist())
    interpolate_frames(gridded, frames, off=off)
    return gridded.reshape(instrument.n_frames, *observed.shape[1:])


def fill_off_disk(gridded: Floats) -> Floats:
    """Return a copy with 0.5 (0 G) in place of NaN, as the authors' network expects off-disk pixels."""
    return np.where(np.isnan(gridded), OFF_DISK_FILL, gridded)


def _usable(name: str, frames: Ints, observed: Floats, instrument: Instrument) -> tuple[Ints, Ints, Mask]:
    """Return the observations that are not bad, the last of these in each grid frame, and `corner_regions`.

    Both are indices of observations on the grid, increasing.
    """
    at_corner = corner_regions(observed, clip_gauss=instrument.clip_gauss)
    good = ~bad_frames(observed, at_corner, clip_gauss=instrument.clip_gauss)
    if not good.any():
        raise CubeError(
            f"{name}: none of its {len(frames)} frames on the grid is usable, each is empty, constant or noise; "
            "correct the file (a wrong byte order looks like noise)"
        )
    refuse_without_values(name, observed, at_corner, np.flatnonzero(good))
    shown = np.flatnonzero(good | _beyond_limb(at_corner, good))
    kept = _last_of_each(frames, shown)
    if not good[kept].any():  # the patch leaves the disk within the only grid frame that shows it
        kept = _last_of_each(frames, shown[good[shown] | (frames[shown] != frames[good][-1])])
    return shown, kept, at_corner


def _last_of_each(frames: Ints, chosen: Ints) -> Ints:
    """Return the last one of the chosen observations in each grid frame."""
    last: Ints = chosen[np.append(np.diff(frames[chosen]) > 0, True)]
    return last


def _frames_on_grid(cube: Cube, instrument: Instrument) -> tuple[Ints, Floats]:
    """Return the observations on the grid: their grid frames, shape (n,), and fields, shape (n, ny, nx)."""
    height, width = cube.observed_gauss.shape[1:]
    if (height, width) != (instrument.size_px, instrument.size_px):
        raise CubeError(
            f"{cube.name}: its frames have {height} × {width} px and those of {instrument.name} have "
            f"{instrument.size_px} × {instrument.size_px} px; cut them to that size"
        )
    frames = observed_frames(cube, instrument)
    inside = (frames >= 0) & (frames < instrument.n_frames)
    if not inside.any():
        raise CubeError(
            f"{cube.name}: its times run from {cube.seconds[0]:g} to {cube.seconds[-1]:g} s and none lies on the grid "
            f"of {instrument.n_frames} frames of {instrument.cadence_seconds:g} s: correct the times or the start"
        )
    observed = cube.observed_gauss if inside.all() else cube.observed_gauss[inside]  # a mask would copy all frames
    return frames[inside], observed


def _beyond_limb(at_corner: Mask, good: Mask) -> Mask:
    """Find the frames before the patch rotates onto the disk or after it leaves it, shape (n_obs,).

    Such frames are corner region all over, and lie before the first good frame or after the last one, which shows the
    limb. Other frames that are corner region all over are lost data.
    """
    blank = blank_frames(at_corner)
    first, last = np.flatnonzero(good)[[0, -1]]
    beyond = np.zeros_like(good)
    if at_corner[first].mean() > _LIMB_FRACTION:
        beyond[:first] = blank[:first]
    if at_corner[last].mean() > _LIMB_FRACTION:
        beyond[last:] = blank[last:]
    return beyond


def _place(gridded: Floats, fields_gauss: Floats, frames: Ints, kept: Ints, *, clip_gauss: float) -> Floats:
    """Write the kept observations to their grid frames, clipped and scaled to [0, 1]; return the lowest value of each.

    Parameters
    ----------
    gridded : array, shape (n_frames, n_px)
        The rows `frames` are written; NaN stays NaN.
    fields_gauss : array, shape (n_obs, n_px)
        All observations.
    frames, kept : array of int, shape (n,)
        Grid frames and indices of the kept observations, increasing.
    clip_gauss : float
        The field is clipped to ± this value.

    Returns
    -------
    array of float32, shape (n,)
        Gauss; NaN where an observation contains NaN.
    """
    lowest = np.empty(len(kept), dtype=np.float32)
    breaks = np.flatnonzero((np.diff(frames) != 1) | (np.diff(kept) != 1)) + 1
    for start, end in pairwise([0, *breaks.tolist(), len(kept)]):
        for first in range(start, end, _BLOCK):
            block = slice(first, min(first + _BLOCK, end))
            n = block.stop - first
            values = fields_gauss[kept[first] : kept[first] + n]
            rows = gridded[frames[first] : frames[first] + n]
            np.minimum.reduce(values, axis=1, out=lowest[block])
            np.clip(values, -clip_gauss, clip_gauss, out=rows)
            rows *= np.float32(0.5 / clip_gauss)
            rows += np.float32(0.5)
    return lowest


def _next_to_shown(blank: Mask) -> slice:
    """Return the observations from the last blank one before the patch is on the disk to the first one after it.

    The others are off-disk all over, and so are the grid frames next to these two.
    """
    shown = np.flatnonzero(~blank)
    return slice(max(0, int(shown[0]) - 1), int(shown[-1]) + 2)


def _stretches(incomplete: Mask) -> list[tuple[int, int]]:
    """Return the stretches of observations around incomplete ones, each as its first index and its end.

    A stretch begins and ends with a complete observation unless it begins with the first or ends with the last one. All
    that the values of its incomplete observations depend on is therefore in it.
    """
    found = np.flatnonzero(incomplete)
    if not found.size:
        return []
    groups = np.split(found, np.flatnonzero(np.diff(found) > _NEAR) + 1)
    return [(max(0, int(group[0]) - 1), min(len(incomplete), int(group[-1]) + 2)) for group in groups]
