"""The start of a cube, which is the absolute time of grid frame 0, from header cards or the file name."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from astropy.io import fits
from astropy.time import Time

from helioloop.data.fits import card_text
from helioloop.data.time_text import (
    EARLIEST_YEAR,
    FIRST_MJD,
    LAST_MJD,
    LATEST_YEAR,
    astropy_scale,
    at_scale,
    canonical,
    default_scale,
    is_day,
    is_missing_time,
    is_time_of_day,
    isot,
    parse_time,
    time_scale,
    with_time_of_day,
)
from helioloop.errors import CubeError

START_CARDS = ("DATE-BEG", "DATE-OBS", "T-REC", "T-OBS", "DATE-AVG", "T-START")
"""Cards that give the start, best first; see `canonical` for their other spellings. DATE is the time of processing."""
_MJD_CARDS = ("MJD-BEG", "MJD-OBS", "MJD-AVG")
"""Cards that give the start as modified Julian date, if none of the others has a value."""
_CLOCK_CARDS = ("TIME-OBS", "TIME", "UTC", "UT")
_EQUAL_SECONDS = 1.0
_DAY_SECONDS = 86400.0

_NAME = re.compile(r"(?P<region>.+)_(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)\Z")

_Cards = Mapping[str, Sequence[tuple[str, str]]]
"""Canonical name -> cards with it and their values, none of them missing."""


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
    only_day : bool
        True if the file gives no time of day, so that it is midnight.
    doubts : tuple of str
        What is doubtful, one sentence each.
    """

    utc: str
    scale: str | None
    source: str
    kind: str = ""
    only_day: bool = False
    doubts: tuple[str, ...] = ()

    @property
    def time(self) -> Time:
        """The start as an astropy time."""
        return Time(self.utc, scale="utc")


def start_from_headers(*headers: fits.Header, scale: str | None = None) -> Start | None:
    """Return the start from the first header with one of `START_CARDS`, None if none has one.

    The time scale is the suffix of the value (``…_TAI``, ``…Z``), else TIMESYS of that header, else of the others, else
    `scale`, else `default_scale`. Of several cards of a kind, one with a time of day is preferred.

    Raises
    ------
    CubeError
        If a value is not a date, or its time scale is unknown.
    """
    for header in headers:
        cards = _cards(header)
        own = time_scale(header, *headers) or scale
        found = next((start for kind in START_CARDS for start in _starts(cards, kind, own)), None)
        found = found or next((start for kind in _MJD_CARDS for start in _mjd_starts(cards, kind, own)), None)
        if found:
            return found
    return None


def start_from_name(cube: str) -> Start | None:
    """Return midnight of the day in a name such as ``BARD0310_19981206``; None without a valid day.

    The authors' files often have no other date. Folds use only the month and the order in time, which are right.
    """
    found = _NAME.match(cube)
    if not found or not EARLIEST_YEAR <= int(found["year"]) < LATEST_YEAR:  # a number of a region, not a day
        return None
    try:
        day = Time(f"{found['year']}-{found['month']}-{found['day']}", scale="utc")
    except ValueError:
        return None
    return Start(utc=isot(day), scale=None, source="file name", only_day=True)


def name_doubts(cube: str, start: Start, last_seconds: float) -> tuple[str, ...]:
    """Return a sentence if a cube's name has a day more than one day before its start or after its last frame.

    Parameters
    ----------
    cube : str
        The name.
    start : Start
        From the file.
    last_seconds : float
        Time of the last frame since the start.
    """
    named = start_from_name(cube)
    if named is None:
        return ()
    after_seconds = float((named.time - start.time).sec)
    if -2.0 * _DAY_SECONDS < after_seconds <= max(0.0, last_seconds) + _DAY_SECONDS:  # its own day began a day earlier
        return ()
    return (
        f"its name has the day {named.utc[:10]}, {start.source} gives the start {start.utc}, and the latter was used: "
        "rename the cube or correct the start",
    )


def region_from_name(cube: str) -> str | None:
    """Return the part of a cube name before ``_yyyymmdd``, None if the name has another form."""
    found = _NAME.match(cube)
    return found["region"] if found else None


def _cards(header: fits.Header) -> _Cards:
    """Return the cards of a header that have a value; a keyword may be there twice."""
    wanted = {*START_CARDS, *_MJD_CARDS, *_CLOCK_CARDS, *(_clock_card(kind) for kind in START_CARDS)}
    cards: dict[str, list[tuple[str, str]]] = {}
    seen: dict[str, int] = {}
    for card in header:
        number = seen[card] = seen.get(card, -1) + 1
        if canonical(card) in wanted:
            value = card_text(header, (card, number))
            if not is_missing_time(value):
                cards.setdefault(canonical(card), []).append((card, value))
    return cards


def _starts(cards: _Cards, kind: str, scale: str | None) -> Iterator[Start]:
    """Return the start that the cards of a kind give, if any."""
    clocks = (value for name in (_clock_card(kind), *_CLOCK_CARDS) for _, value in cards.get(name, ()))
    clock = next(filter(is_time_of_day, clocks), "")
    starts = []
    for card, text in cards.get(kind, ()):
        value = with_time_of_day(text, clock, or_midnight=kind.startswith("DATE"))
        time, own = parse_time(value, scale=scale or default_scale(kind), what=card)
        starts.append(Start(utc=isot(time.utc), scale=own, source=card, kind=kind, only_day=is_day(value)))
    starts.sort(key=lambda start: start.only_day)
    if not starts:
        return
    best, others = starts[0], [start for start in starts[1:] if not start.only_day]
    for other in others:
        if abs(float((other.time - best.time).sec)) > _EQUAL_SECONDS:
            doubt = (
                f"{best.source} gives {best.utc} and {other.source} gives {other.utc}; the first was used: remove one"
            )
            best = replace(best, doubts=(*best.doubts, doubt))
    yield best


def _mjd_starts(cards: _Cards, kind: str, scale: str | None) -> Iterator[Start]:
    """Return the start that the cards of a kind give as modified Julian date, if any."""
    for card, text in cards.get(kind, ()):
        own = scale or "utc"
        try:
            days = float(text)
        except ValueError:
            days = np.nan
        if not FIRST_MJD <= days < LAST_MJD:
            raise CubeError(
                f"{card} is {text!r}; it must be a modified Julian date of {EARLIEST_YEAR} to {LATEST_YEAR}: correct it"
            )
        time = at_scale(Time(days, format="mjd", scale=astropy_scale(own)), own)
        yield Start(utc=isot(time.utc), scale=own, source=card, kind=kind, only_day=days == int(days))


def _clock_card(kind: str) -> str:
    """Return the name of the card with the time of day to a card with a day."""
    return kind.replace("DATE", "TIME")
