"""Estimates with exact intervals: a fraction, and the number of wrong labels among cubes that nobody verified."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest, hypergeom

CONFIDENCE = 0.9
"""Confidence of all intervals of an audit, two-sided."""
MIN_SAMPLED = 10
"""Fewest sampled cubes for an estimate of the wrong labels: ten right ones still allow a quarter of all to be wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number with its interval, at the confidence `CONFIDENCE`."""

    value: float
    lo: float
    hi: float


def binomial_estimate(count: int, n: int) -> Estimate:
    """Return ``count / n`` with its exact binomial interval; n is at least 1.

    References
    ----------
    Clopper & Pearson 1934, Biometrika 26, 404, doi:10.1093/biomet/26.4.404
    """
    interval = binomtest(count, n).proportion_ci(confidence_level=CONFIDENCE, method="exact")
    return Estimate(value=count / n, lo=float(interval.low), hi=float(interval.high))


def estimate_wrong_left(
    *, sampled: int, sampled_wrong: int, unverified: int, unsampled: int = 0, unsampled_wrong: int = 0
) -> Estimate | None:
    """Return an estimate of how many unverified labels are wrong, from an audit sample.

    Parameters
    ----------
    sampled, sampled_wrong : int
        Cubes of the audit sample that the ranking has not reached, and how many had a wrong label.
    unverified : int
        Cubes whose label nobody verified.
    unsampled, unsampled_wrong : int
        Cubes verified outside the sample though the ranking has not reached them, and how many had a wrong label.

    Returns
    -------
    Estimate or None
        None if fewer than `MIN_SAMPLED` cubes were sampled and some are unverified.

    Notes
    -----
    The sample of n cubes, x of them wrong, is a simple random sample of the N = `sampled` + `unsampled` + `unverified`
    cubes that the ranking has not reached. If K of these N are wrong, x has the hypergeometric distribution with
    parameters (N, K, n). Hence::

        estimate of K  =  N x / n
        interval of K  =  all K with  P(X ≥ x | K) > α/2  and  P(X ≤ x | K) > α/2,   α = 1 − CONFIDENCE

    Of these K, x + h are known by now, h being `unsampled_wrong`. Wrong labels left: K − x − h, between 0 and
    `unverified`.

    In plain words: the unverified cubes are expected to be wrong as often as the randomly sampled ones were.

    References
    ----------
    Buonaccorsi 1987, "A note on confidence intervals for proportions in finite populations", The American Statistician
    41, 215
    """
    if unverified == 0:
        return Estimate(value=0.0, lo=0.0, hi=0.0)
    if sampled < MIN_SAMPLED:
        return None
    population, known = unverified + sampled + unsampled, sampled_wrong + unsampled_wrong
    counts = known + np.arange(unverified + 1)  # all values that K can have
    tail = (1 - CONFIDENCE) / 2
    possible = (hypergeom.sf(sampled_wrong - 1, population, counts, sampled) > tail) & (
        hypergeom.cdf(sampled_wrong, population, counts, sampled) > tail
    )
    # Unsampled cubes that were verified for a reason can leave no K possible; then the likeliest K is the interval.
    likeliest = np.argmax(hypergeom.pmf(sampled_wrong, population, counts, sampled))
    inside = np.flatnonzero(possible) if possible.any() else np.array([likeliest])
    best = population * sampled_wrong / sampled - known
    return Estimate(value=float(np.clip(best, 0, unverified)), lo=float(inside[0]), hi=float(inside[-1]))
