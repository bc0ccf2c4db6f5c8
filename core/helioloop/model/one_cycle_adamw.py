"""AdamW under a one-cycle schedule whose values are in a table on the device, so that a recorded step can be replayed.

Torch's scheduler changes Python numbers, which a CUDA graph would keep as they were when it was recorded. Needs torch
(extra ``worker``).
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

_BETA2, _EPSILON = 0.999, 1e-8


class OneCycleAdamW:
    """Equals ``torch.optim.AdamW`` under ``OneCycleLR`` up to rounding.

    Parameters
    ----------
    weights : sequence of Parameter
        On one device.
    rate, decay : float
        Peak learning rate; decoupled weight decay.
    n_steps : int
        Length of the schedule.
    """

    def __init__(self, weights: Sequence[nn.Parameter], *, rate: float, decay: float, n_steps: int) -> None:
        self._weights: list[Tensor] = list(weights)
        self._mean = [torch.zeros_like(weight) for weight in self._weights]
        self._square = [torch.zeros_like(weight) for weight in self._weights]
        device = self._weights[0].device
        self._table = _table(rate=rate, decay=decay, n_steps=n_steps).to(device)
        self._step = torch.zeros(1, dtype=torch.long, device=device)

    def zero_grad(self, *, set_to_none: bool = True) -> None:
        """Discard the gradients."""
        if not set_to_none:
            raise ValueError("gradients are set to None, never to zeros")
        for weight in self._weights:
            weight.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Make one step from the gradients of the weights."""
        gradients = [cast("Tensor", weight.grad) for weight in self._weights]
        # The functions whose names begin with an underscore are those of torch's own optimisers.
        beta1, complement1, keep, size, correction2 = self._table.index_select(0, self._step)[0].unbind(0)
        torch._foreach_mul_(self._weights, keep)
        torch._foreach_mul_(self._mean, beta1)
        torch._foreach_add_(self._mean, torch._foreach_mul(gradients, complement1))  # noqa: SLF001
        torch._foreach_mul_(self._square, _BETA2)
        torch._foreach_addcmul_(self._square, gradients, gradients, value=1.0 - _BETA2)
        deviation = torch._foreach_sqrt(self._square)  # noqa: SLF001
        torch._foreach_mul_(deviation, correction2)
        torch._foreach_add_(deviation, _EPSILON)
        update = torch._foreach_div(self._mean, deviation)  # noqa: SLF001
        torch._foreach_mul_(update, size)
        torch._foreach_add_(self._weights, update)
        self._step.add_(1)


def _table(*, rate: float, decay: float, n_steps: int) -> Tensor:
    """Return for each step: β₁, 1 - β₁, the factor of weight decay, minus the step size, and 1 / √(1 - β₂ᵗ)."""
    optimiser = torch.optim.AdamW([torch.zeros(1)], lr=rate, weight_decay=decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=rate, total_steps=n_steps)
    rows = []
    for step in range(1, n_steps + 1):
        group = optimiser.param_groups[0]
        now, beta1 = float(group["lr"]), float(group["betas"][0])
        rows.append(
            [beta1, 1 - beta1, 1 - now * decay, -now / (1 - beta1**step), 1 / (1 - _BETA2**step) ** 0.5]
        )  # fmt: skip
        optimiser.step()
        if step < n_steps:
            schedule.step()
    return torch.tensor(rows, dtype=torch.float64).float()
