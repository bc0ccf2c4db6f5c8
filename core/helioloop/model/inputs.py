"""Types of gridded cubes and network inputs, and the frozen start that every network input has. Needs numpy only."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from helioloop.errors import CubeError
from helioloop.records.cubes import CubeInfo
from helioloop.records.instrument import Instrument

FloatArray = npt.NDArray[np.float32]
"""A float32 array."""
Load = Callable[[CubeInfo], npt.NDArray[np.floating]]
"""Returns a gridded cube, (n_frames, size_px, size_px): fields scaled to [0, 1], NaN off-disk; raises `CubeError`."""


def freeze_start(cube: npt.NDArray[np.floating], instrument: Instrument) -> FloatArray:
    """Return a float32 copy whose first ``frozen_frames`` frames repeat the frame that follows them.

    Parameters
    ----------
    cube : ndarray, shape (n_frames, size_px, size_px)
        Gridded cube, NaN off-disk.
    instrument : Instrument
        Shape of the grid and number of frozen frames.

    Raises
    ------
    CubeError
        If the cube does not have the shape of the grid.
    """
    check_shape(cube, instrument)
    frames = cube.astype(np.float32)
    frames[: instrument.frozen_frames] = frames[instrument.frozen_frames]
    return frames


def check_shape(cube: npt.NDArray[np.floating], instrument: Instrument) -> None:
    """Raise `CubeError` unless a cube has the shape of the grid."""
    shape = (instrument.n_frames, instrument.size_px, instrument.size_px)
    if cube.shape != shape:
        raise CubeError(
            f"a cube has the shape {cube.shape}, the grid of {instrument.name} {shape}; grid the cube again"
        )
