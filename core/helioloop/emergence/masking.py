"""Masking curves: P(emergence) with all frames after i frozen to frame i, for every i, without repeating work.

Above the networks. Both ways are exact: they give what running the network on every masked input gives, up to the
rounding of the layers (float32; bfloat16 on a GPU). Needs torch (extra ``worker``).

References
----------
Chatterjee, Muñoz-Jaramillo & Lamb 2022, Nature Astronomy 6, 796, doi:10.1038/s41550-022-01701-3 (the masking).
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from helioloop.instrument import Instrument
from helioloop.model.device import Device
from helioloop.model.inputs import FloatArray, cell_frames, cell_steps, channel_frames
from helioloop.model.networks import (
    EARLY_REACH,
    EARLY_STRIDE,
    GROUP_FRAMES,
    LATE_REACH,
    FramesAsChannels,
    Network,
    PerFrameNetwork,
    repeat_ends,
)

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
    """Encode every step and every frame once; per mask only what sees the edge of the mask runs.

    A mask at the first or second frame of a group makes the group's median that frame, since it then is a majority;
    at the third the median is the group's own. So a masked video is n whole steps followed by frame i throughout, with
    n = i // 3, or one more where i is a group's third frame.

    Along time an output of the masked video is that of the whole one where its window ends before step n, that of a
    still of frame i where its window begins at step n or later, and only a few windows lie across. The highest and the
    sum over time of the first kind come from running ones.
    """
    own = network.encode(steps[None])
    stills = network.encode(frames[None])[0].transpose(0, 1)[:, :, None]  # (frames, filters, 1, places)
    n_steps, n_frames = own.shape[2], len(stills)
    # The last group may have been filled up by repeating its last frame; a mask there changes nothing.
    masks = torch.arange(start, n_frames, device=own.device)
    whole = masks // GROUP_FRAMES + (masks % GROUP_FRAMES == GROUP_FRAMES - 1).to(masks.dtype)
    own_early = network.look_early(repeat_ends(own, EARLY_REACH))
    own_late = network.look_late(repeat_ends(own_early, LATE_REACH))
    highest, total = own_late[0].cummax(1).values, own_late[0].double().cumsum(1)
    logits = []
    for some, n in zip(masks.split(MASKS_AT_ONCE), whole.split(MASKS_AT_ONCE), strict=True):
        still = stills[some]
        still_early = network.look_early(still.expand(-1, -1, 2 * EARLY_REACH + 1, -1))
        still_late = network.look_late(still_early.expand(-1, -1, 2 * LATE_REACH + 1, -1))
        # Early outputs before `edge` see whole steps only; from `edge + _ACROSS` on they see the still only.
        edge = ((n - EARLY_REACH - 1).div(EARLY_STRIDE, rounding_mode="floor") + 1).clamp(min=0)
        first = edge * EARLY_STRIDE - EARLY_REACH
        window = first[:, None] + torch.arange(EARLY_STRIDE * (_ACROSS - 1) + 2 * EARLY_REACH + 1, device=own.device)
        window = window.clamp(0, n_steps - 1)
        across = network.look_early(_pick(own, window, (window >= n[:, None], still)))
        # The late windows that see an output across the mask's edge, or outputs on both sides of it.
        begin = edge - LATE_REACH
        at = begin[:, None] + torch.arange(-LATE_REACH, _ACROSS + 3 * LATE_REACH, device=own.device)
        at = at.clamp(0, own_early.shape[2] - 1)
        mixed = _pick(own_early, at, (at >= edge[:, None] + _ACROSS, still_early))
        offset = (at - edge[:, None]).clamp(0, _ACROSS - 1)
        over = (at >= edge[:, None]) & (at < edge[:, None] + _ACROSS)
        row = torch.arange(len(some), device=own.device)[:, None]
        mixed = torch.where(over[:, None, :, None], across.permute(0, 2, 1, 3)[row, offset].transpose(1, 2), mixed)
        late = network.look_late(mixed)
        # Windows that hang over either end of the video do not count.
        position = begin[:, None] + torch.arange(late.shape[2], device=own.device)
        n_late = own_late.shape[2]
        counts = ((position >= 0) & (position < n_late))[:, None, :, None]
        rest = (n_late - position[:, -1] - 1).clamp(min=0)[:, None, None]
        top = late.masked_fill(~counts, -torch.inf).amax(2)
        top = torch.where(rest > 0, torch.maximum(top, still_late[:, :, 0]), top)
        # In single precision also where the layers run in bfloat16, which counts in steps of 1/128.
        sums = (late * counts).float().sum(2) + rest * still_late[:, :, 0].float()
        before = (begin - 1).clamp(0, n_late - 1)
        some_before = (begin > 0)[:, None, None]
        top = torch.where(some_before, torch.maximum(top, highest[:, before].transpose(0, 1)), top)
        sums = sums + torch.where(some_before, total[:, before].transpose(0, 1), 0.0).to(sums.dtype)
        logits.append(network.conclude(top, sums / n_late))
    return torch.cat(logits)


_ACROSS = 3
"""How many early outputs can see both whole steps and the still behind the mask."""


def _pick(own: Tensor, at: Tensor, instead: tuple[Tensor, Tensor]) -> Tensor:
    """Take the steps `at` (masks, n) of `own` (1, filters, steps, places), and where told the still instead."""
    where, still = instead
    taken = own[0].permute(1, 0, 2)[at].transpose(1, 2)  # (masks, filters, n, places)
    return torch.where(where[:, None, :, None], still, taken)


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
