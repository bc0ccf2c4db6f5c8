"""Ramps fitted to series that one can draw by hand."""

import numpy as np
import pytest

from helioloop.emergence.ramps import Ramp, fit_ramp


def test_a_climb_between_two_levels_is_found_exactly() -> None:
    """Foot, top, levels and the point of a quarter of the climb."""
    found = fit_ramp(np.array([1.0, 1.0, 1.0, 2.0, 3.0, 4.0, 5.0, 5.0]))
    assert (found.foot, found.top) == (2, 6)
    assert (found.low, found.high, found.rise) == (pytest.approx(1.0), pytest.approx(5.0), pytest.approx(4.0))
    assert found.reaches(0.25) == 3.0


def test_of_several_series_the_one_that_climbs_most_is_fitted() -> None:
    """A flat one, a falling one, a small neat climb and a large untidy one."""
    flat = np.full(8, 9.0)
    falling = np.linspace(50.0, 0.0, 8)
    neat = np.array([0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    large = np.array([0.0, 1.0, 0.0, 1.0, 0.0, 20.0, 21.0, 20.0])
    found = fit_ramp(np.stack((flat, falling, neat, large), axis=1))
    assert (found.foot, found.top) == (4, 5)
    assert found.low == pytest.approx(0.4)
    assert found.high == pytest.approx(61 / 3)


def test_only_the_widths_asked_for_are_tried() -> None:
    """A climb over four places, fitted by steps of one."""
    found = fit_ramp(np.array([0.0, 0.0, 1.0, 2.0, 3.0, 4.0, 4.0]), widths=[1])
    assert found.top - found.foot == 1


def test_what_only_falls_has_a_climb_of_nothing() -> None:
    """The least of all falls: no climb is made up."""
    assert fit_ramp(np.array([3.0, 2.0, 1.0, 0.0])).rise <= 0.0


@pytest.mark.parametrize("series", [np.array([2.0]), np.array([2.0, 3.0])])
def test_a_series_too_short_for_the_widths_is_level(series: np.ndarray) -> None:
    """From its first to its last value, at 0."""
    assert fit_ramp(series, widths=[5]) == Ramp(foot=0, top=0, low=2.0, high=float(series[-1]))
