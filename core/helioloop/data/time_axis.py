"""Times of frames from the image's third axis, where its world coordinates are times (FITS Paper IV)."""

import numpy as np
from astropy.io import fits
from astropy.time import Time
from numpy.typing import NDArray

from helioloop.data.fits import card_text, number_text
from helioloop.data.time_text import astropy_scale, at_scale, is_missing_time, parse_time, scale_name, time_scale
from helioloop.errors import CubeError

_TIME_TYPES = frozenset({"TIME", "UTC", "TAI", "TT", "TDT", "ET", "UT", "GPS", "TDB", "TCG", "TCB", "UT1", "IAT"})


def axis_of_time(header: fits.Header, n_frames: int) -> tuple[NDArray[np.float64], str, str | None] | None:
    """Return the values on the third axis, their unit and time scale; None if it is not an axis of time.

    Parameters
    ----------
    header : fits.Header
        Of the image: CTYPE3, CUNIT3, CRPIX3, CRVAL3, CDELT3 (or CD3_3).
    n_frames : int
        Length of the axis.

    Returns
    -------
    values : array, shape (n_frames,)
        Time of each frame since a reference time or the start.
    unit : str
        CUNIT3, else TIMEUNIT; empty without them.
    scale : str or None
        That in CTYPE3, else TIMESYS; None without one.

    Raises
    ------
    CubeError
        If the step is missing, or a value on the axis is not a number.

    References
    ----------
    Rots et al. 2015, A&A 574, A36, doi:10.1051/0004-6361/201424653.
    """
    kind = card_text(header, "CTYPE3").upper()
    if kind.partition("(")[0] not in _TIME_TYPES:
        return None
    if not number_text(header, "CDELT3") and not number_text(header, "CD3_3"):
        raise CubeError(f"CTYPE3 is {kind!r} and CDELT3 is missing; an axis of time needs its step: add CDELT3")
    step = _number(header, "CDELT3", _number(header, "CD3_3", 0.0)) * _number(header, "PC3_3", 1.0)
    first = _number(header, "CRVAL3", 0.0) + (1.0 - _number(header, "CRPIX3", 0.0)) * step
    unit = card_text(header, "CUNIT3") or card_text(header, "TIMEUNIT")
    scale = time_scale(header) if kind == "TIME" else scale_name(kind, what="CTYPE3")
    return np.asarray(first + step * np.arange(n_frames), dtype=np.float64), unit, scale


def reference_time(header: fits.Header, *, scale: str) -> Time | None:
    """Return the reference time of a header: MJDREF, MJDREFI + MJDREFF, JDREF or DATEREF; None without them."""
    if card_text(header, "MJDREF") or card_text(header, "MJDREFI"):
        whole = _number(header, "MJDREF", _number(header, "MJDREFI", 0.0))
        fraction = 0.0 if card_text(header, "MJDREF") else _number(header, "MJDREFF", 0.0)
        return at_scale(Time(whole, fraction, format="mjd", scale=astropy_scale(scale)), scale)
    if card_text(header, "JDREF") or card_text(header, "JDREFI"):
        whole = _number(header, "JDREF", _number(header, "JDREFI", 0.0))
        fraction = 0.0 if card_text(header, "JDREF") else _number(header, "JDREFF", 0.0)
        return at_scale(Time(whole, fraction, format="jd", scale=astropy_scale(scale)), scale)
    if (text := card_text(header, "DATEREF")) and (not is_missing_time(text) or text.startswith("19")):
        return parse_time(text, scale=scale, what="DATEREF")[0]
    return None


def _number(header: fits.Header, card: str, default: float) -> float:
    text = number_text(header, card)
    try:
        return float(text) if text else default
    except ValueError:
        raise CubeError(f"{card} is {text!r}; it must be a number: correct it") from None
