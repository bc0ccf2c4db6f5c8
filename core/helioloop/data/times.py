"""Times of a cube's frames since grid frame 0, and its start; from companion, table or axis and the header's cards."""

import io
from dataclasses import dataclass, replace

import numpy as np
from astropy.io import fits
from astropy.time import Time

from helioloop.data.fits import open_checked
from helioloop.data.start import Start, start_from_headers, start_from_name
from helioloop.data.time_axis import times_from_axis
from helioloop.data.time_columns import ColumnTimes, times_from_tables
from helioloop.data.time_text import Floats, isot, to_seconds
from helioloop.errors import CubeError

COMPANION_SUFFIX = ".dt.fits"
"""Ending of the file with a cube's times in the authors' pair; such a file is not a cube."""

_SAME_INSTANT_SECONDS = 1800.0
"""T_REC, DATE-OBS and T_OBS of one observation differ by less: MDI's by up to six minutes, HMI's by two."""
_EQUAL_SECONDS = 1.0
_VIDEO_START = "DATE-BEG"
"""The card that gives the start of the whole video; the others are copied from the header of a frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CubeTimes:
    """When a cube's frames were observed.

    Parameters
    ----------
    seconds : array of float64, shape (n_stored,)
        Since grid frame 0, in the order of the file; NaN or infinite where unknown.
    start : Start or None
        Absolute time of grid frame 0.
    doubts, notes : tuple of str
        What is doubtful and was read, and what was read in another way than stored; one sentence each.
    """

    seconds: Floats
    start: Start | None
    doubts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def read_times(
    hdus: fits.HDUList, headers: list[fits.Header], companion: bytes | None, *, n_frames: int, cube: str
) -> CubeTimes:
    """Return the times of all frames; no pixel is read.

    The companion is used if there is one, else the first table with times, else an axis of time. Without a start in
    companion or header, the earliest absolute time is grid frame 0; without absolute times the start is the day in the
    cube's name.

    Parameters
    ----------
    hdus : HDUList
        The cube's file.
    headers : list of Header
        Of the image and of the file.
    companion : bytes or None
        Content of the companion.
    n_frames : int
        Frames in the image.
    cube : str
        Name of the cube.

    Raises
    ------
    CubeError
        If there are no times, none is finite, or they cannot be read.
    """
    start = start_from_headers(*headers)
    if companion is not None:
        seconds, companion_header = _companion_times(companion)
        start = start or _named_after_companion(start_from_headers(companion_header))
        times = CubeTimes(seconds=seconds, start=start)
    elif (columns := times_from_tables(hdus, headers=headers, prefer=start.kind if start else "")) is not None:
        times = _since_start(columns, start)
    elif (axis := times_from_axis(headers[0], n_frames, start=start)) is not None:
        times = CubeTimes(seconds=axis[0], start=axis[1])
    else:
        raise CubeError(
            f"it has no times: put seconds since the first frame into a companion {COMPANION_SUFFIX}, "
            "or into a table column SECONDS"
        )
    return replace(times, start=times.start or start_from_name(cube))


def _since_start(columns: ColumnTimes, start: Start | None) -> CubeTimes:
    """Return times in a table as seconds since the start.

    A header's start and a table's times can be of different kinds, such as DATE-OBS and the nominal T_REC of the same
    observation. Their difference says nothing, so where they are close the table alone is used. A start that is later
    than the table's first time was copied from the header of another frame.
    """
    if columns.first is None:
        return CubeTimes(seconds=columns.seconds, start=start, doubts=columns.doubts)
    own = Start(utc=isot(columns.first.utc), scale=columns.scale, source=columns.source, kind=columns.kind)
    alone = CubeTimes(seconds=columns.seconds, start=own, doubts=columns.doubts)
    if start is None:
        return alone
    offset = float((columns.first - Time(start.utc, scale="utc")).sec)
    same_kind = start.kind == columns.kind
    if not same_kind and -_SAME_INSTANT_SECONDS <= offset < 0.0:
        note = (
            f"{start.source} is {-offset:.3g} s after the first time in {columns.source}, of another kind, and times "
            "count from the latter"
        )
        return replace(alone, notes=(note,))
    if offset < 0.0:
        near = _EQUAL_SECONDS if same_kind else _SAME_INSTANT_SECONDS
        frame = int(np.nanargmin(np.abs(columns.seconds + offset)))
        if start.kind != _VIDEO_START or abs(columns.seconds[frame] + offset) <= near:
            doubt = (
                f"{start.source} gives {start.utc}, {-offset / 3600.0:.3g} h after the first time in {columns.source}, "
                "as if copied from a later frame, and times count from the first: correct the card"
            )
            return replace(alone, doubts=(*columns.doubts, doubt))
    return CubeTimes(seconds=columns.seconds + offset, start=start, doubts=columns.doubts)


def _named_after_companion(start: Start | None) -> Start | None:
    """Return a start whose source names the companion."""
    return start and replace(start, source=f"{start.source} of the companion {COMPANION_SUFFIX}")


def _companion_times(content: bytes) -> tuple[Floats, fits.Header]:
    """Return the times in a companion file in seconds, and its header."""
    try:
        with open_checked(io.BytesIO(content)) as hdus:
            for hdu in hdus:
                if hdu.is_image and len(hdu.shape) == 1:
                    return to_seconds(hdu.data, str(hdu.header.get("BUNIT", "")).strip()), hdu.header
    except CubeError as error:
        raise CubeError(f"its companion {COMPANION_SUFFIX}: {error}") from None
    raise CubeError(
        f"its companion {COMPANION_SUFFIX} has no 1-D image; it must hold one time per frame: make it again"
    )
