"""Times of frames from the image's third axis, where its world coordinates are times (FITS Paper IV)."""

import numpy as np
from astropy.io import fits
from astropy.time import Time, TimeDelta

from helioloop.data.fits import card_text
from helioloop.data.start import Start
from helioloop.data.time_text import (
    Floats,
    astropy_scale,
    at_scale,
    isot,
    parse_time,
    scale_name,
    time_scale,
    to_seconds,
)
from helioloop.errors import CubeError

_TIME_TYPES = frozenset({"TIME", "UTC", "TAI", "TT", "TDT", "ET", "UT", "GPS", "TDB", "TCG", "TCB", "UT1", "IAT"})


def times_from_axis(header: fits.Header, n_frames: int, *, start: Start | None) -> tuple[Floats, Start | None] | None:
    """Return seconds since grid frame 0 and the start from the third axis; None if it is not an axis of time.

    Parameters
    ----------
    header : fits.Header
        Of the image: CTYPE3, CUNIT3, CRPIX3, CRVAL3, CDELT3 (or CD3_3), and the reference time MJDREF, MJDREFI +
        MJDREFF, JDREF or DATEREF.
    n_frames : int
        Length of the axis.
    start : Start or None
        From another card. It is kept, and the axis counts from it where the header has no reference time.

    Raises
    ------
    CubeError
        If a value on the axis is not a number, or its unit is not one of time.

    References
    ----------
    Rots et al. 2015, A&A 574, A36, doi:10.1051/0004-6361/201424653.
    """
    kind = card_text(header, "CTYPE3").upper()
    if kind.partition("(")[0] not in _TIME_TYPES:
        return None
    step = _number(header, "CDELT3", _number(header, "CD3_3", 1.0)) * _number(header, "PC3_3", 1.0)
    first = _number(header, "CRVAL3", 0.0) + (1.0 - _number(header, "CRPIX3", 0.0)) * step
    unit = card_text(header, "CUNIT3") or card_text(header, "TIMEUNIT")
    seconds = to_seconds(first + step * np.arange(n_frames), unit)
    scale = (time_scale(header) if kind == "TIME" else scale_name(kind)) or "utc"
    reference = reference_time(header, scale=scale)
    if reference is None:
        return seconds, start
    earliest = reference + TimeDelta(float(seconds.min()), format="sec")
    if start is not None:
        return seconds - float(seconds.min()) + float((earliest - Time(start.utc, scale="utc")).sec), start
    return seconds - float(seconds.min()), Start(utc=isot(earliest.utc), scale=scale, source="axis 3", kind="DATE-BEG")


def reference_time(header: fits.Header, *, scale: str) -> Time | None:
    """Return the reference time of a header: MJDREF, MJDREFI + MJDREFF, JDREF or DATEREF; None without them."""
    if card_text(header, "MJDREF") or card_text(header, "MJDREFI"):
        whole = _number(header, "MJDREF", _number(header, "MJDREFI", 0.0))
        fraction = 0.0 if card_text(header, "MJDREF") else _number(header, "MJDREFF", 0.0)
        return at_scale(Time(whole, fraction, format="mjd", scale=astropy_scale(scale)), scale)
    if card_text(header, "JDREF") or card_text(header, "JDREFI"):
        whole = _number(header, "JDREF", _number(header, "JDREFI", 0.0))
        fraction = 0.0 if card_text(header, "JDREF") else _number(header, "JDREFF", 0.0)
        if whole == 0.0:  # astropy writes it beside columns of whole Julian dates
            return None
        return at_scale(Time(whole, fraction, format="jd", scale=astropy_scale(scale)), scale)
    if text := card_text(header, "DATEREF"):
        return parse_time(text, scale=scale, what="DATEREF")[0]
    return None


def _number(header: fits.Header, card: str, default: float) -> float:
    text = card_text(header, card)
    try:
        return float(text) if text else default
    except ValueError:
        raise CubeError(f"{card} is {text!r}; it must be a number: correct it") from None
