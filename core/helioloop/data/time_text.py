"""Times as archives write them: reads dates and time scales, and writes ISO 8601.

Times come in several notations and time scales; each is returned as an astropy ``Time`` with the name of its scale.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from astropy.io import fits
from astropy.time import Time, TimeDelta
from numpy.typing import NDArray

from helioloop.data.fits import card_text, is_missing
from helioloop.errors import CubeError

Floats = NDArray[np.float64]

EARLIEST_YEAR, LATEST_YEAR = 1950, 2100
"""Years of magnetograms; other years are the code of a missing time, or an error."""
FIRST_MJD, LAST_MJD = 33282.0, 88069.0
"""The same as modified Julian dates."""

# The notations: 1998-12-06T00:00:00.000Z, 1998.12.06_00:00:00_TAI, 1998/12/06 00:00; 19981206_000000;
# 06-Dec-1998 00:00:00 (IDL); 06/12/98 (FITS before the year 2000) and 98/12/06 (SolarSoft).
_SCALE = r"(?:_|\s)*(?P<scale>[A-Za-z][A-Za-z0-9]*(?:\([^)]*\))?|[+-]\d\d:?\d\d)?\Z"
_CLOCK = r"(?:[T_ ]+(?:(?P<time>\d{1,2}:\d\d(?::\d\d(?:\.\d*)?)?)|(?P<hhmmss>\d{4}(?:\d\d(?:\.\d*)?)?)))?"
_MARK = r"(?P<mark>[-./])"
_NOTATIONS = tuple(
    re.compile(pattern + _CLOCK + _SCALE, re.IGNORECASE)
    for pattern in (
        rf"(?P<year>\d{{4}}){_MARK}(?P<month>\d{{1,2}})(?P=mark)(?P<day>\d{{1,2}})",
        r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)",
        r"(?P<day>\d{1,2})[- ](?P<name>[A-Z]{3})[A-Z]*[- ](?P<year>\d{4}|\d\d)",
        rf"(?P<year>3[2-9]|[4-9]\d){_MARK}(?P<month>\d\d)(?P=mark)(?P<day>\d\d)",
        r"(?P<day>\d\d)/(?P<month>\d\d)/(?P<year>\d\d)",
    )
)
_DAY = re.compile(
    r"\d{4}[-./]\d{1,2}[-./]\d{1,2}\Z|\d\d[-./]\d\d[-./]\d\d\Z|\d{1,2}[- ][A-Za-z]{3,9}[- ]\d{2,4}\Z|\d{8}\Z"
)
_MIDNIGHT = re.compile(
    r"(?P<day>.+?)[T_ ]+(?:0?0:00(?::00(?:\.0*)?)?|0{4}(?:00(?:\.0*)?)?)(?P<scale>(?:_|\s)*[A-Z][A-Z0-9()]*)?\Z",
    re.IGNORECASE,
)
_TIME_OF_DAY = re.compile(r"\d{1,2}:\d\d")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_FIRST_TWO_DIGIT_YEAR = 60
"""FITS reads dd/mm/yy as 19yy, and magnetographs exist since about 1960; an earlier year is more likely 20yy."""

# Times that stand for a missing one: JSOC's Julian day 0 and year 1601, pandas' NaT, and the zeros of time counts
# (MJD, TAI, Unix, SolarSoft, JSOC), which become dates when a missing number is written as text.
_MISSING_TIME = re.compile(
    r"JD_0|NAT\Z|-4712|0000|1601[-./]|9999[-./]|"
    r"(?:1858[-./]11[-./]17|19(?:58|70|77|79)[-./]0?1[-./]0?1)(?:[T_ ]+00:00(?::00(?:\.0*)?)?(?:_|\s)*[A-Z()]*)?\Z",
    re.IGNORECASE,
)

_JSOC_CARDS = frozenset({"T-REC", "T-OBS", "T-START", "TREC", "TOBS"})
"""Cards that JSOC writes in TAI, also where the value has no suffix."""

# UT1 stays within a second of UTC, less than any cadence here, and would need tables from the network.
_SCALES = {
    **dict.fromkeys(("utc", "ut", "ut1", "gmt", "z"), "utc"),
    **dict.fromkeys(("tt", "tdt", "et"), "tt"),
    **dict.fromkeys(("tai", "iat"), "tai"),
    **{scale: scale for scale in ("gps", "tdb", "tcb", "tcg")},
}
_KNOWN_SCALES = ", ".join(sorted(set(_SCALES.values())))
_HALVES_OF_DAY = frozenset({"am", "pm"})
_GPS_BEHIND_TAI_SECONDS = 19.0


@dataclass(frozen=True, slots=True)
class _Stamp:
    """A time in ISO 8601, the name of its scale, and the seconds to add, as for a zone."""

    iso: str
    scale: str
    add_seconds: float = 0.0


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
        If the text is not a date, its scale is unknown, its century is ambiguous, or it is not from 1950 to 2100.
    """
    stamp = _stamp(text, scale=scale, what=what)
    return _time(stamp, text, what), stamp.scale


