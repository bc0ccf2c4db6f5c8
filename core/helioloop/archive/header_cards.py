"""Cards of a header with their values, and the numbers in them."""

import math

from astropy.io import fits

from helioloop.errors import MagnetogramError

_COMMENTARY = {"", "COMMENT", "HISTORY", "END"}
_LONGEST_KEYWORD = 8


def parsed(header: fits.Header) -> fits.Header:
    """Return a header's cards with their values; a value that FITS cannot parse, such as unquoted text, as text.

    A keyword that is there several times stays so, and ``header[keyword]`` is the first one's value.
    """
    made = fits.Header()
    for card in header.cards:
        if card.keyword in _COMMENTARY or len(card.keyword) > _LONGEST_KEYWORD:
            continue
        try:
            made.append((card.keyword, card.value), end=True)
        except fits.VerifyError:
            made.append((card.keyword, card.image[10:].strip(" '")), end=True)  # astropy has put it into quotes
    return made


def number(header: fits.Header, card: str) -> float:
    """Return the number in a card that must have one.

    Raises
    ------
    MagnetogramError
        If the card is missing, or no finite number.
    """
    value = number_or_none(header, card)
    if value is None:
        raise MagnetogramError(f"{card} is {header.get(card)!r}; it must be a number: correct it")
    return value


def positive(header: fits.Header, card: str) -> float | None:
    """Return the positive number in a card; None where there is none."""
    value = number_or_none(header, card)
    return value if value is not None and value > 0.0 else None


def number_or_none(header: fits.Header, card: str) -> float | None:
    """Return the finite number in a card; None where there is none."""
    try:
        value = float(header[card])
    except (KeyError, TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None
