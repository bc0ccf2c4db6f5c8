"""Cubes: reads FITS files into observed frames with their times, and hashes them.

Two layouts are read: the authors' pair (``NAME.fits`` with the images, ``NAME.dt.fits`` with seconds since grid frame
0) and a single file with the times in a table (see `helioloop.data.times`).
"""

import hashlib
import io
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from helioloop.data.cube_writing import write_cube
from helioloop.data.fits import card_text, errors_named_after, field_in_gauss, image_unit, open_checked, open_file
from helioloop.data.images import cube_image
from helioloop.data.limb import limb_motion
from helioloop.data.orientation import check_scale, read_orientation, turn_upright
from helioloop.data.plausibility import refuse_other_content
from helioloop.data.quality import bad_quality
from helioloop.data.region import read_region
from helioloop.data.time_text import Floats
from helioloop.data.times import COMPANION_SUFFIX, CubeTimes, read_times
from helioloop.errors import CubeError
from helioloop.records.profiles import Profile

__all__ = [
    "Cube",
    "CubeFiles",
    "CubeHeader",
    "CubeOrigin",
    "companion_path",
    "hash_cube",
    "is_companion",
    "is_cube_file",
    "read_cube",
    "read_cube_header",
    "write_cube",
]

_CODE_GAUSS = 1000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CubeHeader:
    """Which region a cube follows and when it starts.

    Parameters
    ----------
    name : str
        File name without ``.fits``.
    start : str or None
        Absolute time of grid frame 0, ISO 8601 without zone, UTC; from a card, else the table's earliest absolute
        time, else midnight of the day in the name; see `helioloop.data.times`.
    start_scale : str or None
        Time scale in which the file gives the start, such as ``"utc"`` or ``"tai"``; None if it comes from the name.
    region : str or None
        From a card, else the name before ``_yyyymmdd``; see `helioloop.data.region`.
    """

    name: str
    start: str | None
    start_scale: str | None
    region: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cube(CubeHeader):
    """One observed video, with the values of its files.

    Parameters
    ----------
    name, start, start_scale, region
        See `CubeHeader`.
    observed_gauss : array of float32, shape (n_obs, ny, nx)
        Line-of-sight field in order of time; row 0 south, column 0 east; NaN where the file has BLANK, NaN or an
        infinite value. Off-disk pixels as the archive codes them: NaN, 0 or a large negative number.
    seconds : array of float64, shape (n_obs,)
        Time since grid frame 0, strictly increasing, rounded to milliseconds.
    grid_tolerance_seconds : float
        An observation may be earlier than its slot by this much; see `helioloop.data.slots.grid_frames`.
    """

    observed_gauss: NDArray[np.float32]
    seconds: Floats
    grid_tolerance_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CubeOrigin:
    """Where the values of a cube come from in its files.

    Parameters
    ----------
    start_source : str or None
        Card or column of the start, else ``"file name"``; None without a start.
    unit : str
        Unit of the pixels in the file, such as ``"G"`` or ``"kG"``.
    unit_source : str
        ``"BUNIT"``, or ``"assumed"``.
    region_source : str or None
        Card of the region, else ``"file name"``; None without a region.
    image : str
        The image that was read, such as ``"HDU 1 (MAGNETOGRAM)"``.
    n_images : int
        Number of images with three axes in the file.
    stored_seconds : array of float64, shape (n_stored,)
        Times of all frames in the order of the file; NaN or infinite where unknown.
    bad_quality : array of bool, shape (n_stored,)
        Frames that were dropped because QUALITY excludes them.
    doubts : tuple of str
        What is doubtful and was read, one sentence each.
    notes : tuple of str
        What was read in another way than stored, without doubt; one sentence each.
    """

    start_source: str | None
    unit: str
    unit_source: str
    region_source: str | None
    image: str
    n_images: int
    stored_seconds: Floats
    bad_quality: NDArray[np.bool_]
    doubts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CubeFiles:
    """Bytes of the cube at `path` and of its companion (None without one), for hash and frames."""

    path: Path
    content: bytes
    companion: bytes | None

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read ``<cube>.fits`` and its companion, if there is one.

        Raises
        ------
        CubeError
            If a file is missing, unreadable or larger than `helioloop.data.fits.MAX_BYTES`.
        """
        with open_file(path) as file:
            content = file.read()
        return cls(path=path, content=content, companion=_read_companion(path))

    @property
    def sha256(self) -> str:
        """SHA-256 of both files: ``cat NAME.fits NAME.dt.fits | sha256sum``."""
        digest = hashlib.sha256(self.content)
        digest.update(self.companion or b"")
        return digest.hexdigest()

    def header(self) -> CubeHeader:
        """Return the cube's header without its pixels; see `read_cube_header`."""
        with errors_named_after(self.path), open_checked(io.BytesIO(self.content)) as hdus:
            return _header_and_times(self.path, hdus, self.companion).header

    def image_header(self) -> fits.Header:
        """Return the header of the image that is read."""
        with errors_named_after(self.path), open_checked(io.BytesIO(self.content)) as hdus:
            return cube_image(hdus).header.copy()

    def cube(self, profile: Profile | None = None) -> Cube:
        """Return the cube; see `read_cube`."""
        return self.cube_and_origin(profile)[0]

    def cube_and_origin(self, profile: Profile | None = None) -> tuple[Cube, CubeOrigin]:
        """Return the cube, and where in the files its values come from.

        Parameters
        ----------
        profile : Profile or None
            Its QUALITY bits exclude frames, and its size of pixels must be that of the cards. None compares neither.
        """
        with errors_named_after(self.path), open_checked(io.BytesIO(self.content)) as hdus:
            image = cube_image(hdus)
            if not card_text(image.header, "BUNIT") and card_text(hdus[0].header, "BUNIT"):
                image.header["BUNIT"] = card_text(hdus[0].header, "BUNIT")
            headers = [image.header.copy(), hdus[0].header]  # astropy removes cards when the data are read
            frames, notes = field_in_gauss(image, remove_codes=True)
            doubts = refuse_other_content(headers, frames, file_name=self.path.name)
            found = _header_and_times(self.path, hdus, self.companion)
            bad: NDArray[np.bool_] = np.zeros(len(frames), dtype=np.bool_)
            orientation = read_orientation(headers[0]) or read_orientation(headers[1])
            if profile is not None:
                bad = bad_quality(hdus, headers, self.companion, n_frames=len(frames), profile=profile)
                doubts += check_scale(orientation, profile)
            seconds, frames = _in_order(np.where(bad, np.nan, found.times.seconds), frames)
            if not len(seconds):
                raise CubeError("no frame has a time and is accepted by QUALITY; leave it out, or correct the times")
            limb = limb_motion(frames, code_gauss=profile.instrument.clip_gauss if profile else _CODE_GAUSS)
            frames, turned_doubts, turned_notes = turn_upright(frames, orientation, limb)
            unit, unit_source = image_unit(image)
            origin = CubeOrigin(
                start_source=found.times.start.source if found.times.start else None,
                unit=unit.to_string(),
                unit_source=unit_source,
                region_source=found.region_source,
                image=f"HDU {hdus.index(image)}{f' ({image.name})' if image.name else ''}",
                n_images=sum(hdu.is_image and len(hdu.shape) == len(image.shape) for hdu in hdus),
                stored_seconds=found.times.seconds,
                bad_quality=bad,
                doubts=(*found.times.doubts, *doubts, *turned_doubts),
                notes=(*found.times.notes, *notes, *turned_notes),
            )
        tolerance = profile.grid_tolerance_seconds if profile else 0.0
        cube = Cube(**asdict(found.header), observed_gauss=frames, seconds=seconds, grid_tolerance_seconds=tolerance)
        return cube, origin


