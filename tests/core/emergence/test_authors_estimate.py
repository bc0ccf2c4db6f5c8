"""The authors' estimate on curves one can draw by hand."""

import numpy as np
import pytest

from helioloop.emergence.authors_estimate import authors_estimate, steepest_frame

START = 30


def step(frame: int, *, n_frames: int = 225) -> np.ndarray:
    """A curve that is 0.1 before `frame` and 0.9 from it on."""
    return np.where(np.arange(n_frames) < frame, 0.1, 0.9)


def test_the_steepest_frame_of_a_step_is_at_its_edge() -> None:
    """The step is between the frames 120 and 121; one in the frozen start does not count."""
    assert steepest_frame(step(121), start=START) in (120, 121)
    curve = step(121)
    curve[:10] = -5.0
    assert steepest_frame(curve, start=START) in (120, 121)


def test_the_estimate_is_the_median_over_the_members_with_their_spread() -> None:
    """Steps at 61, 101 and 111 are steepest at 60, 100 and 110: the median is 100, not the mean of 90."""
    found = authors_estimate([step(61), step(101), step(111)], start=START)
    assert found.members == (60, 100, 110)
    assert found.frame == 100.0
    assert found.spread_frames == pytest.approx(np.std([60, 100, 110]))


def test_two_members_give_their_mean_and_one_has_no_spread() -> None:
    """The median of two is halfway between them."""
    assert authors_estimate([step(61), step(102)], start=START).frame == 80.5
    assert authors_estimate([step(61)], start=START).spread_frames is None


@pytest.mark.parametrize("start", [0, 222, 224])
def test_a_grid_that_is_frozen_up_to_its_end_has_an_estimate(start: int) -> None:
    """A step at the last frame is steepest there, also where it is the only one that is not frozen."""
    assert authors_estimate([step(224), step(224)], start=start).members == (224, 224)


def test_a_level_curve_has_an_estimate_too() -> None:
    """The authors give each cube a frame; a level curve gives the first one."""
    assert authors_estimate([np.full(225, 0.5)], start=START).members == (START,)
