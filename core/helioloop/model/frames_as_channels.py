"""The frames-as-channels architecture: the CNN of Chatterjee et al. 2022, whose input channels are a video's frames.

Needs torch (extra ``worker``).

References
----------
Chatterjee, Muñoz-Jaramillo & Lamb 2022, Nature Astronomy 6, 796, doi:10.1038/s41550-022-01701-3
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from helioloop.model.architecture import Architecture
from helioloop.model.device import Device
from helioloop.model.field_video import FieldVideo
from helioloop.model.frames_masking import matrix_product_logits, patches_of, prefix_sum_logits
from helioloop.model.frames_network import FramesAsChannelsNetwork, channel_frames
from helioloop.model.inputs import FloatArray
from helioloop.model.recipes import Augmentation, Recipe
from helioloop.model.resident_frames import ResidentFrames
from helioloop.records.instrument import Instrument


class FramesAsChannels(Architecture[FramesAsChannelsNetwork]):
    """See `FramesAsChannelsNetwork`, `channel_frames` for its input, `prefix_sum_logits` for its masking."""

    name = "frames-as-channels"

    def prepare(self, video: FieldVideo) -> FloatArray:
        """Return the frames, off-disk pixels at 0 G."""
        return channel_frames(video)

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
        self, networks: Sequence[FramesAsChannelsNetwork], video: FieldVideo, *, device: Device
    ) -> Tensor:
        """Return the masked logits, the first layer of each mask computed from prefix sums over the frames."""
        frames = torch.from_numpy(channel_frames(video)).to(device.kind)
        start = video.instrument.frozen_frames
        if device.kind == "cpu":
            return prefix_sum_logits(networks, frames, start=start)
        patches = patches_of(frames)
        logits = [matrix_product_logits(network, frames, patches, start=start, device=device) for network in networks]
        return torch.stack(logits).float()

    def resident_inputs(self, n_cubes: int, *, instrument: Instrument, device: Device) -> ResidentFrames:
        """Return memory on the device for the videos of a release."""
        return ResidentFrames(n_cubes, instrument, device)
