"""Types of gridded cubes and network inputs, and the check of a cube's shape. Needs numpy only."""

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


def check_shape(cube: npt.NDArray[np.floating], instrument: Instrument) -> None:
    """Raise `CubeError` unless a cube has the shape of the grid."""
    shape = (instrument.n_frames, instrument.size_px, instrument.size_px)
    if cube.shape != shape:
        raise CubeError(
            f"a cube has the shape {cube.shape}, the grid of {instrument.name} {shape}; grid the cube again"
        )
