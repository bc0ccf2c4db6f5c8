"""When an image was observed, as its header tells; times of processing are never taken for it."""

import re

from astropy.io import fits
from astropy.time import Time, TimeDelta

from helioloop.archive.errors import MagnetogramError

TIME_CARDS = ("T_OBS", "DATE-AVG", "DATE-OBS", "DATE_OBS", "DATE-BEG", "T_REC")
"""Cards that give the observation time, best first: the middle of the exposure, its start, the archive's slot."""

_STAMP = re.compile(
    r"(?P<year>\d{4})[-./](?P<month>\d\d)[-./](?P<day>\d\d)"
    r"(?:[T_ ](?P<clock>\d\d:\d\d(?::\d\d(?:\.\d*)?)?))?(?:_|\s)?(?P<scale>[A-Za-z]+)?\Z"
)
_STAMP_CLOCK = re.compile(r"\d\d:\d\d")
_SCALES = {"z": "utc", "utc": "utc", "ut": "utc", "gmt": "utc", "tai": "tai", "tt": "tt", "gps": "gps"}
_GPS_BEHIND_TAI = TimeDelta(19.0, format="sec")
_EARLIEST_YEAR = 1950  # JSOC writes a time it does not have as the year −4712 or 1601


def observation_time(header: fits.Header, *, instrument: str | None) -> tuple[Time, str]:
    """Return the time of the first card of `TIME_CARDS` that has one, scale TAI, and that card with its text.

    The scale is the text's suffix, else TIMESYS; else TAI for JSOC's T_OBS and T_REC, GPS for GONG, UTC for the rest.
    A day alone is completed by TIME-OBS.

    Raises
    ------
    MagnetogramError
        If there is none, or it cannot be a date.
    """
    for card in TIME_CARDS:
        text = str(header.get(card, "")).strip()
        clock = str(header.get("TIME-OBS", header.get("TIME_OBS", ""))).strip()
        default = "gps" if instrument == "GONG" else "tai" if card in {"T_OBS", "T_REC"} else "utc"
        try:
            time = parse_time(text, clock=clock, scale=str(header.get("TIMESYS", "")).strip() or default)
        except ValueError as error:
            raise MagnetogramError(f"{card} is {text!r}, {error}: correct it") from None
        if time is not None:
            return time, f"{card} {text}" if _STAMP_CLOCK.search(text) else f"{card} {text} {clock}"
    raise MagnetogramError(f"no card gives its observation time; one of {', '.join(TIME_CARDS)} must: add it")


def parse_time(text: str, *, clock: str, scale: str) -> Time | None:
    """Return the time that a text gives, scale TAI; None where it is empty, JSOC's null, or has no time of day.

    Parameters
    ----------
    text : str
        ``2011.04.01_00:03:30_TAI``, ``2011-04-01T00:00:26``, ``2009/09/05``.
    clock : str
        Time of day, where the text has none.
    scale : str
        Time scale, where the text has none.

    Raises
    ------
    ValueError
        If the scale is unknown or the date is not in the calendar.
    """
    found = _STAMP.match(text)
    if found is None or int(found["year"]) < _EARLIEST_YEAR:
        return None
    clock = found["clock"] or clock
    if not re.match(r"\d\d:\d\d", clock):
        return None
    known = _SCALES.get((found["scale"] or scale).lower())
    if known is None:
        raise ValueError(f"whose time scale is {found['scale'] or scale!r} and must be UTC, TAI, TT or GPS")
    stamp = f"{found['year']}-{found['month']}-{found['day']}T{clock}"
    try:
        time = Time(stamp, scale="tai" if known == "gps" else known)
    except ValueError:
        raise ValueError("which no calendar has") from None
    return time + _GPS_BEHIND_TAI if known == "gps" else time.tai
