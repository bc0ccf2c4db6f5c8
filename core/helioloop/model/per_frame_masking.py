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

from dataclasses import dataclass

import torch
from torch import Tensor

from helioloop.model.cells import GROUP_FRAMES
from helioloop.model.per_frame_network import CONV1_RADIUS, CONV1_STRIDE, CONV2_RADIUS, PerFrameNetwork, pad_time

MASKS_PER_BATCH = 25
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
    static = network.encode(frames[None])[0].transpose(0, 1)[:, :, None]  # (n_frames, filters, 1, places)
    # An incomplete last group was filled up with its last frame; a mask at that frame changes nothing.
    masks = torch.arange(start, len(static), device=static.device)
    n_whole = masks // GROUP_FRAMES + (masks % GROUP_FRAMES == GROUP_FRAMES - 1).to(masks.dtype)
    batches = zip(masks.split(MASKS_PER_BATCH), n_whole.split(MASKS_PER_BATCH), strict=True)
    return torch.cat([_batch_logits(network, whole, static[some], n) for some, n in batches])


@dataclass(frozen=True, slots=True, kw_only=True)
class _WholeVideo:
    """Layers of the whole video: (filters, time, places), after the encoder and the temporal convolutions."""

    encoded: Tensor
    conv1: Tensor
    conv2: Tensor
    maximum: Tensor  # running along time, of conv2
    total: Tensor  # running sum, in double precision

    @classmethod
    def run(cls, network: PerFrameNetwork, steps: Tensor) -> "_WholeVideo":
        encoded = network.encode(steps[None])
        conv1 = network.temporal_conv1(pad_time(encoded, CONV1_RADIUS))
        conv2 = network.temporal_conv2(pad_time(conv1, CONV2_RADIUS))[0]
        maximum, total = conv2.cummax(1).values, conv2.double().cumsum(1)
        return cls(encoded=encoded[0], conv1=conv1[0], conv2=conv2, maximum=maximum, total=total)


def _batch_logits(network: PerFrameNetwork, whole: _WholeVideo, static: Tensor, n_whole: Tensor) -> Tensor:
    """Return the logits (masks,) of masks with `n_whole` whole steps (masks,) before `static` (masks, F, 1, places)."""
    static1 = network.temporal_conv1(static.expand(-1, -1, 2 * CONV1_RADIUS + 1, -1))
    static2 = network.temporal_conv2(static1.expand(-1, -1, 2 * CONV2_RADIUS + 1, -1))
    edge = ((n_whole - CONV1_RADIUS - 1).div(CONV1_STRIDE, rounding_mode="floor") + 1).clamp(min=0)
    crossing1 = _crossing_conv1(network, whole, static, n_whole=n_whole, edge=edge)
    crossing2 = _crossing_conv2(network, whole, static1, crossing1=crossing1, edge=edge)
    maximum, total = _pool_time(whole, crossing2, static2[:, :, 0], first=edge - CONV2_RADIUS)
    logits: Tensor = network.head(network.pool(maximum, total / whole.conv2.shape[1]))[:, 0]
    return logits


def _crossing_conv1(
    network: PerFrameNetwork, whole: _WholeVideo, static: Tensor, *, n_whole: Tensor, edge: Tensor
) -> Tensor:
    """Return the temporal_conv1 outputs `edge` … `edge` + 2 of each mask."""
    length = CONV1_STRIDE * (_CROSSING - 1) + 2 * CONV1_RADIUS + 1
    step = (edge * CONV1_STRIDE - CONV1_RADIUS)[:, None] + torch.arange(length, device=edge.device)
    step = step.clamp(0, whole.encoded.shape[1] - 1)
    crossing: Tensor = network.temporal_conv1(_spliced(whole.encoded, step, static, step >= n_whole[:, None]))
    return crossing


def _crossing_conv2(
    network: PerFrameNetwork, whole: _WholeVideo, static1: Tensor, *, crossing1: Tensor, edge: Tensor
) -> Tensor:
    """Return the temporal_conv2 outputs `edge` - 2 … `edge` + 4 of each mask."""
    offset = torch.arange(-2 * CONV2_RADIUS, _CROSSING + 2 * CONV2_RADIUS, device=edge.device)
    at = (edge[:, None] + offset).clamp(0, whole.conv1.shape[1] - 1)
    inputs = _spliced(whole.conv1, at, static1, at >= edge[:, None] + _CROSSING)
    crosses = (at >= edge[:, None]) & (at < edge[:, None] + _CROSSING)
    row = torch.arange(len(edge), device=edge.device)[:, None]
    own = crossing1.permute(0, 2, 1, 3)[row, (at - edge[:, None]).clamp(0, _CROSSING - 1)].transpose(1, 2)
    crossing: Tensor = network.temporal_conv2(torch.where(crosses[:, None, :, None], own, inputs))
    return crossing


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
    n_outputs = whole.conv2.shape[1]
    position = first[:, None] + torch.arange(crossing2.shape[2], device=first.device)
    counts = ((position >= 0) & (position < n_outputs))[:, None, :, None]
    n_static = (n_outputs - position[:, -1] - 1).clamp(min=0)[:, None, None]
    maximum = crossing2.masked_fill(~counts, -torch.inf).amax(2)
    maximum = torch.where(n_static > 0, torch.maximum(maximum, static2), maximum)
    # In single precision also where the layers run in bfloat16, which has 8 significant bits.
    total = (crossing2 * counts).float().sum(2) + n_static * static2.float()
    last_whole = (first - 1).clamp(0, n_outputs - 1)
    any_whole = (first > 0)[:, None, None]
    maximum = torch.where(any_whole, torch.maximum(maximum, whole.maximum[:, last_whole].transpose(0, 1)), maximum)
    total = total + torch.where(any_whole, whole.total[:, last_whole].transpose(0, 1), 0.0).to(total.dtype)
    return maximum, total


def _spliced(whole: Tensor, at: Tensor, static: Tensor, is_static: Tensor) -> Tensor:
    """Return the entries `at` (masks, n) of `whole` (filters, time, places), `static` where `is_static` (masks, n)."""
    taken = whole.permute(1, 0, 2)[at].transpose(1, 2)  # (masks, filters, n, places)
    return torch.where(is_static[:, None, :, None], static, taken)
