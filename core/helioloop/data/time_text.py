"""Times as archives write them: reads dates, time scales and units of time, and writes ISO 8601.

Times come in several notations and time scales; each is returned as an astropy ``Time`` with the name of its scale.
"""

import re
from typing import Any

import numpy as np
from astropy import units
from astropy.io import fits
from astropy.time import Time, TimeDelta
from numpy.typing import NDArray

from helioloop.data.fits import card_text
from helioloop.errors import CubeError

Floats = NDArray[np.float64]

# The notations: 1998-12-06T00:00:00.000Z, 1998.12.06_00:00:00_TAI, 1998/12/06 00:00; 19981206_000000;
# 06-Dec-1998 00:00:00 (IDL); 06/12/98 (FITS before the year 2000).
_SCALE = r"(?:_|\s)*(?P<scale>[A-Za-z][A-Za-z0-9]*(?:\([^)]*\))?|\+00:?00)?\Z"
_CLOCK = r"(?:[T_ ]+(?P<time>\d\d:\d\d(?::\d\d(?:\.\d*)?)?))?"
_NOTATIONS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"(?P<year>\d{4})(?P<mark>[-./])(?P<month>\d{1,2})(?P=mark)(?P<day>\d{1,2})" + _CLOCK + _SCALE,
        r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)(?:[T_ ](?P<hhmmss>\d{4}(?:\d\d(?:\.\d*)?)?))?" + _SCALE,
        r"(?P<day>\d{1,2})[- ](?P<name>[A-Z]{3})[A-Z]*[- ](?P<year>\d{4}|\d\d)" + _CLOCK + _SCALE,
        r"(?P<day>\d\d)/(?P<month>\d\d)/(?P<year>\d\d)" + _CLOCK + _SCALE,
    )
)
_DAY = re.compile(r"\d{4}[-./]\d{1,2}[-./]\d{1,2}\Z|\d\d/\d\d/\d\d\Z|\d{1,2}[- ][A-Za-z]{3,9}[- ]\d{2,4}\Z|\d{8}\Z")
_TIME_OF_DAY = re.compile(r"\d\d:\d\d")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_FIRST_TWO_DIGIT_YEAR = 60
"""FITS reads dd/mm/yy as 19yy, and magnetographs exist since about 1960; an earlier year is more likely 20yy."""
_EARLIEST_YEAR = 1950

_JSOC_CARDS = frozenset({"T-REC", "T-OBS", "T-START"})
"""Cards that JSOC writes in TAI, also where the value has no suffix."""

# UT1 stays within a second of UTC, less than any cadence here, and would need tables from the network.
_SCALES = {
    **dict.fromkeys(("utc", "ut", "ut1", "gmt", "z", "+00:00", "+0000"), "utc"),
    **dict.fromkeys(("tt", "tdt", "et"), "tt"),
    **dict.fromkeys(("tai", "iat"), "tai"),
    **{scale: scale for scale in ("gps", "tdb", "tcb", "tcg")},
}
_GPS_BEHIND_TAI = TimeDelta(19.0, format="sec")
_SECONDS_PER = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("ms", "msec", "millisecond", "milliseconds"), 1e-3),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
}


