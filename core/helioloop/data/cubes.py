"""Cubes: FITS files in, observed frames with their times out; and the content hash that names them.

First step of every way through the house, below `grid`. Two layouts are read: the authors' pair (``NAME.fits`` with the
images, ``NAME.dt.fits`` with seconds since grid frame 0) and a single file whose times stand in a table (see `times`).
A file is read once, whole; what it claims is checked against its size before anything is allocated.
"""

import hashlib
import io
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning
from numpy.typing import NDArray

from helioloop import atomic
from helioloop.data.fits import MAX_BYTES, cube_image, in_gauss, open_whole
from helioloop.data.times import (
    Floats,
    Start,
    region_from_name,
    seconds_from_columns,
    start_from_headers,
    start_from_name,
    time_scale,
    to_seconds,
)
from helioloop.errors import CubeError
from helioloop.instrument import Instrument

COMPANION_SUFFIX = ".dt.fits"
"""Ending of the file with a cube's times in the authors' pair; it is no cube."""

STORED_STEP_GAUSS = 0.1
"""Quantum of the files that `write_cube` writes: far below the 20 G of MDI's noise."""

_BLANK = -32768


@dataclass(frozen=True, slots=True, kw_only=True)
class Cube:
    """One observed video, as its files hold it.

    Parameters
    ----------
    name : str
        File name without ``.fits``.
    observed_gauss : array of float32, shape (n_obs, ny, nx)
        Line-of-sight field, in order of time; row 0 south, column 0 east; NaN where the file has none (BLANK, NaN or
        infinite). Off-disk pixels are as the archive codes them: NaN, 0 or a large negative number.
    seconds : array of float64, shape (n_obs,)
        Time since grid frame 0, increasing, to the millisecond.
    start : str or None
        Absolute time of grid frame 0, ISO 8601 without zone, UTC; from DATE-BEG, DATE-OBS or T_REC, else from the
        table's absolute times, else midnight of the day in the name.
    start_scale : str or None
        Time scale in which the file gave the start, such as ``"utc"`` or ``"tai"``; None where the name gave it.
    region : str or None
        Region it follows: REGION, NOAA_AR or HARPNUM of the header, else the name before ``_yyyymmdd``.
    """

    name: str
    observed_gauss: NDArray[np.float32]
    seconds: Floats
    start: str | None
    start_scale: str | None
    region: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CubeFiles:
    """A cube's files in memory, read once for both hash and frames."""

    path: Path
    content: bytes
    companion: bytes | None

    @classmethod
    def read(cls, path: Path) -> "CubeFiles":
        """Read ``<cube>.fits`` and its companion, if there is one.

        Raises
        ------
        CubeError
            If a file is missing, unreadable or larger than `MAX_BYTES`.
        """
        companion = companion_path(path)
        return cls(path=path, content=_read(path), companion=_read(companion) if companion.exists() else None)

    @property
    def sha256(self) -> str:
        """SHA-256 over both files, one after the other: ``cat NAME.fits NAME.dt.fits | sha256sum``."""
        return hashlib.sha256(self.content + (self.companion or b"")).hexdigest()

    def cube(self) -> Cube:
        """Return the cube; see `read_cube`."""
        try:
            with warnings.catch_warnings():
                # What matters is checked here and said in one sentence; the rest (odd cards, far dates) does not.
                warnings.simplefilter("ignore", AstropyWarning)
                warnings.simplefilter("ignore", UserWarning)  # ERFA tells of far dates by it
                warnings.simplefilter("ignore", RuntimeWarning)
                return _parse(self)
        except CubeError as error:
            raise CubeError(f"{self.path.name}: {error}") from None
        except Exception as error:  # on damaged files astropy ends in errors of any kind
            reason = str(error).split("\n", 1)[0] or type(error).__name__
            raise CubeError(
                f"{self.path.name}: its FITS structure is damaged ({reason}); fetch or make the file again"
            ) from error


def read_cube(path: Path) -> Cube:
    """Read a cube from ``<cube>.fits``.

    Frames come in order of time; of two at the same time the later one in the file counts, frames whose time is not
    finite are dropped. BUNIT missing is taken as gauss, any other unit of magnetic flux density is converted.

    Raises
    ------
    CubeError
        If the files cannot be read as an observed video; the text says why, in one sentence.
    """
    return CubeFiles.read(path).cube()


def hash_cube(path: Path) -> str:
    """Return the SHA-256 of a cube's content, lower-case hex: of ``<cube>.fits`` and its companion, if there is one.

    Raises
    ------
    CubeError
        If a file is missing, unreadable or larger than `MAX_BYTES`.
    """
    return CubeFiles.read(path).sha256


def companion_path(path: Path) -> Path:
    """Return where the times of the cube at `path` stand in the authors' pair."""
    return path.with_name(path.name.removesuffix(".fits") + COMPANION_SUFFIX)


def is_cube_file(path: Path) -> bool:
    """Return True for a file whose name is a cube's: ``….fits``, neither hidden nor a companion."""
    return path.name.endswith(".fits") and not path.name.endswith(COMPANION_SUFFIX) and not path.name.startswith(".")


