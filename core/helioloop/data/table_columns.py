"""Columns of a table: reads names, units and values, with NaN in place of codes of missing numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from helioloop.data.fits import card_text, is_missing
from helioloop.data.time_text import canonical

ELAPSED = ("SECONDS", "DT", "ELAPSED", "TIME", "T", "SEC", "SECS", "TIMES")
"""Columns of times since the start, best first; canonical names."""
DATES = (
    "DATE-BEG", "DATE-OBS", "T-REC", "T-OBS", "DATE-AVG", "TIME", "TIMES", "T", "DATETIME", "DATE-TIME", "UTC", "TAI",
    "TIMESTAMP", "DATEOBS", "TREC", "TOBS", "OBS-TIME", "OBSTIME", "DATE-START", "START-TIME",
)  # fmt: skip
"""Columns of dates, best first; canonical names."""
PROCESSED = "DATE"
"""FITS reserves DATE for the time at which a file was written, so this column is used only if there is no other."""
_MISSING_INTEGERS = tuple(-(2**bits) for bits in (15, 31, 63))


@dataclass(frozen=True, slots=True, kw_only=True)
class TableColumn:
    """A column of a table.

    Parameters
    ----------
    name : str
        As in the file.
    values : array, shape (n_obs, …)
        NaN where a number is missing.
    unit : str
        TUNIT, else the table's TIMEUNIT; empty without them.
    """

    name: str
    values: NDArray[Any]
    unit: str

    @property
    def source(self) -> str:
        """The column, for people."""
        return f"column {self.name}"

    @property
    def is_number(self) -> bool:
        """Whether it has one number per frame."""
        return self.values.dtype.kind in "iuf" and self.values.ndim == 1

    @property
    def numbers(self) -> NDArray[Any] | None:
        """One number per frame, also where they are written as text; None where they are none."""
        if self.is_number:
            return self.values
        try:
            return (
                np.array([np.nan if is_missing(text) else float(text) for text in self.texts]) if self.texts else None
            )
        except ValueError:
            return None

    @property
    def texts(self) -> list[str]:
        """One text per frame; empty where the column has numbers."""
        return [str(value).strip() for value in self.values.astype(str)] if self.values.dtype.kind in "SU" else []


Columns = Mapping[str, TableColumn]
"""Columns by canonical name."""


def read_columns(hdu: fits.BinTableHDU | fits.TableHDU, n_frames: int) -> Columns:
    """Return the columns of a table by canonical name; a vector in its only row is taken as one value per frame."""
    default_unit = card_text(hdu.header, "TIMEUNIT")
    columns = {}
    for column in reversed(hdu.columns):
        values = np.asarray(hdu.data[column.name])
        if len(hdu.data) == 1 != n_frames:
            values = np.asarray(values[0])
            values = values.reshape(-1) if values.size == n_frames else values[None]
        unit = (column.unit or "").strip() or default_unit
        columns[canonical(column.name)] = TableColumn(
            name=column.name.strip(), values=_without_codes(values, column.null), unit=unit
        )
    return columns


def _without_codes(values: NDArray[Any], null: Any) -> NDArray[Any]:
    """Return a column with NaN in place of TNULL and of JSOC's missing integers; others are unchanged."""
    if values.dtype.kind not in "iu":
        return values
    missing = np.isin(values, [code for code in _MISSING_INTEGERS if code < -(2**15) or values.dtype.itemsize == 2])
    if isinstance(null, int):
        missing |= values == null
    return np.where(missing, np.nan, values) if missing.any() else values
