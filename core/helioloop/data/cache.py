"""Keeps gridded cubes on disk, so that each cube is gridded once. The folder may be deleted at any time."""

import hashlib
import io
import json
import logging
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from helioloop.data.cubes import Cube, CubeFiles
from helioloop.data.gridding import to_grid
from helioloop.errors import CubeError
from helioloop.files import cache_files
from helioloop.records.instrument import Instrument
from helioloop.records.profiles import Profile, built_in_profile

log = logging.getLogger(__name__)

FORMAT = 6
"""Raised with every change of how files are read or gridded; entries of another format are ignored."""

_SHA256 = re.compile(r"[0-9a-f]{64}\Z")


class CubeCache:
    """Gridded cubes by content hash and instrument.

    Entries are float16, which takes half the memory of float32. The rounding error is at most 0.5 G at a clip of
    1000 G (values in [0.5, 1] are 2⁻¹¹ apart, which is 0.98 G), a fortieth of MDI's noise of 20 G.

    Parameters
    ----------
    root : Path
        Folder of the cache; made when the first entry is written.
    instrument : Instrument
        The grid.
    profile : Profile or None
        How cubes are read, see `CubeFiles.cube_and_origin`; None for the built-in profile of the instrument.
    """

    def __init__(self, root: Path, instrument: Instrument, profile: Profile | None = None) -> None:
        self.root = root
        self.instrument = instrument
        self.profile = profile = profile or built_in_profile(instrument)
        grid = [instrument.cadence_seconds, instrument.n_frames, instrument.size_px, instrument.clip_gauss]
        reading = (
            [] if profile is None else [profile.bad_quality_bits, profile.patch_deg, profile.grid_tolerance_seconds]
        )
        self._suffix = f"{hashlib.sha256(json.dumps(grid + reading).encode()).hexdigest()[:12]}-{FORMAT}"

    def load(self, path: Path, sha256: str) -> NDArray[np.float16]:
        """Return a cube on the grid, from the cache or, if it has no whole entry, from the cube's files.

        Parameters
        ----------
        path : Path
            ``<cube>.fits``; opened only if the cache does not have the content.
        sha256 : str
            Content hash, as from `helioloop.data.cubes.hash_cube`.

        Returns
        -------
        array of float16, shape (n_frames, size_px, size_px)
            Scaled to [0, 1], NaN off-disk; read-only; memory-mapped if it comes from the cache.

        Raises
        ------
        CubeError
            If the files cannot be read or gridded, or their content has another hash.
        """
        gridded = self.find(sha256)
        if gridded is not None:
            return gridded
        files = CubeFiles.read(path)
        if files.sha256 != sha256:
            raise CubeError(
                f"{path.name} has the content {files.sha256[:12]}…, not {sha256[:12]}… as when it was ingested; "
                "restore the file, or give the new one a new name"
            )
        return self.add(files.cube(self.profile), sha256)

    def find(self, sha256: str) -> NDArray[np.float16] | None:
        """Return the cube with a content hash; None if its entry is absent or broken.

        Returns
        -------
        array of float16, shape (n_frames, size_px, size_px), or None
            As from `load`; memory-mapped.

        Raises
        ------
        CubeError
            If `sha256` is not a content hash.
        """
        entry = self._entry(sha256)
        try:
            gridded = np.load(entry, mmap_mode="r", allow_pickle=False)
        except FileNotFoundError:
            return None
        except OSError as error:
            cache_files.say_unusable(self.root, error)
            return None
        except (ValueError, EOFError) as error:
            log.warning("cache entry %s is broken and made anew: %s", entry.name, error)
            return None
        expected = (self.instrument.n_frames, self.instrument.size_px, self.instrument.size_px)
        if gridded.shape != expected or gridded.dtype != np.float16:
            log.warning("cache entry %s has shape %s and is made anew", entry.name, gridded.shape)
            return None
        return np.asarray(gridded)

    def add(self, cube: Cube, sha256: str) -> NDArray[np.float16]:
        """Grid a cube, write its entry if the folder can be written, and return it.

        Parameters
        ----------
        cube : Cube
            Observed frames.
        sha256 : str
            Content hash of the cube's files.

        Returns
        -------
        array of float16, shape (n_frames, size_px, size_px)
            As from `load`; in memory.

        Raises
        ------
        CubeError
            If the cube cannot be gridded, or `sha256` is not a content hash.
        """
        entry = self._entry(sha256)
        gridded = to_grid(cube, self.instrument).astype(np.float16)
        file = io.BytesIO()
        np.save(file, gridded, allow_pickle=False)
        cache_files.write(self.root, entry, file.getvalue())
        gridded.setflags(write=False)
        return gridded

    def _entry(self, sha256: str) -> Path:
        if not _SHA256.match(sha256):
            raise CubeError(
                f"{sha256!r} is not a content hash; a cube's has 64 lower-case hex digits: ingest the cube again"
            )
        return self.root / sha256[:2] / f"{sha256}-{self._suffix}.npy"
