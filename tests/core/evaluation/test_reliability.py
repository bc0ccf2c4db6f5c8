"""The reliability of probabilities, in bins that one can count."""

import numpy as np
import pytest

from helioloop.evaluation.estimates import binomial_estimate
from helioloop.evaluation.reliability import FEW_LABELS, reliability_bins


def test_five_bins_of_few_labels() -> None:
    """0.2 and 1.0 are at edges: the lower end belongs to a bin, and 1 to the last one; empty bins are left out."""
    p = np.array([0.0, 0.1, 0.2, 0.9, 1.0])
    truth = np.array([False, True, False, True, True])
    bins = reliability_bins(p, truth)
    assert [(one.lo, one.hi, one.n, one.emergences) for one in bins] == [
        (0.0, 0.2, 2, 1),
        (0.2, 0.4, 1, 0),
        (0.8, 1.0, 2, 2),
    ]
    assert [one.mean_p for one in bins] == pytest.approx([0.05, 0.2, 0.95])
    assert bins[0].fraction == binomial_estimate(1, 2)


def test_more_labels_make_ten_bins() -> None:
    """All cubes are in one."""
    p = np.linspace(0.0, 1.0, FEW_LABELS)
    bins = reliability_bins(p, p > 0.5)
    assert len(bins) == 10
    assert sum(one.n for one in bins) == FEW_LABELS
    assert [one.emergences for one in bins[:5]] == [0] * 5


def test_without_labels_there_are_no_bins() -> None:
    """And what is no probability is refused."""
    assert reliability_bins(np.array([]), np.array([], dtype=bool)) == ()
    with pytest.raises(ValueError, match="outside"):
        reliability_bins(np.array([1.5]), np.array([True]))
