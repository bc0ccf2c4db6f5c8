"""Calibration on verified labels: probabilities that mean what they say, and emergence intervals that cover.

Learning floor, above `emergence`. Both are fitted on cubes drawn at random for verification; cubes chosen by
disagreement are those on which the ensemble errs, and would teach it to doubt itself everywhere. With too few labels
`calibrate` returns None, and what is shown is called uncalibrated. Pure: numpy and scipy.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit, logit

from helioloop.records import Emergence

MIN_LABELS = 30
"""Below so many random verified labels, probabilities stay uncalibrated."""
MIN_PER_CLASS = 10
"""… and below so many of either class."""
PRIOR_SCALE = 1.0
"""Standard deviation of the prior on shift and slope around "calibrated already": a few labels' worth of doubt."""
EDGE = 1e-4
"""Probabilities are kept so far from 0 and 1: a saturated network is not infinitely sure."""
FLOOR_FRAMES = 3.0
"""Least half width, in frames, that an error is measured by: a ramp fitted in one step is not known to a frame."""

Floats = npt.NDArray[np.floating[Any]]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbabilityCalibration:
    """Platt scaling: logit(calibrated) = shift + slope · logit(p). It never changes the order of cubes.

    Parameters
    ----------
    shift, slope : float
        0 and 1 leave probabilities as they are; a slope below 1 tells of an ensemble too sure of itself.
    n_labels : int
        Labels it was fitted on.

    References
    ----------
    Platt 1999, "Probabilistic outputs for support vector machines", in Advances in Large Margin Classifiers, MIT Press
    """

    shift: float
    slope: float
    n_labels: int

    @classmethod
    def calibrate(cls, p_emergence: Floats, emergence: Bools) -> Self | None:
        """Fit shift and slope, or return None below `MIN_LABELS` labels or `MIN_PER_CLASS` of a class.

        Parameters
        ----------
        p_emergence : ndarray, shape (n,)
            Probabilities of emergence by members that did not train on the cube.
        emergence : ndarray of bool, shape (n,)
            Verified labels of these cubes, drawn at random.

        Raises
        ------
        ValueError
            Where the arrays differ in shape or hold what is no probability.

        Notes
        -----
        The largest posterior under normal priors around (0, 1), slope ≥ 0: an ensemble worse than chance becomes one
        that says the base rate, never one that says the opposite. The problem is convex.
        """
        x = _logit(p_emergence)
        truth = np.asarray(emergence, dtype=bool)
        if truth.shape != x.shape:
            raise ValueError(f"{truth.shape} labels for {x.shape} probabilities; give one label per probability")
        if len(x) < MIN_LABELS or min(truth.sum(), (~truth).sum()) < MIN_PER_CLASS:
            return None
        sign = np.where(truth, 1.0, -1.0)

        def loss(parameters: Floats) -> tuple[float, Floats]:
            shift, slope = parameters
            margin = sign * (shift + slope * x)
            pull = -sign * expit(-margin)
            away = np.array([shift, slope - 1.0]) / PRIOR_SCALE**2
            value = np.logaddexp(0.0, -margin).sum() + 0.5 * (shift * away[0] + (slope - 1.0) * away[1])
            return float(value), np.array([pull.sum(), (pull * x).sum()]) + away

        fit = minimize(loss, np.array([0.0, 1.0]), jac=True, method="L-BFGS-B", bounds=[(None, None), (0.0, None)])
        return cls(shift=float(fit.x[0]), slope=float(fit.x[1]), n_labels=len(x))

    def apply(self, p_emergence: Floats) -> Floats:
        """Return calibrated probabilities, of the same shape."""
        return np.asarray(expit(self.shift + self.slope * _logit(p_emergence)))

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values; `from_dict` reads them back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Read what `as_dict` wrote."""
        return cls(**values)


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalCalibration:
    """Split-conformal emergence intervals: each side of the ensemble's own interval is stretched by one factor.

    Parameters
    ----------
    factor : float
        What the half widths are multiplied by; whole frames of that, and one more, are the calibrated ones.
    coverage : float
        Part of true emergence frames that the stretched intervals contain, at least, on average over calibration sets.
    n_frames : int
        Verified frames it was fitted on.

    References
    ----------
    Lei, G'Sell, Rinaldo, Tibshirani & Wasserman 2018, J. Am. Stat. Assoc. 113, 1094, doi:10.1080/01621459.2017.1307116
    """

    factor: float
    coverage: float
    n_frames: int

    @classmethod
    def calibrate(
        cls, located: Sequence[Emergence], verified_frames: Sequence[int], *, start: int, coverage: float = 0.9
    ) -> Self | None:
        """Find the factor, or return None with fewer frames than the coverage asks for (9 for 90 %).

        Parameters
        ----------
        located : sequence of Emergence, length n
            What the ensemble said of cubes drawn at random, by members that did not train on them.
        verified_frames : sequence of int, length n
            The frames a human set for these cubes, 0-based on the grid.
        start : int
            The frozen start.
        coverage : float
            Part of the true frames to contain.

        Raises
        ------
        ValueError
            Where the sequences differ in length or `coverage` does not lie between 0 and 1.

        Notes
        -----
        A cube's error is the least factor with which its interval contains the verified frame: the distance from the
        located frame, less one, over the half width on that side, and 0 for a region that both put at or before the
        frozen start. The factor is the ⌈(n + 1) · coverage⌉-th smallest error; n must reach that rank. Errors measured
        by half widths let an interval stay narrow where the members agree. Frames are whole numbers, and errors that
        took no notice of it would cover some per cent more than asked, with wider intervals.
        """
        if not 0.0 < coverage < 1.0:
            raise ValueError(f"the coverage is {coverage}; it lies between 0 and 1, both excluded: give 0.9 for 90 %")
        if len(located) != len(verified_frames):
            raise ValueError(f"{len(verified_frames)} verified frames for {len(located)} located; give one for each")
        n = len(located)
        rank = math.ceil((n + 1) * coverage - 1e-9)  # 20 · 0.9 may come out a little above 18
        if rank > n:
            return None
        errors = sorted(
            _error(found, frame, start=start) for found, frame in zip(located, verified_frames, strict=True)
        )
        return cls(factor=errors[rank - 1], coverage=coverage, n_frames=n)

    def apply(self, found: Emergence, *, start: int, n_frames: int) -> Emergence:
        """Return the emergence with its calibrated interval, clipped to the grid.

        Parameters
        ----------
        found : Emergence
            What the ensemble said.
        start : int
            The frozen start: an interval that reaches it means "at or before", and begins at 0.
        n_frames : int
            Frames on the grid.
        """
        before, after = _half_widths(found, start=start)
        lo = found.frame - math.floor(self.factor * before + 1e-9) - 1
        hi = found.frame + math.floor(self.factor * after + 1e-9) + 1
        at_start = found.frame <= start or lo <= start
        return Emergence(frame=found.frame, frame_lo=0 if at_start else lo, frame_hi=min(hi, n_frames - 1))

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values; `from_dict` reads them back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Read what `as_dict` wrote."""
        return cls(**values)


