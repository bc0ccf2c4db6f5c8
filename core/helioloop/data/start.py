"""The start of a cube, which is the absolute time of grid frame 0, from header cards or the file name."""

import re
from dataclasses import dataclass

from astropy.io import fits
from astropy.time import Time

from helioloop.data.fits import card_text
from helioloop.data.time_text import canonical, default_scale, isot, parse_time, time_scale, with_time_of_day

START_CARDS = ("DATE-BEG", "DATE-OBS", "T-REC", "T-OBS", "DATE-AVG", "T-START")
"""Cards that give the start, best first; see `canonical` for their other spellings. DATE is the time of processing."""

_NAME = re.compile(r"(?P<region>.+)_(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)\Z")


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
    kind : str
        Canonical name of that card or column; empty where it comes from the file name.
    """

    utc: str
    scale: str | None
    source: str
    kind: str = ""


def start_from_headers(*headers: fits.Header) -> Start | None:
    """Return the start from the first header with one of `START_CARDS`, None if none has one.

    The time scale is the suffix of the value (``…_TAI``, ``…Z``), else the header's TIMESYS, else `default_scale`.

    Raises
    ------
    CubeError
        If a value is not a date, or its time scale is unknown.
    """
    for header in headers:
        cards = {canonical(card): card for card in reversed(list(header)) if card}
        for kind in START_CARDS:
            card = cards.get(kind, "")
            value = card_text(header, card) if card else ""
            if value:
                time_card = cards.get(kind.replace("DATE", "TIME"), "")
                value = with_time_of_day(value, card_text(header, time_card) if time_card else "")
                time, scale = parse_time(value, scale=time_scale(header) or default_scale(kind), what=card)
                return Start(utc=isot(time.utc), scale=scale, source=card, kind=kind)
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
