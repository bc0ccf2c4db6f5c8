"""Computes the field statistics of a gridded cube."""

import numpy as np
from numpy.typing import NDArray

from helioloop.records.field_statistics import FieldStatistics

EVERY_FRAME = 5
"""Every fifth frame is used: the statistics of a cube hardly change with more."""
STRONG_FRACTION = 0.1
"""Fraction of the pixels on the disk that exceed the strong field."""

_MEDIAN_OF_NORMAL = 0.6745  # median of |x| for a standard normal x
_SECOND_DIFFERENCE = float(np.sqrt(6.0))  # standard deviation of x₋₁ − 2 x₀ + x₁ for independent standard normal x


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
    With the field B of every fifth frame and the pixels y of a column::

        noise = median |B[y − 1] − 2 B[y] + B[y + 1]| / (0.6745 · √6)

    Solar features are wider than a pixel and cover a small part of the patch, so they hardly change this median.
    Columns are used because pixels of a row are correlated near the limb, where a pixel of the disk covers several
    columns of the patch. The noise is that of independent pixels; correlated noise counts less here, and in full in
    the typical field.
    """
    field = np.asarray(gridded[EVERY_FRAME // 2 :: EVERY_FRAME], dtype=np.float32)
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
