"""Times of frames from two columns of a table: a day, and the time of day in numbers."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from helioloop.data.column_times import ColumnTimes, Reader, from_days, from_texts, plus
from helioloop.data.number_times import from_numbers
from helioloop.data.table_columns import DATES, ELAPSED, PROCESSED, Columns, TableColumn
from helioloop.data.time_text import default_scale, is_day, is_missing_time
from helioloop.data.time_units import SECONDS_PER_DAY
from helioloop.errors import CubeError

_CLOCKS = ("TIME", "TIME-OBS", "UT", "UTC")
_SOLARSOFT_DAY_0_MJD = 43873.0  # its DAY 1 is 1979-01-01
_FEWEST_SOLARSOFT_DAYS = 367  # smaller numbers are days of a month or year


def days_with_clock(columns: Columns, *, scale: str | None) -> Iterator[Reader]:
    """Return the times from a column of days and another with the time of day in numbers.

    SolarSoft writes DAY or MJD and TIME as integers, the latter in milliseconds. SECONDS and the like count from the
    start, unless they fall back as a time of day does at midnight.
    """
    for clock_kind in (*_CLOCKS, *ELAPSED):
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
        for kind in (*DATES, PROCESSED):
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
