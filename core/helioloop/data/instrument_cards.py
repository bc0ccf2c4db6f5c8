"""Which instrument a magnetogram or a cube is from, by its cards."""

import re

from astropy.io import fits

from helioloop.data.fits import card_text

INSTRUMENTS = {
    "HMI": re.compile(r"\bHMI|HELIOSEISMIC AND MAGNETIC"),
    "MDI": re.compile(r"\bMDI|MICHELSON DOPPLER"),
    "GONG": re.compile(r"\bGONG|GLOBAL OSCILLATION NETWORK"),
}
"""How the cards of magnetograms and cubes name the instruments that have a built-in profile."""
_SPACECRAFT = {"SOHO": "MDI", "SDO": "HMI"}
"""Where a file names the spacecraft alone: each has one magnetograph."""


def instrument_of(header: fits.Header) -> str | None:
    """Return ``"MDI"``, ``"HMI"`` or ``"GONG"``, else the name in TELESCOP and INSTRUME; None where they have none.

    CAMERA tells MDI's and HMI's instrument, too; elsewhere it is the name of a detector.
    """
    telescope, instrument, camera = (card_text(header, card) for card in ("TELESCOP", "INSTRUME", "CAMERA"))
    said = f"{telescope} {instrument} {camera}".upper()
    known = next((name for name, spelling in INSTRUMENTS.items() if spelling.search(said)), None)
    if known is not None:
        return known
    named = [name for name in (telescope, instrument) if name]
    name = max(named, key=len) if len(named) == 2 and is_same(*named) else " ".join(named)
    return _SPACECRAFT.get(name.upper(), name) or None


def is_same(one: str, other: str) -> bool:
    """Return True where one name has all words of the other: ``SOLIS`` and ``solis/VSM``."""
    words, others = (set(re.findall(r"\w+", name.casefold())) for name in (one, other))
    return words <= others or others <= words
