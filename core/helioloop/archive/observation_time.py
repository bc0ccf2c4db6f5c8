"""When an image was observed, as its header tells; times of processing are never taken for it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from astropy.io import fits
from astropy.time import Time

from helioloop.data.fits import card_text
from helioloop.data.time_text import (
    canonical,
    default_scale,
    is_day,
    is_midnight,
    is_missing_time,
    is_time_of_day,
    parse_time,
    time_scale,
    with_time_of_day,
)
from helioloop.errors import CubeError, MagnetogramError

TIME_CARDS = ("T-OBS", "DATE-AVG", "DATE-OBS", "DATE-BEG", "T-REC")
"""Cards that give the observation time, best first: the middle of the exposure, its start, the archive's slot. See
`canonical` for their other spellings."""

CLOCK_CARDS = ("TIME-OBS", "TIME", "UTC", "UT")

_SAME_SECONDS = 1.0
_NEAR_SECONDS = 3600.0  # start, middle and slot of one observation are minutes apart
_DAY_SECONDS = 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stated:
    """A card with the text of a time, completed by the time of day in a card of its own."""

    kind: str
    card: str
    text: str

    @property
    def only_day(self) -> bool:
        """True where there is no time of day."""
        return is_day(self.text)

    @property
    def may_be_day(self) -> bool:
        """True where midnight may stand for a missing time of day, as some programs write it."""
        return self.only_day or (self.kind.startswith("DATE") and is_midnight(self.text))

    def __str__(self) -> str:
        text = self.text.partition(" ")[2] if self.kind == "TIME-OBS" else self.text  # without the day, see `_clocks`
        return f"{self.card} is {text!r}"


def observation_time(header: fits.Header, *, instrument: str | None) -> tuple[Time, str, tuple[str, ...]]:
    """Return the time of the first card of `TIME_CARDS` that has one, scale TAI, that card with its text, and doubts.

    The scale is the text's suffix, else TIMESYS; else TAI for JSOC's T_OBS and T_REC, GPS for GONG, UTC for the rest.
    A day alone, or a DATE card at exactly midnight, is completed by TIME-OBS, TIME, UTC or UT; of several cards of a
    kind, one with a time of day counts.

    Raises
    ------
    MagnetogramError
        If there is none, it cannot be a date, or another card has a time more than an hour away.
    """
    stated = list(_stated(header))
    whole = [one for one in stated if not one.only_day]
    if not whole:
        said = f"{stated[0]}, a day without a time of day" if stated else "no card gives its observation time"
        raise MagnetogramError(f"{said}; one of {', '.join(TIME_CARDS)}, or another spelling, must: add it")
    try:
        best, time = _best(whole, header, instrument)
    except CubeError as error:
        raise MagnetogramError(str(error)) from None
    doubts = []
    for other in (*stated, *_clocks(header, time)):
        try:
            apart_seconds = _seconds_apart(other, _time(other, header, instrument), time)
        except CubeError:
            continue  # no time, so that it contradicts none
        if apart_seconds > _NEAR_SECONDS:
            raise MagnetogramError(
                f"{best} and {other}, {apart_seconds / 3600.0:.1f} h apart; the times of one observation are minutes "
                "apart: correct or remove the wrong one"
            )
        if apart_seconds > _SAME_SECONDS and other.kind == best.kind:
            doubts.append(f"{best} and {other}, and the former was used: remove one")
    return time.tai, f"{best.card} {best.text}", tuple(doubts)


def _best(whole: Sequence[_Stated], header: fits.Header, instrument: str | None) -> tuple[_Stated, Time]:
    """Return the first card and its time; one at midnight gives way to one whose time is later on that day."""
    best, time = whole[0], _time(whole[0], header, instrument)
    later = next((one for one in whole if not one.may_be_day), best)
    if best.may_be_day and _NEAR_SECONDS < float((_time(later, header, instrument) - time).sec) < _DAY_SECONDS:
        return later, _time(later, header, instrument)
    return best, time


def _clocks(header: fits.Header, time: Time) -> Iterator[_Stated]:
    """Return the times of day in TIME-OBS, on the day of the observation."""
    for card, text in _known(header, "TIME-OBS"):
        if is_time_of_day(text):
            yield _Stated(kind="TIME-OBS", card=card, text=f"{time.isot[:10]} {text}")


def _stated(header: fits.Header) -> Iterator[_Stated]:
    """Return the cards that give a time, best first, with their texts completed by the time of day."""
    clock = _clock(header)
    for kind in TIME_CARDS:
        for card, text in _known(header, kind):
            whole = with_time_of_day(text, clock, or_midnight=kind.startswith("DATE"))
            yield _Stated(kind=kind, card=card, text=whole)


def _time(stated: _Stated, header: fits.Header, instrument: str | None) -> Time:
    scale = time_scale(header) or ("gps" if instrument == "GONG" else default_scale(stated.kind))
    return parse_time(stated.text, scale=scale, what=stated.card)[0]


def _seconds_apart(stated: _Stated, own: Time, time: Time) -> float:
    """Return how far a card's own time is from another one, or from the day or at the time of day that it gives."""
    after_seconds = float((time - own).sec)
    if stated.kind == "TIME-OBS":  # midnight may lie between
        return abs((after_seconds + _DAY_SECONDS / 2.0) % _DAY_SECONDS - _DAY_SECONDS / 2.0)
    if stated.may_be_day:
        return max(-after_seconds, after_seconds - _DAY_SECONDS, 0.0)
    return abs(after_seconds)


def _known(header: fits.Header, kind: str) -> list[tuple[str, str]]:
    """Return the cards of a kind that have a value, in any spelling and also repeated, with their texts."""
    seen: dict[str, int] = {}
    texts = []
    for card in header:
        number = seen[card] = seen.get(card, -1) + 1
        if canonical(card) == kind:
            texts.append((card, card_text(header, (card, number))))
    return [(card, text) for card, text in texts if not is_missing_time(text)]


def _clock(header: fits.Header) -> str:
    """Return the time of day in a card of its own; empty without one."""
    texts = (text for kind in CLOCK_CARDS for _, text in _known(header, kind))
    return next(filter(is_time_of_day, texts), "")
