"""From masking curves to an emergence frame: a ramp fitted to the mean curve, and an interval around it.

Above masking and ramps, below `flux`, which looks closer. numpy only.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from helioloop.emergence.ramps import Ramp, fit_ramp
from helioloop.records import Emergence

MIN_RISE = 0.1
"""A curve rises when the fitted ramp climbs by at least this much probability; below, no time is given."""
ONSET = 0.25
"""Which point of a curve's ramp is the emergence: 0 is its foot, 1 its top. The truth is a tenth of the flux rise, well
before the network is half convinced."""
WIDTHS = (1, 2, 3, 4, 6, 8, 11, 16, 22, 32, 45, 64)
"""Ramp widths that are tried, in frames."""

Curve = npt.NDArray[np.floating[Any]]


def fit_curve(curve: Curve, *, start: int) -> Ramp:
    """Fit a ramp to a masking curve (n_frames,); its foot and top are frames.

    Parameters
    ----------
    curve : ndarray, shape (n_frames,)
        Masking curve.
    start : int
        First frame of the fit (``frozen_frames``): what lies before repeats it.
    """
    found = fit_ramp(curve[start:], widths=WIDTHS)
    return Ramp(foot=start + found.foot, top=start + found.top, low=found.low, high=found.high)


def steepest_frame(curve: Curve, *, start: int) -> int:
    """Return the frame at which a curve changes most: the authors' estimate, for one member's curve.

    References
    ----------
    Chatterjee, Muñoz-Jaramillo & Lamb 2022, Nature Astronomy 6, 796, doi:10.1038/s41550-022-01701-3
    """
    return start + int(np.argmax(np.gradient(np.asarray(curve, dtype=np.float64)[start:])))


def locate_emergence(curves: Curve, *, start: int) -> Emergence | None:
    """Return when the region emerged, or None where the mean curve does not rise.

    Parameters
    ----------
    curves : ndarray, shape (n_members, n_frames)
        Masking curves of the members that may speak.
    start : int
        The frozen start; an emergence found there was at or before it.

    Notes
    -----
    The frame is the onset of the ramp fitted to the mean curve. The interval spans that ramp, and the onsets of the
    members' own ramps (of those that rise). It is not calibrated: its coverage is unknown.
    """
    mean = fit_curve(curves.mean(axis=0), start=start)
    if mean.rise < MIN_RISE:
        return None
    own = [ramp for ramp in (fit_curve(curve, start=start) for curve in curves) if ramp.rise >= MIN_RISE]
    onsets = [round(ramp.reaches(ONSET)) for ramp in own]
    return spanning(
        round(mean.reaches(ONSET)), (mean.foot, mean.top, *onsets), start=start, n_frames=curves.shape[1]
    )  # fmt: skip


def spanning(frame: int, others: tuple[int, ...], *, start: int, n_frames: int) -> Emergence:
    """Return an emergence at `frame` whose interval spans `others` too, clipped to the grid and its frozen start."""
    last = n_frames - 1
    lo, hi = min(frame, *others), max(frame, *others)
    return Emergence(
        frame=int(np.clip(frame, start, last)), frame_lo=0 if lo <= start else min(lo, last), frame_hi=min(hi, last)
    )
