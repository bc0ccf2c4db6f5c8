"""Times of frames from a table in the cube's file: finds the columns that give them, and compares them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from helioloop.data.astropy_columns import astropy_times
from helioloop.data.column_times import ColumnTimes, Reader, from_days, from_numbers, from_texts, plus
from helioloop.data.table_columns import Columns, TableColumn, read_columns
from helioloop.data.time_text import (
    default_scale,
    is_day,
    is_missing_time,
    is_time_of_day,
    join,
    time_scale,
    with_time_of_day,
)
from helioloop.data.time_units import JULIAN_UNITS, SECONDS_PER_DAY
from helioloop.errors import CubeError

_ELAPSED = ("SECONDS", "DT", "ELAPSED", "TIME", "T", "SEC", "SECS", "TIMES")
_DATES = (
    "DATE-BEG", "DATE-OBS", "T-REC", "T-OBS", "DATE-AVG", "TIME", "TIMES", "T", "DATETIME", "DATE-TIME", "UTC", "TAI",
    "TIMESTAMP", "DATEOBS", "TREC", "TOBS", "OBS-TIME", "OBSTIME", "DATE-START", "START-TIME",
)  # fmt: skip
_PROCESSED = "DATE"
"""FITS reserves DATE for the time at which a file was written, so this column is used only if there is no other."""
_DAYS = {
    **dict.fromkeys(("MJD", "MJD-OBS", "MJD-BEG", "MJD-AVG"), JULIAN_UNITS["MJD"]),
    **dict.fromkeys(("JD", "JD-OBS"), JULIAN_UNITS["JD"]),
}
_TIMES_OF_DAY = ("TIME-OBS", "TIME-BEG", "TIME", "UTC", "UT", "TAI", "TIME-D-OBS")
_CLOCKS = ("TIME", "TIME-OBS", "UT", "UTC")
_SOLARSOFT_DAY_0_MJD = 43873.0  # its DAY 1 is 1979-01-01
_FEWEST_SOLARSOFT_DAYS = 367  # smaller numbers are days of a month or year
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
    day_and_time = _first(_days_with_clock(columns, scale=scale), errors)
    if day_and_time is not None:
        return day_and_time
    elapsed = _first(_elapsed(columns, references, scale=scale), errors)
    readers: tuple[Iterator[Reader], ...] = (
        astropy_times(hdu, scale=scale),
        _dates(columns, (prefer, *_DATES), scale=scale),
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
    for kind in _ELAPSED:
        column = columns.get(kind)
        if column is not None and column.is_number:
            yield partial(
                from_numbers,
                column.values,
                column.unit,
                headers=references,
                scale=scale,
                source=column.source,
                kind=kind,
            )


def _days_with_clock(columns: Columns, *, scale: str | None) -> Iterator[Reader]:
    """Return the times from a column of days and another with the time of day in numbers.

    SolarSoft writes DAY or MJD and TIME as integers, the latter in milliseconds. SECONDS and the like count from the
    start, unless they fall back as a time of day does at midnight.
    """
    for clock_kind in (*_CLOCKS, *_ELAPSED):
        clock = columns.get(clock_kind)
        if clock is None or not clock.is_number or not (clock_kind in _CLOCKS or _falls_back(clock.values)):
            continue
        is_integer = clock.values.dtype.kind in "iu"
        for kind, offset in (("DAY", -_SOLARSOFT_DAY_0_MJD), ("MJD", 0.0)):
            column = columns.get(kind)
            if column is None or not column.is_number or not _are_days(column.values):
                continue
            if kind == "DAY" and not (is_integer and np.nanmin(column.values) >= _FEWEST_SOLARSOFT_DAYS):
                continue
            days = partial(
                from_days, column.values, scale=scale, source=column.source, kind="MJD-OBS", offset_days=offset
            )
            yield partial(_with_clock, days, clock, clock.unit or ("ms" if is_integer else "s"), column)
        for kind in (*_DATES, _PROCESSED):
            column = columns.get(kind)
            texts = column.texts if column else []
            if column is not None and texts and all(is_day(text) or is_missing_time(text) for text in texts):
                midnights = [text if is_missing_time(text) else f"{text} 00:00" for text in texts]
                own = scale or default_scale(kind)
                days = partial(from_texts, midnights, source=column.source, kind=kind, scale=own)
                yield partial(_with_clock, days, clock, clock.unit or "s", column)


def _with_clock(read_days: Reader, clock: TableColumn, unit: str, column: TableColumn) -> ColumnTimes:
    """Return days with the time of day that another column gives as numbers.

    Raises
    ------
    CubeError
        If the numbers are not times of day.
    """
    days = read_days()
    time_of_day = from_numbers(clock.values, unit, headers=(), scale=None, source=clock.source, kind="TIME").seconds
    known = time_of_day[np.isfinite(time_of_day)]
    if days.first is None or not known.size or known.min() < 0.0 or known.max() >= SECONDS_PER_DAY:
        raise CubeError(
            f"{clock.source} beside {column.source} goes up to {known.max() if known.size else np.nan:g} s; a time of "
            "day is below 86400 s: give its unit, or call it SECONDS if it counts from the start"
        )
    seconds = days.seconds + time_of_day
    earliest = float(np.nanmin(seconds))
    return replace(
        days,
        seconds=seconds - earliest,
        first=plus(days.first, earliest),
        source=f"columns {column.name} and {clock.name}",
    )


def _falls_back(values: NDArray[Any]) -> bool:
    return bool((np.diff(values[np.isfinite(values)].astype(np.float64)) < 0.0).any())


def _are_days(values: NDArray[Any]) -> bool:
    known = values[np.isfinite(values)]
    return bool(known.size and np.all(known == np.floor(known)))


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
        if column is not None and column.is_number:
            yield partial(from_days, column.values, scale=scale, source=column.source, kind=kind, offset_days=offset)


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
    read = next(_dates(columns, (_PROCESSED,), scale=scale), None)
    if read is None:
        named = [columns[key].name for key in (*_DATES, *_TIMES_OF_DAY, *_ELAPSED) if key in columns]
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
