"""Times of a cube's frames since grid frame 0, and its start; from companion, table or axis and the header's cards."""

import io
from dataclasses import dataclass, replace

import numpy as np
from astropy.io import fits
from astropy.time import Time

from helioloop.data.column_times import ColumnTimes
from helioloop.data.fits import card_text, open_checked
from helioloop.data.number_times import from_numbers
from helioloop.data.start import Start, name_doubts, start_from_headers, start_from_name
from helioloop.data.time_axis import axis_of_time
from helioloop.data.time_columns import times_from_tables
from helioloop.data.time_text import isot, time_scale
from helioloop.data.time_units import Floats
from helioloop.errors import CubeError

COMPANION_SUFFIX = ".dt.fits"
"""Ending of the file with a cube's times in the authors' pair; such a file is not a cube."""

_SAME_INSTANT_SECONDS = 1800.0
"""T_REC, DATE-OBS and T_OBS of one observation differ by less: MDI's by up to six minutes, HMI's by two."""
_EQUAL_SECONDS = 1.0
_DAY_SECONDS = 86400.0
_VIDEO_START = "DATE-BEG"
"""The card that gives the start of the whole video; the others are copied from the header of a frame."""
_FEWEST_DISTINCT_FRACTION = 0.5


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
    cube's name. A name with a day that the video does not cover is a doubt.

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
    prefer = start.kind if start else ""
    if companion is not None:
        columns: ColumnTimes | None = _companion_times(companion, headers, n_frames=n_frames, prefer=prefer)
        where = f" of the companion {COMPANION_SUFFIX}"
    else:
        columns = times_from_tables(hdus, headers=headers, n_frames=n_frames, prefer=prefer)
        columns = columns or _axis_times(headers, n_frames)
        where = " of the table"
    if columns is None:
        raise CubeError(
            f"it has no times: put seconds since the first frame into a companion {COMPANION_SUFFIX}, "
            "or into a table column SECONDS"
        )
    if columns.first is not None:
        times = _since_start(columns, columns.first, start)
    else:
        times = _elapsed(columns, _counted_from(start, columns.header, headers, where))
    _refuse_equal_times(times.seconds)
    start = times.start or start_from_name(cube)
    doubts = times.doubts + (start.doubts if start else ())
    if times.start is not None:
        doubts += name_doubts(
            cube, times.start, float(np.max(times.seconds, where=np.isfinite(times.seconds), initial=0))
        )
    return replace(times, start=start, doubts=doubts, notes=times.notes + _order_notes(times.seconds))


def _since_start(columns: ColumnTimes, first: Time, start: Start | None) -> CubeTimes:
    """Return absolute times as seconds since the start.

    A header's start and a table's times can be of different kinds, such as DATE-OBS and the nominal T_REC of the same
    observation. Their difference says nothing, so where the header's is a little later the table alone is used. A start
    that is later still was copied from the header of another frame.
    """
    alone = CubeTimes(
        seconds=columns.seconds, start=_as_start(columns, first), doubts=columns.doubts, notes=columns.notes
    )
    if start is None:
        return alone
    offset = float((first - start.time).sec)
    if _is_its_day(start, offset):
        note = f"{start.source} gives only the day, and times count from the first time in {columns.source}"
        return replace(alone, notes=(*alone.notes, note))
    if offset < 0.0:
        frame = int(np.nanargmin(np.abs(columns.seconds + offset)))
        is_first = columns.seconds[frame] == 0.0
        if is_first and -offset <= _SAME_INSTANT_SECONDS:
            other = "" if start.kind == columns.kind else ", of another kind"
            note = (
                f"{start.source} is {-offset:.3g} s after the first time in {columns.source}{other}, and times count "
                "from the latter"
            )
            return replace(alone, notes=(*alone.notes, note))
        near = _EQUAL_SECONDS if start.kind == columns.kind else _SAME_INSTANT_SECONDS
        if start.kind != _VIDEO_START or abs(columns.seconds[frame] + offset) <= near:
            doubt = (
                f"{start.source} gives {start.utc}, {-offset / 3600.0:.3g} h after the first time in {columns.source}, "
                "as if copied from a later frame, and times count from the first: correct the card"
            )
            return replace(alone, doubts=(*columns.doubts, doubt))
    return replace(alone, seconds=columns.seconds + offset, start=start)


