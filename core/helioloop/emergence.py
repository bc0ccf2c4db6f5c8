"""From masking curves to an emergence frame: a ramp fitted to the mean curve, and an interval around it.

Above masking. numpy only.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

MIN_RISE = 0.1
"""A curve rises when the fitted ramp climbs by at least this much probability; below, no time is given."""
ONSET = 0.25
"""Which point of the ramp is the emergence: 0 is its foot, 1 its top. The truth is a tenth of the flux rise, well
before the network is half convinced."""
WIDTHS = (1, 2, 3, 4, 6, 8, 11, 16, 22, 32, 45, 64)
"""Ramp widths that are tried, in frames."""

Curve = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ramp:
    """A curve that is flat, climbs in a straight line, and is flat again.

    Parameters
    ----------
    foot, top : int
        Frames at which it starts and stops climbing.
    low, high : float
        Its values before and after.
    """

    foot: int
    top: int
    low: float
    high: float

    @property
    def rise(self) -> float:
        """How much it climbs; negative when it falls."""
        return self.high - self.low

    @property
    def onset(self) -> float:
        """The frame taken as the emergence."""
        return self.foot + ONSET * (self.top - self.foot)


@dataclass(frozen=True, slots=True, kw_only=True)
class Emergence:
    """When a region emerged: frames 0-based on the grid; at the frozen start it means "at or before", and lo is 0."""

    frame: int
    frame_lo: int
    frame_hi: int


def fit_ramp(curve: Curve, *, start: int) -> Ramp:
    """Fit a ramp to a masking curve by least squares over all feet and the widths in `WIDTHS`.

    Parameters
    ----------
    curve : ndarray, shape (n_frames,)
        Masking curve.
    start : int
        First frame of the fit (``frozen_frames``): what lies before repeats it.
    """
    y = np.asarray(curve, dtype=np.float64)[start:]
    feet, tops, shapes, norms = _ramps(len(y))
    if not len(feet):
        return Ramp(foot=start, top=start, low=float(y[0]), high=float(y[-1]))
    # With shapes centred on their mean, the best step is <shape, y> / <shape, shape>, and removes its square from the
    # residual sum.
    step = shapes @ (y - y.mean()) / norms
    best = int(np.argmax(np.sign(step) * step**2 * norms))  # the best climb, even where a fall fits better
    level = np.clip((np.arange(len(y)) - feet[best]) / (tops[best] - feet[best]), 0.0, 1.0).mean()
    low = float(y.mean() - step[best] * level)
    return Ramp(foot=start + int(feet[best]), top=start + int(tops[best]), low=low, high=low + float(step[best]))


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
    mean = fit_ramp(curves.mean(axis=0), start=start)
    if mean.rise < MIN_RISE:
        return None
    own = [ramp for ramp in (fit_ramp(curve, start=start) for curve in curves) if ramp.rise >= MIN_RISE]
    last = curves.shape[1] - 1
    frame = int(np.clip(round(mean.onset), start, last))
    lo = min([mean.foot, *(round(ramp.onset) for ramp in own)])
    hi = max([mean.top, *(round(ramp.onset) for ramp in own)])
    at_start = frame <= start or lo <= start
    return Emergence(frame=frame, frame_lo=0 if at_start else lo, frame_hi=min(max(hi, frame), last))


@lru_cache(maxsize=4)
def _ramps(n: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Curve, Curve]:
    """Return feet, tops, centred shapes (n_ramps, n) and their squared norms of all ramps on n frames."""
    pairs = [(foot, foot + width) for width in WIDTHS for foot in range(n - 1) if foot + width <= n - 1]
    feet, tops = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    shapes = np.clip((np.arange(n) - feet[:, None]) / (tops - feet)[:, None], 0.0, 1.0)
    shapes -= shapes.mean(axis=1, keepdims=True)
    return feet, tops, shapes, (shapes**2).sum(axis=1)
