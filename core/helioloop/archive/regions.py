"""The table of regions to follow: names, Carrington coordinates, and optionally when each was first seen."""

import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from astropy.table import Table
from astropy.time import Time
from astropy.units import UnitConversionError
from astropy.utils.exceptions import AstropyWarning

from helioloop.data.time_text import parse_time
from helioloop.errors import CubeError, ReleaseError
from helioloop.files import tables
from helioloop.files.names import LONGEST_NAME, is_plain_name
from helioloop.files.tables import OnDoubt, log_doubt

COLUMNS = ("region", "carrington_lon", "carrington_lat")
FIRST_SEEN = "first_seen"

_CSV: Final = "CSV"
_FORMATS = {".csv": _CSV, ".ecsv": "ascii.ecsv", ".vot": "votable", ".xml": "votable", ".votable": "votable"}
_DATE = "_yyyymmdd"  # what a cube's name has after its region's
_LARGEST_LATITUDE = 75.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A region to follow.

    Parameters
    ----------
    name : str
        Its name; cubes are named after it.
    lon_deg, lat_deg : float
        Carrington longitude in [0, 360) and latitude of the patch's centre.
    first_seen_tai : str or None
        When it was first seen, ISO 8601, TAI; None where the table does not say.
    """

    name: str
    lon_deg: float
    lat_deg: float
    first_seen_tai: str | None = None

    @property
    def row(self) -> str:
        """The region's values as text; a corrected row differs."""
        return f"{self.name} {self.lon_deg!r} {self.lat_deg!r} {self.first_seen_tai}"


def read_regions(path: Path, *, on_doubt: OnDoubt = log_doubt) -> tuple[Region, ...]:
    """Read a table of regions: CSV, ECSV or VOTable by the file's ending, in the table's order.

    The columns ``region``, ``carrington_lon`` and ``carrington_lat`` (degrees) must be there; ``first_seen`` is a time
    (ISO 8601 or JSOC's spelling, UTC where it names no scale; a day alone is its midnight). Other columns are ignored.
    See `helioloop.files.tables` for the kinds of CSV; `on_doubt` is called with what is doubtful in one.

    Raises
    ------
    ReleaseError
        If the table cannot be read or a row breaks a rule; the text names file, row, value and rule.
    """
    table = _read_table(path, on_doubt)
    absent = [column for column in COLUMNS if column not in table.colnames]
    if absent:
        raise ReleaseError(
            f"{path} has no column {absent[0]!r}; a table of regions has the columns {', '.join(COLUMNS)}: add it"
        )
    if not len(table):
        raise ReleaseError(f"{path} has no row; it must name at least one region: add one")
    regions: dict[str, Region] = {}
    for number, row in enumerate(table, start=1):
        where = f"{path}, row {number}"
        region = _region(where, row, has_first_seen=FIRST_SEEN in table.colnames)
        if region.name in regions:
            raise ReleaseError(f"{where}: region {region.name!r} is there twice; each has one row: rename or remove it")
        regions[region.name] = region
    return tuple(regions.values())


def _read_table(path: Path, on_doubt: OnDoubt) -> Table:
    kind = _FORMATS.get(path.suffix.lower())
    if kind is None:
        raise ReleaseError(f"{path} ends in {path.suffix!r}; a table of regions is .csv, .ecsv or .vot: rename it")
    if kind == _CSV:
        asked = (*COLUMNS, FIRST_SEEN)
        rows = tables.read_table(path, needed=COLUMNS, optional=asked[-1:], error=ReleaseError, on_doubt=on_doubt)
        columns = [column for column in asked if not rows or column in rows[0].cells]
        # text throughout: a region's name may look like a number with a leading zero
        cells = [[row.cells[column] for row in rows] for column in columns]
        return Table(cells, names=columns, dtype=[str] * len(columns))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyWarning)  # of VOTable's odd cards; the columns are checked below
            table = Table.read(path, format=kind)
    except FileNotFoundError:
        raise ReleaseError(f"{path} is missing; name a table with the columns {', '.join(COLUMNS)}") from None
    except Exception as error:  # astropy's readers end in errors of any kind
        reason = str(error).split("\n", 1)[0]
        raise ReleaseError(f"{path} cannot be read as {kind} ({reason}); write it again") from error
    for name in list(table.colnames):
        plain = name.strip().removeprefix("\ufeff").lower()
        if plain != name and plain not in table.colnames:
            table.rename_column(name, plain)
    return table


def _region(where: str, row: Any, *, has_first_seen: bool) -> Region:
    name = "" if row["region"] is np.ma.masked else str(row["region"]).strip()
    if not name or not is_plain_name(name + _DATE):
        raise ReleaseError(
            f"{where}: region is {name[:60]!r}; cubes are named after it, so it must have 1 to "
            f"{LONGEST_NAME - len(_DATE)} characters, without slashes or a leading dot: rename it"
        )
    return Region(
        name=name,
        lon_deg=_degrees(where, row, "carrington_lon", low=-360.0, high=720.0) % 360.0,
        lat_deg=_degrees(where, row, "carrington_lat", low=-_LARGEST_LATITUDE, high=_LARGEST_LATITUDE),
        first_seen_tai=_time(where, row[FIRST_SEEN]) if has_first_seen else None,
    )


def _degrees(where: str, row: Any, column: str, *, low: float, high: float) -> float:
    text = row[column]
    unit = getattr(row.table[column], "unit", None)
    try:
        value = float(_with_point(text)) if unit is None else float(unit.to("deg", float(text)))
    except (TypeError, ValueError, UnitConversionError):  # masked, text, or a unit that is not an angle
        value = math.nan
    if not low <= value <= high:
        raise ReleaseError(
            f"{where}: {column} is {text!s}; it must be a number of degrees from {low:g} to {high:g}: correct it"
        )
    return value


def _with_point(text: Any) -> Any:
    """Return a number with a decimal comma, as spreadsheets of some countries write it, with a point."""
    return text.replace(",", ".") if isinstance(text, str) and text.count(",") == 1 and "." not in text else text


def _time(where: str, value: Any) -> str | None:
    text = str(value).strip()
    if isinstance(value, Time):
        return None if value.masked and bool(np.all(value.mask)) else str(value.tai.isot)
    if text in {"", "--", "nan", "None"}:
        return None
    try:
        time, _ = parse_time(text, scale="utc", what="first_seen")
    except CubeError as error:
        raise ReleaseError(f"{where}: {error}") from None
    return str(time.tai.isot)
