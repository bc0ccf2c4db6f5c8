"""Times that astropy wrote into a table: a ``Time`` as pairs of Julian dates, or its two parts as columns."""

from collections.abc import Iterator
from functools import partial

import numpy as np
from astropy.io import fits
from astropy.time import Time

from helioloop.data.column_times import Reader, from_julian_dates


def astropy_times(hdu: fits.BinTableHDU | fits.TableHDU, *, scale: str | None) -> Iterator[Reader]:
    """Return the times in a column that astropy wrote from a ``Time``, or in its two parts ``….jd1`` and ``….jd2``.

    Parameters
    ----------
    hdu : HDU
        The table.
    scale : str or None
        Time scale of columns without TCTYP; None for UTC.
    """
    names = {column.name.lower(): column.name for column in hdu.columns}
    for column in hdu.columns:
        name = column.name
        own = str(column.coord_type or "").lower()
        if own in Time.SCALES and np.ndim(hdu.data[name]) == 2 and hdu.data[name].shape[1] == 2:
            whole, rest = np.asarray(hdu.data[name], dtype=np.float64).T
            yield partial(from_julian_dates, whole, rest, scale=own, source=f"column {name}")
        if name.lower().endswith((".jd1", "_jd1")) and (other := names.get(f"{name[:-1].lower()}2")):
            parts = [np.asarray(hdu.data[part]) for part in (name, other)]
            if any(part.dtype.kind not in "iuf" or part.ndim != 1 for part in parts):
                continue
            whole, rest = (part.astype(np.float64) for part in parts)
            yield partial(from_julian_dates, whole, rest, scale=scale, source=f"columns {name} and {other}")