def seconds_since_first(texts: Mapping[int, str], *, scale: str, what: str) -> tuple[dict[int, float], Time, str]:
    """Return many times at once: seconds since the earliest one for each key, that one, and the scale of the last.

    Parameters
    ----------
    texts : mapping of int to str
        As for `parse_time`; at least one.
    scale, what
        As for `parse_time`.

    Raises
    ------
    CubeError
        As from `parse_time`.
    """
    stamps = {key: _stamp(text, scale=scale, what=what) for key, text in texts.items()}
    first_key = next(iter(stamps))
    zero = _time(stamps[first_key], texts[first_key], what)
    seconds: dict[int, float] = {}
    for own in {stamp.scale for stamp in stamps.values()}:
        keys = [key for key, stamp in stamps.items() if stamp.scale == own]
        try:
            times = at_scale(Time([stamps[key].iso for key in keys], scale=astropy_scale(own)), own)
        except ValueError:
            for key in keys:  # the one that does not exist raises
                _time(stamps[key], texts[key], what)
            raise
        since = np.atleast_1d((times - zero).sec)
        seconds |= {key: float(since[index]) + stamps[key].add_seconds for index, key in enumerate(keys)}
    earliest = min(seconds.values())
    first = zero + TimeDelta(earliest, format="sec") if earliest else zero
    last = next(reversed(stamps.values()))
    return {key: value - earliest for key, value in seconds.items()}, first, last.scale


def is_missing_time(text: str) -> bool:
    """Return True for an empty text and for those that archives write in place of an unknown time."""
    return is_missing(text) or _MISSING_TIME.match(text.strip()) is not None


def is_day(text: str) -> bool:
    """Return True for a date without time of day."""
    return _DAY.match(text) is not None


def is_old_fits_date(text: str) -> bool:
    """Return True for the dd/mm/yy of FITS before the year 2000, which outside of FITS may be mm/dd/yy."""
    found = _notation(text)
    return found is not None and found.re is _NOTATIONS[-1]


def is_time_of_day(text: str) -> bool:
    """Return True for a time of day without date, such as ``01:36:00``."""
    return _TIME_OF_DAY.match(text) is not None


def is_midnight(text: str) -> bool:
    """Return True for a date at exactly midnight, as some programs write a day."""
    found = _MIDNIGHT.match(text)
    return found is not None and is_day(found["day"])


def with_time_of_day(date: str, time: str, *, or_midnight: bool = False) -> str:
    """Return a date with the time of day that another card or column gives, if it has none itself.

    Parameters
    ----------
    date, time : str
        As written.
    or_midnight : bool
        True where a date at exactly midnight has no time of day either; its scale stays.
    """
    if not is_time_of_day(time):
        return date
    if is_day(date):
        return f"{date} {time}"
    found = _MIDNIGHT.match(date)
    if not or_midnight or found is None or not is_day(found["day"]):
        return date
    return f"{found['day']} {time}{(found['scale'] or '') if time[-1].isdigit() else ''}"


def canonical(name: str) -> str:
    """Return the one spelling of a card's or column's name: ``date__obs``, ``DATE_OBS`` give ``DATE-OBS``."""
    return re.sub(r"[\s_-]+", "-", name.strip().upper())


def default_scale(name: str) -> str:
    """Return the scale of a time that names none: TAI for JSOC's T_REC and T_OBS, else UTC as in the FITS standard."""
    return "tai" if canonical(name) in _JSOC_CARDS else "utc"


def time_scale(*headers: fits.Header) -> str | None:
    """Return the time scale in the first header with TIMESYS, None without one."""
    texts = (text for header in headers if (text := card_text(header, "TIMESYS")))
    return next((scale_name(text, what="TIMESYS") for text in texts), None)


