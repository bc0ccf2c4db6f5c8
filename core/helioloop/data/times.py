"""When a cube's frames were taken, as its headers and tables say it: one start, and seconds since.

Below `cubes`. Headers give absolute times in several spellings and scales; all become UTC without zone suffix.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy import units
from astropy.io import fits
from astropy.time import Time
from numpy.typing import NDArray

from helioloop.errors import CubeError

Floats = NDArray[np.float64]

START_KEYS = ("DATE-BEG", "DATE-OBS", "T_REC")
"""Header cards that give the absolute start; the first one present counts."""

# DATE-OBS='1998-12-06T00:00:00.000Z', T_REC='1998.12.06_00:00:00_TAI', and the dd/mm/yy of FITS before the year 2000.
_DATE = re.compile(
    r"(?P<year>\d{4})[-./](?P<month>\d\d)[-./](?P<day>\d\d)"
    r"(?:[T_ ](?P<clock>\d\d:\d\d(?::\d\d(?:\.\d*)?)?))?(?:_|\s)?(?P<scale>[A-Za-z][A-Za-z0-9]*)?\Z"
)
_OLD_DATE = re.compile(r"(?P<day>\d\d)/(?P<month>\d\d)/(?P<year>\d\d)\Z")
_NAME = re.compile(r"(?P<region>.+)_(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)\Z")
_UNKNOWN = frozenset({"", "N/A", "NAN", "NONE", "NULL", "UNKNOWN", "-1"})
# UT1 stays within a second of UTC, less than any cadence here, and would need tables from the network.
_SCALES = {
    **dict.fromkeys(("utc", "ut", "ut1", "gmt", "z"), "utc"),
    **dict.fromkeys(("tt", "tdt", "et"), "tt"),
    **{scale: scale for scale in ("tai", "tdb", "tcb", "tcg")},
}

_ELAPSED_COLUMNS = ("SECONDS", "DT", "ELAPSED", "TIME", "T")
_DATE_COLUMNS = (*START_KEYS, "DATE_BEG", "DATE_OBS", "T_OBS", "DATE-AVG", "DATE_AVG", "DATE", "TIME", "UTC", "TAI")
_DAY_COLUMNS = {"MJD": 0.0, "MJD-OBS": 0.0, "MJD_OBS": 0.0, "JD": 2400000.5}


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Absolute time of grid frame 0: `utc` in ISO 8601 without zone, and the scale the file gave it in, if it did."""

    utc: str
    scale: str | None


def start_from_headers(*headers: fits.Header) -> Start | None:
    """Return the start that the first header with one of `START_KEYS` gives, None where none does.

    The scale is the value's suffix (``…_TAI``, ``…Z``), else the header's TIMESYS, else UTC, the standard's default.

    Raises
    ------
    CubeError
        If a value is there and is no date, or its scale is unknown.
    """
    for header in headers:
        for key in START_KEYS:
            value = str(header.get(key, "")).strip()
            if value.upper() not in _UNKNOWN:
                time, scale = _parse(value, scale=time_scale(header), what=key)
                return Start(utc=_iso(time), scale=scale)
    return None


def start_from_name(cube: str) -> Start | None:
    """Return midnight of the day in a name such as ``BARD0310_19981206``, None where there is none.

    The authors' files need carry no other date; month and order in time, all that folds ask, are right this way.
    """
    found = _NAME.match(cube)
    if not found:
        return None
    try:
        return Start(utc=_iso(Time(f"{found['year']}-{found['month']}-{found['day']}", scale="utc")), scale=None)
    except ValueError:
        return None


def region_from_name(cube: str) -> str | None:
    """Return what stands before ``_yyyymmdd`` in a cube's name, None where the name is not like that."""
    found = _NAME.match(cube)
    return found["region"] if found else None


def time_scale(*headers: fits.Header) -> str:
    """Return the time scale of the first header with TIMESYS, else ``utc``."""
    return next((_scale(str(header["TIMESYS"])) for header in headers if str(header.get("TIMESYS", "")).strip()), "utc")


def to_seconds(values: NDArray[Any], unit: str) -> Floats:
    """Return times given in `unit` (empty: seconds) in seconds.

    Raises
    ------
    CubeError
        If the unit is not one of time.
    """
    try:
        factor = float(units.Unit(unit or "s", parse_strict="raise").to(units.s))
    except (ValueError, TypeError):
        raise CubeError(f"the unit of its times is {unit!r}; it must be one of time, such as s: correct it") from None
    return np.asarray(values.astype(np.float64) * factor)


