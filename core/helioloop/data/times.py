"""Observation times: reads start and seconds since it from FITS headers, tables and file names.

Absolute times come in several notations and time scales; every start is returned in UTC, ISO 8601 without a zone.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy import units
from astropy.io import fits
from astropy.time import Time
from numpy.typing import NDArray

from helioloop.data.fits import card_text, is_missing
from helioloop.errors import CubeError

Floats = NDArray[np.float64]

START_KEYS = ("DATE-BEG", "DATE-OBS", "T_REC")
"""Header cards that give the absolute start; the first one with a value is used."""

# DATE-OBS='1998-12-06T00:00:00.000Z', T_REC='1998.12.06_00:00:00_TAI', and the dd/mm/yy of FITS before the year 2000.
_DATE = re.compile(
    r"(?P<year>\d{4})[-./](?P<month>\d\d)[-./](?P<day>\d\d)"
    r"(?:[T_ ](?P<time>\d\d:\d\d(?::\d\d(?:\.\d*)?)?))?(?:_|\s)?(?P<scale>[A-Za-z][A-Za-z0-9]*)?\Z"
)
_DAY = re.compile(r"\d{4}[-./]\d\d[-./]\d\d\Z")
_TIME_OF_DAY = re.compile(r"\d\d:\d\d")
_OLD_DATE = re.compile(r"(?P<day>\d\d)/(?P<month>\d\d)/(?P<year>\d\d)\Z")
_NAME = re.compile(r"(?P<region>.+)_(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)\Z")
# UT1 stays within a second of UTC, less than any cadence here, and would need tables from the network.
_SCALES = {
    **dict.fromkeys(("utc", "ut", "ut1", "gmt", "z"), "utc"),
    **dict.fromkeys(("tt", "tdt", "et"), "tt"),
    **{scale: scale for scale in ("tai", "tdb", "tcb", "tcg")},
}

_ELAPSED_COLUMNS = ("SECONDS", "DT", "ELAPSED", "TIME", "T")
_DATE_COLUMNS = (*START_KEYS, "DATE_BEG", "DATE_OBS", "T_OBS", "DATE-AVG", "DATE_AVG", "TIME", "UTC", "TAI", "DATE")
"""DATE is last: it may be the day of processing."""
_DAY_COLUMNS = {"MJD": 0.0, "MJD-OBS": 0.0, "MJD_OBS": 0.0, "JD": 2400000.5}
_SECONDS_PER_DAY = 86400.0

_Columns = Mapping[str, tuple[NDArray[Any], str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Absolute time of grid frame 0.

    Parameters
    ----------
    utc : str
        ISO 8601 without zone, UTC.
    scale : str or None
        Time scale in which the file gave it, such as ``"tai"``; None where it comes from the file name.
    source : str
        The card or column that gave it, such as ``"DATE-OBS"`` or ``"column T_REC"``, else ``"file name"``.
    """

    utc: str
    scale: str | None
    source: str


def start_from_headers(*headers: fits.Header) -> Start | None:
    """Return the start from the first header with one of `START_KEYS`, None if none has one.

    The time scale is the suffix of the value (``…_TAI``, ``…Z``), else the header's TIMESYS, else UTC, the default of
    the FITS standard.

    Raises
    ------
    CubeError
        If a value is not a date, or its time scale is unknown.
    """
    for header in headers:
        for key in START_KEYS:
            value = card_text(header, key)
            if value:
                value = _with_time_of_day(value, card_text(header, key.replace("DATE", "TIME")))
                time, scale = _parse(value, scale=_time_scale(header), what=key)
                return Start(utc=isot(time.utc), scale=scale, source=key)
    return None


def start_from_name(cube: str) -> Start | None:
    """Return midnight of the day in a name such as ``BARD0310_19981206``; None without a valid day.

    The authors' files often have no other date. Folds use only the month and the order in time, which are right.
    """
    found = _NAME.match(cube)
    if not found:
        return None
    try:
        day = Time(f"{found['year']}-{found['month']}-{found['day']}", scale="utc")
    except ValueError:
        return None
    return Start(utc=isot(day), scale=None, source="file name")


def region_from_name(cube: str) -> str | None:
    """Return the part of a cube name before ``_yyyymmdd``, None if the name has another form."""
    found = _NAME.match(cube)
    return found["region"] if found else None