def parse_time(text: str, *, scale: str, what: str) -> tuple[Time, str]:
    """Return the time that a text gives and its scale, which is `scale` unless the text names one.

    Parameters
    ----------
    text : str
        A date with or without time of day; a day alone is its midnight.
    scale : str
        From `scale_name`.
    what : str
        Where the text is from, for errors.

    Raises
    ------
    CubeError
        If the text is not a date, its scale is unknown, or its century is ambiguous.
    """
    found = next((match for notation in _NOTATIONS if (match := notation.match(text.strip()))), None)
    if not found:
        raise CubeError(f"{what} is {text!r}; it must be a date such as 1998-12-06T00:00:00: correct it")
    parts = found.groupdict()
    own = scale_name(parts["scale"]) if parts["scale"] else scale
    year = parts["year"]
    if len(year) == 2:
        if int(year) < _FIRST_TWO_DIGIT_YEAR:
            raise CubeError(
                f"{what} is {text!r}, whose year can be 19{year} or 20{year}; write four digits: correct it"
            )
        year = f"19{year}"
    if int(year) < _EARLIEST_YEAR:
        raise CubeError(f"{what} is {text!r}; there are no magnetograms before {_EARLIEST_YEAR}: correct it")
    month = parts.get("month") or _month(parts.get("name") or "")
    clock = parts.get("time") or "00:00:00"
    if digits := parts.get("hhmmss"):
        clock = f"{digits[:2]}:{digits[2:4]}:{digits[4:] or '00'}"
    stamp = f"{year}-{int(month):02d}-{int(parts['day']):02d}T{clock}"
    try:
        time = Time(stamp, scale="tai" if own == "gps" else own)
    except ValueError:
        raise CubeError(f"{what} is {text!r}, a date that does not exist: correct it") from None
    return time + _GPS_BEHIND_TAI if own == "gps" else time, own


def is_day(text: str) -> bool:
    """Return True for a date without time of day."""
    return _DAY.match(text) is not None


def is_time_of_day(text: str) -> bool:
    """Return True for a time of day without date, such as ``01:36:00``."""
    return _TIME_OF_DAY.match(text) is not None


def with_time_of_day(date: str, time: str) -> str:
    """Return a date with the time of day that another card or column gives, if it has none itself."""
    return f"{date} {time}" if is_day(date) and is_time_of_day(time) else date


def canonical(name: str) -> str:
    """Return the one spelling of a card's or column's name: ``date__obs``, ``DATE_OBS`` give ``DATE-OBS``."""
    return re.sub(r"[\s_-]+", "-", name.strip().upper())


def default_scale(name: str) -> str:
    """Return the scale of a time that names none: TAI for JSOC's T_REC and T_OBS, else UTC as in the FITS standard."""
    return "tai" if canonical(name) in _JSOC_CARDS else "utc"


def time_scale(*headers: fits.Header) -> str | None:
    """Return the time scale in the first header with TIMESYS, None without one."""
    return next((scale_name(text) for header in headers if (text := card_text(header, "TIMESYS"))), None)


def scale_name(name: str) -> str:
    """Return the name of a time scale as astropy has it, or ``gps``; a realization such as ``TT(TAI)`` is left out.

    Raises
    ------
    CubeError
        If the scale is unknown.
    """
    try:
        return _SCALES[name.strip().lower().partition("(")[0]]
    except KeyError:
        known = ", ".join(sorted(set(_SCALES.values())))
        raise CubeError(f"the time scale is {name!r}; it must be one of {known}: correct TIMESYS") from None


def at_scale(time: Time, scale: str) -> Time:
    """Return a time whose numbers were written in `scale`; `time` has them with the scale TAI for ``gps``."""
    return time + _GPS_BEHIND_TAI if scale == "gps" else time


def astropy_scale(scale: str) -> str:
    """Return the scale in which astropy reads numbers of `scale`; see `at_scale`."""
    return "tai" if scale == "gps" else scale


def to_seconds(values: NDArray[Any], unit: str) -> Floats:
    """Convert times from `unit` (empty: seconds) to seconds, same shape.

    Raises
    ------
    CubeError
        If the unit is not a unit of time.
    """
    factor = _SECONDS_PER.get(unit.strip().lower())
    if factor is None:
        try:
            factor = float(units.Unit(unit or "s", parse_strict="raise").to(units.s))
        except (ValueError, TypeError):
            raise CubeError(
                f"the unit of its times is {unit!r}; it must be a unit of time, such as s: correct it"
            ) from None
    return np.asarray(values.astype(np.float64) * factor)


def isot(time: Time) -> str:
    """Return a time in ISO 8601, in its own scale and without zone; zero milliseconds are left out."""
    return str(time.isot).removesuffix(".000")


def _month(name: str) -> int:
    """Return the number of a month in English; 0 for another word."""
    return _MONTHS.index(name.lower()) + 1 if name.lower() in _MONTHS else 0
