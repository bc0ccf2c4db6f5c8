"""The name of a region in a card or a cell: which values are no name, and which numbers are the same one."""

import math
import re

from helioloop.data.fits import is_missing

_NO_NAME = re.compile(r"[\W_]*\Z|(?:true|false)\Z|[+-]?(?:nan|inf|infinity)(?:\(.*\))?\Z", re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:E[+-]?\d+)?\Z", re.ASCII | re.IGNORECASE)
_CATALOGUE = re.compile(r"(?:(?:NOAA|AR|HARP|TARP)[ _#-]+)+", re.IGNORECASE)


def is_no_name(text: str) -> bool:
    """Return True for the codes of missing values, and for texts without a letter or a digit."""
    return is_missing(text) or _NO_NAME.match(text) is not None


def region_name(text: str) -> str:
    """Return a region's name; empty for 0, negative numbers and the codes of missing values, also as ``NOAA nan``.

    A whole number is written without its decimals, such as ``8398`` for ``8398.0``; leading zeros stay, because they
    may be part of a name.
    """
    catalogue = _CATALOGUE.match(text)
    if is_no_name(text[catalogue.end() if catalogue else 0 :]) or not text.strip("0"):
        return ""
    if text.isdecimal() or not _NUMBER.match(text):
        return text
    number = float(text)
    if number <= 0.0 or not math.isfinite(number):
        return ""
    return str(int(number)) if number == int(number) else text
