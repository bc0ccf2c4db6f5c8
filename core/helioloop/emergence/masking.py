"""Masking curves: P(emergence) of a cube's video with all frames after frame i frozen to frame i, for every i.

Needs torch (extra ``worker``).

References
----------
Chatterjee, Muñoz-Jaramillo & Lamb 2022, Nature Astronomy 6, 796, doi:10.1038/s41550-022-01701-3 (the masking)
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from helioloop.model.architecture import AnyArchitecture
from helioloop.model.device import Device
from helioloop.model.field_video import FieldVideo
from helioloop.model.inputs import FloatArray


def masking_curves(
    architecture: AnyArchitecture,
    networks: Sequence[nn.Module],
    video: FieldVideo,
    *,
    device: Device,
) -> FloatArray:
    """Return the masking curve of each network on one cube.

    Parameters
    ----------
    architecture : Architecture
        Of all `networks`.
    networks : sequence of networks
        In evaluation mode, on `device`.
    video : FieldVideo
        The cube; its first frames are frozen before any mask.
    device : Device
        Where to compute.

    Returns
    -------
    ndarray, shape (len(networks), n_frames)
        Entry i is P(emergence) when the frames after i repeat frame i. Entries up to ``frozen_frames`` are equal,
        because the whole masked video then is one frame. The last entry is the probability of the unmasked video.
    """
    with torch.inference_mode(), device.autocast():
        logits = architecture.masked_logits(networks, video, device=device)
    curves = torch.sigmoid(logits.float()).cpu().numpy()
    return np.concatenate((np.repeat(curves[:, :1], video.instrument.frozen_frames, axis=1), curves), axis=1)