def seconds_from_columns(
    columns: Mapping[str, tuple[NDArray[Any], str]], *, scale: str, reference_mjd: float | None, start: Start | None
) -> tuple[Floats, Start | None] | None:
    """Return seconds since grid frame 0 from a table's time column, and the start; None where no column is one.

    Columns are known by name, whatever the case; the first kind present counts:

    1. numbers in SECONDS, DT, ELAPSED, TIME or T: time since the start, or since the table's MJDREF where it has one;
    2. text in DATE-OBS, T_REC, TIME and the like: dates as in headers;
    3. numbers in MJD, MJD-OBS or JD: days.

    Absolute times count from `start`; where that is None the earliest of them is grid frame 0.

    Parameters
    ----------
    columns : mapping
        Name -> values, shape (n_obs,), and their unit (empty: seconds).
    scale : str
        Time scale of absolute times that name none.
    reference_mjd : float or None
        The table's MJDREF.
    start : Start or None
        The start that a header gave.

    Raises
    ------
    CubeError
        If the unit is not one of time, or a text is no date.
    """
    by_name = {name.strip().upper(): column for name, column in columns.items()}
    for key in _ELAPSED_COLUMNS:
        values, unit = by_name.get(key, (np.empty(0, dtype="U1"), ""))
        if values.dtype.kind in "iuf":
            seconds = to_seconds(values, unit)
            return (seconds, start) if reference_mjd is None else _from_mjd(reference_mjd, seconds, scale, start)
    for key in _DATE_COLUMNS:
        values, _ = by_name.get(key, (np.empty(0), ""))
        if values.dtype.kind in "SU":
            return _from_dates([str(value).strip() for value in values.astype(str)], key, scale, start)
    for key, offset_days in _DAY_COLUMNS.items():
        values, _ = by_name.get(key, (np.empty(0, dtype="U1"), ""))
        if values.dtype.kind in "iuf":
            return _from_mjd(-offset_days, to_seconds(values, "d"), scale, start)
    return None


def _from_dates(texts: list[str], key: str, scale: str, start: Start | None) -> tuple[Floats, Start | None]:
    """Return seconds of dates written as text; an unknown one is NaN."""
    seconds, own_scale = np.full(len(texts), np.nan), scale
    first: Time | None = None
    for index, text in enumerate(texts):
        if text.upper() not in _UNKNOWN:
            time, own_scale = _parse(text, scale=scale, what=f"a date in column {key}")
            first = time if first is None else first
            seconds[index] = float((time - first).sec)
    return (seconds, start) if first is None else _since_start(first, seconds, own_scale, start)


def _from_mjd(reference_mjd: float, seconds: Floats, scale: str, start: Start | None) -> tuple[Floats, Start | None]:
    """Return seconds since the start of times given as seconds since a modified Julian date."""
    if not np.isfinite(seconds).any():
        return seconds, start
    whole_days = np.floor(np.nanmin(seconds[np.isfinite(seconds)]) / 86400.0)
    first = Time(reference_mjd, whole_days, format="mjd", scale=scale)
    return _since_start(first, seconds - whole_days * 86400.0, scale, start)


def _since_start(first: Time, seconds: Floats, scale: str, start: Start | None) -> tuple[Floats, Start | None]:
    """Turn seconds since `first` into seconds since the start, else since the earliest of them."""
    if start is not None:
        return seconds + float((first - Time(start.utc, scale="utc")).sec), start
    earliest = float(np.nanmin(seconds))
    return seconds - earliest, Start(utc=_iso(first + earliest * units.s), scale=scale)


def _parse(value: str, *, scale: str, what: str) -> tuple[Time, str]:
    found, century = _DATE.match(value), ""
    if not found:
        found, century = _OLD_DATE.match(value), "19"
    if not found:
        raise CubeError(f"{what} is {value!r}; it must be a date such as 1998-12-06T00:00:00: correct it")
    parts = found.groupdict()
    own = _scale(parts.get("scale") or scale)
    text = f"{century}{parts['year']}-{parts['month']}-{parts['day']}T{parts.get('clock') or '00:00:00'}"
    try:
        return Time(text, scale=own), own
    except ValueError:
        raise CubeError(f"{what} is {value!r}, which no calendar has: correct it") from None


def _scale(name: str) -> str:
    try:
        return _SCALES[name.strip().lower()]
    except KeyError:
        known = ", ".join(sorted(set(_SCALES.values())))
        raise CubeError(f"the time scale is {name!r}; it must be one of {known}: correct TIMESYS") from None


def _iso(time: Time) -> str:
    return str(time.utc.isot).removesuffix(".000")
