"""Masking curves: P(emergence) with all frames after i frozen to frame i, for every i, without repeating work.

Above the networks. Both ways are exact: they give what running the network on every masked input gives, up to the
rounding of float32. Needs torch (extra ``worker``).

References
----------
Chatterjee, Muñoz-Jaramillo & Lamb 2022, Nature Astronomy 6, 796, doi:10.1038/s41550-022-01701-3 (the masking).
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from helioloop.device import Device
from helioloop.inputs import FloatArray, cell_frames, cell_steps, channel_frames
from helioloop.instrument import Instrument
from helioloop.networks import GROUP_FRAMES, FramesAsChannels, Network, PerFrameNetwork

MASKS_AT_ONCE = 25
"""Masks that run through the remaining layers together: enough to fill a processor, few enough for its cache."""


def masking_curves(networks: list[Network], cube: FloatArray, *, instrument: Instrument, device: Device) -> FloatArray:
    """Return the masking curve of each network on one cube.

    Parameters
    ----------
    networks : list of Network
        In evaluation mode, on `device`; all of one recipe.
    cube : ndarray, shape (n_frames, size_px, size_px)
        Gridded cube, NaN off-disk.
    instrument : Instrument
        The grid; its first frames are frozen before any mask.
    device : Device
        Where to compute.

    Returns
    -------
    ndarray, shape (len(networks), n_frames)
        Entry i is P(emergence) when frames after i repeat frame i. Entries up to ``frozen_frames`` are equal: there the
        whole video is that one frame. The last entry is the probability of the whole video.
    """
    start = instrument.frozen_frames
    with torch.inference_mode(), device.autocast():
        if isinstance(networks[0], PerFrameNetwork):
            # Masks before the end of the frozen start all give the same video: only the last of them is run.
            steps = torch.from_numpy(cell_steps(cube, instrument)).to(device.kind)
            frames = torch.from_numpy(cell_frames(cube, instrument)).to(device.kind)
            logits = [_by_steps(n, steps, frames, start=start) for n in networks if isinstance(n, PerFrameNetwork)]
        else:
            frames = torch.from_numpy(channel_frames(cube, instrument)).to(device.kind)
            logits = [_by_prefix_sums(n, frames, start=start) for n in networks if isinstance(n, FramesAsChannels)]
    curves = torch.sigmoid(torch.stack(logits).float()).cpu().numpy()
    return np.concatenate((np.repeat(curves[:, :1], start, axis=1), curves), axis=1)


def _by_steps(network: PerFrameNetwork, steps: Tensor, frames: Tensor, *, start: int) -> Tensor:
    """Encode every step and every frame once; per mask only the layers along time run.

    A mask at the first or second frame of a group makes the group's median that frame, since it then is a majority;
    at the third the median is the group's own. So a masked video is n whole steps followed by frame i throughout, with
    n = i // 3, or one more where i is a group's third frame.
    """
    own = network.encode(steps[None])
    frozen = network.encode(frames[None])
    n_steps, n_frames = own.shape[2], frozen.shape[2]
    # The last group may have been filled up by repeating its last frame; a mask there changes nothing.
    masks = torch.arange(start, n_frames, device=own.device)
    whole = masks // GROUP_FRAMES + (masks % GROUP_FRAMES == GROUP_FRAMES - 1).to(masks.dtype)
    step = torch.arange(n_steps, device=own.device)
    logits = []
    for some, kept in zip(masks.split(MASKS_AT_ONCE), whole.split(MASKS_AT_ONCE), strict=True):
        keep = step[None, :] < kept[:, None]
        tail = frozen[0][:, some].transpose(0, 1)[:, :, None, :]
        logits.append(network.decide(torch.where(keep[:, None, :, None], own, tail)))
    return torch.cat(logits)


def _by_prefix_sums(network: FramesAsChannels, frames: Tensor, *, start: int) -> Tensor:
    """Make all masks' first layers from a running sum; the remaining layers run on many masks at once.

    Frames are channels of the first layer, which is linear, so with W_j its kernel for frame j
    ``first_i = sum_{j<=i} W_j * x_j + (sum_{j>i} W_j) * x_i + b``: one convolution per frame for the running sum and
    one for the frozen tail.
    """
    kernels = network.first.weight.float().transpose(0, 1)  # (n_frames, filters, 3, 3)
    n_frames, n_filters = kernels.shape[:2]
    if network.first.bias is None:
        raise TypeError("the first convolution has a bias by construction")
    # Summed in double precision: two hundred float32 additions would show in the fifth digit.
    later = kernels.double().flip(0).cumsum(0).flip(0).float() - kernels
    done = network.first.bias.float()[:, None, None].expand(-1, *frames.shape[1:])
    if start:
        done = done + functional.conv2d(frames[None, :start].float(), kernels[:start].transpose(0, 1), padding=1)[0]
    logits = []
    with torch.autocast(frames.device.type, enabled=False):
        for some in torch.arange(start, n_frames, device=frames.device).split(MASKS_AT_ONCE):
            x = frames[some].float()[None]
            own = _each_frame(x, kernels[some], n_filters)
            sums = done + own.cumsum(0)
            done = sums[-1]
            first = sums + _each_frame(x, later[some], n_filters)
            with torch.autocast(frames.device.type, dtype=torch.bfloat16, enabled=frames.is_cuda):
                logits.append(network.decide(first))
    return torch.cat(logits)


def _each_frame(frames: Tensor, kernels: Tensor, n_filters: int) -> Tensor:
    """Convolve each frame (1, n, h, w) with its own kernels (n, filters, 3, 3): (n, filters, h, w)."""
    n = frames.shape[1]
    out = functional.conv2d(frames, kernels.reshape(n * n_filters, 1, 3, 3), padding=1, groups=n)
    return out[0].reshape(n, n_filters, *frames.shape[2:])
