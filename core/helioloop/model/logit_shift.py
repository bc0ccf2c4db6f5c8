"""The shift of a network's logits at which its mean probability has a given value. Needs numpy and scipy."""

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

_FARTHEST = 60.0
"""The shift is between minus and plus this, which makes a probability of 0 or 1 of any logit that occurs."""


def shift_to_mean(logits: npt.NDArray[np.float64], mean: float) -> float:
    """Return what to add to finite logits, shape (n,), so that the mean of their probabilities is `mean`.

    With all other weights fixed, this bias maximises the likelihood of labels of which the fraction `mean` is
    emergence. `mean` is above 0 and below 1.
    """
    found = optimize.brentq(lambda shift: float(special.expit(logits + shift).mean()) - mean, -_FARTHEST, _FARTHEST)
    return float(found)
