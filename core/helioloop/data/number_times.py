"""Times of frames from numbers, which count from the start of the cube or from a date that unit or header names."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.time import Time
from numpy.typing import NDArray

from helioloop.data.column_times import ColumnTimes, from_days, plus, rounding_doubt
from helioloop.data.time_axis import reference_time
from helioloop.data.time_text import EARLIEST_YEAR, FIRST_MJD, LAST_MJD, LATEST_YEAR, parse_time
from helioloop.data.time_units import JULIAN_UNITS, SECONDS_PER_DAY, seconds_per, split_since, to_seconds
from helioloop.errors import CubeError

_JULIAN_DATES = (2.4e6, 2.5e6)  # 1858 to 2132; as days since a start they would be 6,600 years
_MJDS = (3.0e4, 8.0e4)  # 1941 to 2077; as days since a start they would be a century
_LONGEST_SECONDS = 1e8
"""Three years; a video that begins later after its start counts from a date that the file does not give."""
_INT16_RANGE = 45000
"""Times in 16-bit integers that span more than this have wrapped at 32767."""


def from_numbers(
    values: NDArray[Any],
    unit: str,
    *,
    headers: Sequence[fits.Header],
    scale: str | None,
    source: str,
    kind: str,
) -> ColumnTimes:
    """Return times given as numbers, which count from the start or from a date that headers or unit name.

    Parameters
    ----------
    values : array, shape (n_obs,)
        Numbers; NaN where unknown.
    unit : str
        Empty for seconds; may be ``JD``, ``MJD`` or name a date, as in ``days since 1998-12-06``.
    headers : sequence of Header
        Where MJDREF, JDREF or DATEREF is looked for.
    scale : str or None
        Time scale; None for UTC.
    source, kind
        See `ColumnTimes`.

    Raises
    ------
    CubeError
        If the unit is not a unit of time, or the numbers are too coarse, wrapped, or years after the start.
    """
    unit, date = split_since(unit)
    if unit.upper() in JULIAN_UNITS and not date:
        return from_days(values, scale=scale, source=source, kind=kind, offset_days=JULIAN_UNITS[unit.upper()])
    factor = seconds_per(unit)
    doubts: tuple[str, ...] = ()
    if factor == SECONDS_PER_DAY and not date:
        if _within(values, _JULIAN_DATES):
            return from_days(values, scale=scale, source=source, kind=kind, offset_days=JULIAN_UNITS["JD"])
        if _within(values, _MJDS):
            doubt = f"{source} is in days, begins at {np.nanmin(values):.0f} and was read as modified Julian dates"
            return from_days(values, scale=scale, source=source, kind=kind, doubts=(doubt,))
    if values.dtype.kind == "i" and values.dtype.itemsize == 2 and np.ptp(values.astype(np.int64)) > _INT16_RANGE:
        raise CubeError(
            f"{source} has 16-bit integers from {values.min()} to {values.max()}, which wrap at 32767; write it with "
            "32 bits or as floating point"
        )
    doubts += rounding_doubt(values, factor, source)
    seconds = to_seconds(values, unit)
    known = seconds[np.isfinite(seconds)]
    own = scale or "utc"
    if not known.size:
        return ColumnTimes(seconds=seconds, first=None, scale=own, source=source, kind=kind)
    earliest = float(known.min())
    found: tuple[Time, str] | None
    if date:
        first, own = _since_date(date, earliest, scale=own, source=source)
        found = first, f"{source} and its unit"
    else:
        found = _reference(headers, scale=own, source=source, earliest_seconds=earliest)
    if found is None:
        if earliest > _LONGEST_SECONDS:
            raise CubeError(
                f"{source} begins at {earliest:.6g} s, which is years after a start; if it counts from a date, give "
                "that date in MJDREF or DATEREF"
            )
        return ColumnTimes(seconds=seconds, first=None, scale=own, source=source, kind=kind, doubts=doubts)
    return ColumnTimes(
        seconds=seconds - earliest,
        first=found[0],
        scale=own,
        source=found[1],
        kind=kind,
        doubts=doubts,
    )


def _since_date(date: str, seconds: float, *, scale: str, source: str) -> tuple[Time, str]:
    """Return the time some seconds after the date in a unit, and its time scale.

    Such counts, as Unix time, have no leap seconds: a day of UTC has 86400 s.
    """
    zero, own = parse_time(date, scale=scale, what=f"the date in the unit of {source}")
    if not _is_of_magnetograms(zero, seconds):
        raise CubeError(
            f"{source} begins at {seconds:.6g} s after {date}, and must be from {EARLIEST_YEAR} to {LATEST_YEAR}: "
            "correct its unit"
        )
    if own == "utc":
        return Time(zero.jd1, zero.jd2 + seconds / SECONDS_PER_DAY, format="jd", scale="utc"), own
    return plus(zero, seconds), own


def _reference(
    headers: Sequence[fits.Header], *, scale: str, source: str, earliest_seconds: float
) -> tuple[Time, str] | None:
    """Return the time of the earliest value by the first reference time with a date of magnetograms, and its source."""
    cards: Mapping[str, str] = {"MJDREF": "MJDREF", "MJDREFI": "MJDREF", "JDREF": "JDREF", "JDREFI": "JDREF"}
    for header in headers:
        reference = reference_time(header, scale=scale)
        if reference is None:
            continue
        # FITS's default MJDREF = 0 stands beside times that count from the start, and astropy writes JDREF = 0.
        if _is_of_magnetograms(reference, earliest_seconds):
            card = next((cards[card] for card in cards if card in header), "DATEREF")
            return plus(reference, earliest_seconds), f"{card} and {source}"
    return None


def _is_of_magnetograms(reference: Time, seconds: float) -> bool:
    """Return True if the time some seconds after a reference is in the years of magnetograms."""
    return FIRST_MJD <= float(reference.mjd) + seconds / SECONDS_PER_DAY < LAST_MJD


def _within(values: NDArray[Any], limits: tuple[float, float]) -> bool:
    known = values[np.isfinite(values)]
    return bool(known.size and known.min() > limits[0] and known.max() < limits[1])
