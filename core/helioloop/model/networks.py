"""The two networks: each takes prepared input (see `inputs`) and gives the logit of P(emergence).

Both are split where masking enters them: what depends on single frames is computed once per cube, what depends on the
mask is run per mask (see `masking`). Needs torch (extra ``worker``).
"""

from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from helioloop.errors import SettingsError
from helioloop.instrument import Instrument
from helioloop.model.recipes import Recipe

CELL_PX = 6
"""Side of a cell of the per-frame network's input: 90 px make 15 cells of one heliographic degree."""
GROUP_FRAMES = 3
"""Grid frames that make one step of the per-frame network's input: 225 frames make 75 steps."""
CHANNELS = 3
"""Positive field, negative field, on-disk fraction."""
EARLY_REACH, EARLY_STRIDE = 4, 3
"""The early convolution along time sees so many steps on either side of every third step …"""
LATE_REACH = 2
"""… and the late one so many of its outputs on either side of each."""


class PerFrameNetwork(nn.Module):
    """A small encoder applied to every step alike, then convolutions along time at each place.

    Parameters
    ----------
    filters : tuple of int
        Widths of the encoder and of the two temporal convolutions.
    dense : int
        Width of the hidden layer of the answer.
    dropout : float
        Rate before the hidden layer.

    Notes
    -----
    Input: (batch, steps, 3, cells, cells). The ends of time are padded by repeating the first and the last step, so
    that a frozen tail stays what it is: a video in which nothing happens any more.
    """

    def __init__(self, *, filters: tuple[int, ...], dense: int, dropout: float) -> None:
        super().__init__()
        space, early, late = filters
        self.encoder = nn.Conv2d(CHANNELS, space, 3, stride=2, padding=1, bias=False)
        self.encoder_norm = nn.BatchNorm2d(space)
        self.early = nn.Conv2d(space, early, (2 * EARLY_REACH + 1, 1), stride=(EARLY_STRIDE, 1), bias=False)
        self.early_norm = nn.BatchNorm2d(early)
        self.late = nn.Conv2d(early, late, (2 * LATE_REACH + 1, 1), bias=False)
        self.late_norm = nn.BatchNorm2d(late)
        self.answer = nn.Sequential(
            nn.Linear(4 * late, dense), nn.SiLU(), nn.Dropout(dropout), nn.Linear(dense, 1)
        )  # fmt: skip

    @property
    def last(self) -> nn.Linear:
        """The layer whose one output is the logit."""
        return cast("nn.Linear", self.answer[-1])

    def encode(self, steps: Tensor) -> Tensor:
        """Encode every step by itself: (batch, steps, 3, cells, cells) -> (batch, filters, steps, places)."""
        batch, n_steps = steps.shape[:2]
        maps = functional.silu(self.encoder_norm(self.encoder(steps.flatten(0, 1))))
        return maps.flatten(2).reshape(batch, n_steps, maps.shape[1], -1).permute(0, 2, 1, 3)

    def decide(self, encoded: Tensor) -> Tensor:
        """Turn encoded steps (batch, filters, steps, places) into logits (batch,)."""
        late = self.look_late(repeat_ends(self.look_early(repeat_ends(encoded, EARLY_REACH)), LATE_REACH))
        return self.conclude(late.amax(2), late.mean(2))

    def look_early(self, encoded: Tensor) -> Tensor:
        """Convolve along time, every third of the windows that fit: (batch, filters, steps, places) alike."""
        return functional.silu(self.early_norm(self.early(encoded)))

    def look_late(self, early: Tensor) -> Tensor:
        """Convolve along time once more, every window that fits."""
        return functional.silu(self.late_norm(self.late(early)))

    def conclude(self, highest: Tensor, mean: Tensor) -> Tensor:
        """Turn highest and mean value over time, each (batch, filters, places), into logits (batch,)."""
        side = round(highest.shape[-1] ** 0.5)
        margin = side // 4
        inner = slice(margin, side - margin)
        central_highest, central_mean = (
            value.unflatten(-1, (side, side))[..., inner, inner].flatten(2) for value in (highest, mean)
        )
        pooled = torch.cat((highest.amax(2), mean.mean(2), central_highest.amax(2), central_mean.mean(2)), dim=1)
        return cast("Tensor", self.answer(pooled)[:, 0])

    def forward(self, steps: Tensor) -> Tensor:
        """Return logits (batch,) for input (batch, steps, 3, cells, cells)."""
        return self.decide(self.encode(steps))


class FramesAsChannels(nn.Module):
    """The authors' CNN: all frames of a video are the input channels of a plain image network.

    Parameters
    ----------
    n_frames, size_px : int
        Shape of a cube.
    filters : tuple of int
        Widths of the blocks of two 3×3 convolutions; the last entry is the 2×2 convolution's.
    dense : int
        Width of the two dense layers.
    dropout : float
        Rate after each dense layer.

    References
    ----------
    Chatterjee, Muñoz-Jaramillo & Lamb 2022, Nature Astronomy 6, 796, doi:10.1038/s41550-022-01701-3: filters
    (32, 64, 128, 256, 512), dense 512, swish, batch norm, max-pooling; the first block padded, the others not.
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

    @property
    def last(self) -> nn.Linear:
        """The layer whose one output is the logit."""
        return cast("nn.Linear", self.rest[-1])

    def decide(self, first: Tensor) -> Tensor:
        """Turn the first convolution's output (batch, filters, size_px, size_px) into logits (batch,)."""
        return cast("Tensor", self.rest(first)[:, 0])

    def forward(self, frames: Tensor) -> Tensor:
        """Return logits (batch,) for input (batch, n_frames, size_px, size_px)."""
        return self.decide(self.first(frames))


Network = PerFrameNetwork | FramesAsChannels
"""Either of the two."""


def build(recipe: Recipe, instrument: Instrument, *, dropout: float) -> Network:
    """Return a new network of `recipe`, its weights drawn from torch's global generator."""
    if recipe.network == "per-frame":
        return PerFrameNetwork(filters=recipe.filters, dense=recipe.dense, dropout=dropout)
    return FramesAsChannels(
        n_frames=instrument.n_frames,
        size_px=instrument.size_px,
        filters=recipe.filters,
        dense=recipe.dense,
        dropout=dropout,
    )


def repeat_ends(x: Tensor, n: int) -> Tensor:
    """Repeat the first and the last step `n` times: (batch, filters, steps, places), `n` longer at either end."""
    return functional.pad(x, (0, 0, n, n), mode="replicate")


def _convolution(narrow: int, wide: int, *, kernel_px: int, padding_px: int = 0) -> list[nn.Module]:
    return [nn.Conv2d(narrow, wide, kernel_px, padding=padding_px), nn.SiLU(), nn.BatchNorm2d(wide)]
