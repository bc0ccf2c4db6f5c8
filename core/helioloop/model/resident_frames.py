"""The authors' CNN's inputs of a whole release, kept in the memory of a device for members that train together.

Needs torch (extra ``worker``).
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from helioloop.model.device import Device
from helioloop.model.frames_network import OFF_DISK_VALUE, FramesAsChannelsNetwork, edge_taps
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
    Kept is c = x - 0.5, the field, see `FramesAsChannelsNetwork.first_of_field`. Pixels are stored in the order (video,
    row, column, frame), so that one gather takes a batch and flips it.
    """

    def __init__(self, n_cubes: int, instrument: Instrument, device: Device) -> None:
        self._instrument, self._device, side = instrument, device, instrument.size_px
        self._pixels = torch.zeros(
            (n_cubes, side * side, _n_channels(instrument)),
            dtype=torch.bfloat16 if device.bf16 else torch.float32,
            device=device.kind,
        )
        self._taps = edge_taps(side, device.kind)
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
            sign = (1 - 2 * (symmetries % 2))[:, None, None, None].float()
        places = chosen[:, None, None] * (side * side) + self._rows + columns
        field = self._pixels.flatten(0, 1).index_select(0, places.flatten())
        field = field.view(len(chosen), side, side, -1).permute(0, 3, 1, 2)
        return network.logits(network.first_of_field(field, self._taps, sign=sign))


def _n_channels(instrument: Instrument) -> int:
    return -(-instrument.n_frames // _CHANNEL_MULTIPLE) * _CHANNEL_MULTIPLE
