"""Finds cubes by name under the release roots and returns them on the grid, through the cache."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from helioloop.data.cache import CubeCache
from helioloop.data.cubes import Cube, CubeFiles, CubeHeader
from helioloop.data.moved_cubes import other_places
from helioloop.data.release import ReleaseRoots
from helioloop.errors import CubeError, ReleaseError
from helioloop.records.cubes import CubeInfo
from helioloop.records.instrument import Instrument
from helioloop.records.labels import Label
from helioloop.records.profiles import Profile


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
    profile : Profile or None
        How cubes are read, see `CubeFiles.cube_and_origin`; None for the built-in profile of the instrument.
    """

    roots: tuple[Path, ...]
    cache: Path
    instrument: Instrument
    profile: Profile | None = None

    def __call__(self, cube: CubeInfo) -> npt.NDArray[np.float16]:
        """Return a cube on the grid; its files are read only if the cache does not have it.

        A cube whose release was renamed, or that was moved to another one, is found there by its file name and content.

        Returns
        -------
        ndarray of float16, shape (n_frames, size_px, size_px)
            Scaled to [0, 1], NaN off-disk; read-only.

        Raises
        ------
        CubeError
            If its files are in no release root, cannot be read, or have another content than `cube.sha256`.
        """
        cache = self._cache()
        try:
            return cache.load(self._path(cube.release, cube.name), cube.sha256)
        except CubeError:
            for path in other_places(self.roots, cube.release, cube.name):
                with suppress(CubeError):  # of other content
                    return cache.load(path, cube.sha256)
            raise

    def is_kept(self, cube: CubeInfo) -> bool:
        """Return whether a cube is returned without reading its files; nothing is gridded.

        The cache has it then, and a release root has a file of its name, in its own release or in another one.
        """
        try:
            if self._cache().find(cube.sha256) is None:
                return False
        except CubeError:  # no content hash
            return False
        try:
            self._path(cube.release, cube.name)
        except CubeError:
            return bool(other_places(self.roots, cube.release, cube.name))
        return True

    def read_files(self, release: str, name: str) -> CubeFiles:
        """Return the content of a cube's files, each of which is read once.

        Raises
        ------
        CubeError
            If the files are in no release root or cannot be read.
        """
        return CubeFiles.read(self._path(release, name))

    def parse(
        self, files: CubeFiles, *, cube: Cube | None = None, label: Label | None = None, verified: bool = False
    ) -> tuple[CubeInfo, npt.NDArray[np.float16]]:
        """Return the record of a cube and its frames on the grid, from its files in memory.

        Frames are gridded, and kept in the cache, only if the cache does not have the cube.

        Parameters
        ----------
        files : CubeFiles
            From `read_files`.
        cube : Cube or None
            What `files` contain, if they were read already.
        label : Label or None
            Current label, for the record.
        verified : bool
            True when the label is a human's, for the record.

        Returns
        -------
        cube : CubeInfo
            The release is named after the folder of the files.
        gridded : ndarray of float16, shape (n_frames, size_px, size_px)
            Scaled to [0, 1], NaN off-disk; read-only.

        Raises
        ------
        CubeError
            If the files cannot be read as an observed video, or cannot be gridded.
        """
        sha256, cache = files.sha256, self._cache()
        gridded = cache.find(sha256)
        header: CubeHeader
        if gridded is None:
            header = cube = files.cube(cache.profile) if cube is None else cube
            gridded = cache.add(cube, sha256)
        else:
            header = files.header() if cube is None else cube
        info = CubeInfo(
            release=files.path.parent.resolve().name,
            name=header.name,
            sha256=sha256,
            start=header.start,
            region=header.region,
            label=label,
            verified=verified,
        )
        return info, gridded

    def _cache(self) -> CubeCache:
        return CubeCache(self.cache, self.instrument, self.profile)

    def _path(self, release: str, name: str) -> Path:
        try:
            return ReleaseRoots(self.roots).path(release, name)
        except ReleaseError as error:
            raise CubeError(str(error)) from None
