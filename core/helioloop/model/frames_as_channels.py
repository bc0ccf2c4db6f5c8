"""The frames-as-channels architecture: the CNN of Chatterjee et al. 2022, whose input channels are a video's frames.

Needs torch (extra ``worker``).

References
----------
Chatterjee, Muñoz-Jaramillo & Lamb 2022, Nature Astronomy 6, 796, doi:10.1038/s41550-022-01701-3
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from helioloop.errors import SettingsError
from helioloop.model.architecture import Architecture
from helioloop.model.device import Device
from helioloop.model.inputs import FloatArray, freeze_start
from helioloop.model.recipes import Augmentation, Recipe
from helioloop.records.instrument import Instrument

OFF_DISK_VALUE = 0.5
"""Input value of off-disk pixels: a field of 0 G."""
MASKS_PER_BATCH = 25
"""Masks computed together: enough to fill a processor, few enough for its cache."""


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

    def forward(self, frames: Tensor) -> Tensor:
        """Return logits (batch,) for input (batch, n_frames, size_px, size_px)."""
        return self.logits(self.first(frames))


class FramesAsChannels(Architecture[FramesAsChannelsNetwork]):
    """See `FramesAsChannelsNetwork`, `channel_frames` for its input, and `prefix_sum_logits` for its masking."""

    name = "frames-as-channels"

    def prepare(self, cube: npt.NDArray[np.floating], instrument: Instrument) -> FloatArray:
        """Return the cube with a frozen start and off-disk pixels at 0 G."""
        return channel_frames(cube, instrument)

    def build(self, recipe: Recipe, instrument: Instrument, *, dropout: float) -> FramesAsChannelsNetwork:
        """Return a new network for cubes of the instrument's shape."""
        return FramesAsChannelsNetwork(
            n_frames=instrument.n_frames,
            size_px=instrument.size_px,
            filters=recipe.filters,
            dense=recipe.dense,
            dropout=dropout,
        )

    def logit_bias(self, network: FramesAsChannelsNetwork) -> Tensor:
        """Return the bias of the last layer."""
        return cast("nn.Linear", network.rest[-1]).bias

    def augment(
        self,
        inputs: Tensor,
        symmetries: Tensor,
        others: Tensor | None,  # noqa: ARG002 - the authors mix no cubes
        *,
        settings: Augmentation,  # noqa: ARG002
        generator: torch.Generator,  # noqa: ARG002
    ) -> Tensor:
        """Return the batch under its symmetry transforms, the authors' only augmentation."""
        flipped = (symmetries // 2 % 2 == 1).to(inputs.device)[:, None, None, None]
        inverted = (symmetries % 2 == 1).to(inputs.device)[:, None, None, None]
        inputs = torch.where(flipped, inputs.flip(-1), inputs)
        return torch.where(inverted, 1.0 - inputs, inputs)

    def masked_logits(
        self, networks: Sequence[FramesAsChannelsNetwork], cube: FloatArray, *, instrument: Instrument, device: Device
    ) -> Tensor:
        """Return the masked logits, the first layer of each mask computed from prefix sums over the frames."""
        frames = torch.from_numpy(channel_frames(cube, instrument)).to(device.kind)
        start = instrument.frozen_frames
        return torch.stack([prefix_sum_logits(network, frames, start=start, device=device) for network in networks])


def channel_frames(cube: npt.NDArray[np.floating], instrument: Instrument) -> FloatArray:
    """Return a cube with a frozen start, off-disk 0.5; shape as `cube`."""
    return np.nan_to_num(freeze_start(cube, instrument), nan=OFF_DISK_VALUE)


def prefix_sum_logits(network: FramesAsChannelsNetwork, frames: Tensor, *, start: int, device: Device) -> Tensor:
    """Return the logits of the masked videos from frame `start` on, shape (n_frames - start,).

    Parameters
    ----------
    network : FramesAsChannelsNetwork
        In evaluation mode.
    frames : Tensor, shape (n_frames, size_px, size_px)
        The cube's frames, from `channel_frames`.
    start : int
        First mask.
    device : Device
        Where to compute.

    Notes
    -----
    The first layer is linear in the frames. With x_j frame j, W_j its kernels and b the bias, its output for masked
    video i, which repeats frame i from i on, is::

        frame          0    1    …    i   | i+1  …   n-1
        masked video  x_0  x_1   …   x_i  | x_i  …   x_i

        y_i = b + Σ_{j ≤ i} W_j * x_j  +  (Σ_{j > i} W_j) * x_i
                  prefix sum over j        one kernel: a suffix sum of the kernels

    So every mask costs two convolutions of one frame instead of one of all n frames.
    """
    kernels = network.first.weight.float().transpose(0, 1)  # (n_frames, filters, 3, 3)
    n_frames, n_filters = kernels.shape[:2]
    # Summed in double precision: the rounding of two hundred float32 additions would change the fifth digit.
    later = kernels.double().flip(0).cumsum(0).flip(0).float() - kernels
    prefix = cast("Tensor", network.first.bias).float()[:, None, None].expand(-1, *frames.shape[1:])
    if start:
        prefix = prefix + functional.conv2d(frames[None, :start].float(), kernels[:start].transpose(0, 1), padding=1)[0]
    logits = []
    with torch.autocast(device.kind, enabled=False):
        for some in torch.arange(start, n_frames, device=frames.device).split(MASKS_PER_BATCH):
            x = frames[some].float()
            prefixes = prefix + _convolve_each(x, kernels[some], n_filters).cumsum(0)
            prefix = prefixes[-1]
            first = prefixes + _convolve_each(x, later[some], n_filters)
            with device.autocast():
                logits.append(network.logits(first))
    return torch.cat(logits)


def _convolve_each(frames: Tensor, kernels: Tensor, n_filters: int) -> Tensor:
    """Convolve each frame (n, h, w) with its own kernels (n, filters, 3, 3): (n, filters, h, w)."""
    n = len(frames)
    out = functional.conv2d(frames[None], kernels.reshape(n * n_filters, 1, 3, 3), padding=1, groups=n)
    return out[0].reshape(n, n_filters, *frames.shape[1:])


def _convolution(narrow: int, wide: int, *, kernel_px: int, padding_px: int = 0) -> list[nn.Module]:
    return [nn.Conv2d(narrow, wide, kernel_px, padding=padding_px), nn.SiLU(), nn.BatchNorm2d(wide)]
