"""Times of frames from the columns of a table in the cube's file."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.table import Table
from astropy.time import Time, TimeDelta
from astropy.utils.exceptions import AstropyWarning
from numpy.typing import NDArray

from helioloop.data.fits import is_missing
from helioloop.data.time_axis import reference_time
from helioloop.data.time_text import (
    Floats,
    astropy_scale,
    at_scale,
    canonical,
    default_scale,
    is_time_of_day,
    parse_time,
    time_scale,
    to_seconds,
    with_time_of_day,
)
from helioloop.errors import CubeError

_ELAPSED = ("SECONDS", "DT", "ELAPSED", "TIME", "T", "SEC", "SECS", "TIMES")
_DATES = (
    "DATE-BEG",
    "DATE-OBS",
    "T-REC",
    "T-OBS",
    "DATE-AVG",
    "TIME",
    "TIMES",
    "T",
    "DATETIME",
    "UTC",
    "TAI",
)
_PROCESSED = "DATE"
"""FITS reserves DATE for the time at which a file was written, so this column is used only if there is no other."""
_DAYS = {"MJD": 0.0, "MJD-OBS": 0.0, "MJD-BEG": 0.0, "JD": 2400000.5, "JD-OBS": 2400000.5}
_TIMES_OF_DAY = ("TIME-OBS", "TIME-BEG", "TIME", "UTC", "TAI", "TIME-D-OBS")
_SECONDS_PER_DAY = 86400.0
_JULIAN_DATES = (2.4e6, 2.5e6)  # 1858 to 2132; as days since a start they would be 6,600 years
_MJDS = (3.0e4, 8.0e4)  # 1941 to 2077; as days since a start they would be a century
_FEWEST_SECONDS_PER_FRAME = 60.0
"""Magnetograms are at least 45 s apart (HMI), those of a cube much further; files are written in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnTimes:
    """Times in a table.

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
    doubts : tuple of str
        What is doubtful, one sentence each.
    """

    seconds: Floats
    first: Time | None
    scale: str
    source: str
    kind: str
    doubts: tuple[str, ...] = ()


_Columns = Mapping[str, tuple[str, NDArray[Any], str]]
"""Canonical name -> name, values of shape (n_obs, …), unit (empty: seconds)."""


def times_from_tables(hdus: fits.HDUList, *, headers: Sequence[fits.Header], prefer: str = "") -> ColumnTimes | None:
    """Return the times in the first table with a column of times; None without one.

    Columns are found by name, in upper or lower case and with ``-``, ``_``, ``__`` or a blank between words; the first
    kind present is used:

    1. numbers in SECONDS, DT, ELAPSED, TIME or T: time since the start, or since the table's MJDREF, JDREF or DATEREF;
    2. a column of astropy's ``Time``;
    3. text in `prefer`, DATE-OBS, T_REC, TIME and the like: dates as in headers, or days with the time of day in
       TIME-OBS, TIME and the like;
    4. numbers in MJD, MJD-OBS or JD: days;
    5. text in DATE, which may be the time of processing.

    A column's unit comes from TUNIT, else from the table's TIMEUNIT, else it is seconds.

    Parameters
    ----------
    hdus : HDUList
        The file.
    headers : sequence of Header
        Those of the image and the file; TIMESYS is taken from the table, else from them.
    prefer : str
        Canonical name of the card that gives the start: times of the same kind can be compared with it.

    Raises
    ------
    CubeError
        If the unit is not a unit of time, a text is not a date, or DATE has times of processing.
    """
    for hdu in hdus:
        if isinstance(hdu, (fits.BinTableHDU, fits.TableHDU)) and not isinstance(hdu, fits.CompImageHDU):
            found = _times_from_table(hdu, scale=time_scale(hdu.header, *headers), prefer=prefer)
            if found is not None:
                return found
    return None


