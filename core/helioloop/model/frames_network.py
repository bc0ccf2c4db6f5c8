"""The CNN of Chatterjee et al. 2022, whose input channels are a video's frames, and its input.

Needs torch (extra ``worker``).

References
----------
Chatterjee, Muñoz-Jaramillo & Lamb 2022, Nature Astronomy 6, 796, doi:10.1038/s41550-022-01701-3
"""

from itertools import pairwise
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from helioloop.errors import SettingsError
from helioloop.model.field_video import FieldVideo
from helioloop.model.inputs import FloatArray

OFF_DISK_VALUE = 0.5
"""Input value of off-disk pixels: a field of 0 G."""


class FramesAsChannelsNetwork(nn.Module):
    """The authors' CNN: a plain image network with one input channel per frame.

    Parameters
    ----------
    n_frames, size_px : int
        Shape of a cube.
    filters : tuple of int
        Widths of the blocks of two 3×3 convolutions; the last entry is the width of the final 2×2 convolution.
    dense : int
        Width of the two dense layers.
    dropout : float
        Dropout rate after each dense layer.

    Raises
    ------
    SettingsError
        If the frames are too small for that many blocks.

    Notes
    -----
    The authors use the filters (32, 64, 128, 256, 512), dense 512, swish, batch norm and max-pooling. Only the first
    block is padded.
    """

    def __init__(self, *, n_frames: int, size_px: int, filters: tuple[int, ...], dense: int, dropout: float) -> None:
        super().__init__()
        self.first = nn.Conv2d(n_frames, filters[0], 3, padding=1)
        layers: list[nn.Module] = [
            nn.SiLU(),
            nn.BatchNorm2d(filters[0]),
            *_convolution(filters[0], filters[0], kernel_px=3, padding_px=1),
            nn.MaxPool2d(2),
        ]
        side = size_px // 2
        for narrow, wide in pairwise(filters[:-1]):
            layers += [*_convolution(narrow, wide, kernel_px=3), *_convolution(wide, wide, kernel_px=3)]
            layers.append(nn.MaxPool2d(2))
            side = (side - 4) // 2
        layers += _convolution(filters[-2], filters[-1], kernel_px=2)
        side -= 1
        if side < 1:
            raise SettingsError(
                f"frames of {size_px} px are too small for a CNN of {len(filters) - 1} blocks; "
                "use another recipe or fewer blocks"
            )
        layers += [nn.Flatten(), nn.Linear(filters[-1] * side * side, dense), nn.SiLU(), nn.Dropout(dropout)]
        layers += [nn.Linear(dense, dense), nn.SiLU(), nn.Dropout(dropout), nn.Linear(dense, 1)]
        self.rest = nn.Sequential(*layers)

    def logits(self, first: Tensor) -> Tensor:
        """Return logits (batch,) for outputs of the first convolution (batch, filters, size_px, size_px)."""
        return cast("Tensor", self.rest(first)[:, 0])

    def first_of_field(self, field: Tensor, taps: Tensor, *, sign: Tensor | None = None) -> Tensor:
        """Return the outputs of the first convolution in float32, though it may run in bfloat16.

        Parameters
        ----------
        field : Tensor, shape (batch, n_frames or more, size_px, size_px)
            The frames minus 0.5; further channels are ignored.
        taps : Tensor, shape (9, pixels)
            From `edge_taps`.
        sign : Tensor or None, shape (batch, 1, 1, 1)
            -1 where the polarity is inverted, else 1.

        Notes
        -----
        bfloat16 has 8 significant bits, too few for a weak field on a large constant. Near x = 0.5 its steps are 4 to
        8 G at a clip of 1000 G, so the convolution takes c = x - 0.5. Its output y has a constant too, so y stays
        float32 until the first batch norm has subtracted it: rounded to bfloat16, y changed probabilities by up to
        0.1. The layer is linear, and a flip of the polarity is a sign s::

            x = 0.5 + s c        y = bias + s (W * c) + 0.5 (W * 1)

        The last term is the same for all videos. It depends on the place only at the edges, where the zero padding of x
        begins.
        """
        weight = self.first.weight
        with torch.autocast(field.device.type, enabled=False):
            constant = OFF_DISK_VALUE * (weight.float().sum(1).flatten(1) @ taps)
            constant = (constant + cast("Tensor", self.first.bias).float()[:, None]).unflatten(1, (field.shape[2], -1))
        missing = field.shape[1] - weight.shape[1]
        first = functional.conv2d(field, functional.pad(weight, (0, 0, 0, 0, 0, missing)), padding=1)
        first = first.float() if sign is None else first.float() * sign
        return cast("Tensor", first + constant)

    def forward(self, frames: Tensor) -> Tensor:
        """Return logits (batch,) for input (batch, n_frames, size_px, size_px)."""
        if frames.device.type == "cpu":
            return self.logits(self.first(frames))
        return self.logits(self.first_of_field(frames - OFF_DISK_VALUE, edge_taps(frames.shape[2], frames.device.type)))


def edge_taps(size_px: int, device: str) -> Tensor:
    """Return for each pixel which entries of a 3×3 kernel are inside the frame: 1 or 0, shape (9, pixels)."""
    return functional.unfold(torch.ones((1, 1, size_px, size_px), device=device), 3, padding=1)[0]


def channel_frames(video: FieldVideo) -> FloatArray:
    """Return the frames that are shown, off-disk 0.5, shape (n_frames, size_px, size_px)."""
    return np.nan_to_num(video.scaled(), nan=OFF_DISK_VALUE)


def _convolution(narrow: int, wide: int, *, kernel_px: int, padding_px: int = 0) -> list[nn.Module]:
    return [nn.Conv2d(narrow, wide, kernel_px, padding=padding_px), nn.SiLU(), nn.BatchNorm2d(wide)]
