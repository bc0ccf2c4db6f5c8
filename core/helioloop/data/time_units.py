"""Units of time: converts numbers to seconds, and finds the date from which a unit counts."""

import re
from typing import Any

import numpy as np
from astropy import units
from numpy.typing import NDArray

from helioloop.errors import CubeError

Floats = NDArray[np.float64]

SECONDS_PER_DAY = 86400.0

JULIAN_UNITS = {"JD": 2400000.5, "MJD": 0.0}
"""Units of absolute days, and how many days they are ahead of the modified Julian date."""

_SECONDS_PER = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("ms", "msec", "msecs", "millisecond", "milliseconds"), 1e-3),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), SECONDS_PER_DAY),
}
_SINCE = re.compile(r"(?P<unit>[A-Za-z]+)\s+(?:since|after|from)\s+(?P<date>.*\d.*)\Z", re.IGNORECASE)


def to_seconds(values: NDArray[Any], unit: str) -> Floats:
    """Convert times from `unit` (empty: seconds) to seconds, same shape.

    Raises
    ------
    CubeError
        If the unit is not a unit of time.
    """
    return np.asarray(values.astype(np.float64) * seconds_per(unit))


def seconds_per(unit: str) -> float:
    """Return the length of a unit of time in seconds; it may be spelt out, in any case, and in brackets.

    Raises
    ------
    CubeError
        If it is not a unit of time.
    """
    name = unit.strip().strip("[]().").strip()
    if not name:
        return 1.0
    if name.lower() in _SECONDS_PER and name != "Ms":  # a megasecond
        return _SECONDS_PER[name.lower()]
    try:
        return float(units.Unit(name, parse_strict="raise").to(units.s))
    except (ValueError, TypeError):
        raise CubeError(
            f"the unit of its times is {unit!r}; it must be a unit of time, such as s: correct it"
        ) from None


def split_since(unit: str) -> tuple[str, str]:
    """Return unit and date of a unit such as ``hours since 1998-12-06 00:00``; the date is empty in other units."""
    found = _SINCE.match(unit.strip())
    return (found["unit"], found["date"].strip()) if found else (unit, "")
