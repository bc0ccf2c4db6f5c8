"""Cards of an image that stand in the primary header of its file, beside an image that has few of its own.

The INHERIT convention: with INHERIT = T in the header of an extension, the cards of the primary header hold for it,
too, unless it has them itself. Many writers put all cards there and leave INHERIT out.

References
----------
FITS standard 4.0, section 4.4.2.6.
"""

import re

from astropy.io import fits

_OF_THE_ARRAY = re.compile(
    r"SIMPLE|XTENSION|BITPIX|NAXIS\d*|EXTEND|PCOUNT|GCOUNT|GROUPS|BSCALE|BZERO|BLANK|DATAMIN|DATAMAX|CHECKSUM|DATASUM"
    r"|EXTNAME|EXTVER|EXTLEVEL|INHERIT|NEXTEND|Z.*"
)
"""Cards that describe the primary array and the structure of the file, also of a compressed one; they hold for no other
part."""
_NAMED = 5


def complete(header: fits.Header, primary: fits.Header, *, primary_has_image: bool) -> tuple[fits.Header, str]:
    """Return the header of an extension with what the primary header adds to it, and a sentence on that.

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
    doubt : str
        What was assumed; empty where nothing was, because nothing was added or INHERIT is T.
    """
    inherits = header.get("INHERIT")
    if inherits is False or (primary_has_image and inherits is not True):
        return header, ""
    added = [
        card
        for card in primary.cards
        if card.keyword not in header and not _OF_THE_ARRAY.fullmatch(card.keyword) and str(card.value).strip()
    ]
    if not added:
        return header, ""
    whole = header.copy()
    for card in added:
        whole[card.keyword] = card.value
    if inherits is True:
        return whole, ""
    names = ", ".join(card.keyword for card in added[:_NAMED])
    more = f" and {len(added) - _NAMED} more" if len(added) > _NAMED else ""
    return whole, (
        f"the image's header has no INHERIT and lacks {names}{more}, which were read from the file's primary header"
    )
