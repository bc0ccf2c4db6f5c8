"""The emergence frame of masking curves one can draw by hand."""

import numpy as np
import pytest

from helioloop.emergence.authors_estimate import steepest_frame
from helioloop.emergence.curve_onset import MIN_RISE, ONSET_FRACTION, curve_onset, fit_curve
from helioloop.records.scores import Emergence

START = 30


def ramp(foot: int, top: int, *, low: float = 0.1, high: float = 0.9, n_frames: int = 225) -> np.ndarray:
    """A curve that rises from `low` at `foot` to `high` at `top`."""
    return low + (high - low) * np.clip((np.arange(n_frames) - foot) / (top - foot), 0, 1)


def test_a_clean_ramp_is_found_exactly() -> None:
    """Foot, top and levels."""
    found = fit_curve(ramp(90, 98), start=START)
    assert (found.foot, found.top) == (90, 98)
    assert (found.low, found.high) == (pytest.approx(0.1), pytest.approx(0.9))


def test_a_noisy_step_is_found_where_the_steepest_frame_is_wrong() -> None:
    """One spike moves the maximum of the gradient by a hundred frames, but not the ramp."""
    curve = ramp(90, 106)
    curve[200] += 0.5
    assert abs(steepest_frame(curve, start=START) - 98) > 90
    assert abs(fit_curve(curve, start=START).reaches(ONSET_FRACTION) - 94) <= 4


def test_the_interval_contains_the_frame_and_the_middle_half_of_the_members_onsets() -> None:
    """Onsets at 81, 86, 96 and 101: their quartiles are 85 and 97."""
    found = curve_onset(np.array([ramp(foot, foot + 4) for foot in (80, 85, 95, 100)]), start=START)
    assert found is not None
    assert 81 < found.frame < 101
    assert (found.frame_lo, found.frame_hi) == (min(found.frame, 85), max(found.frame, 97))


def test_a_single_member_that_is_far_off_does_not_widen_the_interval() -> None:
    """Seven members rise at 81, one at 201."""
    found = curve_onset(np.array([ramp(80, 84)] * 7 + [ramp(200, 204)]), start=START)
    assert found is not None
    assert (found.frame, found.frame_lo, found.frame_hi) == (81, 81, 81)


def test_a_mean_that_rises_where_no_member_does_has_an_interval_of_one_frame() -> None:
    """Both members jump by 0.11 at the last frame; their own ramps are fitted to steps of 0.08, of opposite sign."""
    first = np.where((np.arange(40) >= 10) & (np.arange(40) < 25), 0.08, 0.0)
    curves = np.stack([first, 0.08 - first])
    curves[:, -1] += 0.11
    assert max(fit_curve(curve, start=0).rise for curve in curves) < MIN_RISE < fit_curve(curves.mean(0), start=0).rise
    assert curve_onset(curves, start=0) == Emergence(frame=38, frame_lo=38, frame_hi=38)


@pytest.mark.parametrize("n_frames", [5, 40, 225])
@pytest.mark.parametrize("n_members", [1, 2, 4])
def test_noise_gives_no_frame_or_one_inside_its_interval(n_members: int, n_frames: int) -> None:
    """A hundred times: noise around a half, of 0.1 in the mean, as of networks that have learnt little."""
    random, noise = np.random.default_rng(3), 0.1 * n_members**0.5
    curves = np.clip(random.normal(0.5, noise, (100, n_members, n_frames)), 0.0, 1.0)
    found = [one for one in (curve_onset(some, start=1) for some in curves) if one is not None]
    assert found
    assert all(0 <= one.frame_lo <= one.frame <= one.frame_hi < n_frames for one in found)


@pytest.mark.parametrize("curve", [np.full(225, 0.8), ramp(90, 98, low=0.9, high=0.1), ramp(90, 98, high=0.15)])
def test_a_curve_that_does_not_rise_gives_no_time(curve: np.ndarray) -> None:
    """Level, falling, or rising by less than a tenth."""
    assert curve_onset(curve[None], start=START) is None


def test_an_emergence_at_the_frozen_start_means_at_or_before() -> None:
    """The frame is the frozen one and the interval starts at 0."""
    found = curve_onset(np.stack([ramp(30, 31)] * 2), start=START)
    assert found is not None
    assert (found.frame, found.frame_lo) == (30, 0)


def test_a_fall_after_the_rise_does_not_hide_it() -> None:
    """The probability of a region falls when it leaves the disk; the emergence is the rise."""
    curve = ramp(60, 64) - ramp(190, 194, low=0.0, high=0.8)
    found = curve_onset(curve[None], start=START)
    assert found is not None
    assert found.frame == pytest.approx(62, abs=6)


def test_the_interval_of_a_single_member_is_its_onset() -> None:
    """A quarter of the way from 90 to 98."""
    found = curve_onset(ramp(90, 98)[None], start=START)
    assert found is not None
    assert (found.frame, found.frame_lo, found.frame_hi) == (92, 92, 92)


def test_an_emergence_in_the_last_frames_stays_on_the_grid() -> None:
    """The interval ends with the video at the latest."""
    found = curve_onset(ramp(222, 224)[None], start=START)
    assert found is not None
    assert 221 <= found.frame <= found.frame_hi <= 224