def scale_name(name: str, *, what: str) -> str:
    """Return the name of a time scale as astropy has it, or ``gps``; a realization such as ``TT(TAI)`` is left out.

    Parameters
    ----------
    name : str
        Name in any case.
    what : str
        Where it is from, for errors.

    Raises
    ------
    CubeError
        If the scale is unknown.
    """
    scale = _SCALES.get(_plain_scale(name))
    if scale is None:
        raise CubeError(f"{what} is {name!r}; the time scale must be one of {_KNOWN_SCALES}: correct it")
    return scale


def at_scale(time: Time, scale: str) -> Time:
    """Return a time whose numbers were written in `scale`; `time` has them with the scale TAI for ``gps``."""
    return time + TimeDelta(_GPS_BEHIND_TAI_SECONDS, format="sec") if scale == "gps" else time


def astropy_scale(scale: str) -> str:
    """Return the scale in which astropy reads numbers of `scale`; see `at_scale`."""
    return "tai" if scale == "gps" else scale


def isot(time: Time) -> str:
    """Return a time in ISO 8601, in its own scale and without zone; zero milliseconds are left out."""
    return str(time.isot).removesuffix(".000")


def join(texts: Sequence[str]) -> str:
    """Return texts as in a sentence: ``A``, ``A and B``, ``A, B and C``."""
    return " and ".join((", ".join(texts[:-1]), texts[-1]) if len(texts) > 1 else texts)


def _time(stamp: _Stamp, text: str, what: str) -> Time:
    """Return the time of a stamp."""
    try:
        time = at_scale(Time(stamp.iso, scale=astropy_scale(stamp.scale)), stamp.scale)
    except ValueError:
        raise CubeError(f"{what} is {text!r}, a date that does not exist: correct it") from None
    return time + TimeDelta(stamp.add_seconds, format="sec") if stamp.add_seconds else time


def _stamp(text: str, *, scale: str, what: str) -> _Stamp:
    """Return a text as a stamp; see `parse_time`."""
    found = _notation(text)
    if found is None:
        raise CubeError(f"{what} is {text!r}; it must be a date such as 1998-12-06T00:00:00: correct it")
    parts = found.groupdict()
    year = parts["year"]
    if len(year) == 2:
        if int(year) < _FIRST_TWO_DIGIT_YEAR:
            raise CubeError(
                f"{what} is {text!r}, whose year can be 19{year} or 20{year}; write four digits: correct it"
            )
        year = f"19{year}"
    if not EARLIEST_YEAR <= int(year) < LATEST_YEAR:
        raise CubeError(
            f"{what} is {text!r}; there are no magnetograms "
            f"{f'before {EARLIEST_YEAR}' if int(year) < EARLIEST_YEAR else f'after {LATEST_YEAR}'}: correct it"
        )
    month = parts.get("month") or _month(parts.get("name") or "")
    clock = (parts["time"] or "00:00:00").rjust(5, "0")
    if clock[1] == ":":
        clock = f"0{clock}"
    if digits := parts["hhmmss"]:
        clock = f"{digits[:2]}:{digits[2:4]}:{digits[4:] or '00'}"
    iso = f"{year}-{int(month):02d}-{int(parts['day']):02d}T{clock}"
    suffix = parts["scale"] or ""
    if suffix[:1] in {"+", "-"}:
        hours, minutes = int(suffix[1:3]), int(suffix[-2:])
        return _Stamp(iso, "utc", (-1.0 if suffix[0] == "+" else 1.0) * (hours * 3600.0 + minutes * 60.0))
    if suffix.lower() in _HALVES_OF_DAY:
        raise CubeError(f"{what} is {text!r}; the hours of a day are 0 to 23, without AM and PM: correct it")
    own = _SCALES.get(_plain_scale(suffix)) if suffix else scale
    if own is None:
        raise CubeError(
            f"{what} is {text!r}, whose time scale is {suffix!r}; it must be one of {_KNOWN_SCALES}, or an offset from "
            "UTC such as +01:00: correct it"
        )
    return _Stamp(iso, own)


def _notation(text: str) -> re.Match[str] | None:
    """Return the parts of a text by the first notation that it has; None if it has none."""
    return next((match for notation in _NOTATIONS if (match := notation.match(text.strip()))), None)


def _plain_scale(name: str) -> str:
    """Return the name of a time scale in lower case without its realization."""
    return name.strip().lower().partition("(")[0].strip()


def _month(name: str) -> int:
    """Return the number of a month in English; 0 for another word."""
    return _MONTHS.index(name.lower()) + 1 if name.lower() in _MONTHS else 0
