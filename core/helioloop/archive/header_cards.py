"""Cards of a header with their values, and the numbers in them."""

import math

from astropy.io import fits

from helioloop.errors import MagnetogramError

_COMMENTARY = {"", "COMMENT", "HISTORY", "END"}
_LONGEST_KEYWORD = 8


def parsed(header: fits.Header) -> fits.Header:
    """Return a header's cards with their values; a value that FITS cannot parse, such as unquoted text, as text."""
    made = fits.Header()
    for card in header.cards:
        if card.keyword in made or card.keyword in _COMMENTARY or len(card.keyword) > _LONGEST_KEYWORD:
            continue
        try:
            made[card.keyword] = card.value
        except fits.VerifyError:
            made[card.keyword] = card.image[10:].strip(" '")  # astropy has put it into quotes
    return made


def number(header: fits.Header, card: str) -> float:
    """Return the number in a card that must have one.

    Raises
    ------
    MagnetogramError
        If the card is missing, or no finite number.
    """
    try:
        value = float(header[card])
    except (KeyError, TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        raise MagnetogramError(f"{card} is {header.get(card)!r}; it must be a number: correct it")
    return value


def positive(header: fits.Header, card: str) -> float | None:
    """Return the positive number in a card; None where there is none."""
    try:
        value = float(header[card])
    except (KeyError, TypeError, ValueError):
        return None
    return value if math.isfinite(value) and value > 0.0 else None
