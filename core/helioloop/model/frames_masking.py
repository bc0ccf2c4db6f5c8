"""Logits of the authors' CNN for all masked videos of a cube, the first layer from prefix sums over the frames.

Needs torch (extra ``worker``).
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from helioloop.model.device import Device
from helioloop.model.frames_folded import FoldedLayers
from helioloop.model.frames_network import FramesAsChannelsNetwork

MASKS_PER_BATCH = 8
"""Masks computed together on a CPU in the first layers: enough to fill it, few enough for its cache."""
MASKS_PER_GROUP = 32
"""Masks computed together on a CPU in the later layers, whose outputs are smaller and whose weights are more."""
SUMMED_TOGETHER = 15
"""Entries of a running sum computed together on a GPU."""


def prefix_sum_logits(networks: Sequence[FramesAsChannelsNetwork], frames: Tensor, *, start: int) -> Tensor:
    """Return the logits of the masked videos from frame `start` on, shape (len(networks), n_frames - start).

    Parameters
    ----------
    networks : sequence of FramesAsChannelsNetwork
        Of one architecture, in evaluation mode, on a CPU.
    frames : Tensor, shape (n_frames, size_px, size_px)
        The cube's frames, from `channel_frames`, on a CPU.
    start : int
        First mask.

    Notes
    -----
    The first layer is linear in the frames. With x_j frame j, W_j its kernels and b the bias, its output for masked
    video i, which repeats frame i from i on, is::

        frame          0    1    …    i   | i+1  …   n-1
        masked video  x_0  x_1   …   x_i  | x_i  …   x_i

        y_i = b + Σ_{j ≤ i} W_j * x_j  +  (Σ_{j > i} W_j) * x_i
                  prefix sum over j        one kernel: a suffix sum of the kernels

    So every mask costs two convolutions of one frame instead of one of all n frames. The convolution of one frame is
    the matrix product of its 3×3 neighbourhoods (pixels, 9) and the kernels (9, filters).
    """
    other_layers = [FoldedLayers(network, size_px=frames.shape[1]) for network in networks]
    after = other_layers[0].side - frames.shape[1]  # pixels after the last row; negative where that is not in use
    frames = functional.pad(frames, (2, after, 2, after))
    first_layers = [_FirstLayer(network.first, frames, start=start) for network in networks]
    logits = []
    for group in torch.arange(start, len(frames)).split(MASKS_PER_GROUP):
        neighbourhoods = functional.unfold(frames[group, None], 3).transpose(1, 2)
        of_networks = []
        for first, others in zip(first_layers, other_layers, strict=True):
            early = [
                others.early(first.outputs(some.tolist(), around))
                for some, around in zip(
                    group.split(MASKS_PER_BATCH), neighbourhoods.split(MASKS_PER_BATCH), strict=True
                )
            ]
            of_networks.append(others.logits(torch.cat(early)))
        logits.append(torch.stack(of_networks))
    return torch.cat(logits, dim=1)


class _FirstLayer:
    """The first layer's outputs for one mask after another.

    Parameters
    ----------
    layer : nn.Conv2d
        The first convolution.
    frames : Tensor, shape (n_frames, side + 2, side + 2)
        The cube's frames, with one pixel around them that the kernels need beyond the `side` of the outputs.
    start : int
        First mask.
    """

    def __init__(self, layer: nn.Conv2d, frames: Tensor, *, start: int) -> None:
        self._kernels = layer.weight.permute(1, 2, 3, 0).flatten(1, 2).contiguous()  # (n_frames, 9, filters)
        # Summed in double precision: the rounding of two hundred float32 additions would change the fifth digit.
        self._later = self._kernels.double().flip(0).cumsum(0).flip(0).float() - self._kernels
        self._side = frames.shape[1] - 2
        self._prefix = cast("Tensor", layer.bias).repeat(self._side**2, 1)  # (pixels, filters)
        if start:
            before = functional.conv2d(frames[None, :start], layer.weight[:, :start])[0]
            self._prefix += before.flatten(1).T
        self._outputs = torch.empty((MASKS_PER_BATCH, *self._prefix.shape))

    def outputs(self, masks: Sequence[int], neighbourhoods: Tensor) -> Tensor:
        """Return the outputs of the next masks, shape (masks, side, side, filters).

        They are overwritten by the next call. The neighbourhoods (masks, pixels, 9) are those of the masks' frames.
        """
        for output, mask, around in zip(self._outputs, masks, neighbourhoods, strict=False):
            torch.addmm(self._prefix, around, self._kernels[mask], out=self._prefix)
            torch.addmm(self._prefix, around, self._later[mask], out=output)
        return self._outputs[: len(masks)].view(-1, self._side, self._side, self._outputs.shape[2])


def patches_of(frames: Tensor) -> Tensor:
    """Return the 3×3 neighbourhood of every pixel, 0 outside: (n_frames, 9, pixels) of (n_frames, height, width)."""
    return functional.unfold(frames[:, None].float(), 3, padding=1)


def matrix_product_logits(
    network: FramesAsChannelsNetwork, frames: Tensor, patches: Tensor, *, start: int, device: Device
) -> Tensor:
    """Return what `prefix_sum_logits` returns, in a few large operations for a GPU.

    Parameters
    ----------
    network : FramesAsChannelsNetwork
        In evaluation mode.
    frames : Tensor, shape (n_frames, size_px, size_px)
        The cube's frames, from `channel_frames`.
    patches : Tensor, shape (n_frames, 9, pixels)
        From `patches_of`; the same for all networks.
    start : int
        First mask.
    device : Device
        Where to compute.

    Notes
    -----
    The sums are those of `prefix_sum_logits`. The convolution of one frame by its own kernels is the matrix product of
    the kernels (filters, 9) and the frame's patches (9, pixels), so all masks are one batch of matrix products. They
    and the first batch norm are float32 also where later layers run in bfloat16, see
    `FramesAsChannelsNetwork.first_of_field`.
    """
    kernels = network.first.weight.float().transpose(0, 1).flatten(2)  # (n_frames, filters, 9)
    later = kernels.double().flip(0).cumsum(0).flip(0).float() - kernels
    with torch.autocast(device.kind, enabled=False):
        first = torch.bmm(kernels[start:], patches[start:])
        first[0] += cast("Tensor", network.first.bias).float()[:, None]
        first[0] += kernels[:start].transpose(0, 1).flatten(1) @ patches[:start].flatten(0, 1)
        first = torch.baddbmm(_running_sum(first), later[start:], patches[start:]).unflatten(2, frames.shape[1:])
    return network.logits(first.contiguous(memory_format=torch.channels_last))


def _running_sum(terms: Tensor) -> Tensor:
    """Return the running sum along the first axis, in place of `terms`.

    Some releases of torch compute a deterministic running sum of n entries on a GPU from n² of them: 40 GB for the
    masks of one cube. Few entries at a time keep this small.
    """
    chunks = terms.split(SUMMED_TOGETHER)
    for before, chunk in zip((None, *chunks[:-1]), chunks, strict=True):
        if before is not None:
            chunk[0] += before[-1]
        chunk.cumsum_(0)
    return terms
