"""Axes of a GONG image by the limb that its pipeline fitted."""

import math

from astropy.io import fits

from helioloop.archive.header_cards import positive
from helioloop.errors import MagnetogramError


def gong_axes(header: fits.Header) -> tuple[fits.Header, tuple[str, ...]]:
    """Return helioprojective axes from the limb that GONG's pipeline fitted, for headers without a usable WCS.

    Raises
    ------
    MagnetogramError
        If the header has no fitted limb, or does not say that solar north is up.

    Notes
    -----
    FNDLMBXC and FNDLMBYC are the centre in pixels counted from 1, FNDLMBMI and FNDLMBMA the half axes of the ellipse
    fitted to the limb. SEMIDIAM or RADIUS is the Sun's angular radius in radians.
    """
    needed = ("FNDLMBXC", "FNDLMBYC", "FNDLMBMI", "FNDLMBMA")
    absent = [card for card in needed if positive(header, card) is None]
    radius = positive(header, "SEMIDIAM") or positive(header, "RADIUS")
    if absent or radius is None:
        missing = ", ".join([*absent, *([] if radius else ["SEMIDIAM or RADIUS"])])
        raise MagnetogramError(
            f"its header has neither a solar WCS nor GONG's fitted limb: {missing} missing; fetch a file that has them"
        )
    if "HELIOCENTRIC" not in str(header.get("WCSNAME", "")).upper():
        raise MagnetogramError(
            f"WCSNAME is {header.get('WCSNAME')!r}; only 'Heliocentric-cartesian' says that solar north is up: fetch a "
            "file that says so"
        )
    pole = float(header.get("P_ANGLE", 0.0) or 0.0)
    limb_px = (float(header["FNDLMBMI"]) + float(header["FNDLMBMA"])) / 2.0
    scale = math.degrees(radius) * 3600.0 / limb_px
    cards = fits.Header()
    for axis, name, centre in ((1, "HPLN-TAN", "FNDLMBXC"), (2, "HPLT-TAN", "FNDLMBYC")):
        cards[f"CTYPE{axis}"] = name
        cards[f"CUNIT{axis}"] = "arcsec"
        cards[f"CRPIX{axis}"] = float(header[centre])
        cards[f"CRVAL{axis}"] = 0.0
        cards[f"CDELT{axis}"] = scale
    cards["CROTA2"] = -pole  # P_ANGLE counts from up to the east, CROTA2 the other way
    said = "centre and scale were taken from the fitted limb (FNDLMB…), north from WCSNAME Heliocentric-cartesian"
    return cards, (said,)
