"""The region that a cube follows, from header cards or the file name."""

import re
from collections.abc import Iterable

from astropy.io import fits

from helioloop.data.fits import card_text
from helioloop.data.region_name import is_no_name, region_name
from helioloop.data.start import region_from_name

_NAME_CARD = "REGION"
_NUMBER_CARDS = (
    ("NOAA_AR", "NOAA"),
    ("HARPNUM", "HARP"),
    ("TARPNUM", "TARP"),
    ("NOAA_ARS", "NOAA"),
)
"""Cards with the number of a region, best first, and its catalogue. SHARP's NOAA_NUM is how many NOAA regions a HARP
has."""
_LARGEST_NUMBER = 60_000  # NOAA, HARP and TARP are below 15,000; more is the code of a missing value
_NOAA_10000 = "2002-06-15"
_FIRST_WHOLE_NOAA = 5000  # NOAA 15000 is years away, so a smaller number after 2002 lacks the digit 1 of 10,000
_NUMBER = re.compile(
    r"(?:(?:NOAA|AR|HARP|TARP)[ _#-]*)*(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:E[+-]?\d+)?)\Z", re.IGNORECASE
)
_SEPARATOR = re.compile(r"[\s,;/]+")


def read_region(
    headers: Iterable[fits.Header], cube: str, start_utc: str | None
) -> tuple[str | None, str | None, tuple[str, ...]]:
    """Return the region in the first header that names one, else that in the cube's name, and its source.

    0, negative numbers, other numbers that no region has, and the codes of missing values name none. A number is
    written as a whole number after its catalogue, such as ``NOAA 8398`` for ``8398.0``, ``08398`` and ``AR 8398``.
    NOAA's numbers passed 10,000 in June 2002, and many tables still write four digits; these get 10,000 added.

    Returns
    -------
    region : str or None
        None if neither names one.
    source : str or None
        The card, or ``"file name"``.
    notes : tuple of str
        What was read in another way than stored, one sentence each.
    """
    for header in headers:
        for value in _values(header, _NAME_CARD):
            if region := region_name(value):
                return region, _NAME_CARD, ()
        for card, catalogue in _NUMBER_CARDS:
            for value in _values(header, card):
                if region := _numbered(value):
                    full = _with_all_digits(region, start_utc) if catalogue == "NOAA" else region
                    note = f"{card} {region} was read as NOAA {full}: NOAA's numbers passed 10,000 in June 2002"
                    return f"{catalogue} {full}", card, () if full == region else (note,)
    region = region_from_name(cube) or ""
    return (region, "file name", ()) if region else (None, None, ())


def _with_all_digits(numbers: str, start_utc: str | None) -> str:
    """Return NOAA numbers with 10,000 added to those of four digits after June 2002."""
    if start_utc is None or start_utc < _NOAA_10000:
        return numbers
    return ",".join(
        str(int(number) + 10_000) if number.isdecimal() and int(number) < _FIRST_WHOLE_NOAA else number
        for number in numbers.split(",")
    )


def _values(header: fits.Header, card: str) -> list[str]:
    """Return the values of a card that may be there several times."""
    return [card_text(header, (card, number)) for number in range(header.count(card))] if card in header else []


def _numbered(value: str) -> str:
    """Return the numbers in a value of a card of numbers, or the text of another value; empty if it names no region."""
    texts = [text for text in _SEPARATOR.split(value) if not is_no_name(text)]
    matches = [_NUMBER.match(value), *map(_NUMBER.match, texts)]
    if matches[0]:
        return _whole(matches[0]["number"])
    if all(matches[1:]):
        numbers = {number for match in matches[1:] if match and (number := _whole(match["number"]))}
        return ",".join(sorted(numbers, key=int))
    return region_name(value)


def _whole(text: str) -> str:
    """Return a number that a region can have, without leading zeros; empty for other numbers."""
    number = float(text)
    return str(int(number)) if 0.0 < number <= _LARGEST_NUMBER and number == int(number) else ""
