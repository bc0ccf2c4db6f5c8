"""The region that a cube follows, from header cards or the file name."""

from collections.abc import Iterable

from astropy.io import fits

from helioloop.data.fits import card_text
from helioloop.data.start import region_from_name

_CARDS = (
    ("REGION", ""),
    ("NOAA_AR", "NOAA "),
    ("NOAA_NUM", "NOAA "),
    ("HARPNUM", "HARP "),
    ("TARPNUM", "TARP "),
    ("NOAA_ARS", "NOAA "),
)
"""Cards that name a region, best first, and what is put before their value."""


def read_region(headers: Iterable[fits.Header], cube: str) -> tuple[str | None, str | None]:
    """Return the region in the first header that names one, else that in the cube's name, and its source.

    0, negative numbers and the codes of missing values name none. A number is written as a whole number.

    Returns
    -------
    region : str or None
        None if neither names one.
    source : str or None
        The card, or ``"file name"``.
    """
    for header in headers:
        for card, prefix in _CARDS:
            value = _name(card_text(header, card))
            if value:
                return prefix + value, card
    region = region_from_name(cube)
    return region, "file name" if region else None


def _name(value: str) -> str:
    """Return the region that a card's value names; empty for 0, negative numbers and numbers that are not whole."""
    try:
        number = float(value)
    except ValueError:
        return value
    if number <= 0.0:
        return ""
    return str(int(number)) if number == int(number) and not value.isdecimal() else value
