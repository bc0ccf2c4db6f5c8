"""Logits of the authors' CNN for all masked videos of a cube, the first layer from prefix sums over the frames.

Needs torch (extra ``worker``).
"""

from typing import cast

import torch
from torch import Tensor
from torch.nn import functional

from helioloop.model.device import Device
from helioloop.model.frames_network import FramesAsChannelsNetwork

MASKS_PER_BATCH = 25
"""Masks computed together: enough to fill a processor, few enough for its cache."""
SUMMED_TOGETHER = 15
"""Entries of a running sum computed together on a GPU."""


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
