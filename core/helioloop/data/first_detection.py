"""First detection of a bipolar region in a cube: the first frame in which both its polarities stand out of the noise.

The bounds are those that separate active regions from ephemeral ones and from the network, and a signal-to-noise
ratio. None is adjusted to labels.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from helioloop.data.cubes import Cube
from helioloop.data.gridding import frame_use, to_grid
from helioloop.records.profiles import Profile

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

PLAGE_GAUSS = 50.0
"""Radial field, averaged over `POLE_DEG`, from which on flux is plage: the contour of active regions in Schrijver 1987.
The network stays below 20 G on that scale."""
POLE_DEG = 1.0
"""Side of the square over which the field is averaged: about one polarity of the smallest active regions."""
POLE_AREA_DEG2 = 1.25
"""Smallest area of each polarity. Both together have 2.5 square degrees, the smallest active region of Harvey & Zwaan
1993; at 50 G a polarity then has 9e19 Mx."""
NOISE_RATIO = 5.0
"""An average counts if it exceeds this many times the noise of the averages in the same frame."""
REGION_DEG = 8.0
"""Side of the square in which both polarities must be: 97 Mm, the extent of a large active region."""
FARTHEST_DEG = 75.0
"""Pixels farther than this from the central meridian do not count: at 75° a radial field is projected to a quarter,
and inclined fields show a false polarity."""
FRAMES_IN_A_ROW = 2
"""Observations in a row that must show the region, so that cosmic rays and faulty frames are no detection."""

_QUARTER_NORMAL = 0.31864
"""A quarter of normal deviates are closer to 0 than this many standard deviations."""
_FEWEST_DEG2 = 4.0
"""Area that must be visible before the noise of a frame can be measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usable:
    """The usable observations of a cube, in order of time.

    Parameters
    ----------
    field_gauss : array, shape (n_obs, ny, nx)
        Gauss, NaN off-disk.
    seconds : array, shape (n_obs,)
        Their times since grid frame 0.
    frames : array of int, shape (n_obs,)
        Their grid frames. The frame is not always that of ⌊time / cadence⌋, see `helioloop.data.slots.grid_frames`.
    """

    field_gauss: Floats
    seconds: Doubles
    frames: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """Where and when a region is first detected.

    Parameters
    ----------
    index : int
        Which observation, 0-based.
    offset_deg : float
        How far west of the patch's centre its flux is, in degrees of longitude.
    """

    index: int
    offset_deg: float


def usable_observations(cube: Cube, profile: Profile) -> Usable:
    """Return the usable observations of a cube.

    An observation that equals the next one is left out: the authors' first frames are copies of frame 30.
    """
    instrument = profile.instrument
    use = frame_use(cube, instrument)
    frames = np.asarray(use.grid_frames)
    field = (2.0 * to_grid(cube, instrument)[frames] - 1.0) * np.float32(instrument.clip_gauss)
    own = [not np.array_equal(a, b, equal_nan=True) for a, b in pairwise(field)]
    kept = np.array([*own, True])
    return Usable(
        field_gauss=field[kept], seconds=cube.seconds[np.asarray(use.observations)][kept], frames=frames[kept]
    )


def first_detection(
    field_gauss: Floats, longitude_deg: Doubles, *, latitude_deg: float, degrees_per_px: float
) -> Detection | None:
    """Return the first detection of a bipolar region; None if none stands out of the noise.

    Parameters
    ----------
    field_gauss : array, shape (n_obs, ny, nx)
        Line-of-sight field of the observations in order of time; row 0 south, column 0 east; NaN off-disk.
    longitude_deg : array, shape (n_obs,)
        Central-meridian distance of the patch's centre, west positive.
    latitude_deg : float
        Latitude of the patch's centre; 0 where it is unknown makes the projected field up to a fifth too small.
    degrees_per_px : float
        Side of a pixel, in heliographic degrees.

    Notes
    -----
    S is the field averaged over `POLE_DEG` × `POLE_DEG`, less its median, and σ its noise: the quartile of |S| / 0.319,
    which a region hardly raises as long as it covers less than half of what is visible. With the cosine
    μ = cos(longitude) · cos(latitude), a pixel is plage if ::

        |S| > max(PLAGE_GAUSS · μ, NOISE_RATIO · σ).

    A region is found where both polarities have `POLE_AREA_DEG2` of plage in a square of `REGION_DEG`, in
    `FRAMES_IN_A_ROW` observations.

    References
    ----------
    Harvey & Zwaan 1993, Solar Phys. 148, 85, doi:10.1007/BF00675537. Schrijver 1987, A&A 180, 241.
    """
    places = [
        _bipole(field, longitude, latitude_deg=latitude_deg, degrees_per_px=degrees_per_px)
        for field, longitude in zip(field_gauss, longitude_deg, strict=True)
    ]
    for index in range(len(places) - FRAMES_IN_A_ROW + 1):
        place = places[index]
        if place is not None and None not in places[index + 1 : index + FRAMES_IN_A_ROW]:
            return Detection(index=index, offset_deg=place)
    return None


def _bipole(field: Floats, longitude_deg: float, *, latitude_deg: float, degrees_per_px: float) -> float | None:
    """Return how far west of the centre the strongest bipole of a frame is, in degrees; None if there is none."""
    offset = (np.arange(field.shape[1]) - 0.5 * (field.shape[1] - 1)) * degrees_per_px
    columns = longitude_deg + offset
    seen = np.isfinite(field) & (np.abs(columns) <= FARTHEST_DEG)
    if np.count_nonzero(seen) * degrees_per_px**2 < _FEWEST_DEG2:
        return None
    mean = _average(np.where(seen, field, 0.0), seen, side_px=_pixels(POLE_DEG, degrees_per_px))
    mean -= np.median(mean[seen])
    noise = np.quantile(np.abs(mean[seen]), 0.25) / _QUARTER_NORMAL
    cosine = np.cos(np.radians(columns)) * np.cos(np.radians(latitude_deg))
    bound = np.maximum(PLAGE_GAUSS * cosine, NOISE_RATIO * noise)
    side = _pixels(REGION_DEG, degrees_per_px)
    areas = [
        ndimage.uniform_filter((plage & seen).astype(np.float64), side, mode="constant") * (side * degrees_per_px) ** 2
        for plage in (mean > bound, mean < -bound)
    ]
    smaller = np.minimum(*areas)
    # the filter's running sums differ from the exact ones in the last digits
    if smaller.max() < POLE_AREA_DEG2 - 1e-6:
        return None
    plage = seen & (np.abs(mean) > bound) & _square(smaller, side)
    return float(offset[np.nonzero(plage)[1]].mean())


def _average(field: NDArray[np.floating], seen: NDArray[np.bool_], *, side_px: int) -> Doubles:
    """Return the mean of the pixels seen in a square around each pixel; 0 where none is."""
    total = ndimage.uniform_filter(field.astype(np.float64), side_px, mode="constant")
    part = ndimage.uniform_filter(seen.astype(np.float64), side_px, mode="constant")
    return np.where(seen, total / np.maximum(part, 1.0 / side_px**2), 0.0)


def _square(smaller: Doubles, side_px: int) -> NDArray[np.bool_]:
    """Return the pixels in the square around the largest value."""
    row, column = np.unravel_index(int(np.argmax(smaller)), smaller.shape)
    inside = np.zeros(smaller.shape, dtype=np.bool_)
    half = side_px // 2
    inside[max(row - half, 0) : row + half + 1, max(column - half, 0) : column + half + 1] = True
    return inside


def _pixels(degrees: float, degrees_per_px: float) -> int:
    return max(1, round(degrees / degrees_per_px))