def to_seconds(values: NDArray[Any], unit: str) -> Floats:
    """Convert times from `unit` (empty: seconds) to seconds, same shape.

    Raises
    ------
    CubeError
        If the unit is not a unit of time.
    """
    try:
        factor = float(units.Unit(unit or "s", parse_strict="raise").to(units.s))
    except (ValueError, TypeError):
        raise CubeError(
            f"the unit of its times is {unit!r}; it must be a unit of time, such as s: correct it"
        ) from None
    return np.asarray(values.astype(np.float64) * factor)


def times_from_tables(
    hdus: fits.HDUList, *, headers: Sequence[fits.Header], start: Start | None
) -> tuple[Floats, Start | None] | None:
    """Return seconds since grid frame 0 and the start from a table; None without a time column.

    The first table with a time column is used. Columns are found by name, in upper or lower case; the first kind
    present is used:

    1. numbers in SECONDS, DT, ELAPSED, TIME or T: time since the start, or since the table's MJDREF, or its MJDREFI and
       MJDREFF, if it has them;
    2. text in DATE-OBS, T_REC, TIME and the like: dates as in headers, or days with the time of day in TIME-OBS, TIME
       and the like;
    3. numbers in MJD, MJD-OBS or JD: days.

    A column's unit comes from TUNIT, else from the table's TIMEUNIT, else it is seconds.

    Parameters
    ----------
    hdus : HDUList
        The file.
    headers : sequence of Header
        Those of the image and the file; TIMESYS is taken from the table, else from them.
    start : Start or None
        The start in a header; absolute times count from it. If None, the earliest absolute time is grid frame 0.

    Returns
    -------
    seconds : array of float64, shape (n_obs,)
        As in the table's rows; NaN or infinite where the time is unknown.
    start : Start or None
        `start`, else the earliest absolute time; None if the table gives none either.

    Raises
    ------
    CubeError
        If the unit is not a unit of time, or a text is not a date.
    """
    for hdu in hdus:
        if isinstance(hdu, (fits.BinTableHDU, fits.TableHDU)) and not isinstance(hdu, fits.CompImageHDU):
            default_unit = str(hdu.header.get("TIMEUNIT", "")).strip()
            columns = {
                column.name.strip().upper(): (np.asarray(hdu.data[column.name]), (column.unit or default_unit).strip())
                for column in hdu.columns
            }
            found = _seconds_from_columns(
                columns,
                scale=_time_scale(hdu.header, *headers),
                reference_mjd=_reference_mjd(hdu.header),
                start=start,
            )
            if found:
                return found
    return None


def isot(time: Time) -> str:
    """Return a time in ISO 8601, in its own scale and without zone; zero milliseconds are left out."""
    return str(time.isot).removesuffix(".000")


def _seconds_from_columns(
    columns: _Columns, *, scale: str, reference_mjd: float | None, start: Start | None
) -> tuple[Floats, Start | None] | None:
    """Return `times_from_tables` for one table.

    Parameters
    ----------
    columns : mapping
        Name in upper case -> values, shape (n_obs,), and their unit (empty: seconds).
    scale : str
        Time scale of absolute times that name none.
    reference_mjd : float or None
        The table's MJDREF, or MJDREFI + MJDREFF.
    start : Start or None
        The start in a header.
    """
    for key in _ELAPSED_COLUMNS:
        values, unit = columns.get(key, (np.empty(0, dtype="U1"), ""))
        if values.dtype.kind in "iuf":
            seconds = to_seconds(values, unit)
            if reference_mjd is None:
                return seconds, start
            return _from_mjd(reference_mjd, seconds, scale, start, source=f"MJDREF and column {key}")
    absent = (np.empty(0), "")
    for key in _DATE_COLUMNS:
        values, _ = columns.get(key, absent)
        texts = _texts(values)
        if texts and not any(_TIME_OF_DAY.match(text) for text in texts):
            other = (key.replace("DATE", "TIME"), "TIME-OBS", "TIME_OBS", "TIME", "UTC", "TAI")
            times = next(
                (found for name in other if name != key and (found := _texts(columns.get(name, absent)[0]))), None
            )
            if times:
                texts = [_with_time_of_day(day, time) for day, time in zip(texts, times, strict=True)]
            return _from_dates(texts, key, scale, start)
    for key, offset_days in _DAY_COLUMNS.items():
        values, _ = columns.get(key, (np.empty(0, dtype="U1"), ""))
        if values.dtype.kind in "iuf":
            return _from_mjd(-offset_days, to_seconds(values, "d"), scale, start, source=f"column {key}")
    return None