def _times_from_table(hdu: fits.BinTableHDU | fits.TableHDU, *, scale: str | None, prefer: str) -> ColumnTimes | None:
    default_unit = str(hdu.header.get("TIMEUNIT", "")).strip()
    columns = {
        canonical(column.name): (
            column.name.strip(),
            np.asarray(hdu.data[column.name]),
            (column.unit or default_unit).strip(),
        )
        for column in reversed(hdu.columns)
    }
    return (
        _elapsed(columns, hdu.header, scale=scale)
        or _astropy_times(hdu)
        or _dates(columns, (prefer, *_DATES), scale=scale)
        or _days(columns, scale=scale)
        or _processing_dates(columns, scale=scale)
    )


def _elapsed(columns: _Columns, header: fits.Header, *, scale: str | None) -> ColumnTimes | None:
    """Return the times in a column of numbers, which count from the start or from the table's reference time."""
    for kind in _ELAPSED:
        name, values, unit = columns.get(kind, ("", np.empty(0, dtype="U1"), ""))
        if values.dtype.kind not in "iuf" or values.ndim != 1:
            continue
        if not unit or not _is_days(unit):
            pass
        elif _within(values, _JULIAN_DATES):
            return _since_mjd(values - 2400000.5, scale, f"column {name}", kind)
        elif _within(values, _MJDS):
            doubt = f"column {name} is in days, begins at {np.nanmin(values):.0f} and was read as modified Julian dates"
            return _since_mjd(values, scale, f"column {name}", kind, doubts=(doubt,))
        seconds = to_seconds(values, unit)
        reference = reference_time(header, scale=scale or "utc")
        if reference is None or not np.isfinite(seconds).any():
            return ColumnTimes(seconds=seconds, first=None, scale=scale or "utc", source=f"column {name}", kind=kind)
        earliest = float(seconds[np.isfinite(seconds)].min())
        card = next(card for card in ("MJDREF", "MJDREFI", "JDREF", "JDREFI", "DATEREF") if card in header)
        return ColumnTimes(
            seconds=seconds - earliest,
            first=_plus(reference, earliest),
            scale=scale or "utc",
            source=f"{card.removesuffix('I')} and column {name}",
            kind=kind,
        )
    return None


def _astropy_times(hdu: fits.BinTableHDU | fits.TableHDU) -> ColumnTimes | None:
    """Return the times in a column that astropy wrote from a ``Time``, or in its two parts ``….jd1`` and ``….jd2``."""
    names = [column.name for column in hdu.columns]
    for column in hdu.columns:
        if column.coord_type and np.ndim(hdu.data[column.name]) == 2:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", AstropyWarning)
                time = Table.read(hdu, astropy_native=True)[column.name]
            if isinstance(time, Time):
                return _since_first(time, f"column {column.name}")
        if column.name.lower().endswith(".jd1") and (other := f"{column.name[:-1]}2") in names:
            days = np.asarray(hdu.data[column.name], dtype=np.float64)
            time = Time(days, np.asarray(hdu.data[other], dtype=np.float64), format="jd", scale="utc")
            return _since_first(time, f"columns {column.name} and {other}")
    return None


def _since_first(time: Time, source: str) -> ColumnTimes:
    """Return times since the earliest one, from an array of them."""
    known = np.isfinite(time.jd1) & ~np.asarray(time.mask)
    first = time[known].min() if known.any() else None
    seconds = np.full(len(time), np.nan)
    if first is not None:
        seconds[known] = (time[known] - first).sec
    return ColumnTimes(seconds=seconds, first=first, scale=str(time.scale), source=source, kind="TIME")


def _dates(columns: _Columns, kinds: Sequence[str], *, scale: str | None) -> ColumnTimes | None:
    """Return the times in a column of text, of the first kind that is there."""
    for kind in kinds:
        name, texts = _texts(columns, kind)
        if not texts or all(is_missing(text) for text in texts) or all(is_time_of_day(text) for text in texts):
            continue
        other = (kind.replace("DATE", "TIME"), *_TIMES_OF_DAY)
        clock = next((found for key in other if key != kind and (found := _texts(columns, key)[1])), None)
        if clock:
            texts = [with_time_of_day(day, time) for day, time in zip(texts, clock, strict=True)]
        own_scale = scale or ("tai" if kind == "TAI" else default_scale(kind))
        return _from_texts(texts, name, kind, own_scale)
    return None


