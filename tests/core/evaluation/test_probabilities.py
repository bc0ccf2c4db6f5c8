"""Values that are not probabilities or fractions are refused, with the value in the message."""

import numpy as np
import pytest

from helioloop.errors import WrongUsage
from helioloop.evaluation.probabilities import as_labelled_probabilities, as_probabilities, check_fraction


def test_probabilities_become_float64() -> None:
    """Both ends of [0, 1] are included; an empty row is allowed."""
    p = as_probabilities(np.array([0.0, 0.25, 1.0], dtype=np.float32))
    assert p.dtype == np.float64
    assert p.tolist() == [0.0, 0.25, 1.0]
    assert as_probabilities([]).shape == (0,)


@pytest.mark.parametrize("value", [-0.1, 1.5, np.nan, np.inf])
def test_a_value_outside_0_to_1_is_refused(value: float) -> None:
    """The message contains the value and the name."""
    with pytest.raises(ValueError, match=rf"P\(label\) contains {value}, outside \[0, 1\]"):
        as_probabilities([0.5, value], what="P(label)")


def test_two_dimensions_are_refused() -> None:
    """The message contains the shape."""
    with pytest.raises(ValueError, match=r"p_emergence has shape \(1, 2\)"):
        as_probabilities([[0.5, 0.5]])


def test_labels_must_fit_the_probabilities() -> None:
    """One label per probability."""
    p, emergence = as_labelled_probabilities([0.5, 0.9], [0, 1])
    assert (p.tolist(), emergence.tolist()) == ([0.5, 0.9], [False, True])
    with pytest.raises(ValueError, match="one label per probability"):
        as_labelled_probabilities([0.5, 0.9], [True])


@pytest.mark.parametrize("value", [0.0, 1.0, 90, -1, float("nan")])
def test_a_fraction_excludes_0_and_1(value: float) -> None:
    """90 meant as 90 % is refused."""
    with pytest.raises(WrongUsage, match=f"coverage is {value}"):
        check_fraction("coverage", value)
    check_fraction("coverage", 0.9)
