"""Times of frames from a table in the cube's file: finds the columns that give them, and compares them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from astropy.io import fits

from helioloop.data.astropy_columns import astropy_times
from helioloop.data.clock_columns import days_with_clock
from helioloop.data.column_times import ColumnTimes, Reader, from_days, from_texts, plus
from helioloop.data.number_times import from_numbers
from helioloop.data.table_columns import DATES, ELAPSED, PROCESSED, Columns, read_columns
from helioloop.data.time_text import (
    default_scale,
    is_day,
    is_missing_time,
    is_time_of_day,
    join,
    time_scale,
    with_time_of_day,
)
from helioloop.data.time_units import JULIAN_UNITS
from helioloop.errors import CubeError

_DAYS = {
    **dict.fromkeys(("MJD", "MJD-OBS", "MJD-BEG", "MJD-AVG"), JULIAN_UNITS["MJD"]),
    **dict.fromkeys(("JD", "JD-OBS"), JULIAN_UNITS["JD"]),
}
_TIMES_OF_DAY = ("TIME-OBS", "TIME-BEG", "TIME", "UTC", "UT", "TAI", "TIME-D-OBS")
_FEWEST_SECONDS_PER_FRAME = 60.0
"""Magnetograms are at least 45 s apart (HMI), those of a cube much further; files are written in seconds."""
_SAME_OBSERVATION_SECONDS = 1800.0
"""Times of several kinds differ by less for one observation: MDI's by up to six minutes, HMI's by two."""


def times_from_tables(
    hdus: fits.HDUList, *, headers: Sequence[fits.Header], n_frames: int, prefer: str = ""
) -> ColumnTimes | None:
    """Return the times in a table with a column of times; None without one.

    The first table with `n_frames` times is used, else the first with times. A table of one row, whose cells have one
    value per frame, is read as well. Columns are found by name, in upper or lower case and with ``-``, ``_``, ``__`` or
    a blank between words. Columns with the same value in all rows are passed over. The first kind present is used:

    1. numbers in TIME beside a day in DAY, MJD or a column of dates: the time of day;
    2. numbers in SECONDS, DT, ELAPSED, TIME or T: time since the start, or since MJDREF, JDREF or DATEREF. If dates
       are there as well, they give the start; where both disagree, the dates are used;
    3. a column of astropy's ``Time``;
    4. text in `prefer`, DATE-OBS, T_REC, TIME and the like: dates as in headers, or days with the time of day in
       TIME-OBS, TIME and the like;
    5. numbers in MJD, MJD-OBS or JD: days;
    6. text in DATE, which may be the time of processing.

    A column's unit comes from TUNIT, else from the table's TIMEUNIT, else it is seconds.

    Parameters
    ----------
    hdus : HDUList
        The file.
    headers : sequence of Header
        Those of the image and the file; TIMESYS is taken from the table, else from them, and so is the reference time
        if no card gives the start.
    n_frames : int
        Frames in the image.
    prefer : str
        Canonical name of the card that gives the start: times of the same kind can be compared with it.

    Raises
    ------
    CubeError
        If the unit is not a unit of time, a text is not a date, times are all equal, or DATE has times of processing.
    """
    found: list[ColumnTimes] = []
    errors: list[CubeError] = []
    for hdu in hdus:
        if isinstance(hdu, (fits.BinTableHDU, fits.TableHDU)) and not isinstance(hdu, fits.CompImageHDU):
            try:
                times = _times_from_table(hdu, headers=headers, n_frames=n_frames, prefer=prefer)
            except CubeError as error:
                errors.append(error)
                continue
            if times is not None:
                found.append(replace(times, header=hdu.header))
    fitting = [times for times in found if len(times.seconds) == n_frames]
    if errors and not fitting:
        raise errors[0]
    return next(iter(fitting or found), None)


def _times_from_table(
    hdu: fits.BinTableHDU | fits.TableHDU, *, headers: Sequence[fits.Header], n_frames: int, prefer: str
) -> ColumnTimes | None:
    """Return the times in one table; None if no column is one of times."""
    columns = read_columns(hdu, n_frames)
    scale = time_scale(hdu.header, *headers)
    references = [hdu.header] if prefer else [hdu.header, *headers]
    errors: list[CubeError] = []
    day_and_time = _first(days_with_clock(columns, scale=scale), errors)
    if day_and_time is not None:
        return day_and_time
    elapsed = _first(_elapsed(columns, references, scale=scale), errors)
    readers: tuple[Iterator[Reader], ...] = (
        astropy_times(hdu, scale=scale),
        _dates(columns, (prefer, *DATES), scale=scale),
        _days(columns, scale=scale),
    )
    dates = next((times for reader in readers if (times := _first(reader, errors)) is not None), None)
    if elapsed is not None:
        return elapsed if dates is None else _compared(elapsed, dates)
    if dates is not None:
        return dates
    if errors:
        raise errors[0]
    return _processing_dates(columns, scale=scale)


def _first(readers: Iterator[Reader], errors: list[CubeError]) -> ColumnTimes | None:
    """Return the first times that can be read and are not all equal; add to `errors` why others were not."""
    for read in readers:
        try:
            times = read()
        except CubeError as error:
            errors.append(error)
            continue
        known = times.seconds[np.isfinite(times.seconds)]
        if not known.size:
            errors.append(
                CubeError("all its times are NaN or infinite; each frame needs a time in seconds: correct the times")
            )
            continue
        if known.size > 1 and np.ptp(known) == 0.0:
            errors.append(
                CubeError(
                    f"all {known.size} times in {times.source} are equal; each frame needs a time of its own: correct "
                    "the times"
                )
            )
            continue
        return times
    return None


def _elapsed(columns: Columns, references: Sequence[fits.Header], *, scale: str | None) -> Iterator[Reader]:
    """Return the times in columns of numbers, which count from the start or from a reference time."""
    for kind in ELAPSED:
        column = columns.get(kind)
        numbers = column.numbers if column and (column.is_number or not any(map(is_day, column.texts))) else None
        if column is not None and numbers is not None:
            yield partial(
                from_numbers,
                numbers,
                column.unit,
                headers=references,
                scale=scale,
                source=column.source,
                kind=kind,
            )


def _dates(columns: Columns, kinds: Sequence[str], *, scale: str | None) -> Iterator[Reader]:
    """Return the times in columns of text, in the order of `kinds`."""
    for kind in kinds:
        column = columns.get(kind)
        texts = column.texts if column else []
        known = [text for text in texts if not is_missing_time(text)]
        if column is None or not known or all(is_time_of_day(text) for text in known):
            continue
        other = (kind.replace("DATE", "TIME"), *_TIMES_OF_DAY)
        clocks = (columns[key].texts for key in other if key != kind and key in columns)
        clock = next((found for found in clocks if any(map(is_time_of_day, found))), None)
        if clock:
            texts = [with_time_of_day(day, time) for day, time in zip(texts, clock, strict=True)]
        own_scale = scale or ("tai" if kind == "TAI" else default_scale(kind))
        yield partial(from_texts, texts, source=column.source, kind=kind, scale=own_scale)


def _days(columns: Columns, *, scale: str | None) -> Iterator[Reader]:
    """Return the times in columns of Julian or modified Julian dates."""
    for kind, offset in _DAYS.items():
        column = columns.get(kind)
        numbers = column.numbers if column else None
        if column is not None and numbers is not None:
            yield partial(from_days, numbers, scale=scale, source=column.source, kind=kind, offset_days=offset)


def _compared(elapsed: ColumnTimes, dates: ColumnTimes) -> ColumnTimes:
    """Return times in numbers, with the date of their zero if they have none; the dates where both disagree."""
    since = dates.seconds - elapsed.seconds
    since = since[np.isfinite(since)]
    if not since.size or dates.first is None:
        return elapsed
    if elapsed.first is not None:
        since = np.append(since + float((dates.first - elapsed.first).sec), 0.0)
    if np.ptp(since) > _SAME_OBSERVATION_SECONDS:
        doubt = (
            f"{elapsed.source} and {dates.source} disagree by up to {np.ptp(since) / 3600.0:.3g} h, and the latter was "
            "used: remove or correct the other"
        )
        return replace(dates, doubts=(*dates.doubts, doubt))
    if elapsed.first is not None:
        return elapsed
    return replace(elapsed, zero=replace(dates, first=plus(dates.first, float(since[0]))))


def _processing_dates(columns: Columns, *, scale: str | None) -> ColumnTimes | None:
    """Return the times in the column DATE, unless they follow each other as times of processing do.

    Raises
    ------
    CubeError
        If they are less than a minute apart, or no column has times but one is named as if it had.
    """
    read = next(_dates(columns, (PROCESSED,), scale=scale), None)
    if read is None:
        named = [columns[key].name for key in (*DATES, *_TIMES_OF_DAY, *ELAPSED) if key in columns]
        if named:
            raise CubeError(
                f"its column {join(list(dict.fromkeys(named)))} has no dates that can be read; give dates such as "
                "1998-12-06T00:00:00 in DATE-OBS, or seconds since the first frame in SECONDS"
            )
        return None
    found = read()
    known = np.sort(found.seconds[np.isfinite(found.seconds)])
    if len(known) > 1 and known[-1] < _FEWEST_SECONDS_PER_FRAME * (len(known) - 1):
        raise CubeError(
            f"its only times are in column DATE, {known[-1] / (len(known) - 1):.3g} s apart, and so are times of "
            "processing; give the times of observation in a column DATE-OBS or SECONDS"
        )
    if not any(key in columns for key in _TIMES_OF_DAY):
        doubt = "the times are from column DATE, which FITS reserves for processing: name it DATE-OBS if they are right"
        return replace(found, doubts=(*found.doubts, doubt))
    return found
