"""The authors' CNN's inputs of a whole release, kept in the memory of a device for members that train together.

Needs torch (extra ``worker``).
"""

from collections.abc import Sequence
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from helioloop.model.device import Device
from helioloop.model.frames_network import OFF_DISK_VALUE, FramesAsChannelsNetwork
from helioloop.model.inputs import check_shape
from helioloop.records.instrument import Instrument

_CHANNEL_MULTIPLE = 8
"""The matrix units of a GPU take channels in groups of this size; missing ones are filled up with zeros."""


class ResidentFrames:
    """Videos in the memory of a device, as fields around 0 G, in bfloat16 where the device's layers run in it.

    Parameters
    ----------
    n_cubes : int
        Number of videos.
    instrument : Instrument
        The grid.
    device : Device
        Where to keep them.

    Notes
    -----
    Kept is c = x - 0.5, the field: bfloat16 has 8 significant bits, which near x = 0.5 are steps of 4 to 8 G at a clip
    of 1000 G, and near c = 0 a fraction of a gauss. The first layer is linear, so its output for x follows from that
    for c. A flip of the polarity is a sign s::

        x = 0.5 + s c        y = bias + s (W * c) + 0.5 (W * 1)

    The last term is the same for all videos. It depends on the place only at the edges, where the zero padding of x
    begins. Pixels are stored in the order (video, row, column, frame), so that one gather takes a batch and flips it.
    """

    def __init__(self, n_cubes: int, instrument: Instrument, device: Device) -> None:
        self._instrument, self._device, side = instrument, device, instrument.size_px
        self._pixels = torch.zeros(
            (n_cubes, side * side, _n_channels(instrument)),
            dtype=torch.bfloat16 if device.bf16 else torch.float32,
            device=device.kind,
        )
        inside = torch.ones((1, 1, side, side), device=device.kind)
        self._taps = functional.unfold(inside, 3, padding=1)[
            0
        ]  # (9, pixels): whether the kernel's entry is in the frame
        self._rows = torch.arange(side, device=device.kind)[:, None] * side
        self._columns = torch.arange(side, device=device.kind)

    def put(self, first: int, cubes: Sequence[npt.NDArray[np.floating]]) -> None:
        """Store gridded cubes as the videos `first` and following.

        Parameters
        ----------
        first : int
            Number of the first one.
        cubes : sequence of ndarray, shape (n_frames, size_px, size_px)
            Gridded cubes, NaN off-disk.

        Raises
        ------
        CubeError
            If a cube does not have the shape of the grid.
        """
        for cube in cubes:
            check_shape(cube, self._instrument)
        frozen, n_frames = self._instrument.frozen_frames, self._instrument.n_frames
        frames = torch.from_numpy(np.stack(cubes)).to(self._device.kind).float()
        frames[:, :frozen] = frames[:, frozen : frozen + 1].clone()
        field = torch.nan_to_num(frames - OFF_DISK_VALUE, nan=0.0)
        self._pixels[first : first + len(cubes), :, :n_frames] = field.flatten(2).transpose(1, 2).to(self._pixels.dtype)

    def logits(self, network: FramesAsChannelsNetwork, chosen: Tensor, symmetries: Tensor | None = None) -> Tensor:
        """Return the logits (batch,) of videos under their symmetry transforms.

        Parameters
        ----------
        network : FramesAsChannelsNetwork
            On the device. The caller has entered ``device.autocast()``.
        chosen : Tensor of int, shape (batch,)
            Numbers of the videos, on the device.
        symmetries : Tensor of int or None
            Symmetry transform of each: bit 0 inverts the polarity, bit 1 flips east and west. None transforms none.
        """
        side = self._instrument.size_px
        columns, sign = self._columns, None
        if symmetries is not None:
            flipped = (symmetries // 2 % 2 == 1)[:, None, None]
            columns = torch.where(flipped, side - 1 - columns, columns)
            sign = (1 - 2 * (symmetries % 2))[:, None, None, None].to(self._pixels.dtype)
        places = chosen[:, None, None] * (side * side) + self._rows + columns
        field = self._pixels.flatten(0, 1).index_select(0, places.flatten())
        field = field.view(len(chosen), side, side, -1).permute(0, 3, 1, 2)
        weight = network.first.weight
        missing = field.shape[1] - weight.shape[1]
        first = functional.conv2d(field, functional.pad(weight, (0, 0, 0, 0, 0, missing)), padding=1)
        first = first if sign is None else first * sign
        return network.logits(first + self._constant(network).to(first.dtype))

    def _constant(self, network: FramesAsChannelsNetwork) -> Tensor:
        """Return the first layer's output where no pixel has a field: (filters, size_px, size_px), single precision."""
        with torch.autocast(self._device.kind, enabled=False):
            kernels = network.first.weight.float().sum(1).flatten(1)
            constant = OFF_DISK_VALUE * (kernels @ self._taps)
            constant = constant + cast("Tensor", network.first.bias).float()[:, None]
            return cast("Tensor", constant.unflatten(1, (self._instrument.size_px, -1)))


def _n_channels(instrument: Instrument) -> int:
    return -(-instrument.n_frames // _CHANNEL_MULTIPLE) * _CHANNEL_MULTIPLE
