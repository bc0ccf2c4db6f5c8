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
_IMITATED = re.compile(r"SIMUL|SYNTH|LIKE|SCALED")
"""What cards say where the field is not as the instrument that they name measured it."""
_SPACECRAFT = {"SOHO": "MDI", "SDO": "HMI"}
"""Where a file names the spacecraft alone: each has one magnetograph."""


def instrument_of(header: fits.Header) -> str | None:
    """Return ``"MDI"``, ``"HMI"`` or ``"GONG"``, else the name in TELESCOP and INSTRUME; None where they have none.

    CAMERA tells MDI's and HMI's instrument, too; elsewhere it is the name of a detector.
    """
    telescope, instrument, _ = _texts(header)
    known = next(iter(_known(header)), None)
    if known is not None:
        return known
    named = [name for name in (telescope, instrument) if name]
    name = max(named, key=len) if len(named) == 2 and is_same(*named) else " ".join(named)
    return _SPACECRAFT.get(name.upper(), name) or None


def is_adapted(header: fits.Header) -> bool:
    """Return whether the cards name several known instruments, or say that one was imitated or scaled to."""
    return len(_known(header)) > 1 or _IMITATED.search(" ".join(_texts(header)).upper()) is not None


def is_same(one: str, other: str) -> bool:
    """Return True where one name has all words of the other: ``SOLIS`` and ``solis/VSM``."""
    words, others = (set(re.findall(r"\w+", name.casefold())) for name in (one, other))
    return words <= others or others <= words


def _known(header: fits.Header) -> list[str]:
    """Return the instruments with a built-in profile that the cards name."""
    said = " ".join(_texts(header)).upper()
    return [name for name, spelling in INSTRUMENTS.items() if spelling.search(said)]


def _texts(header: fits.Header) -> tuple[str, ...]:
    return tuple(card_text(header, card) for card in ("TELESCOP", "INSTRUME", "CAMERA"))
