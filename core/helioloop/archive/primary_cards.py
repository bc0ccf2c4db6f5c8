"""Cards of an image that are in the primary header of its file, beside an image that has few of its own.

The INHERIT convention: with INHERIT = T in the header of an extension, the cards of the primary header hold for it,
too, unless it has them itself. Many writers put all cards there and leave INHERIT out.

References
----------
FITS standard 4.0, section 4.4.2.6.
"""

import re

from astropy.io import fits

from helioloop.archive.observation_time import CLOCK_CARDS, TIME_CARDS
from helioloop.data.time_text import canonical

_OF_THE_ARRAY = re.compile(
    r"SIMPLE|XTENSION|BITPIX|NAXIS\d*|EXTEND|PCOUNT|GCOUNT|GROUPS|BSCALE|BZERO|BLANK|DATAMIN|DATAMAX|CHECKSUM|DATASUM"
    r"|EXTNAME|EXTVER|EXTLEVEL|INHERIT|NEXTEND|Z.*"
)
"""Cards that describe the primary array and the structure of the file, also of a compressed one; they hold for no other
part."""
_OF_THE_FILE = frozenset({"DATE", "ORIGIN", "CREATOR", "AUTHOR", "FILENAME", "LONGSTRN", "PROGRAM", "SOFTWARE"})
"""Cards on who wrote the file and when, which nothing here reads."""
_AXES = re.compile(
    r"CTYPE\d|CUNIT\d|CRPIX\d|CRVAL\d|CDELT\d|CROTA\d?|CD\d_\d|PC\d_\d|PV\d_\d|LONPOLE|LATPOLE|WCSNAME"
    r"|FNDLMB\w+|SEMIDIAM|RADIUS|P_ANGLE"
)
_OBSERVER = re.compile(r"CRL[NT]_OBS|HGL[NT]_OBS|DSUN_OBS|OBS_[LB]0|OBS_DIST|SOLAR_[LB]0|[LB]0")
_NAMED = 5


def complete(
    header: fits.Header, primary: fits.Header, *, primary_has_image: bool
) -> tuple[fits.Header, tuple[str, ...]]:
    """Return the header of an extension with what the primary header adds to it, and what was assumed.

    Where INHERIT is T, every card is added that the extension lacks. Where that card is missing, the cards of the axes,
    of the time and of the observer are each taken whole or not at all: mixed ones would give an image a place or a
    time that neither header has.

    Parameters
    ----------
    header : fits.Header
        Of the extension, with values parsed.
    primary : fits.Header
        Of the file, with values parsed.
    primary_has_image : bool
        Whether the primary header has an image of its own; its cards hold for another one then, unless INHERIT says so.

    Returns
    -------
    header : fits.Header
        A copy with the cards added, or the header itself.
    assumed : tuple of str
        One sentence where cards were added without INHERIT.
    """
    inherits = header.get("INHERIT")
    if inherits is False or (primary_has_image and inherits is not True):
        return header, ()
    own = set() if inherits is True else {group(keyword) for keyword in header} - {""}
    added = [
        card
        for card in primary.cards
        if card.keyword not in header
        and not _OF_THE_ARRAY.fullmatch(card.keyword)
        and card.keyword not in _OF_THE_FILE
        and group(card.keyword) not in own
        and str(card.value).strip()
    ]
    if not added:
        return header, ()
    whole = header.copy()
    for card in added:
        whole.append((card.keyword, card.value), end=True)  # also twice, which is judged later
    if inherits is True:
        return whole, ()
    keywords = list(dict.fromkeys(card.keyword for card in added))
    names = ", ".join(keywords[:_NAMED])
    more = f" and {len(keywords) - _NAMED} more" if len(keywords) > _NAMED else ""
    return whole, (
        f"the image's header has no INHERIT and lacks {names}{more}, read from the file's primary header instead",
    )


def lacks_observation(header: fits.Header) -> bool:
    """Return True where no card gives time, axes or observer, as in files that JSOC exports without keywords."""
    return not any(group(keyword) for keyword in header if keyword != "TIMESYS")


def group(keyword: str) -> str:
    """Return which cards a card belongs with; empty for one that has a meaning by itself."""
    if _AXES.fullmatch(keyword):
        return "axes"
    if _OBSERVER.fullmatch(keyword):
        return "observer"
    return "time" if keyword == "TIMESYS" or canonical(keyword) in {*TIME_CARDS, *CLOCK_CARDS} else ""
