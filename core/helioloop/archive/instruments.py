"""Which instrument a magnetogram is from, and whether a profile's factor brings its field to the scale of MDI."""

import re

from astropy.io import fits

from helioloop.data.fits import card_text
from helioloop.errors import MagnetogramError
from helioloop.records.profiles import BUILT_IN, Profile

_KNOWN = {
    "HMI": re.compile(r"\bHMI|HELIOSEISMIC AND MAGNETIC"),
    "MDI": re.compile(r"\bMDI|MICHELSON DOPPLER"),
    "GONG": re.compile(r"\bGONG|GLOBAL OSCILLATION NETWORK"),
}
_SPACECRAFT = {"SOHO": "MDI", "SDO": "HMI"}
"""Where a file names the spacecraft alone: each has one magnetograph."""


def instrument_of(header: fits.Header) -> str | None:
    """Return ``"MDI"``, ``"HMI"`` or ``"GONG"``, else the name in TELESCOP and INSTRUME; None where they have none.

    CAMERA tells MDI's and HMI's instrument, too; elsewhere it is the name of a detector.
    """
    telescope, instrument, camera = (card_text(header, card) for card in ("TELESCOP", "INSTRUME", "CAMERA"))
    said = f"{telescope} {instrument} {camera}".upper()
    known = next((name for name, spelling in _KNOWN.items() if spelling.search(said)), None)
    if known is not None:
        return known
    named = [name for name in (telescope, instrument) if name]
    name = max(named, key=len) if len(named) == 2 and is_same(*named) else " ".join(named)
    return _SPACECRAFT.get(name.upper(), name) or None


def is_same(one: str, other: str) -> bool:
    """Return True where one name has all words of the other: ``SOLIS`` and ``solis/VSM``."""
    words, others = (set(re.findall(r"\w+", name.casefold())) for name in (one, other))
    return words <= others or others <= words


def profile_of(instrument: str | None) -> Profile | None:
    """Return the built-in profile of an instrument; None where there is none."""
    return BUILT_IN.get((instrument or "").lower())


def scale_notes(instrument: str | None, profile: Profile) -> tuple[str, ...]:
    """Return what is assumed where a profile's factor is used for an instrument's field; nothing where it is its own.

    Raises
    ------
    MagnetogramError
        If the file is from MDI, HMI or GONG and the profile is for another one of them, whose factor would be wrong.
    """
    if instrument is None:
        return (f"no card names its instrument, so the scale of profile {profile.name!r} was assumed",)
    if is_same(instrument, profile.instrument.name):
        return ()
    own, expected = profile_of(instrument), profile.instrument.name.upper()
    if own is not None:
        if expected in _KNOWN:
            raise MagnetogramError(
                f"it is from {instrument} and profile {profile.name!r} is for {expected}; the scale of the field "
                f"differs: run it with --profile {own.name}"
            )
        if own.to_mdi_factor == profile.to_mdi_factor:
            return ()
    return (
        f"it is from {instrument} and was taken on the scale of profile {profile.name!r}, factor "
        f"{profile.to_mdi_factor:g}",
    )


def why_no_profile(name: str, instrument: str) -> str:
    """Return why no profile follows from a file of an instrument without a built-in one, and what to do."""
    return (
        f"{name} is from {instrument}, and there is no profile for its scale, only {', '.join(BUILT_IN)}: choose the "
        "one of an instrument with the same scale with --profile, or write one (docs/profiles.md); a folder that is "
        "watched needs it in its release.toml"
    )