def read_cube(path: Path) -> Cube:
    """Read a cube from ``<cube>.fits``.

    Frames are sorted by time. Of two frames with equal time the later one in the file is kept; frames whose time is
    not finite are dropped. A missing BUNIT means gauss; other units of magnetic flux density are converted.

    Raises
    ------
    CubeError
        If the files cannot be read as an observed video.
    """
    return CubeFiles.read(path).cube()


def read_cube_header(path: Path) -> CubeHeader:
    """Read name, start and region of a cube from ``<cube>.fits``, equal to those that `read_cube` returns.

    Only headers and times are read, so it is much faster than `read_cube` and accepts a cube with faulty pixels. The
    exception is a file compressed as a whole (gzip), which is decompressed.

    Raises
    ------
    CubeError
        If the files are not FITS, contain no image with three axes, or their times cannot be read.
    """
    companion = _read_companion(path)
    with open_file(path) as file, errors_named_after(path), open_checked(file) as hdus:
        return _header_and_times(path, hdus, companion).header


def hash_cube(path: Path) -> str:
    """Return the SHA-256 of a cube's files in lower-case hex; see `CubeFiles.sha256`.

    Raises
    ------
    CubeError
        If a file is missing, unreadable or larger than `helioloop.data.fits.MAX_BYTES`.
    """
    return CubeFiles.read(path).sha256


