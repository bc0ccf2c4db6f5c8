"""When an image was observed, as its header tells; times of processing are never taken for it."""

from astropy.io import fits
from astropy.time import Time

from helioloop.data.fits import card_text
from helioloop.data.time_text import (
    canonical,
    default_scale,
    is_day,
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


def observation_time(header: fits.Header, *, instrument: str | None) -> tuple[Time, str]:
    """Return the time of the first card of `TIME_CARDS` that has one, scale TAI, and that card with its text.

    The scale is the text's suffix, else TIMESYS; else TAI for JSOC's T_OBS and T_REC, GPS for GONG, UTC for the rest.
    A day alone is completed by TIME-OBS, TIME, UTC or UT; of several cards of a kind, one with a time of day counts.

    Raises
    ------
    MagnetogramError
        If there is none, or it cannot be a date.
    """
    days: list[str] = []
    for kind in TIME_CARDS:
        texts = [(card, with_time_of_day(text, _clock(header))) for card, text in _known(header, kind)]
        days += [f"{card} is {text!r}, a day without a time of day" for card, text in texts if is_day(text)]
        card, whole = next(((card, text) for card, text in texts if not is_day(text)), ("", ""))
        if not whole:
            continue
        try:
            scale = time_scale(header) or ("gps" if instrument == "GONG" else default_scale(kind))
            time, _ = parse_time(whole, scale=scale, what=card)
        except CubeError as error:
            raise MagnetogramError(str(error)) from None
        return time.tai, f"{card} {whole}"
    raise MagnetogramError(
        f"{days[0] if days else 'no card gives its observation time'}; one of {', '.join(TIME_CARDS)}, or another "
        "spelling, must: add it"
    )


def _known(header: fits.Header, kind: str) -> list[tuple[str, str]]:
    """Return the cards of a kind that have a value, in any spelling, with their texts."""
    cards = [(card, card_text(header, card)) for card in header if canonical(card) == kind]
    return [(card, text) for card, text in cards if not is_missing_time(text)]


def _clock(header: fits.Header) -> str:
    """Return the time of day in a card of its own; empty without one."""
    texts = (text for kind in CLOCK_CARDS for _, text in _known(header, kind))
    return next(filter(is_time_of_day, texts), "")
