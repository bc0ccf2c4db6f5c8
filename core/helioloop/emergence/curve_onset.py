"""Emergence frames from masking curves: the onset of a ramp fitted to the mean curve. Needs numpy only."""

from typing import Any

import numpy as np
import numpy.typing as npt

from helioloop.emergence.ramps import Ramp, fit_ramp
from helioloop.records.scores import Emergence

MIN_RISE = 0.1
"""Least rise of the fitted ramp, in probability; where it rises by less, there is no emergence frame."""
ONSET_FRACTION = 0.25
"""Fraction of the ramp's rise at the emergence frame. The true frame is at 10 % of the flux rise, long before the
network's probability reaches a half."""
WIDTHS = (1, 2, 3, 4, 6, 8, 11, 16, 22, 32, 45, 64)
"""Ramp widths that are tried, in frames."""

Curve = npt.NDArray[np.floating[Any]]


def fit_curve(curve: Curve, *, start: int) -> Ramp:
    """Return the ramp fitted to a masking curve; its foot and top are frames.

    Parameters
    ----------
    curve : ndarray, shape (n_frames,)
        Masking curve.
    start : int
        First frame of the fit (``frozen_frames``); earlier entries of the curve repeat it.
    """
    found = fit_ramp(curve[start:], widths=WIDTHS)
    return Ramp(foot=start + found.foot, top=start + found.top, low=found.low, high=found.high)


def curve_onset(curves: Curve, *, start: int) -> Emergence | None:
    """Return the emergence frame of masking curves, or None where the mean curve does not rise.

    Parameters
    ----------
    curves : ndarray, shape (n_members, n_frames)
        Masking curves of the out-of-fold members.
    start : int
        The frame that the frozen start repeats; an emergence at this frame was at or before it.

    Notes
    -----
    The frame is at `ONSET_FRACTION` of the ramp fitted to the mean curve. The interval contains it and the middle half
    of the onsets of the members' own ramps, where they rise; `refine_by_flux_onset` widens it. The mean may rise where
    no member's own ramp does: a member's ramp may fit another part of its curve, which is longer and rises less.
    """
    mean = fit_curve(curves.mean(axis=0), start=start)
    if mean.rise < MIN_RISE:
        return None
    rising = [ramp for ramp in (fit_curve(curve, start=start) for curve in curves) if ramp.rise >= MIN_RISE]
    onsets = [ramp.reaches(ONSET_FRACTION) for ramp in rising]
    middle_half = [round(q) for q in np.quantile(onsets, (0.25, 0.75))] if onsets else []
    return make_emergence(
        round(mean.reaches(ONSET_FRACTION)),
        interval_contains=tuple(middle_half),
        start=start,
        n_frames=curves.shape[1],
    )


def make_emergence(frame: int, *, interval_contains: tuple[int, ...], start: int, n_frames: int) -> Emergence:
    """Return an emergence at `frame`, clipped to the frames after the frozen start, with an interval.

    Parameters
    ----------
    frame : int
        The emergence frame.
    interval_contains : tuple of int
        Frames that the interval contains, besides `frame`; none where the interval is that frame.
    start : int
        The frame that the frozen start repeats; an interval that reaches it begins at 0.
    n_frames : int
        Frames on the grid.
    """
    last = n_frames - 1
    contained = (frame, *interval_contains)
    lo, hi = min(contained), max(contained)
    return Emergence(
        frame=int(np.clip(frame, start, last)), frame_lo=0 if lo <= start else min(lo, last), frame_hi=min(hi, last)
    )