def write_cube(
    path: Path,
    observed_gauss: NDArray[np.floating],
    seconds: Floats,
    *,
    start: str | None,
    region: str | None,
    instrument: Instrument,
    header: Mapping[str, str | float] | None = None,
) -> None:
    """Write a cube as one file: 16-bit images in steps of `STORED_STEP_GAUSS`, times in a table.

    Parameters
    ----------
    path : Path
        ``<cube>.fits``; replaced in one step.
    observed_gauss : array, shape (n_obs, ny, nx)
        Gauss within ± 3276; NaN is written as BLANK.
    seconds : array, shape (n_obs,)
        Time since grid frame 0.
    start : str or None
        Absolute time of grid frame 0, ISO 8601 without zone, UTC.
    region : str or None
        Region it follows.
    instrument : Instrument
        Named in the header, with its grid.
    header : mapping, optional
        Further cards.
    """
    steps = np.rint(np.asarray(observed_gauss, dtype=np.float32) * np.float32(1.0 / STORED_STEP_GAUSS))
    np.clip(steps, -32767, 32767, out=steps)  # keeps NaN
    image = fits.PrimaryHDU(np.nan_to_num(steps, copy=False, nan=_BLANK).astype(np.int16))
    cards: list[tuple[str, str | float, str]] = [
        ("BSCALE", STORED_STEP_GAUSS, "[G] quantum"),
        ("BZERO", 0.0, ""),
        ("BLANK", _BLANK, "no value"),
        ("BUNIT", "Gauss", "line-of-sight field"),
        ("TIMESYS", "UTC", ""),
        ("INSTRUME", instrument.name, ""),
        ("CADENCE", instrument.cadence_seconds, "[s] grid step"),
        ("NGRID", instrument.n_frames, "grid length (frames)"),
        *([("DATE-BEG", start, "grid frame 0")] if start else []),
        *([("REGION", region, "region it follows")] if region else []),
    ]
    image.header.update([*cards, *((key, value) for key, value in (header or {}).items())])
    times = fits.BinTableHDU.from_columns([fits.Column("SECONDS", "D", unit="s", array=seconds)], name="TIMES")
    file = io.BytesIO()
    fits.HDUList([image, times]).writeto(file)
    atomic.write_bytes(path, file.getvalue())


def _read(path: Path) -> bytes:
    """Return a file's bytes, unless it is too large to be a cube."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise CubeError(f"{path.name} has {size} bytes; a cube has at most {MAX_BYTES}: cut it into cubes")
        return path.read_bytes()
    except FileNotFoundError:
        raise CubeError(f"{path.name} is not in {path.parent}; restore it or remove it from labels.csv") from None
    except OSError as error:
        raise CubeError(f"{path.name} cannot be read ({error.strerror}); check the file and its permissions") from None


def _parse(files: CubeFiles) -> Cube:
    name = files.path.name.removesuffix(".fits")
    with open_whole(files.content) as hdus:
        image = cube_image(hdus)
        headers = [image.header, hdus[0].header]
        frames = in_gauss(image)
        if files.companion is not None:
            seconds, companion_header = _companion(files.companion)
            start = start_from_headers(*headers, companion_header)
        else:
            seconds, start = _table_times(hdus, headers)
        region = _region(headers) or region_from_name(name)
    if seconds.shape != frames.shape[:1]:
        raise CubeError(
            f"it has {frames.shape[0]} frames and {seconds.size} times; each frame needs one: correct the times"
        )
    seconds, frames = _in_order(seconds, frames)
    start = start or start_from_name(name)
    return Cube(
        name=name,
        observed_gauss=frames,
        seconds=seconds,
        start=start.utc if start else None,
        start_scale=start.scale if start else None,
        region=region,
    )


def _companion(content: bytes) -> tuple[Floats, fits.Header]:
    """Return the seconds in a companion file, and its header."""
    try:
        with open_whole(content) as hdus:
            for hdu in hdus:
                if hdu.is_image and len(hdu.shape) == 1:
                    return to_seconds(hdu.data, str(hdu.header.get("BUNIT", "")).strip()), hdu.header
    except CubeError as error:
        raise CubeError(f"of its companion {COMPANION_SUFFIX}: {error}") from None
    raise CubeError(
        f"its companion {COMPANION_SUFFIX} holds no list of numbers; it must hold one time a frame: make it again"
    )


def _table_times(hdus: fits.HDUList, headers: list[fits.Header]) -> tuple[Floats, Start | None]:
    """Return the times in the first table that has a time column, and the start."""
    start = start_from_headers(*headers)
    for hdu in hdus:
        if isinstance(hdu, (fits.BinTableHDU, fits.TableHDU)) and not isinstance(hdu, fits.CompImageHDU):
            default_unit = str(hdu.header.get("TIMEUNIT", "")).strip()
            columns = {
                column.name: (np.asarray(hdu.data[column.name]), (column.unit or default_unit).strip())
                for column in hdu.columns
            }
            reference = hdu.header.get("MJDREF")
            found = seconds_from_columns(
                columns,
                scale=time_scale(hdu.header, *headers),
                reference_mjd=None if reference is None else float(reference),
                start=start,
            )
            if found:
                return found
    raise CubeError(
        f"it has no times: put seconds since the first frame into a companion {COMPANION_SUFFIX}, "
        "or into a table column SECONDS"
    )


def _in_order(seconds: Floats, frames: NDArray[np.float32]) -> tuple[Floats, NDArray[np.float32]]:
    """Sort by time, drop unknown times, keep the last of equal times."""
    seconds = np.round(seconds, 3)  # absolute times come back from days with microseconds of error
    order = np.argsort(seconds, kind="stable")
    order = order[np.isfinite(seconds[order])]
    if not order.size:
        raise CubeError("none of its times is a number; each frame needs one in seconds: correct the times")
    last = np.append(np.diff(seconds[order]) > 0.0, True)
    order = order[last]
    if np.array_equal(order, np.arange(len(frames))):
        return seconds, frames
    return seconds[order], frames[order]


def _region(headers: list[fits.Header]) -> str | None:
    """Return the region that a header names, None where none does."""
    for header in headers:
        for key, prefix in (("REGION", ""), ("NOAA_AR", "NOAA "), ("HARPNUM", "HARP ")):
            value = str(header.get(key, "")).strip()
            if value not in {"", "0"}:
                return prefix + value
    return None
