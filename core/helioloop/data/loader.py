"""Cubes by name: found under the release roots, gridded through the cache."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from helioloop.data.cache import CubeCache
from helioloop.data.release import ReleaseRoots
from helioloop.errors import CubeError, ReleaseError
from helioloop.instrument import Instrument
from helioloop.records import CubeInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Loader:
    """Returns gridded cubes of the releases under some folders; picklable, so that other processes can use it.

    Parameters
    ----------
    roots : tuple of Path
        Folders of releases; no file outside them is opened.
    cache : Path
        Folder of the cache of gridded cubes.
    instrument : Instrument
        The grid.
    """

    roots: tuple[Path, ...]
    cache: Path
    instrument: Instrument

    def __call__(self, cube: CubeInfo) -> npt.NDArray[np.float16]:
        """Return a cube on the grid.

        Returns
        -------
        ndarray, shape (n_frames, size_px, size_px)
            Scaled to [0, 1], NaN off-disk.

        Raises
        ------
        CubeError
            If its files are in no release root, cannot be read, or have another content than `cube.sha256`.
        """
        try:
            path = ReleaseRoots(self.roots).path(cube.release, cube.name)
        except ReleaseError as error:
            raise CubeError(str(error)) from None
        return CubeCache(self.cache, self.instrument).load(path, cube.sha256)
