"""Ramps fitted to series one can draw by hand."""

import numpy as np
import pytest

from helioloop.emergence.ramps import Ramp, fit_ramp


def test_a_rise_between_two_levels_is_found_exactly() -> None:
    """Foot, top, levels and the position of a quarter of the rise."""
    found = fit_ramp(np.array([1.0, 1.0, 1.0, 2.0, 3.0, 4.0, 5.0, 5.0]))
    assert (found.foot, found.top) == (2, 6)
    assert (found.low, found.high, found.rise) == (pytest.approx(1.0), pytest.approx(5.0), pytest.approx(4.0))
    assert found.reaches(0.25) == 3.0


def test_the_series_that_rises_most_is_fitted() -> None:
    """One series is flat, one falls, one has a small clean rise, one a large noisy rise."""
    flat = np.full(8, 9.0)
    falling = np.linspace(50.0, 0.0, 8)
    clean = np.array([0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    noisy = np.array([0.0, 1.0, 0.0, 1.0, 0.0, 20.0, 21.0, 20.0])
    found = fit_ramp(np.stack((flat, falling, clean, noisy), axis=1))
    assert (found.foot, found.top) == (4, 5)
    assert found.low == pytest.approx(0.4)
    assert found.high == pytest.approx(61 / 3)


def test_only_the_given_widths_are_tried() -> None:
    """A rise over four positions, fitted with a width of one."""
    found = fit_ramp(np.array([0.0, 0.0, 1.0, 2.0, 3.0, 4.0, 4.0]), widths=[1])
    assert found.top - found.foot == 1


def test_a_falling_series_has_no_rise() -> None:
    """The fitted rise is not positive."""
    assert fit_ramp(np.array([3.0, 2.0, 1.0, 0.0])).rise <= 0.0


@pytest.mark.parametrize("series", [np.array([2.0]), np.array([2.0, 3.0])])
def test_a_series_too_short_for_the_widths_is_level(series: np.ndarray) -> None:
    """From its first to its last value, at 0."""
    assert fit_ramp(series, widths=[5]) == Ramp(foot=0, top=0, low=2.0, high=float(series[-1]))
