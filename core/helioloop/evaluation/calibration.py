"""Calibration on verified labels: probabilities that match frequencies, and emergence intervals with a known coverage.

Both are fitted on an audit sample, cubes drawn at random and verified. Cubes chosen by disagreement cannot be used: on
them the ensemble is wrong more often than elsewhere. With too few labels `calibrate` returns None, and the figures are
shown as uncalibrated.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit

from helioloop.evaluation.probabilities import (
    Bools,
    Floats,
    as_labelled_probabilities,
    as_probabilities,
    check_fraction,
)
from helioloop.records.scores import Emergence

MIN_LABELS = 30
"""With fewer verified labels in the audit sample, probabilities remain uncalibrated."""
MIN_PER_CLASS = 10
"""… and with fewer of either class."""
PRIOR_SCALE = 1.0
"""Standard deviation of the normal priors on shift and slope around (0, 1), "calibrated already"; a few labels outweigh
it."""
EDGE = 1e-4
"""Probabilities are clipped to [EDGE, 1 − EDGE] before their logit is taken: a saturated network gives 0 and 1."""
FLOOR_FRAMES = 3.0
"""Smallest half width, in frames, that an error is divided by: a ramp fitted in one step is not exact to a frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbabilityCalibration:
    """Platt scaling: logit(calibrated) = shift + slope · logit(p). It never reverses the order of cubes.

    Parameters
    ----------
    shift, slope : float
        0 and 1 leave probabilities unchanged; a slope below 1 corrects an overconfident ensemble.
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
        """Fit shift and slope, or return None with fewer than `MIN_LABELS` labels or `MIN_PER_CLASS` of a class.

        Parameters
        ----------
        p_emergence : ndarray, shape (n,)
            Probabilities of emergence by members that were not trained on the cube.
        emergence : ndarray of bool, shape (n,)
            Verified labels of these cubes. The cubes must be drawn at random.

        Raises
        ------
        ValueError
            If the arrays differ in shape or contain a value that is not a probability.

        Notes
        -----
        Maximum a posteriori under normal priors around (0, 1), slope ≥ 0. With xᵢ = logit(pᵢ) and yᵢ = ±1 it minimises

            Σ log(1 + exp(−yᵢ (shift + slope · xᵢ))) + (shift² + (slope − 1)²) / (2 · PRIOR_SCALE²)

        which is convex. The bound on the slope turns an ensemble worse than chance into one that always gives the base
        rate, never into the opposite ensemble.
        """
        p, truth = as_labelled_probabilities(p_emergence, emergence)
        if len(p) < MIN_LABELS or min(truth.sum(), (~truth).sum()) < MIN_PER_CLASS:
            return None
        x = _clipped_logit(p)
        sign = np.where(truth, 1.0, -1.0)

        def loss(parameters: Floats) -> tuple[float, Floats]:
            """Return the negative log posterior and its gradient."""
            shift, slope = parameters
            margin = sign * (shift + slope * x)
            pull = -sign * expit(-margin)
            away = np.array([shift, slope - 1.0]) / PRIOR_SCALE**2
            value = np.logaddexp(0.0, -margin).sum() + 0.5 * (shift * away[0] + (slope - 1.0) * away[1])
            return float(value), np.array([pull.sum(), (pull * x).sum()]) + away

        fit = minimize(loss, np.array([0.0, 1.0]), jac=True, method="L-BFGS-B", bounds=[(None, None), (0.0, None)])
        return cls(shift=float(fit.x[0]), slope=float(fit.x[1]), n_labels=len(x))

    def apply(self, p_emergence: Floats) -> Floats:
        """Return calibrated probabilities, shape (n,), of probabilities of the same shape."""
        return np.asarray(expit(self.shift + self.slope * _clipped_logit(as_probabilities(p_emergence))))


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalCalibration:
    """Split-conformal emergence intervals: both half widths of the ensemble's interval are multiplied by one factor.

    Parameters
    ----------
    factor : float
        Factor of the half widths. The calibrated half widths are the whole frames of the product, plus one.
    coverage : float
        Smallest fraction of true emergence frames inside the calibrated intervals, on average over calibration sets.
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
        """Find the factor, or return None with fewer frames than the coverage requires (9 for 90 %).

        Parameters
        ----------
        located : sequence of Emergence, length n
            Emergences located in cubes drawn at random, by members that were not trained on them.
        verified_frames : sequence of int, length n
            The frames that humans set for these cubes, 0-based on the grid.
        start : int
            The frozen start.
        coverage : float
            Fraction of the true frames to contain.

        Raises
        ------
        ValueError
            If the sequences differ in length.
        WrongUsage
            If `coverage` is not between 0 and 1.

        Notes
        -----
        The error of a cube is the smallest factor with which its interval contains the verified frame::

            error = max(|verified − located| − 1, 0) / (half width on that side, at least FLOOR_FRAMES)

        where frames before the frozen start count as the start. The factor is the ⌈(n + 1) · coverage⌉-th smallest
        error; n must be at least that rank. Errors relative to half widths let an interval stay narrow where the
        members agree. The 1 is subtracted because frames are whole numbers: without it the intervals would be wider and
        cover a few per cent more than required.
        """
        check_fraction("coverage", coverage)
        if len(located) != len(verified_frames):
            raise ValueError(f"{len(verified_frames)} verified frames for {len(located)} located; give one for each")
        n = len(located)
        rank = math.ceil((n + 1) * coverage - 1e-9)  # 20 · 0.9 may be a little above 18
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
            As the ensemble located it.
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


def probabilities_in_words(fitted: ProbabilityCalibration | None) -> str:
    """Return a sentence on the probabilities: how they are calibrated, or why not."""
    if fitted is None:
        return (
            f"Probabilities: uncalibrated, calibration needs {MIN_LABELS} labels in the audit sample and "
            f"{MIN_PER_CLASS} of each class."
        )
    return f"Probabilities: calibrated on {fitted.n_labels} labels of the audit sample."


def intervals_in_words(fitted: IntervalCalibration | None, *, n_frames: int, coverage: float) -> str:
    """Return a sentence on the intervals; `n_frames` verified frames were available for `coverage`."""
    percent = f"{100.0 * coverage:.3g} %"
    if fitted is None:
        return f"Intervals: uncalibrated, {n_frames} verified frames are too few for {percent}."
    return f"Intervals: calibrated on {n_frames} verified frames to contain the true frame in {percent} of cases."


def _clipped_logit(p: Floats) -> Floats:
    return np.asarray(logit(np.clip(p, EDGE, 1.0 - EDGE)))


def _half_widths(found: Emergence, *, start: int) -> tuple[float, float]:
    """Return the interval's widths before and after the frame; a lower end before the frozen start counts as it."""
    return (
        max(found.frame - max(found.frame_lo, start), FLOOR_FRAMES),
        max(found.frame_hi - found.frame, FLOOR_FRAMES),
    )


def _error(found: Emergence, verified_frame: int, *, start: int) -> float:
    """Return the smallest factor with which the interval contains the verified frame."""
    before, after = _half_widths(found, start=start)
    if verified_frame > found.frame:
        return (verified_frame - found.frame - 1) / after
    return max(found.frame - max(verified_frame, start) - 1, 0) / before
