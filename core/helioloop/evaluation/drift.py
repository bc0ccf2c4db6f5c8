"""Drift: whether a new release is unlike the releases that a version was trained on.

In go the field statistics and probabilities of both; out come the differences in plain sentences. The risk guarantee
and the calibrations hold only for a release that is like the sampled one, so that they are withdrawn under drift, and
where it is unknown.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import ks_2samp, mannwhitneyu

from helioloop.evaluation.probabilities import Floats, as_probabilities

FALSE_ALARM = 0.01
"""Largest probability that a release is flagged although its cubes are drawn as those trained on were."""
LEAST_RATIO = 1.1
"""A field strength must differ by this factor. Less is within the accuracy to which magnetographs are calibrated, and
far less than the gain by which the field is varied in training."""
LEAST_DISTANCE = 0.15
"""The probabilities' distributions must differ by this: the fraction of cubes that would have to move."""
LEAST_EFFECTIVE = 4.0
"""Smallest n·m / (n + m) of two samples of n and m cubes with which each test can reject at all."""

_LEAST_GAUSS = 0.5  # strengths below are those of noise-free cubes; the cache of gridded cubes resolves no less
_N_TESTS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftSample:
    """What is compared of a release: field strengths in gauss and probabilities of emergence, one cube per region.

    Parameters
    ----------
    noise_gauss, typical_gauss, peak_gauss : array, shape (n,)
        See `FieldStatistics`.
    p_emergence : array, shape (m,)
        Probabilities of emergence by out-of-fold members of one fold; m may differ from n, and be 0.
    """

    noise_gauss: Floats
    typical_gauss: Floats
    peak_gauss: Floats
    p_emergence: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """Whether a release is like those that a version was trained on.

    Parameters
    ----------
    reasons : tuple of str
        The differences, one clause each with both values; empty if none was found.
    unknown : str or None
        Why the field or the probabilities could not be compared, and what remedies that, one clause; None if all were.
    """

    reasons: tuple[str, ...] = ()
    unknown: str | None = None

    @property
    def found(self) -> bool:
        """True if the release differs from those trained on."""
        return bool(self.reasons)

    @property
    def alike(self) -> bool:
        """True if everything was compared and is alike; the guarantee and the calibrations hold only then."""
        return not self.found and self.unknown is None

    def sentences(self) -> tuple[str, ...]:
        """Return what was found in plain sentences; none if everything was compared and is alike."""
        found = f"This release is not like those trained on: {'; '.join(self.reasons)}." if self.reasons else ""
        unknown = (
            "" if self.unknown is None else f"Whether this release is like those trained on is unknown: {self.unknown}."
        )
        return tuple(sentence for sentence in (found, unknown) if sentence)


NO_DRIFT = Drift()


def find_drift(new: DriftSample, trained: DriftSample) -> Drift:
    """Return how a new release differs from the releases trained on.

    Parameters
    ----------
    new : DriftSample
        The new release, without cubes that were trained on.
    trained : DriftSample
        The cubes trained on, with their out-of-fold probabilities.

    Raises
    ------
    ValueError
        If a value of `p_emergence` is not a probability.

    Notes
    -----
    Four two-sample tests at the level `FALSE_ALARM` / 4 each, so that the level of all is at most `FALSE_ALARM`
    (Bonferroni): Mann–Whitney for the three field strengths, Kolmogorov–Smirnov for the probabilities. A difference
    counts only if it is also large enough: the ratio of the geometric means is at least `LEAST_RATIO` or at most
    1 / `LEAST_RATIO`, or the largest distance of the distribution functions is at least `LEAST_DISTANCE`. Otherwise any
    trifle would be found in large releases.

    The level is that over random new releases and random training releases. It assumes independent cubes, hence one
    cube per region.
    """
    what = {
        "noise": (new.noise_gauss, trained.noise_gauss),
        "typical field (median of |B|)": (new.typical_gauss, trained.typical_gauss),
        "peaks of the field (local maxima of |B|)": (new.peak_gauss, trained.peak_gauss),
    }
    reasons, too_few = [], []
    for name, (values, before) in what.items():
        if not _enough(len(values), len(before)):
            too_few.append((len(values), len(before), "field strengths"))
        elif (reason := _field_difference(name, values, before)) is not None:
            reasons.append(reason)
    p, p_before = as_probabilities(new.p_emergence), as_probabilities(trained.p_emergence)
    if not _enough(len(p), len(p_before)):
        too_few.append((len(p), len(p_before), "probabilities"))
    elif (reason := _probability_difference(p, p_before)) is not None:
        reasons.append(reason)
    return Drift(reasons=tuple(reasons), unknown=_too_few(too_few))


def _enough(n: int, m: int) -> bool:
    return n > 0 and m > 0 and n * m / (n + m) >= LEAST_EFFECTIVE


def _too_few(compared: list[tuple[int, int, str]]) -> str | None:
    """Return a clause on what could not be compared."""
    if not compared:
        return None
    n, m, _ = compared[0]
    names = " and ".join(dict.fromkeys(name for _, _, name in compared))
    needed = _fewest_new(m)
    remedy = (
        "verify more cubes drawn at random, of other regions"
        if needed is None
        else f"at least {needed} new ones are needed: put cubes of more regions into the release, or let people label "
        "it"
    )
    return f"{n} new regions and {m} trained on are too few to compare {names}; {remedy}"


def _fewest_new(m: int) -> int | None:
    """Return the smallest n with n·m / (n + m) ≥ `LEAST_EFFECTIVE`; None where no n is large enough."""
    return math.ceil(LEAST_EFFECTIVE * m / (m - LEAST_EFFECTIVE)) if m > LEAST_EFFECTIVE else None


def _field_difference(name: str, new: Floats, trained: Floats) -> str | None:
    values, before = np.maximum(new, _LEAST_GAUSS), np.maximum(trained, _LEAST_GAUSS)
    mean, mean_before = _geometric_mean(values), _geometric_mean(before)
    if max(mean / mean_before, mean_before / mean) < LEAST_RATIO:
        return None
    if mannwhitneyu(values, before).pvalue > FALSE_ALARM / _N_TESTS:
        return None
    return f"{name} {mean:.1f} G, and {mean_before:.1f} G in the releases trained on"


def _probability_difference(new: Floats, trained: Floats) -> str | None:
    test = ks_2samp(new, trained, method="asymp")  # conservative for few values; the exact one takes long for many
    if test.statistic < LEAST_DISTANCE or test.pvalue > FALSE_ALARM / _N_TESTS:
        return None
    at = float(test.statistic_location)
    return (
        f"probability of emergence at most {at:.2f} for {np.mean(new <= at):.0%} of the cubes, and for "
        f"{np.mean(trained <= at):.0%} in the releases trained on"
    )


def _geometric_mean(values: Floats) -> float:
    return float(np.exp(np.log(values).mean()))