def companion_path(path: Path) -> Path:
    """Return the path of the companion file with the times of the cube at `path`."""
    return path.with_name(path.name.removesuffix(".fits") + COMPANION_SUFFIX)


def is_companion(path: Path) -> bool:
    """Return True if the name is that of a companion with times."""
    return path.name.endswith(COMPANION_SUFFIX)


def is_cube_file(path: Path) -> bool:
    """Return True if the name ends in ``.fits`` and the file is neither hidden nor a companion."""
    return path.name.endswith(".fits") and not is_companion(path) and not path.name.startswith(".")


def _read_companion(path: Path) -> bytes | None:
    """Return the bytes of the companion of the cube at `path`, None if there is none."""
    companion = companion_path(path)
    if not companion.exists():
        return None
    with open_file(companion) as file:
        return file.read()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """The header of a cube, the times of its frames as stored, and the source of the region."""

    header: CubeHeader
    times: CubeTimes
    region_source: str | None


def _header_and_times(path: Path, hdus: fits.HDUList, companion: bytes | None) -> _Found:
    """Return the header of a cube and the times of its frames as stored; no pixel is read."""
    name = path.name.removesuffix(".fits")
    image = cube_image(hdus)
    headers = [image.header, hdus[0].header]
    times = read_times(hdus, headers, companion, n_frames=image.shape[0], cube=name)
    seconds, start = times.seconds, times.start
    if seconds.shape != image.shape[:1]:
        last = image.shape[-1] == seconds.size and image.shape[-1] != image.shape[0]
        remedy = "its last axis has that length, so put time first" if last else "correct the times"
        raise CubeError(f"it has {image.shape[0]} frames and {seconds.size} times; each frame needs one time: {remedy}")
    if not np.isfinite(seconds).any():
        raise CubeError("all its times are NaN or infinite; each frame needs a time in seconds: correct the times")
    region, region_source, region_notes = read_region(headers, name, start.utc if start else None)
    times = replace(times, notes=(*times.notes, *region_notes))
    header = CubeHeader(
        name=name,
        start=start.utc if start else None,
        start_scale=start.scale if start else None,
        region=region,
    )
    return _Found(header=header, times=times, region_source=region_source)


def _in_order(seconds: Floats, frames: NDArray[np.float32]) -> tuple[Floats, NDArray[np.float32]]:
    """Sort frames by time, drop those with an unknown time, keep the last of equal times."""
    seconds = np.round(seconds, 3)  # times that were converted from days have microseconds of rounding error
    order = np.argsort(seconds, kind="stable")
    order = order[np.isfinite(seconds[order])]
    last = np.append(np.diff(seconds[order]) > 0.0, True)
    order = order[last]
    if np.array_equal(order, np.arange(len(frames))):
        return seconds, frames
    return seconds[order], frames[order]
