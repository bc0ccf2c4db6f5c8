"""Fractions and the number of wrong labels left, with exact intervals."""

import numpy as np
import pytest
from scipy.stats import beta, hypergeom

from helioloop.evaluation.estimates import MIN_SAMPLED, Estimate, binomial_estimate, estimate_wrong_left


def test_fractions_have_the_exact_binomial_interval() -> None:
    """Nothing found in ten leaves 1 − 0.05^(1/10) possible; the ends of the scale are reached."""
    none, all_, half = binomial_estimate(0, 10), binomial_estimate(10, 10), binomial_estimate(5, 10)
    assert (none.value, none.lo, none.hi) == (0.0, 0.0, pytest.approx(1 - 0.05**0.1))
    assert (all_.value, all_.lo, all_.hi) == (1.0, pytest.approx(0.05**0.1), 1.0)
    assert (half.lo, half.hi) == (pytest.approx(1 - half.hi), pytest.approx(0.777559, abs=1e-6))


@pytest.mark.parametrize("n", [1, 7, 30, 400])
def test_the_exact_interval_is_clopper_and_pearsons(n: int) -> None:
    """Their formula: quantiles of the beta distribution."""
    for k in np.unique(np.linspace(0, n, 12).astype(int)).tolist():
        lo = beta.ppf(0.05, k, n - k + 1) if k else 0.0
        hi = beta.ppf(0.95, k + 1, n - k) if k < n else 1.0
        found = binomial_estimate(k, n)
        assert (found.lo, found.hi) == (pytest.approx(lo, abs=1e-11), pytest.approx(hi, abs=1e-11))


def test_the_fraction_of_wrong_sampled_labels_carries_over() -> None:
    """Two wrong of twenty: a tenth of the 100 unverified. A few give no estimate; all verified, none is wrong."""
    left = estimate_wrong_left(sampled=20, sampled_wrong=2, unverified=100)
    assert left is not None
    assert left.value == pytest.approx(10)
    assert left.lo < 10 < left.hi
    assert estimate_wrong_left(sampled=MIN_SAMPLED - 1, sampled_wrong=0, unverified=100) is None
    assert estimate_wrong_left(sampled=0, sampled_wrong=0, unverified=0) == Estimate(value=0.0, lo=0.0, hi=0.0)


def test_the_interval_of_what_is_left_is_exact() -> None:
    """A single wrong label among eleven cubes escapes a sample of ten in 1 of 11 cases: over 5 %, so it is possible."""
    one = estimate_wrong_left(sampled=10, sampled_wrong=0, unverified=1)
    assert one is not None
    assert (one.value, one.lo, one.hi) == (0.0, 0.0, 1.0)
    many = estimate_wrong_left(sampled=20, sampled_wrong=0, unverified=1)  # 1 of 21 is less than 5 %
    assert many is not None
    assert (many.lo, many.hi) == (0.0, 0.0)


def test_wrong_labels_found_outside_the_sample_are_subtracted() -> None:
    """Of 130 cubes not reached a tenth is wrong: 13, less the 2 sampled and the 4 found outside the sample."""
    left = estimate_wrong_left(sampled=20, sampled_wrong=2, unverified=100, unsampled=10, unsampled_wrong=4)
    assert left is not None
    assert left.value == pytest.approx(13 - 2 - 4)


@pytest.mark.parametrize("seed", range(5))
def test_the_interval_of_what_is_left_is_that_of_the_hypergeometric_distribution(seed: int) -> None:
    """SciPy's, for every K in turn; also where no K is possible and the likeliest one is taken."""
    rng = np.random.default_rng(seed)
    for _ in range(40):
        n, left, unsampled = rng.integers(10, 120), rng.integers(1, 300), rng.integers(0, 40)
        x, h = rng.integers(0, n // 3), rng.integers(0, unsampled + 1)
        population, counts = n + left + unsampled, x + h + np.arange(left + 1)
        tail = (1 - 0.9) / 2
        at_least, at_most = hypergeom.sf(x - 1, population, counts, n), hypergeom.cdf(x, population, counts, n)
        possible = np.flatnonzero((at_least > tail) & (at_most > tail))
        inside = possible if possible.size else [np.argmax(hypergeom.pmf(x, population, counts, n))]
        found = estimate_wrong_left(
            sampled=int(n), sampled_wrong=int(x), unverified=int(left), unsampled=int(unsampled), unsampled_wrong=int(h)
        )
        assert found is not None
        assert (found.lo, found.hi) == (inside[0], inside[-1])