def _from_texts(texts: Sequence[str], name: str, kind: str, scale: str) -> ColumnTimes:
    """Return times written as text; NaN for an unknown one."""
    times: dict[int, Time] = {}
    own_scale = scale
    for index, text in enumerate(texts):
        if not is_missing(text):
            time, own_scale = parse_time(text, scale=scale, what=f"a date in column {name}")
            times[index] = time
    seconds = np.full(len(texts), np.nan)
    reference = next(iter(times.values()))
    for index, time in times.items():
        seconds[index] = float((time - reference).sec)
    earliest = float(np.nanmin(seconds))
    return ColumnTimes(
        seconds=seconds - earliest,
        first=_plus(reference, earliest),
        scale=own_scale,
        source=f"column {name}",
        kind=kind,
    )


def _days(columns: _Columns, *, scale: str | None) -> ColumnTimes | None:
    """Return the times in a column of Julian or modified Julian dates."""
    for kind, offset_days in _DAYS.items():
        name, values, _ = columns.get(kind, ("", np.empty(0, dtype="U1"), ""))
        if values.dtype.kind in "iuf":
            return _since_mjd(values, scale, f"column {name}", kind, offset_days=offset_days)
    return None


def _since_mjd(
    days: NDArray[Any],
    scale: str | None,
    source: str,
    kind: str,
    *,
    offset_days: float = 0.0,
    doubts: tuple[str, ...] = (),
) -> ColumnTimes:
    """Return times since the earliest of some modified Julian dates, which are days less an offset."""
    own = scale or "utc"
    seconds = np.asarray(days, dtype=np.float64) * _SECONDS_PER_DAY
    first: Time | None = None
    if np.isfinite(seconds).any():
        whole = np.floor(seconds[np.isfinite(seconds)].min() / _SECONDS_PER_DAY)
        seconds = seconds - whole * _SECONDS_PER_DAY
        earliest = float(seconds[np.isfinite(seconds)].min())
        reference = at_scale(Time(-offset_days, whole, format="mjd", scale=astropy_scale(own)), own)
        first, seconds = _plus(reference, earliest), seconds - earliest
    return ColumnTimes(seconds=seconds, first=first, scale=own, source=source, kind=kind, doubts=doubts)


def _processing_dates(columns: _Columns, *, scale: str | None) -> ColumnTimes | None:
    """Return the times in the column DATE, unless they follow each other as times of processing do.

    Raises
    ------
    CubeError
        If they are less than a minute apart.
    """
    found = _dates(columns, (_PROCESSED,), scale=scale)
    if found is None:
        return None
    known = np.sort(found.seconds[np.isfinite(found.seconds)])
    if len(known) > 1 and known[-1] < _FEWEST_SECONDS_PER_FRAME * (len(known) - 1):
        raise CubeError(
            f"its only times are in column DATE, {known[-1] / (len(known) - 1):.3g} s apart, and so are times of "
            "processing; give the times of observation in a column DATE-OBS or SECONDS"
        )
    if not any(key in columns for key in _TIMES_OF_DAY):
        doubt = "the times are from column DATE, which FITS reserves for processing: name it DATE-OBS if they are right"
        return ColumnTimes(
            seconds=found.seconds,
            first=found.first,
            scale=found.scale,
            source=found.source,
            kind=found.kind,
            doubts=(*found.doubts, doubt),
        )
    return found


def _texts(columns: _Columns, kind: str) -> tuple[str, list[str]]:
    """Return the name of a column and its texts; none where it is absent or has no text."""
    name, values, _ = columns.get(kind, ("", np.empty(0), ""))
    return name, [str(value).strip() for value in values.astype(str)] if values.dtype.kind in "SU" else []


def _is_days(unit: str) -> bool:
    return float(to_seconds(np.ones(1), unit)[0]) == _SECONDS_PER_DAY


def _within(values: NDArray[Any], limits: tuple[float, float]) -> bool:
    known = values[np.isfinite(values)]
    return bool(known.size and known.min() > limits[0] and known.max() < limits[1])


def _plus(time: Time, seconds: float) -> Time:
    return time + TimeDelta(seconds, format="sec")
