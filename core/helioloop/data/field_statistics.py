"""Computes the field statistics of a gridded cube."""

import numpy as np
from numpy.typing import NDArray

from helioloop.records.field_statistics import FieldStatistics

MOST_FRAMES = 45
"""Frames used, at most: the statistics of a cube hardly change with more."""
STRONG_FRACTION = 0.1
"""Fraction of the pixels on the disk that exceed the strong field."""

_MEDIAN_OF_NORMAL = 0.6745  # median of |x| for a standard normal x
_SECOND_DIFFERENCE = float(np.sqrt(6.0))  # standard deviation of x₋₁ − 2 x₀ + x₁ for independent standard normal x
_EVERY_PX = 7  # enough pixels to tell observed frames from interpolated ones
_ROUNDING = 2.0**-10  # largest second difference in time of interpolated values that were rounded to float16


def field_statistics(gridded: NDArray[np.floating], *, clip_gauss: float) -> FieldStatistics | None:
    """Return the statistics of a cube's field; None if no pixel of the frames used has neighbours on the disk.

    Parameters
    ----------
    gridded : array, shape (n_frames, size_px, size_px)
        Scaled to [0, 1], NaN off-disk.
    clip_gauss : float
        The field is clipped to ± this value.

    Notes
    -----
    Only observed frames are used. Interpolated ones, which have less noise, are recognised by their second difference
    in time: it is zero except for rounding. With the field B of up to `MOST_FRAMES` of these frames, spread evenly,
    and the pixels y of a column::

        noise = median |B[y − 1] − 2 B[y] + B[y + 1]| / (0.6745 · √6)

    Solar features are wider than a pixel and cover a small part of the patch, so they hardly change this median.
    Columns are used because pixels of a row are correlated near the limb, where a pixel of the disk covers several
    columns of the patch. The noise is that of independent pixels; correlated noise counts less here, and in full in
    the typical field.
    """
    frames = _observed_frames(gridded)
    chosen = frames[np.linspace(0, len(frames) - 1, min(len(frames), MOST_FRAMES)).round().astype(np.int64)]
    field = np.asarray(gridded[chosen], dtype=np.float32)
    field = (field - np.float32(0.5)) * np.float32(2.0 * clip_gauss)
    steps = np.abs(field[:, 2:] - 2.0 * field[:, 1:-1] + field[:, :-2])
    steps, strength = steps[np.isfinite(steps)], np.abs(field[np.isfinite(field)])
    if not steps.size:
        return None
    typical, strong = np.quantile(strength, [0.5, 1.0 - STRONG_FRACTION])
    return FieldStatistics(
        noise_gauss=round(float(np.median(steps)) / (_MEDIAN_OF_NORMAL * _SECOND_DIFFERENCE), 3),
        typical_gauss=round(float(typical), 3),
        strong_gauss=round(float(strong), 3),
    )


def _observed_frames(gridded: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return the frames that are not interpolated between or repeated from others; all frames if none is found."""
    field = np.asarray(gridded[:, ::_EVERY_PX, ::_EVERY_PX], dtype=np.float32).reshape(len(gridded), -1)
    kinks = np.abs(field[2:] - 2.0 * field[1:-1] + field[:-2])
    finite = np.isfinite(kinks)
    n_finite = finite.sum(axis=1)
    kinks = np.sort(np.where(finite, kinks, np.inf), axis=1)
    median = np.where(n_finite > 0, kinks[np.arange(len(kinks)), np.minimum(n_finite // 2, kinks.shape[1] - 1)], 0.0)
    observed = 1 + np.flatnonzero(median > _ROUNDING)
    return observed if observed.size else np.arange(len(gridded))
