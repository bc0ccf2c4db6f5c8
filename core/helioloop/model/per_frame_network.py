"""The per-frame network: a small encoder applied to every step, then convolutions along time at each place.

Needs torch (extra ``worker``).
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from helioloop.model.cells import CHANNELS

CONV1_RADIUS, CONV1_STRIDE = 4, 3
"""The first temporal convolution's output k covers the steps 3k - 4 to 3k + 4."""
CONV2_RADIUS = 2
"""The second temporal convolution's output j covers the first one's outputs j - 2 to j + 2."""


class PerFrameNetwork(nn.Module):
    """A convolutional encoder of single steps, two convolutions along time, pooling over time and place, a head.

    Parameters
    ----------
    filters : tuple of int
        Widths of the encoder and of the two temporal convolutions.
    dense : int
        Width of the head's hidden layer.
    dropout : float
        Dropout rate before the head's last layer.

    Notes
    -----
    Shapes, with ``places`` the output pixels of the encoder and F the width of each layer::

        input           (batch, steps, 3, cells, cells)
        encoder         (batch, F, steps, places)        3×3, stride 2, each step by itself
        temporal_conv1  (batch, F, ⌈steps/3⌉, places)    9 steps wide, stride 3
        temporal_conv2  (batch, F, ⌈steps/3⌉, places)    5 outputs wide
        pool            (batch, 4 F)                     maximum and mean over time and over all or central places
        head            (batch,)                         logits

    Both temporal convolutions repeat the first and the last entry as padding, so that the frozen end of a masked video
    looks the same as a video that goes on without a change.
    """

    def __init__(self, *, filters: tuple[int, ...], dense: int, dropout: float) -> None:
        super().__init__()
        n_encoder, n_conv1, n_conv2 = filters
        self.encoder = nn.Sequential(
            nn.Conv2d(CHANNELS, n_encoder, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(n_encoder), nn.SiLU()
        )
        self.temporal_conv1 = nn.Sequential(
            nn.Conv2d(n_encoder, n_conv1, (2 * CONV1_RADIUS + 1, 1), stride=(CONV1_STRIDE, 1), bias=False),
            nn.BatchNorm2d(n_conv1),
            nn.SiLU(),
        )
        self.temporal_conv2 = nn.Sequential(
            nn.Conv2d(n_conv1, n_conv2, (2 * CONV2_RADIUS + 1, 1), bias=False), nn.BatchNorm2d(n_conv2), nn.SiLU()
        )
        self.head = nn.Sequential(
            nn.Linear(4 * n_conv2, dense), nn.SiLU(), nn.Dropout(dropout), nn.Linear(dense, 1)
        )  # fmt: skip

    def encode(self, steps: Tensor) -> Tensor:
        """Encode every step by itself: (batch, steps, 3, cells, cells) -> (batch, filters, steps, places)."""
        batch, n_steps = steps.shape[:2]
        maps = self.encoder(steps.flatten(0, 1))
        return cast("Tensor", maps.flatten(2).reshape(batch, n_steps, maps.shape[1], -1).permute(0, 2, 1, 3))

    def pool(self, maximum: Tensor, mean: Tensor) -> Tensor:
        """Pool maximum and mean over time, each (batch, F, places), over all and over central places: (batch, 4 F)."""
        side = round(maximum.shape[-1] ** 0.5)
        margin = side // 4
        inner = slice(margin, side - margin)
        central_maximum, central_mean = (
            value.unflatten(-1, (side, side))[..., inner, inner].flatten(2) for value in (maximum, mean)
        )
        return torch.cat((maximum.amax(2), mean.mean(2), central_maximum.amax(2), central_mean.mean(2)), dim=1)

    def forward(self, steps: Tensor) -> Tensor:
        """Return logits (batch,) for input (batch, steps, 3, cells, cells)."""
        conv1 = self.temporal_conv1(pad_time(self.encode(steps), CONV1_RADIUS))
        conv2 = self.temporal_conv2(pad_time(conv1, CONV2_RADIUS))
        return cast("Tensor", self.head(self.pool(conv2.amax(2), conv2.mean(2)))[:, 0])


def pad_time(x: Tensor, n: int) -> Tensor:
    """Repeat the first and the last entry along time `n` times: (batch, filters, steps, places)."""
    return functional.pad(x, (0, 0, n, n), mode="replicate")
