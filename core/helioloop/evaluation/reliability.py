"""The reliability of probabilities: of the cubes at about p, which fraction emerges."""

from dataclasses import dataclass

import numpy as np

from helioloop.evaluation.estimates import Estimate, binomial_estimate
from helioloop.evaluation.probabilities import Bools, Floats, as_labelled_probabilities

FEW_LABELS = 150
"""With fewer labels the probabilities are put into five bins, else into ten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityBin:
    """The cubes of one bin of probabilities.

    Parameters
    ----------
    lo, hi : float
        Ends of the bin; a probability at `hi` is in the next bin, except 1.
    n, emergences : int
        Cubes of the bin, at least one, and how many emerge.
    mean_p : float
        Their mean probability of emergence.
    fraction : Estimate
        Fraction that emerges, with its exact binomial interval.
    """

    lo: float
    hi: float
    n: int
    emergences: int
    mean_p: float
    fraction: Estimate


def reliability_bins(p_emergence: Floats, emergence: Bools) -> tuple[ReliabilityBin, ...]:
    """Return the bins that contain cubes, lowest probability first.

    Parameters
    ----------
    p_emergence : ndarray, shape (n,)
        Probabilities of emergence by members that were not trained on the cube.
    emergence : ndarray of bool, shape (n,)
        Verified labels of these cubes, which must be drawn at random: True for emergence.

    References
    ----------
    Bröcker & Smith 2007, "Increasing the reliability of reliability diagrams", Weather and Forecasting 22, 651,
    doi:10.1175/WAF993.1
    """
    p, truth = as_labelled_probabilities(p_emergence, emergence)
    count = 5 if len(p) < FEW_LABELS else 10
    number = np.minimum((p * count).astype(np.int64), count - 1)
    return tuple(
        ReliabilityBin(
            lo=k / count,
            hi=(k + 1) / count,
            n=int(inside.sum()),
            emergences=int(truth[inside].sum()),
            mean_p=float(p[inside].mean()),
            fraction=binomial_estimate(int(truth[inside].sum()), int(inside.sum())),
        )
        for k in range(count)
        if (inside := number == k).any()
    )
