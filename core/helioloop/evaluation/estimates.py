"""Estimates with exact intervals: a fraction, and the number of wrong labels among cubes that nobody verified.

Written without SciPy: importing ``scipy.stats`` takes longer than all else that ``helioloop status`` does.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

CONFIDENCE = 0.9
"""Confidence of all intervals of an audit, two-sided."""
_TAIL = (1 - CONFIDENCE) / 2
"""Probability on either side of an interval."""
_BISECTIONS = 60
"""Halvings of [0, 1], beyond the resolution of a float near 0.5."""
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
    lo = 0.0 if count == 0 else _limit(lambda p: _binomial_tail(count, n, p))
    hi = 1.0 if count == n else 1.0 - _limit(lambda p: _binomial_tail(n - count, n, p))
    return Estimate(value=count / n, lo=lo, hi=hi)


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
    most = known + unverified

    def many(wrong: int) -> bool:
        """Return whether so many wrong labels in the sample are not too many: P(X ≥ x | K) > α/2, growing with K."""
        return _hypergeometric_tail(sampled - sampled_wrong, population, population - wrong, sampled) > _TAIL

    def few(wrong: int) -> bool:
        """Return whether so few wrong labels in the sample are too few: not P(X ≤ x | K) > α/2, falling with K."""
        return _hypergeometric_tail(sampled_wrong, population, wrong, sampled) <= _TAIL

    lo, hi = _first(many, known, most), _first(few, known, most) - 1
    if lo > hi:
        # Unsampled cubes that were verified for a reason can leave no K possible; then the likeliest K is the interval.
        lo = hi = min(max(-(-(population + 1) * sampled_wrong // sampled) - 1, known), most)
    best = population * sampled_wrong / sampled - known
    return Estimate(value=min(max(best, 0.0), float(unverified)), lo=float(lo - known), hi=float(hi - known))


def _binomial_tail(k: int, n: int, p: float) -> float:
    """Return P(X ≥ k) of a binomial distribution with 0 < p < 1 and k ≥ 1."""
    if k <= n * p:  # the other tail has the smaller terms
        return 1.0 - _binomial_tail(n - k + 1, n, 1.0 - p)
    term = math.exp(math.log(math.comb(n, k)) + k * math.log(p) + (n - k) * math.log1p(-p))
    total = term
    for i in range(k, n):  # terms fall from here on
        term *= (n - i) / (i + 1) * p / (1.0 - p)
        total += term
        if term <= 1e-18 * total:
            break
    return total


def _limit(tail: Callable[[float], float]) -> float:
    """Return the p at which a probability that grows with p is `_TAIL`."""
    lo, hi = 0.0, 1.0
    for _ in range(_BISECTIONS):
        p = (lo + hi) / 2
        lo, hi = (p, hi) if tail(p) < _TAIL else (lo, p)
    return (lo + hi) / 2


def _hypergeometric_tail(x: int, population: int, wrong: int, sampled: int) -> float:
    """Return P(X ≤ x): at most x of `sampled` cubes are wrong where `wrong` of all are; exact until the last step."""
    least = max(0, sampled - (population - wrong))
    if x < least:
        return 0.0
    term = math.comb(wrong, least) * math.comb(population - wrong, sampled - least)
    total = term
    for i in range(least, min(x, sampled, wrong)):
        term = term * (wrong - i) * (sampled - i) // ((i + 1) * (population - wrong - sampled + i + 1))
        total += term
    return total / math.comb(population, sampled)


def _first(holds: Callable[[int], bool], lo: int, hi: int) -> int:
    """Return the first number from `lo` to `hi` for which a condition holds that then holds for all; else hi + 1."""
    while lo <= hi:
        middle = (lo + hi) // 2
        lo, hi = (lo, middle - 1) if holds(middle) else (middle + 1, hi)
    return lo
