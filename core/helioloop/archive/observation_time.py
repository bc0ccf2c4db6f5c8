"""When an image was observed, as its header tells; times of processing are never taken for it."""

from astropy.io import fits
from astropy.time import Time

from helioloop.data.fits import card_text
from helioloop.data.time_text import (
    canonical,
    default_scale,
    is_day,
    is_missing_time,
    parse_time,
    time_scale,
    with_time_of_day,
)
from helioloop.errors import CubeError, MagnetogramError

TIME_CARDS = ("T-OBS", "DATE-AVG", "DATE-OBS", "DATE-BEG", "T-REC")
"""Cards that give the observation time, best first: the middle of the exposure, its start, the archive's slot. See
`canonical` for their other spellings."""


def observation_time(header: fits.Header, *, instrument: str | None) -> tuple[Time, str]:
    """Return the time of the first card of `TIME_CARDS` that has one, scale TAI, and that card with its text.

    The scale is the text's suffix, else TIMESYS; else TAI for JSOC's T_OBS and T_REC, GPS for GONG, UTC for the rest.
    A day alone is completed by TIME-OBS.

    Raises
    ------
    MagnetogramError
        If there is none, or it cannot be a date.
    """
    wanted = [card for card in header if canonical(card) in {*TIME_CARDS, "TIME-OBS"}]
    cards = {canonical(card): card for card in reversed(wanted) if not is_missing_time(card_text(header, card))}
    clock = card_text(header, cards.get("TIME-OBS", ""))
    days: list[str] = []
    for kind in TIME_CARDS:
        card = cards.get(kind, "")
        text = card_text(header, card)
        whole = with_time_of_day(text, clock)
        if not whole:
            continue
        if is_day(whole):
            days.append(f"{card} is {whole!r}, a day without a time of day")
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
