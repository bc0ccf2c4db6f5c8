"""The per-frame architecture: cells of steps as input, a network of 16 000 weights, masking that reuses encoded steps.

Needs torch (extra ``worker``).
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from helioloop.model.architecture import Architecture
from helioloop.model.augmentation import CellAugmenter
from helioloop.model.cells import CELL_FORMAT, cell_frames, cell_steps
from helioloop.model.device import Device
from helioloop.model.field_video import FieldVideo
from helioloop.model.inputs import FloatArray
from helioloop.model.per_frame_masking import masked_logits
from helioloop.model.per_frame_network import PerFrameNetwork
from helioloop.model.recipes import Augmentation, Recipe
from helioloop.records.instrument import Instrument


class PerFrame(Architecture[PerFrameNetwork]):
    """See `PerFrameNetwork`, `cell_steps` for its input, and `masked_logits` for its masking."""

    name = "per-frame"
    input_format = CELL_FORMAT

    def prepare(self, video: FieldVideo) -> FloatArray:
        """Return the cube as steps of cells, (n_steps, 3, n_cells, n_cells)."""
        return cell_steps(video)

    def build(
        self,
        recipe: Recipe,
        instrument: Instrument,  # noqa: ARG002 - cubes of any length and size have the same weights
        *,
        dropout: float,
    ) -> PerFrameNetwork:
        """Return a new network for cubes of any length and size."""
        return PerFrameNetwork(filters=recipe.filters, dense=recipe.dense, dropout=dropout)

    def logit_bias(self, network: PerFrameNetwork) -> Tensor:
        """Return the bias of the head's last layer."""
        return cast("nn.Linear", network.head[-1]).bias

    def augment(
        self,
        inputs: Tensor,
        symmetries: Tensor,
        others: Tensor | None,
        *,
        settings: Augmentation,
        generator: torch.Generator,
    ) -> Tensor:
        """Return the batch under all augmentations of `settings`."""
        return CellAugmenter(settings, generator)(inputs, symmetries, others)

    def masked_logits(self, networks: Sequence[PerFrameNetwork], video: FieldVideo, *, device: Device) -> Tensor:
        """Return the masked logits, computed from steps and frames that are encoded once."""
        steps = torch.from_numpy(cell_steps(video)).to(device.kind)
        frames = torch.from_numpy(cell_frames(video)).to(device.kind)
        start = video.instrument.frozen_frames
        return torch.stack([masked_logits(network, steps, frames, start=start) for network in networks])