def _elapsed(columns: ColumnTimes, start: Start | None) -> CubeTimes:
    """Return times since the start; where other columns date their zero otherwise than the header, they are right."""
    times = CubeTimes(seconds=columns.seconds, start=start, doubts=columns.doubts, notes=columns.notes)
    if columns.zero is None or columns.zero.first is None:
        return times
    zero = columns.zero.first
    dated = replace(times, start=_as_start(columns.zero, zero))
    if start is None:
        return dated
    offset = float((zero - start.time).sec)
    if _is_its_day(start, offset):
        return dated
    if abs(offset) <= _SAME_INSTANT_SECONDS:
        return times
    doubt = (
        f"{start.source} gives {start.utc}, {abs(offset) / 3600.0:.3g} h {'before' if offset > 0.0 else 'after'} the "
        f"time in {columns.zero.source} at which {columns.source} is 0, and the latter was used: correct the card"
    )
    return replace(dated, doubts=(*dated.doubts, doubt))


def _as_start(columns: ColumnTimes, time: Time) -> Start:
    return Start(utc=isot(time.utc), scale=columns.scale, source=columns.source, kind=columns.kind)


def _is_its_day(start: Start, offset_seconds: float) -> bool:
    """Return True if a start copied from a frame gives only the day of the time that is `offset_seconds` later."""
    return start.only_day and start.kind != _VIDEO_START and 0.0 <= offset_seconds < _DAY_SECONDS


def _counted_from(start: Start | None, header: fits.Header, headers: list[fits.Header], where: str) -> Start | None:
    """Return the start from which seconds count: the image's, or that in the header that is with the seconds."""
    own = start_from_headers(header, scale=time_scale(*headers)) if header not in headers else None
    if own is None:
        return start
    own = replace(own, source=own.source + where)
    if start is None:
        return own
    if abs(float((own.time - start.time).sec)) <= _EQUAL_SECONDS:
        return start
    if own.kind == _VIDEO_START != start.kind:
        return own
    if abs(float((own.time - start.time).sec)) <= _SAME_INSTANT_SECONDS and start.kind != own.kind:
        return start
    doubt = f"{start.source} gives {start.utc} and {own.source} gives {own.utc}; the first was used: correct the other"
    return replace(start, doubts=(*start.doubts, doubt))


def _axis_times(headers: list[fits.Header], n_frames: int) -> ColumnTimes | None:
    """Return the times on the image's third axis; None if it is not an axis of time."""
    axis = axis_of_time(headers[0], n_frames)
    if axis is None:
        return None
    values, unit, scale = axis
    times = from_numbers(values, unit, headers=headers, scale=scale, source="axis 3", kind="TIME")
    return replace(times, header=headers[0])


def _companion_times(content: bytes, headers: list[fits.Header], *, n_frames: int, prefer: str) -> ColumnTimes:
    """Return the times in a companion file, which has a 1-D image or a table."""
    try:
        with open_checked(io.BytesIO(content)) as hdus:
            for hdu in hdus:
                if hdu.is_image and _is_vector(hdu.shape, n_frames):
                    unit = card_text(hdu.header, "BUNIT") or card_text(hdu.header, "TIMEUNIT")
                    times = from_numbers(
                        np.reshape(hdu.data, -1),
                        unit,
                        headers=[hdu.header],
                        scale=time_scale(hdu.header, *headers),
                        source="the companion",
                        kind="SECONDS",
                    )
                    return replace(times, header=hdu.header)
            found = times_from_tables(hdus, headers=headers, n_frames=n_frames, prefer=prefer)
            if found is not None:
                return found
    except CubeError as error:
        raise CubeError(f"its companion {COMPANION_SUFFIX}: {error}") from None
    raise CubeError(
        f"its companion {COMPANION_SUFFIX} has no 1-D image and no table with times; it must hold one time per frame: "
        "make it again"
    )


def _is_vector(shape: tuple[int, ...], n_frames: int) -> bool:
    """Return True for an image with one axis, or with n_frames values along one of several axes."""
    return len(shape) == 1 or (len(shape) > 1 and max(shape) == n_frames == int(np.prod(shape)))


def _refuse_equal_times(seconds: Floats) -> None:
    """Raise CubeError if most frames have a time that another one has."""
    known = np.round(seconds[np.isfinite(seconds)], 3)
    n_distinct = np.unique(known).size
    if known.size > 1 and n_distinct < _FEWEST_DISTINCT_FRACTION * known.size:
        raise CubeError(
            f"its {known.size} frames have only {n_distinct} different times; each frame needs a time of its own: "
            "correct the times"
        )


def _order_notes(seconds: Floats) -> tuple[str, ...]:
    """Return a note if the frames are not stored in the order of time."""
    known = seconds[np.isfinite(seconds)]
    n_back = int((np.diff(known) < 0.0).sum())
    return (f"{n_back} times are earlier than those before them, and frames were sorted by time",) if n_back else ()
