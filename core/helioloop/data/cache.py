"""Gridded cubes kept on disk, so that a cube is read and laid on the grid once.

Above `grid`. The folder may be deleted at any time; nothing in it is the truth of anything.
"""

import hashlib
import io
import json
import logging
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from helioloop import atomic
from helioloop.data.cubes import CubeFiles
from helioloop.data.gridding import to_grid
from helioloop.errors import CubeError
from helioloop.instrument import Instrument

log = logging.getLogger(__name__)

FORMAT = 1
"""Raised with every change of what `cubes` and `grid` make of a file; older entries are then left alone."""

_SHA256 = re.compile(r"[0-9a-f]{64}\Z")


class CubeCache:
    """Gridded cubes by content hash and instrument.

    Entries are float16: half the memory for a rounding of at most 0.5 G at a clip of 1000 G (values in [0.5, 1] are
    2⁻¹¹ apart, that is 0.98 G), a twentieth of MDI's noise.

    Parameters
    ----------
    root : Path
        Folder of the cache; created when first written to.
    instrument : Instrument
        The grid.
    """

    def __init__(self, root: Path, instrument: Instrument) -> None:
        self.root = root
        self.instrument = instrument
        grid = (instrument.cadence_seconds, instrument.n_frames, instrument.size_px, instrument.clip_gauss)
        self._suffix = f"{hashlib.sha256(json.dumps(grid).encode()).hexdigest()[:12]}-{FORMAT}"

    def load(self, path: Path, sha256: str) -> NDArray[np.float16]:
        """Return a cube on the grid, from the cache or else from its files.

        Parameters
        ----------
        path : Path
            ``<cube>.fits``; not opened where the cache holds the content.
        sha256 : str
            Content hash, as from `helioloop.data.cubes.hash_cube`.

        Returns
        -------
        array of float16, shape (n_frames, size_px, size_px)
            Scaled to [0, 1], NaN off-disk; read-only, memory-mapped where it comes from the cache.

        Raises
        ------
        CubeError
            If the files cannot be read or gridded, or their content is not the one hashed.
        """
        if not _SHA256.match(sha256):
            raise CubeError(f"{sha256!r} is no content hash; a cube's has 64 lower-case hex digits: ingest it again")
        entry = self.root / sha256[:2] / f"{sha256}-{self._suffix}.npy"
        kept = self._read(entry)
        return self._make(path, sha256, entry) if kept is None else kept

    def _read(self, entry: Path) -> NDArray[np.float16] | None:
        """Return an entry; None where it is absent or broken, to be made anew."""
        expected = (self.instrument.n_frames, self.instrument.size_px, self.instrument.size_px)
        try:
            kept = np.load(entry, mmap_mode="r", allow_pickle=False)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, EOFError) as error:
            log.warning("cache entry %s is broken and made anew: %s", entry.name, error)
            return None
        if kept.shape != expected or kept.dtype != np.float16:
            log.warning("cache entry %s has shape %s and is made anew", entry.name, kept.shape)
            return None
        return np.asarray(kept)

    def _make(self, path: Path, sha256: str, entry: Path) -> NDArray[np.float16]:
        """Grid a cube and keep it, if the disk has room."""
        files = CubeFiles.read(path)
        if files.sha256 != sha256:
            raise CubeError(
                f"{path.name} has the content {files.sha256[:12]}…, not {sha256[:12]}… as when it was taken in; "
                "restore the file, or give the new one a new name"
            )
        gridded = to_grid(files.cube(), self.instrument).astype(np.float16)
        file = io.BytesIO()
        np.save(file, gridded, allow_pickle=False)
        try:
            atomic.write_bytes(entry, file.getvalue())
        except OSError as error:
            log.warning("cube %s is not cached, it will be gridded again: %s", path.name, error.strerror)
        gridded.setflags(write=False)
        return gridded
