"""How the name of a region is spelt: tables, headers and folders write the same one in many ways. Needs no package."""

import re
import unicodedata
from functools import lru_cache
from typing import Final

_CATALOGUED: Final = re.compile(r"(noaa|ar|noaa[ _-]*ar|harp|tarp)[ _#-]*0*(\d{1,5})(?:\.0*)?\Z")
_SPELT: Final = re.compile(r"(noaa|harp|tarp) (\d+)\Z")
_BARE: Final = re.compile(r"(\d+)(?:\.0*)?\Z")
_NUMBER: Final = re.compile(r"(?:(?:noaa|ar|harp|tarp)[ _#-]*)*([+-]?\d+)(?:\.0*)?\Z", re.IGNORECASE)
_NOAA_PASSED: Final = 10_000


@lru_cache(maxsize=1 << 16)  # the names of a table are looked up for each cube
def one_spelling(name: str) -> str:
    """Return a text that is the same for all spellings of a region, such as NOAA9393, AR 9393 and noaa_09393.

    A number alone may be that of any catalogue; it has one spelling, too, such as 9393 for 09393 and 9393.0.
    """
    name = unicodedata.normalize("NFC", name).casefold()
    if bare := _BARE.match(name):
        return bare[1].lstrip("0") or "0"
    number = _CATALOGUED.match(name)
    if number is None:
        return name
    return f"{number[1] if number[1] in {'harp', 'tarp'} else 'noaa'} {int(number[2])}"


def region_key(name: str) -> str:
    """Return a text that is the same for all names of a region, a number alone included: that is taken for NOAA's."""
    spelt = one_spelling(name)
    return f"noaa {spelt}" if _BARE.match(spelt) else spelt


def spellings(name: str) -> tuple[str, ...]:
    """Return what a table may call the region of a cube, by `one_spelling`, best first; nothing for an empty name.

    A table of one catalogue often has its numbers alone, as SRS files do, and these have four digits of NOAA's numbers,
    which passed 10,000 in June 2002.
    """
    spelt = one_spelling(name)
    catalogued = _SPELT.match(spelt)
    if catalogued is None:
        return tuple(dict.fromkeys((spelt, region_key(name)))) if spelt else ()
    catalogue, number = catalogued[1], int(catalogued[2])
    others = [str(number)]
    if catalogue == "noaa" and number > _NOAA_PASSED:
        others += [f"noaa {number - _NOAA_PASSED}", str(number - _NOAA_PASSED)]
    return (spelt, *others)


def region_number(text: str) -> int | None:
    """Return the number of a region that a card of numbers gives, such as 377, 377.0 or HARP 377; None for others.

    0 and negative numbers stand for no region.
    """
    match = _NUMBER.match(text.strip())
    return None if match is None else int(match[1])
