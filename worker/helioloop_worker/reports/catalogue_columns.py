"""The catalogue as an astropy table: columns with description, unit and UCD, masked values, times with a scale."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy import units
from astropy.table import MaskedColumn, Table
from astropy.time import Time

from helioloop_worker.reports.catalogue_table import Entry

MISSING_FRAME = -1
"""Stored in place of an unknown frame where a format needs a number; readers get a masked value."""

_ANY_TIME = "2000-01-01T00:00:00"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of the catalogue.

    Parameters
    ----------
    kind : type
        str, int or float.
    description : str
        What it contains, one line.
    ucd : str
        Words of the IVOA's controlled vocabulary UCD1+.
    unit : str or None
        As astropy writes it; None without a unit.
    scale : str or None
        Time scale of a column of times, ``"utc"`` or ``"tai"``; None for other columns.
    """

    kind: type
    description: str
    ucd: str
    unit: str | None = None
    scale: str | None = None


CATALOGUE_COLUMNS: Mapping[str, Column] = {
    "release": Column(kind=str, description="Release that contains the cube", ucd="meta.id;meta.dataset"),
    "cube": Column(kind=str, description="Name of the cube, one observed video", ucd="meta.id;meta.main"),
    "region": Column(kind=str, description="Region that the cube follows", ucd="meta.id;src"),
    "label": Column(kind=str, description="Current label: emergence or non-emergence", ucd="src.class"),
    "label_source": Column(
        kind=str,
        description="Source of the current label: crude, majority, ground truth or tied",
        ucd="meta.note;src.class",
    ),
    "crude_label": Column(kind=str, description="Label by the rule of first detection", ucd="src.class"),
    "label_predicted": Column(kind=str, description="Class predicted by the ensemble", ucd="src.class;meta.modelled"),
    "disagreement": Column(
        kind=float, description="1 - out-of-fold probability of the current label", ucd="stat.probability"
    ),
    "p_emergence": Column(
        kind=float,
        description="Probability of emergence, mean over the members that were not trained on the cube, each combined "
        "with the local growth where the recipe measures it",
        ucd="stat.probability",
    ),
    "p_spread": Column(
        kind=float,
        description="Standard deviation of p_emergence over these members",
        ucd="stat.stdev;stat.probability",
    ),
    "p_calibrated": Column(
        kind=float,
        description="Probability of emergence, calibrated on the audit sample",
        ucd="stat.probability;meta.calibLevel",
    ),
    "emergence_frame": Column(
        kind=int, description="Emergence frame, 0-based on the grid of the cube", ucd="meta.number;time.epoch"
    ),
    "emergence_frame_lo": Column(
        kind=int,
        description="First frame of the interval; 0 means at frame 0 or earlier",
        ucd="meta.number;time.epoch;stat.min",
    ),
    "emergence_frame_hi": Column(
        kind=int, description="Last frame of the interval", ucd="meta.number;time.epoch;stat.max"
    ),
    "emergence_frame_from": Column(
        kind=str, description="Source of the frame, and calibration of its interval", ucd="meta.note;time.epoch"
    ),
    "emergence_time_utc": Column(
        kind=str, description="Start of the emergence frame, UTC", ucd="time.epoch", scale="utc"
    ),
    "emergence_time_tai": Column(
        kind=str, description="Start of the emergence frame, TAI", ucd="time.epoch", scale="tai"
    ),
    "model_version": Column(kind=str, description="Version that scored the cube", ucd="meta.version"),
    "carrington_lon": Column(
        kind=float, description="Carrington longitude of the region", ucd="pos.bodyrc.lon", unit="deg"
    ),
    "carrington_lat": Column(
        kind=float, description="Heliographic latitude of the region", ucd="pos.bodyrc.lat", unit="deg"
    ),
}


def as_table(entries: Sequence[Entry], *, version: str) -> Table:
    """Return the catalogue as a table of masked columns; the times are text in ISO 8601.

    Unknown values are masked. Characters that cannot be printed, and so are not allowed in XML, become ``?``.
    """
    rows = [entry.values(version) for entry in entries]
    table = Table()
    for name, column in CATALOGUE_COLUMNS.items():
        values = [row[name] for row in rows]
        table[name] = _masked_column(values, column)
        table[name].description = column.description
        table[name].unit = column.unit and units.Unit(column.unit)
        table[name].meta["ucd"] = column.ucd
    return table


def with_times(table: Table) -> Table:
    """Return a copy of a table whose columns of times are astropy times in their scale; unknown times are masked."""
    copy = table.copy()
    for name, column in CATALOGUE_COLUMNS.items():
        if column.scale is not None:
            copy.replace_column(name, _times(table[name], column.scale))
            copy[name].info.description = column.description
            copy[name].info.meta = {"ucd": column.ucd}
    return copy


def _masked_column(values: Sequence[Any], column: Column) -> MaskedColumn:
    mask = [value is None for value in values]
    if column.kind is str:
        texts = ["" if value is None else _printable(str(value)) for value in values]
        width = max((len(text) for text in texts), default=0) or 1
        return MaskedColumn(np.array(texts, dtype=f"U{width}"), mask=mask, fill_value="")
    fill = MISSING_FRAME if column.kind is int else np.nan
    kind = np.int32 if column.kind is int else np.float64
    data = np.array([fill if value is None else value for value in values], dtype=kind)
    return MaskedColumn(data, mask=mask, fill_value=fill)


def _times(column: MaskedColumn, scale: str) -> Time:
    mask = np.asarray(column.mask)
    texts = np.where(mask, _ANY_TIME, np.asarray(column.data.data))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # from ERFA: leap seconds of distant years are unknown
        times = Time(texts, format="isot", scale=scale)
    if mask.any():
        times[mask] = np.ma.masked
    return times


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)
