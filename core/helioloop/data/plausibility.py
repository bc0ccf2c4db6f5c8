"""Refuses cubes whose cards or values show that they are not line-of-sight magnetograms in gauss."""

import re

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from helioloop.data.fits import card_text
from helioloop.errors import CubeError

Floats = NDArray[np.float32]

_CONTENT_CARDS = ("CONTENT", "BTYPE", "EXTNAME")
_OTHER_CONTENT = re.compile(
    r"doppler|velocity|continuum|(?<!field )intensity|bitmap|\bmask|disambig|\berr(or)?\b|_err\b"
    r"|inclination|azimuth|line ?(depth|width)",
    re.IGNORECASE,
)
_MAGNETOGRAM = re.compile(r"magnetogram|line-of-sight", re.IGNORECASE)

_FEWEST_VALUES = 1000  # a cube has more than a million; fewer values prove little
_MOST_VALUES = 1 << 18
_CODE_GAUSS = 7000.0  # sunspots reach 6e3 G; values beyond are codes
_MAX_BEYOND_FRACTION = 0.01
_STRONG_GAUSS = 1000.0
_MIN_MINORITY_FRACTION = 1e-3
_MAX_OFFSET_GAUSS = 150.0
_MAX_TYPICAL_GAUSS = 300.0
_MIN_STRONGEST_GAUSS = 5.0


def refuse_other_content(header: fits.Header, field_gauss: Floats) -> None:
    """Refuse a cube that shows another quantity than the line-of-sight field, or has lost its scale.

    Parameters
    ----------
    header : fits.Header
        Header of the image.
    field_gauss : array
        All frames, any shape; NaN where unknown. Zeros and off-disk codes are ignored, and fewer than 1000 other values
        are not judged.

    Raises
    ------
    CubeError
        If CONTENT, BTYPE or EXTNAME names another quantity, or the values have one polarity only, a median beyond
        ± 150 G, a typical strength beyond 300 G, more than 1 % beyond 7000 G, or a strongest value below 5 G.
    """
    for card in _CONTENT_CARDS:
        text = card_text(header, card)
        if _OTHER_CONTENT.search(text) and not _MAGNETOGRAM.search(text):
            raise CubeError(f"{card} is {text!r}, so it is not a line-of-sight magnetogram: leave it out")
    sample = _sample(field_gauss)
    beyond = float(np.mean(sample > _CODE_GAUSS)) if sample.size >= _FEWEST_VALUES else 0.0
    if beyond > _MAX_BEYOND_FRACTION:
        raise CubeError(
            f"{beyond:.0%} of its values are beyond {_CODE_GAUSS:g} G and the Sun's field stays below: it shows "
            "another quantity, or lost BSCALE, BUNIT or its byte order"
        )
    values = _without_codes(sample)
    if values.size < _FEWEST_VALUES:
        return
    negative = float(np.mean(values < 0.0))
    if min(negative, 1.0 - negative) < _MIN_MINORITY_FRACTION:
        whole = bool(np.all(values == np.rint(values))) and np.unique(values).size <= 100
        what = "whole numbers of one sign, as in a bitmap or a map of codes" if whole else "of one sign only"
        raise CubeError(f"its values are {what}; a line-of-sight magnetogram has both polarities: leave it out")
    offset, typical = float(np.median(values)), float(np.median(np.abs(values)))
    if abs(offset) > _MAX_OFFSET_GAUSS or typical > _MAX_TYPICAL_GAUSS:
        raise CubeError(
            f"its median is {offset:.3g} G and half of its values are beyond ±{typical:.3g} G; a magnetogram's are "
            f"within ±{_MAX_OFFSET_GAUSS:g} and ±{_MAX_TYPICAL_GAUSS:g} G: it shows another quantity, or lost BSCALE"
        )
    strongest = float(np.abs(values).max())
    if strongest < _MIN_STRONGEST_GAUSS:
        raise CubeError(
            f"its strongest field is {strongest:.3g} G; the noise of a magnetogram alone exceeds "
            f"{_MIN_STRONGEST_GAUSS:g} G: correct BUNIT or BSCALE"
        )


def _sample(field_gauss: Floats) -> Floats:
    """Return a sample of the values without NaN and zeros, shape (n,)."""
    step = max(1, field_gauss.size // _MOST_VALUES) | 1  # odd, so that it does not repeat columns
    every = field_gauss.ravel()[::step]
    values: Floats = every[np.isfinite(every) & (every != 0.0)]
    return values


def _without_codes(values: Floats) -> Floats:
    """Return the values without those beyond any field, and without the lowest one if that may be a code."""
    values = values[np.abs(values) < _CODE_GAUSS]
    if values.size and values.min() <= -_STRONG_GAUSS:
        values = values[values > values.min()]
    return values
