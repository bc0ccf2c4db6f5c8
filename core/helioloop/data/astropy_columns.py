"""Times that astropy wrote into a table: a ``Time`` as pairs of Julian dates, or its two parts as columns."""

import warnings
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.table import Table
from astropy.time import Time
from astropy.utils.exceptions import AstropyWarning
from numpy.typing import NDArray

from helioloop.data.column_times import ColumnTimes, Reader, from_times
from helioloop.data.time_units import SECONDS_PER_DAY


def astropy_times(hdu: fits.BinTableHDU | fits.TableHDU, *, scale: str | None) -> Iterator[Reader]:
    """Return the times in a column that astropy wrote from a ``Time``, or in its two parts ``….jd1`` and ``….jd2``."""
    names = {column.name.lower(): column.name for column in hdu.columns}
    for column in hdu.columns:
        name = column.name
        if column.coord_type and np.ndim(hdu.data[name]) == 2:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", AstropyWarning)
                time = Table.read(hdu, astropy_native=True)[name]
            if isinstance(time, Time):
                yield partial(from_times, time, source=f"column {name}")
        if name.lower().endswith((".jd1", "_jd1")) and (other := names.get(f"{name[:-1].lower()}2")):
            whole, rest = (np.asarray(hdu.data[part], dtype=np.float64) for part in (name, other))
            yield partial(_two_parts, whole, rest, scale=scale, source=f"columns {name} and {other}")


def _two_parts(whole: NDArray[Any], rest: NDArray[Any], *, scale: str | None, source: str) -> ColumnTimes:
    """Return times in two columns, Julian dates or, from a ``TimeDelta``, days since the start."""
    known = np.isfinite(whole + rest)
    if known.any() and np.all(np.abs(whole[known] + rest[known]) < SECONDS_PER_DAY):
        days = whole + rest
        return ColumnTimes(
            seconds=days * SECONDS_PER_DAY, first=None, scale=scale or "utc", source=source, kind="SECONDS"
        )
    return from_times(
        Time(whole, rest, format="jd", scale=scale if scale not in {None, "gps"} else "utc"), source=source
    )
