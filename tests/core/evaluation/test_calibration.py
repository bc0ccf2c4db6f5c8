"""Calibrated probabilities match frequencies, and calibrated intervals have the stated coverage."""

import numpy as np
import pytest
from scipy.special import expit

from helioloop.errors import WrongUsage
from helioloop.evaluation.calibration import IntervalCalibration, ProbabilityCalibration
from helioloop.records.scores import Emergence

START = 30


def labelled(n: int, rng: np.random.Generator, *, overconfidence: float) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities whose log-odds are `overconfidence` times the true ones, and labels drawn from the true ones."""
    log_odds = rng.normal(0.0, 2.0, n)
    return expit(overconfidence * log_odds), rng.random(n) < expit(log_odds)


def brier(p: np.ndarray, emergence: np.ndarray) -> float:
    return float(np.mean((p - emergence) ** 2))


# -- probabilities -------------------------------------------------------------------------------


def test_an_ensemble_with_threefold_log_odds_gets_a_third_of_the_slope() -> None:
    """With many labels the fit recovers the true slope and shift."""
    fit = ProbabilityCalibration.calibrate(*labelled(20_000, np.random.default_rng(0), overconfidence=3.0))
    assert fit is not None
    assert fit.slope == pytest.approx(1 / 3, abs=0.02)
    assert fit.shift == pytest.approx(0.0, abs=0.05)


def test_forty_labels_help_an_overconfident_ensemble_and_hardly_harm_another() -> None:
    """Mean Brier score on fresh cubes, over 50 calibration sets."""
    rng = np.random.default_rng(1)
    for overconfidence, least_gain in ((3.0, 0.01), (1.0, -0.006)):
        gains = []
        for _ in range(50):
            fit = ProbabilityCalibration.calibrate(*labelled(40, rng, overconfidence=overconfidence))
            assert fit is not None
            p, emergence = labelled(2000, rng, overconfidence=overconfidence)
            gains.append(brier(p, emergence) - brier(fit.apply(p), emergence))
        assert np.mean(gains) >= least_gain


def test_a_release_with_fewer_emergences_than_predicted_is_shifted() -> None:
    """Of the cubes at ½, a fifth emerge: the calibrated probability is 0.2."""
    fit = ProbabilityCalibration.calibrate(np.full(1000, 0.5), np.arange(1000) % 5 == 0)
    assert fit is not None
    assert fit.apply(np.array([0.5]))[0] == pytest.approx(0.2, abs=0.01)


def test_the_order_of_cubes_is_never_reversed() -> None:
    """An ensemble that predicts the opposite of the truth gets the base rate."""
    p, emergence = labelled(500, np.random.default_rng(2), overconfidence=1.0)
    fit = ProbabilityCalibration.calibrate(1.0 - p, emergence)
    assert fit is not None
    assert fit.slope == 0.0
    assert fit.apply(np.array([0.0, 1.0])) == pytest.approx(emergence.mean(), abs=0.01)


def test_zeros_and_ones_stay_finite() -> None:
    """One of them is wrong; calibrated, none is exactly 0 or 1."""
    emergence = np.arange(40) % 2 == 0
    p = emergence.astype(float)
    p[0] = 0.0
    fit = ProbabilityCalibration.calibrate(p, emergence)
    assert fit is not None
    assert 0.01 < fit.apply(np.array([0.0]))[0] < 0.3


def test_few_labels_leave_probabilities_uncalibrated() -> None:
    """Fewer than thirty, or fewer than ten of a class."""
    p = np.linspace(0.1, 0.9, 60)
    assert ProbabilityCalibration.calibrate(p[:29], p[:29] > 0.2) is None
    assert ProbabilityCalibration.calibrate(p, np.arange(60) >= 51) is None
    assert ProbabilityCalibration.calibrate(p, np.arange(60) >= 50) is not None
    assert ProbabilityCalibration.calibrate(np.array([]), np.array([], dtype=bool)) is None


# -- intervals -----------------------------------------------------------------------------------


def at(frame: int, lo: int, hi: int) -> Emergence:
    return Emergence(frame=frame, frame_lo=lo, frame_hi=hi)


def test_nine_frames_are_stretched_to_the_worst_of_them() -> None:
    """Half widths of 5 missed by 1 to 9 frames: rank ⌈10 · 0.9⌉ = 9, so the factor is 8/5, which makes 8 frames + 1."""
    fit = IntervalCalibration.calibrate([at(100, 95, 105)] * 9, [100 + k for k in range(1, 10)], start=START)
    assert fit == IntervalCalibration(factor=1.6, coverage=0.9, n_frames=9)
    assert fit.apply(at(100, 95, 105), start=START, n_frames=225) == at(100, 91, 109)


def test_each_side_is_measured_by_its_own_half_width() -> None:
    """Eleven frames too late with a half width of 20 before the frame: (11 − 1) / 20."""
    fit = IntervalCalibration.calibrate([at(100, 80, 105)] * 9, [89] * 9, start=START)
    assert fit is not None
    assert fit.factor == 0.5
    assert fit.apply(at(100, 80, 105), start=START, n_frames=225) == at(100, 89, 103)


def test_too_few_frames_leave_intervals_uncalibrated() -> None:
    """Eight are fewer than the rank for 90 %, and eighteen fewer than the rank for 95 %."""
    assert IntervalCalibration.calibrate([at(100, 95, 105)] * 8, [100] * 8, start=START) is None
    assert IntervalCalibration.calibrate([at(100, 95, 105)] * 18, [100] * 18, start=START, coverage=0.95) is None
    assert IntervalCalibration.calibrate([at(100, 95, 105)] * 19, [100] * 19, start=START, coverage=0.95) is not None


def test_an_interval_of_zero_width_is_stretched_too() -> None:
    """Its half widths count as three frames; the frames next to the located one are always inside."""
    fit = IntervalCalibration(factor=2.0, coverage=0.9, n_frames=50)
    assert fit.apply(at(100, 100, 100), start=START, n_frames=225) == at(100, 93, 107)
    least = IntervalCalibration(factor=0.0, coverage=0.9, n_frames=50)
    assert least.apply(at(100, 80, 120), start=START, n_frames=225) == at(100, 99, 101)


def test_the_interval_stays_on_the_grid_and_begins_at_0_where_it_reaches_the_frozen_start() -> None:
    """At or before the start: the interval begins at 0."""
    fit = IntervalCalibration(factor=2.0, coverage=0.9, n_frames=50)
    assert fit.apply(at(220, 215, 224), start=START, n_frames=225) == at(220, 209, 224)
    assert fit.apply(at(36, 33, 40), start=START, n_frames=225) == at(36, 0, 45)
    assert fit.apply(at(30, 0, 32), start=START, n_frames=225) == at(30, 0, 37)


def test_a_verified_frame_before_the_frozen_start_agrees_with_a_located_one_at_it() -> None:
    """A human who sets frame 3 does not contradict “at or before 30”."""
    fit = IntervalCalibration.calibrate([at(30, 0, 33)] * 9, [3] * 9, start=START)
    assert fit is not None
    assert fit.factor == 0.0


def test_calibrated_intervals_have_the_stated_coverage_where_raw_ones_do_not() -> None:
    """Errors four times the raw half width, 40 verified frames: raw intervals contain 1 in 5, calibrated 9 in 10."""
    rng = np.random.default_rng(3)

    def some(n: int) -> tuple[list[Emergence], list[int]]:
        truth, width = rng.integers(0, 225, n), rng.integers(3, 9, n)
        frame = np.clip(np.round(truth + 4.0 * width * rng.normal(size=n)), START, 224).astype(int)
        located = [
            at(f, 0 if f - w <= START else f - w, min(f + w, 224))
            for f, w in zip(frame.tolist(), width.tolist(), strict=True)
        ]
        return located, truth.tolist()

    def covered(intervals: list[Emergence], truth: list[int]) -> float:
        return float(np.mean([i.frame_lo <= t <= i.frame_hi for i, t in zip(intervals, truth, strict=True)]))

    raw, calibrated = [], []
    for _ in range(100):
        fit = IntervalCalibration.calibrate(*some(40), start=START)
        assert fit is not None
        located, truth = some(200)
        raw.append(covered(located, truth))
        calibrated.append(covered([fit.apply(found, start=START, n_frames=225) for found in located], truth))
    assert np.mean(raw) < 0.4
    assert 0.89 <= np.mean(calibrated) <= 0.93


# -- both ----------------------------------------------------------------------------------------


def test_wrong_arguments_are_refused() -> None:
    """Different lengths, a coverage of 90, a NaN."""
    with pytest.raises(ValueError, match="one label per probability"):
        ProbabilityCalibration.calibrate(np.full(3, 0.5), np.ones(2, dtype=bool))
    with pytest.raises(ValueError, match="outside"):
        ProbabilityCalibration(shift=0.0, slope=1.0, n_labels=50).apply(np.array([np.nan]))
    with pytest.raises(ValueError, match="give one for each"):
        IntervalCalibration.calibrate([at(100, 95, 105)], [], start=START)
    with pytest.raises(WrongUsage, match="coverage is 90"):
        IntervalCalibration.calibrate([], [], start=START, coverage=90)
