"""Logits of the per-frame network for all masked videos of a cube, without repeated work. Needs torch.

Masked video i repeats frame i from frame i on. As the network's input it consists of n whole steps followed by the
static step s_i, which is frame i three times::

    step            0  1  …  n-1 |  n  n+1  …
    masked video    e  e  …   e  | s_i s_i  …        e: encoded steps of the whole video

    n = i // 3       if i is the first or second frame of its group: the median of three is then frame i itself
    n = i // 3 + 1   if i is the third frame of its group: the group is complete

An output along time whose window ends before step n is that of the whole video. An output whose window begins at step
n or later is that of a static video of frame i. Only a few windows cross the mask's edge; only they are computed for
each mask::

    temporal_conv1  output k covers the steps 3k-4 … 3k+4
                    whole: k < edge  |  crossing: edge … edge+2     |  static: edge+3 …
                    edge is the smallest k ≥ 0 with 3k+4 ≥ n

    temporal_conv2  output j covers the temporal_conv1 outputs j-2 … j+2
                    whole: j < edge-2  |  crossing: edge-2 … edge+4  |  static: edge+5 …

    pool            maximum and mean over j: running maximum and running sum of the whole outputs,
                    the seven crossing outputs, and the static output times their number
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from helioloop.model.field_video import GROUP_FRAMES
from helioloop.model.per_frame_network import CONV1_RADIUS, CONV1_STRIDE, CONV2_RADIUS, PerFrameNetwork, pad_time

MASKS_PER_BATCH = 39
"""Masks computed together: enough to fill a processor, few enough for its cache."""
_CROSSING = 3
"""Number of temporal_conv1 outputs that may cover both whole steps and static ones: windows of 9 steps, stride 3."""


def masked_logits(network: PerFrameNetwork, steps: Tensor, frames: Tensor, *, start: int) -> Tensor:
    """Return the logits of the masked videos from frame `start` on, shape (n_frames - start,).

    Parameters
    ----------
    network : PerFrameNetwork
        In evaluation mode.
    steps : Tensor, shape (n_steps, 3, n_cells, n_cells)
        The cube's steps, from `cell_steps`.
    frames : Tensor, shape (n_frames, 3, n_cells, n_cells)
        The cube's frames, from `cell_frames`.
    start : int
        First mask.
    """
    whole = _WholeVideo.run(network, steps)
    static = network.encode(frames[None])[0].permute(1, 2, 0).contiguous()  # (n_frames, places, filters)
    # An incomplete last group was filled up with its last frame; a mask at that frame changes nothing.
    masks = torch.arange(start, len(static), device=static.device)
    n_whole = masks // GROUP_FRAMES + (masks % GROUP_FRAMES == GROUP_FRAMES - 1).to(masks.dtype)
    batches = zip(masks.split(MASKS_PER_BATCH), n_whole.split(MASKS_PER_BATCH), strict=True)
    return torch.cat([_batch_logits(network, whole, static[some], n) for some, n in batches])


@dataclass(frozen=True, slots=True, kw_only=True)
class _WholeVideo:
    """Layers of the whole video, after the encoder and the temporal convolutions."""

    encoded: Tensor  # (time, places, filters)
    conv1: Tensor  # (time, places, filters)
    maximum: Tensor  # of the second convolution, running along time: (time, filters, places)
    total: Tensor  # running sum, in double precision

    @classmethod
    def run(cls, network: PerFrameNetwork, steps: Tensor) -> "_WholeVideo":
        encoded = network.encode(steps[None])
        conv1 = network.temporal_conv1(pad_time(encoded, CONV1_RADIUS))
        conv2 = network.temporal_conv2(pad_time(conv1, CONV2_RADIUS))[0].transpose(0, 1)
        return cls(
            encoded=encoded[0].permute(1, 2, 0).contiguous(),
            conv1=conv1[0].permute(1, 2, 0).contiguous(),
            maximum=conv2.cummax(0).values,
            total=conv2.double().cumsum(0),
        )


def _batch_logits(network: PerFrameNetwork, whole: _WholeVideo, static: Tensor, n_whole: Tensor) -> Tensor:
    """Return the logits (masks,) of masks with `n_whole` whole steps (masks,) before `static` (masks, places, F)."""
    static1 = _of_repeated(network.temporal_conv1, static)
    static2 = _of_repeated(network.temporal_conv2, static1).transpose(1, 2)
    edge = ((n_whole - CONV1_RADIUS - 1).div(CONV1_STRIDE, rounding_mode="floor") + 1).clamp(min=0)
    crossing1 = _crossing_conv1(network, whole, static, n_whole=n_whole, edge=edge)
    crossing2 = _crossing_conv2(network, whole, static1, crossing1=crossing1, edge=edge)
    maximum, total = _pool_time(whole, crossing2, static2, first=edge - CONV2_RADIUS)
    logits: Tensor = network.head(network.pool(maximum, total / len(whole.conv1)))[:, 0]
    return logits


def _of_repeated(layers: nn.Sequential, entries: Tensor) -> Tensor:
    """Return a temporal convolution's output for each entry (masks, places, F) repeated along time, in the same shape.

    Its weights are summed along time: one product in place of one for each step.
    """
    convolution, *others = layers
    weights = cast("nn.Conv2d", convolution).weight.sum(2, keepdim=True)
    outputs = functional.conv2d(entries.transpose(1, 2)[:, :, None], weights)
    for layer in others:
        outputs = layer(outputs)
    return outputs[:, :, 0].transpose(1, 2)


def _taken(entries: Sequence[Tensor], at: Tensor) -> Tensor:
    """Return the entries `at` (masks, n) of arrays (…, places, F) joined along the first axis, as a layer's input.

    The channels are last in memory, so that every entry is one block.
    """
    taken = torch.cat([*entries]).index_select(0, at.flatten())
    return taken.view(*at.shape, *taken.shape[1:]).permute(0, 3, 1, 2)  # (masks, F, n, places)


def _crossing_conv1(
    network: PerFrameNetwork, whole: _WholeVideo, static: Tensor, *, n_whole: Tensor, edge: Tensor
) -> Tensor:
    """Return the temporal_conv1 outputs `edge` … `edge` + 2 of each mask, (masks, F, 3, places)."""
    length, n_steps = CONV1_STRIDE * (_CROSSING - 1) + 2 * CONV1_RADIUS + 1, len(whole.encoded)
    step = (edge * CONV1_STRIDE - CONV1_RADIUS)[:, None] + torch.arange(length, device=edge.device)
    step = step.clamp(0, n_steps - 1)
    mask = torch.arange(len(edge), device=edge.device)[:, None]
    at = torch.where(step >= n_whole[:, None], n_steps + mask, step)
    crossing: Tensor = network.temporal_conv1(_taken((whole.encoded, static), at))
    return crossing


def _crossing_conv2(
    network: PerFrameNetwork, whole: _WholeVideo, static1: Tensor, *, crossing1: Tensor, edge: Tensor
) -> Tensor:
    """Return the temporal_conv2 outputs `edge` - 2 … `edge` + 4 of each mask, (masks, F, 7, places)."""
    offset = torch.arange(-2 * CONV2_RADIUS, _CROSSING + 2 * CONV2_RADIUS, device=edge.device)
    n_outputs, n_masks = len(whole.conv1), len(edge)
    at = (edge[:, None] + offset).clamp(0, n_outputs - 1)
    after = at - edge[:, None]
    mask = torch.arange(n_masks, device=edge.device)[:, None]
    crossing = n_outputs + n_masks + mask * _CROSSING + after
    at = torch.where(after < 0, at, torch.where(after < _CROSSING, crossing, n_outputs + mask))
    own = crossing1.permute(0, 2, 3, 1).flatten(0, 1)
    outputs: Tensor = network.temporal_conv2(_taken((whole.conv1, static1, own), at))
    return outputs


def _pool_time(whole: _WholeVideo, crossing2: Tensor, static2: Tensor, *, first: Tensor) -> tuple[Tensor, Tensor]:
    """Return maximum and sum over time of temporal_conv2, each (masks, filters, places).

    Parameters
    ----------
    whole : _WholeVideo
        Outputs before `first`.
    crossing2 : Tensor, shape (masks, filters, 7, places)
        Outputs `first` … `first` + 6; those before the video's start or after its end do not count.
    static2 : Tensor, shape (masks, filters, places)
        Every output after these.
    first : Tensor, shape (masks,)
        First crossing output; negative where the mask is near the video's start.
    """
    n_outputs = len(whole.conv1)
    position = first[:, None] + torch.arange(crossing2.shape[2], device=first.device)
    counts = ((position >= 0) & (position < n_outputs))[:, None, :, None]
    n_static = (n_outputs - position[:, -1] - 1).clamp(min=0)[:, None, None]
    # Adding up slices is several times as fast as reducing along an axis that is not the last one in memory.
    nothing = torch.zeros_like(counts, dtype=crossing2.dtype).masked_fill(~counts, -torch.inf)
    maximum = reduce(torch.maximum, (crossing2 + nothing).unbind(2))
    maximum = torch.where(n_static > 0, torch.maximum(maximum, static2), maximum)
    # In single precision also where the layers run in bfloat16, which has 8 significant bits.
    total = reduce(torch.add, (crossing2 * counts).float().unbind(2)) + n_static * static2.float()
    last_whole = (first - 1).clamp(0, n_outputs - 1)
    any_whole = (first > 0)[:, None, None]
    maximum = torch.where(any_whole, torch.maximum(maximum, whole.maximum[last_whole]), maximum)
    total = total + torch.where(any_whole, whole.total[last_whole], 0.0).to(total.dtype)
    return maximum, total
