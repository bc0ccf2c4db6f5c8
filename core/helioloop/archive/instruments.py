"""Which instrument a magnetogram is from, and the built-in profile for it."""

import re

from astropy.io import fits

from helioloop.records.profiles import BUILT_IN, Profile


def instrument_of(header: fits.Header) -> str | None:
    """Return ``"MDI"``, ``"HMI"`` or ``"GONG"`` as the header's TELESCOP, INSTRUME and CAMERA tell; None if neither."""
    said = " ".join(str(header.get(card, "")) for card in ("TELESCOP", "INSTRUME", "CAMERA")).upper()
    return next((name for name in ("HMI", "MDI", "GONG") if re.search(rf"\b{name}", said)), None)


def profile_of(instrument: str | None) -> Profile | None:
    """Return the built-in profile of an instrument; None where there is none."""
    return BUILT_IN.get((instrument or "").lower())
