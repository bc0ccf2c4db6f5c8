"""Cubes by name: found under the release roots, gridded through the cache."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from helioloop.data.cache import CubeCache
from helioloop.data.release import ReleaseRoots
from helioloop.instrument import Instrument
from helioloop.records import CubeRef


@dataclass(frozen=True, slots=True, kw_only=True)
class Loader:
    """Gives cubes of releases under `roots`, through the cache; a plain value, so that other processes can have it."""

    roots: tuple[Path, ...]
    cache: Path
    instrument: Instrument

    def __call__(self, ref: CubeRef) -> npt.NDArray[np.float16]:
        """Return the cube on the grid, NaN off-disk."""
        path = ReleaseRoots(self.roots).path(ref.release, ref.cube)
        return CubeCache(self.cache, self.instrument).load(path, ref.sha256)