def probabilities_in_words(fitted: ProbabilityCalibration | None) -> str:
    """Return in a sentence what probabilities are worth under a calibration, or without one."""
    if fitted is None:
        return f"Probabilities: uncalibrated, that takes {MIN_LABELS} random labels and {MIN_PER_CLASS} of each class."
    return f"Probabilities: calibrated on {fitted.n_labels} random labels."


def intervals_in_words(fitted: IntervalCalibration | None, *, n_frames: int, coverage: float) -> str:
    """Return in a sentence what intervals are worth; `n_frames` verified frames were at hand for `coverage`."""
    asked = f"{100.0 * coverage:.3g} %"
    if fitted is None:
        return f"Intervals: uncalibrated, {n_frames} verified frames do not bear {asked}."
    return f"Intervals: calibrated on {n_frames} verified frames to contain the true frame in {asked}."


def _logit(p_emergence: Floats) -> Floats:
    p = np.asarray(p_emergence, dtype=np.float64)
    if not np.all((p >= 0.0) & (p <= 1.0)):  # NaN fails too
        raise ValueError("p_emergence holds a value outside [0, 1]; give probabilities")
    return np.asarray(logit(np.clip(p, EDGE, 1.0 - EDGE)))


def _half_widths(found: Emergence, *, start: int) -> tuple[float, float]:
    """Return the interval's widths before and after the frame; a lower end of 0 stands for the frozen start."""
    return (
        max(found.frame - max(found.frame_lo, start), FLOOR_FRAMES),
        max(found.frame_hi - found.frame, FLOOR_FRAMES),
    )


def _error(found: Emergence, verified_frame: int, *, start: int) -> float:
    before, after = _half_widths(found, start=start)
    if verified_frame > found.frame:
        return (verified_frame - found.frame - 1) / after
    return max(found.frame - max(verified_frame, start) - 1, 0) / before
