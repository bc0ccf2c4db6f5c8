"""Times of frames from the values of one column: dates as text, days, or pairs of Julian dates."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.time import Time, TimeDelta
from numpy.typing import NDArray

from helioloop.data.time_text import (
    EARLIEST_YEAR,
    FIRST_MJD,
    LAST_MJD,
    LATEST_YEAR,
    astropy_scale,
    at_scale,
    is_day,
    is_missing_time,
    seconds_since_first,
)
from helioloop.data.time_units import JULIAN_UNITS, SECONDS_PER_DAY, Floats
from helioloop.errors import CubeError

_NOTED_STEP_SECONDS = 60.0
_COARSEST_STEP_SECONDS = 1800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnTimes:
    """Times in a table, a companion or an axis.

    Parameters
    ----------
    seconds : array of float64, shape (n_obs,)
        As in the table's rows; NaN or infinite where the time is unknown. Since `first`, or since the start of the cube
        where that is None.
    first : Time or None
        Zero of `seconds`: the earliest time in the table. None for times since the start.
    scale : str
        Time scale of the table.
    source : str
        The column, for people.
    kind : str
        Canonical name of the column.
    doubts, notes : tuple of str
        What is doubtful, and what was read in another way than stored; one sentence each.
    header : Header
        Of the table, companion or image.
    zero : ColumnTimes or None
        For times since the start: another column, whose `first` is the absolute time at which `seconds` is 0.
    """

    seconds: Floats
    first: Time | None
    scale: str
    source: str
    kind: str
    doubts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    header: fits.Header = field(default_factory=fits.Header)
    zero: "ColumnTimes | None" = None


Reader = Callable[[], ColumnTimes]
"""Returns the times in one place, or raises CubeError if they cannot be read."""


def from_texts(texts: Sequence[str], *, source: str, kind: str, scale: str) -> ColumnTimes:
    """Return times written as text; NaN for an unknown one.

    Raises
    ------
    CubeError
        If a text is not a date, all are missing, or they are only days and several are the same.
    """
    known = {index: text for index, text in enumerate(texts) if not is_missing_time(text)}
    if not known:
        raise CubeError(f"all dates in {source} are missing; each frame needs a time: correct the table")
    if len(set(known.values())) < len(known) and all(map(is_day, known.values())):
        raise CubeError(
            f"{source} gives only days and several frames have the same one; add the time of day, or give it in a "
            "column TIME-OBS"
        )
    found, first, own_scale = seconds_since_first(known, scale=scale, what=f"a date in {source}")
    seconds = np.full(len(texts), np.nan)
    seconds[list(found)] = list(found.values())
    return ColumnTimes(seconds=seconds, first=first, scale=own_scale, source=source, kind=kind)


def from_days(
    days: NDArray[Any],
    *,
    scale: str | None,
    source: str,
    kind: str,
    offset_days: float = 0.0,
    doubts: tuple[str, ...] = (),
) -> ColumnTimes:
    """Return times given as days.

    Parameters
    ----------
    days : array, shape (n_obs,)
        Modified Julian dates plus `offset_days`.
    scale : str or None
        Time scale; None for UTC.
    source, kind, doubts
        See `ColumnTimes`.
    offset_days : float
        2400000.5 for Julian dates.

    Raises
    ------
    CubeError
        If no day is from 1950 to 2100, or they are rounded to more than half an hour.
    """
    own = scale or "utc"
    doubts += rounding_doubt(days, SECONDS_PER_DAY, source)
    days = np.array(days, dtype=np.float64)
    known = np.isfinite(days)
    valid = known & (days - offset_days >= FIRST_MJD) & (days - offset_days < LAST_MJD)
    if known.any() and not valid.any():
        kind_of_days = "Julian dates" if offset_days else "modified Julian dates"
        raise CubeError(
            f"{source} begins with {days[known][0]:g}; it must have {kind_of_days} of {EARLIEST_YEAR} to "
            f"{LATEST_YEAR}: correct its name or values"
        )
    seconds = np.where(valid, days, np.nan) * SECONDS_PER_DAY
    first: Time | None = None
    if valid.any():
        whole = np.floor(np.nanmin(seconds) / SECONDS_PER_DAY)
        seconds = seconds - whole * SECONDS_PER_DAY
        earliest = float(np.nanmin(seconds))
        first = at_scale(Time(-offset_days, whole, format="mjd", scale=astropy_scale(own)), own)
        first, seconds = plus(first, earliest), seconds - earliest
    return ColumnTimes(seconds=seconds, first=first, scale=own, source=source, kind=kind, doubts=doubts)


def from_julian_dates(
    whole: NDArray[np.float64], rest: NDArray[np.float64], *, scale: str | None, source: str
) -> ColumnTimes:
    """Return times given as Julian dates in two parts, shape (n_obs,), whose sum would lose microseconds.

    Sums below 86,400 are days since the start, as from a ``TimeDelta``. Dates outside 1950 to 2100 are unknown.
    """
    own = scale or "utc"
    sums = whole + rest
    known = np.isfinite(sums)
    if known.any() and np.all(np.abs(sums[known]) < SECONDS_PER_DAY):
        return ColumnTimes(seconds=sums * SECONDS_PER_DAY, first=None, scale=own, source=source, kind="SECONDS")
    mjd = sums - JULIAN_UNITS["JD"]
    known &= (mjd >= FIRST_MJD) & (mjd < LAST_MJD)
    first: Time | None = None
    seconds = np.full(len(sums), np.nan)
    if known.any():
        times = at_scale(Time(whole[known], rest[known], format="jd", scale=astropy_scale(own)), own)
        first = times.min()
        seconds[known] = (times - first).sec
    return ColumnTimes(seconds=seconds, first=first, scale=own, source=source, kind="TIME")


def plus(time: Time, seconds: float) -> Time:
    """Return a time some seconds later."""
    return time + TimeDelta(seconds, format="sec")


def rounding_doubt(values: NDArray[Any], factor: float, source: str) -> tuple[str, ...]:
    """Return a doubt where single precision rounds times by more than a minute.

    Raises
    ------
    CubeError
        If it rounds them by more than half an hour.
    """
    if values.dtype.kind != "f" or values.dtype.itemsize > 4 or not np.isfinite(values).any():
        return ()
    largest = np.float32(np.abs(values[np.isfinite(values)]).max())
    step_seconds = float(np.spacing(largest)) * factor
    if step_seconds > _COARSEST_STEP_SECONDS:
        raise CubeError(
            f"{source} is in single precision, which rounds its times to {step_seconds / 3600.0:.3g} h; write it in "
            "double precision"
        )
    if step_seconds > _NOTED_STEP_SECONDS:
        return (
            f"{source} is in single precision, which rounds its times to {step_seconds:.0f} s: use double precision",
        )
    return ()
