"""Early-learning regularisation, which keeps a network from memorising wrong labels. Needs torch (extra ``worker``).

A network learns the pattern common to most labels before it memorises the wrong ones. So each cube has a target t, the
running average of its probabilities p over the epochs, and the loss penalises a probability that departs from it::

    epoch            1              2              …    e                      per cube
    prediction       p_1            p_2            …    p_e
    target   0.5 ──► t_1    ──────► t_2    ──────► …    t_e = β t_{e-1} + (1 - β) p_e

    loss = BCE(p, label) + λ(e) · mean over the batch of log(1 - <p, t>),   <p, t> = p t + (1 - p)(1 - t)

The penalty log(1 - <p, t>) is smallest where p and t agree. λ grows linearly from 0, because the first targets are
guesses.

References
----------
Liu, Niles-Weed, Razavian & Fernandez-Granda 2020, "Early-learning regularization prevents memorization of noisy
labels", NeurIPS 33, 20331
"""

import torch
from torch import Tensor

_MOMENTUM = 0.7
"""β: weight of the earlier epochs in the targets."""
_SMALLEST = 1e-4
"""Lower bound of 1 - <p, t>, which keeps the logarithm finite."""


class EarlyLearning:
    """The targets of all training examples, and the regularisation towards them.

    Parameters
    ----------
    n_examples : int
        Number of training examples; their targets start at 0.5.
    """

    def __init__(self, n_examples: int) -> None:
        self._targets = torch.full((n_examples,), 0.5)

    def loss(self, chosen: Tensor, p: Tensor) -> Tensor:
        """Update the targets of the examples `chosen` with their probabilities `p` and return the mean of the penalty.

        Parameters
        ----------
        chosen : Tensor of int, shape (n,)
            Indices of the examples, on the CPU. Where n is 0, the result is 0.
        p : Tensor, shape (n,)
            P(emergence), with gradient.
        """
        targets = _MOMENTUM * self._targets[chosen] + (1.0 - _MOMENTUM) * p.detach().cpu()
        self._targets[chosen] = targets
        t = targets.to(p.device)
        agreement = p * t + (1.0 - p) * (1.0 - t)
        return torch.log((1.0 - agreement).clamp(min=_SMALLEST)).sum() / max(1, len(p))