def _texts(values: NDArray[Any]) -> list[str]:
    """Return the texts in a column; empty where it has no text."""
    return [str(value).strip() for value in values.astype(str)] if values.dtype.kind in "SU" else []


def _with_time_of_day(date: str, time: str) -> str:
    """Return a date with the time of day that another card or column gives, if it has none itself."""
    return f"{date}T{time}" if _DAY.match(date) and _TIME_OF_DAY.match(time) else date


def _reference_mjd(header: fits.Header) -> float | None:
    """Return MJDREF, else MJDREFI + MJDREFF, of a table; None without them."""
    if card_text(header, "MJDREF"):
        return float(header["MJDREF"])
    if card_text(header, "MJDREFI"):
        return float(header["MJDREFI"]) + float(card_text(header, "MJDREFF") or 0.0)
    return None


def _from_dates(texts: list[str], key: str, scale: str, start: Start | None) -> tuple[Floats, Start | None]:
    """Return seconds since the start for dates written as text; NaN for an unknown one."""
    seconds, own_scale = np.full(len(texts), np.nan), scale
    first: Time | None = None
    for index, text in enumerate(texts):
        if not is_missing(text):
            time, own_scale = _parse(text, scale=scale, what=f"a date in column {key}")
            first = time if first is None else first
            seconds[index] = float((time - first).sec)
    if first is None:
        return seconds, start
    return _since_start(first, seconds, own_scale, start, source=f"column {key}")


def _from_mjd(
    reference_mjd: float, seconds: Floats, scale: str, start: Start | None, *, source: str
) -> tuple[Floats, Start | None]:
    """Return seconds since the start for seconds since a modified Julian date."""
    if not np.isfinite(seconds).any():
        return seconds, start
    whole_days = np.floor(np.nanmin(seconds[np.isfinite(seconds)]) / _SECONDS_PER_DAY)
    first = Time(reference_mjd, whole_days, format="mjd", scale=scale)
    return _since_start(first, seconds - whole_days * _SECONDS_PER_DAY, scale, start, source=source)


def _since_start(
    first: Time, seconds: Floats, scale: str, start: Start | None, *, source: str
) -> tuple[Floats, Start | None]:
    """Convert seconds since `first` to seconds since the start, else since the earliest time."""
    if start is not None:
        return seconds + float((first - Time(start.utc, scale="utc")).sec), start
    earliest = float(np.nanmin(seconds))
    return seconds - earliest, Start(utc=isot((first + earliest * units.s).utc), scale=scale, source=source)


def _parse(value: str, *, scale: str, what: str) -> tuple[Time, str]:
    """Return the time written in `value` and its time scale, which is `scale` unless the value names one."""
    found, century = _DATE.match(value), ""
    if not found:
        found, century = _OLD_DATE.match(value), "19"
    if not found:
        raise CubeError(f"{what} is {value!r}; it must be a date such as 1998-12-06T00:00:00: correct it")
    parts = found.groupdict()
    own = _scale(parts.get("scale") or scale)
    text = f"{century}{parts['year']}-{parts['month']}-{parts['day']}T{parts.get('time') or '00:00:00'}"
    try:
        return Time(text, scale=own), own
    except ValueError:
        raise CubeError(f"{what} is {value!r}, a date that does not exist: correct it") from None


def _time_scale(*headers: fits.Header) -> str:
    """Return the time scale in the first header with TIMESYS, else ``utc``."""
    return next((_scale(text) for header in headers if (text := card_text(header, "TIMESYS"))), "utc")


def _scale(name: str) -> str:
    """Return astropy's name of a time scale."""
    try:
        return _SCALES[name.strip().lower()]
    except KeyError:
        known = ", ".join(sorted(set(_SCALES.values())))
        raise CubeError(f"the time scale is {name!r}; it must be one of {known}: correct TIMESYS") from None
