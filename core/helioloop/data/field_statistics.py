"""Computes the field statistics of a gridded cube."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from helioloop.records.field_statistics import FieldStatistics

MOST_FRAMES = 45
"""Frames used, at most: the statistics of a cube hardly change with more."""
PEAK_FRAMES = 5
"""Frames that are averaged before local maxima are searched, so that these are not maxima of the noise."""
MOST_MEANS = 15
"""Averages of frames used, at most."""
PEAK_WINDOW_PX = 9
"""A local maximum is the largest value in a square of this side around it."""
PEAK_QUANTILE = 0.6
"""Fraction of the local maxima that are weaker than the peak field."""

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

    The peaks are those of |B| in averages of `PEAK_FRAMES` successive frames, on the whole patch. Most of them are
    concentrations of the network, whose strength varies less from patch to patch than the flux does. A changed scale
    of the field therefore shows in them even if the noise is the same.
    """
    frames = _observed_frames(gridded)
    chosen = frames[np.linspace(0, len(frames) - 1, min(len(frames), MOST_FRAMES)).round().astype(np.int64)]
    field = np.asarray(gridded[chosen], dtype=np.float32)
    field = (field - np.float32(0.5)) * np.float32(2.0 * clip_gauss)
    steps = np.abs(field[:, 2:] - 2.0 * field[:, 1:-1] + field[:, :-2])
    steps, strength = steps[np.isfinite(steps)], np.abs(field[np.isfinite(field)])
    if not steps.size:
        return None
    peaks = _peaks(gridded, clip_gauss)
    return FieldStatistics(
        noise_gauss=round(float(np.median(steps)) / (_MEDIAN_OF_NORMAL * _SECOND_DIFFERENCE), 3),
        typical_gauss=round(float(np.median(strength)), 3),
        peak_gauss=round(float(np.quantile(peaks, PEAK_QUANTILE)) if peaks.size else 0.0, 3),
    )


def _peaks(gridded: NDArray[np.floating], clip_gauss: float) -> NDArray[np.float32]:
    """Return the local maxima of |B| in averages of successive frames, in gauss, shape (n,)."""
    span = min(PEAK_FRAMES, len(gridded))
    starts = np.linspace(0, len(gridded) - span, min(MOST_MEANS, len(gridded) // span)).round().astype(np.int64)
    means = np.stack([np.asarray(gridded[start : start + span], dtype=np.float32).mean(axis=0) for start in starts])
    strength = np.nan_to_num(np.abs(means - np.float32(0.5)) * np.float32(2.0 * clip_gauss), nan=0.0)
    highest = ndimage.maximum_filter(strength, size=(1, PEAK_WINDOW_PX, PEAK_WINDOW_PX))
    peaks: NDArray[np.float32] = strength[(strength == highest) & (strength > 0.0)]
    return peaks


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
