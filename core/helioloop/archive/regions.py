"""The table of regions to follow: names, Carrington coordinates, and optionally when each was first seen."""

import math
import os
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from astropy.table import Table
from astropy.time import Time
from astropy.units import UnitBase
from astropy.utils.exceptions import AstropyWarning

from helioloop.data.region_name import region_name
from helioloop.data.table_cells import unquoted
from helioloop.data.time_text import is_missing_time, is_old_fits_date, parse_time
from helioloop.errors import CubeError, ReleaseError
from helioloop.files import tables
from helioloop.files.kinds import why_not_a_file
from helioloop.files.names import LONGEST_NAME, file_name, is_plain_name
from helioloop.files.tables import OnDoubt, log_doubt
from helioloop.records.region_spelling import region_key

COLUMNS = ("region", "carrington_lon", "carrington_lat")
FIRST_SEEN = "first_seen"

_CSV: Final = "CSV"
_VOTABLE: Final = "votable"
_FORMATS = {".csv": _CSV, ".ecsv": "ascii.ecsv", **dict.fromkeys((".vot", ".xml", ".votable"), _VOTABLE)}
_DATE = "_yyyymmdd"  # what a cube's name has after its region's
_ENDING = ".fits"
_LONGEST_BYTES = len(file_name("x" * 1000, _DATE + _ENDING)) - len(_DATE + _ENDING)
_LARGEST_LATITUDE = 75.0
_FEWEST_FOR_UNIT = 3
_SIGNS: Final = str.maketrans({"\u2212": "-", "\u2013": "-", "\u00a0": None})
_DECIMAL: Final = re.compile(r"([+-]?(?:\d+[.,]?\d*|[.,]\d+)(?:E[+-]?\d+)?)\s*°?\Z", re.ASCII)
_QUOTED: Final = ("=", '"', "'")
_DEGREES: Final = frozenset({"", "deg", "degs", "degree", "degrees"})
_SIDES: Final = {"N": "", "S": "-"}


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
    All names of a region are one, by `region_key`, and 0 and the codes of missing values are no name.
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
    by_place: dict[tuple[float, float, str | None], Region] = {}
    unknown: list[str] = []
    alike: list[str] = []
    for number, row in enumerate(table, start=1):
        where = f"{path}, row {number}"
        region = _region(where, row, has_first_seen=FIRST_SEEN in table.colnames)
        other = regions.setdefault(region_key(region.name), region)
        if other is not region:
            here = "" if other.name == region.name else f", in another row as {other.name!r}"
            raise ReleaseError(
                f"{where}: region {region.name!r} is there twice{here}; each has one row: rename or remove it"
            )
        first = by_place.setdefault((region.lon_deg, region.lat_deg, region.first_seen_tai), region)
        if first is not region:
            alike.append(f"{where}: region {region.name!r} has the place and time of {first.name!r}")
        if region.first_seen_tai is None and FIRST_SEEN in table.colnames and not _is_empty(row[FIRST_SEEN]):
            unknown.append(f"{where}: first_seen is {str(row[FIRST_SEEN]).strip()!r}")
    if unknown:
        on_doubt(
            f"{unknown[0]}{tables.and_more_rows(len(unknown) - 1)}, which stands for a missing time and is read as "
            "none; leave it empty"
        )
    if alike:
        on_doubt(
            f"{alike[0]}{tables.and_more_rows(len(alike) - 1)}, so their cubes are the same; leave one of them out, or "
            "correct its coordinates"
        )
    found = tuple(regions.values())
    if table["carrington_lon"].unit is None and _look_like_radians(found):
        on_doubt(
            f"{path}: all longitudes are below 2π and all latitudes within ± π/2, as in radians, and are read as "
            "degrees; convert them, or name the unit in an ECSV table"
        )
    return found


def why_not_a_region(name: str) -> str | None:
    """Return a name with the reason why no region can have it, and the remedy; None for a name that it can have."""
    if not region_name(name):
        return (
            f"{name[:60]!r}, which names no region, as 0, negative numbers and the codes of missing values: give the "
            "region a name, or leave it out"
        )
    cube = name + _DATE
    if is_plain_name(cube) and file_name(cube, _ENDING) == cube + _ENDING:
        return None
    return (
        f"{name[:60]!r}; cubes are named after it, so it must have 1 to {LONGEST_NAME - len(_DATE)} characters and at "
        f"most {_LONGEST_BYTES} bytes of UTF-8, without slashes, control characters or a leading dot: rename it"
    )


def _look_like_radians(regions: Sequence[Region]) -> bool:
    """Return True for three regions or more whose coordinates would all be radians; by chance one table in 100 000."""
    near = all(region.lon_deg <= 2.0 * math.pi and abs(region.lat_deg) <= math.pi / 2.0 for region in regions)
    return near and len(regions) >= _FEWEST_FOR_UNIT


def _read_table(path: Path, on_doubt: OnDoubt) -> Table:
    kind = _FORMATS.get(path.suffix.lower())
    if kind is None:
        raise ReleaseError(f"{path} ends in {path.suffix!r}; a table of regions is .csv, .ecsv or .vot: save it as one")
    if os.path.lexists(path) and (reason := why_not_a_file(path)) is not None:
        raise ReleaseError(f"{path} {reason}")
    if kind == _CSV:
        asked = (*COLUMNS, FIRST_SEEN)
        rows = tables.read_table(
            path, needed=COLUMNS, optional=asked[-1:], numbers=COLUMNS[1:], error=ReleaseError, on_doubt=on_doubt
        )
        columns = [column for column in asked if not rows or column in rows[0].cells]
        # text throughout: a region's name may look like a number with a leading zero
        cells = [[row.cells[column] for row in rows] for column in columns]
        return Table(cells, names=columns, dtype=[str] * len(columns))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyWarning)  # of VOTable's odd cards; the columns are checked below
            # STIL and others give columns an ID, which is not what people see as the name.
            options = {"use_names_over_ids": True} if kind == _VOTABLE else {}
            table = Table.read(path, format=kind, **options)
    except FileNotFoundError:
        raise ReleaseError(f"{path} is missing; name a table with the columns {', '.join(COLUMNS)}") from None
    except Exception as error:  # astropy's readers end in errors of any kind
        reason = str(error).split("\n", 1)[0]
        raise ReleaseError(f"{path} cannot be read as {kind} ({reason}); write it again") from error
    for name in list(table.colnames):
        plain = re.sub(r"[\s_-]+", "_", name.strip().removeprefix("\ufeff")).lower()
        if plain != name and plain not in table.colnames:
            table.rename_column(name, plain)
    return table


def _region(where: str, row: Any, *, has_first_seen: bool) -> Region:
    text = "" if row["region"] is np.ma.masked else unquoted(str(row["region"]))
    if (rule := why_not_a_region(text)) is not None:
        raise ReleaseError(f"{where}: region is {rule}")
    return Region(
        name=region_name(text),
        lon_deg=_degrees(where, row, "carrington_lon", low=-360.0, high=720.0) % 360.0,
        lat_deg=_degrees(where, row, "carrington_lat", low=-_LARGEST_LATITUDE, high=_LARGEST_LATITUDE),
        first_seen_tai=_time(where, row[FIRST_SEEN]) if has_first_seen else None,
    )


def _degrees(where: str, row: Any, column: str, *, low: float, high: float) -> float:
    cell = "" if row[column] is np.ma.masked else row[column]
    unit = _angle(where, column, getattr(row.table[column], "unit", None))
    try:
        number = _number(cell, column)
    except (TypeError, ValueError):  # such as an array
        number = math.nan
    value = number if unit is None else float(unit.to("deg", number))
    if not low <= value <= high:
        raise ReleaseError(
            f"{where}: {column} is {str(cell) or 'empty'}; it must be a number of degrees from {low:g} to {high:g}: "
            "correct it"
        )
    return value


def _angle(where: str, column: str, unit: UnitBase | None) -> UnitBase | None:
    """Return the unit of a column of angles; None for degrees, also where it is empty or spelt `degrees`."""
    if unit is None or str(unit).strip(" .").lower() in _DEGREES:
        return None
    try:
        unit.to("deg")
    except ValueError:  # also of a unit that astropy does not know
        raise ReleaseError(
            f"{where}: the unit of {column} is {str(unit)!r}; it must be one of angle, such as deg: correct it"
        ) from None
    return unit


def _number(cell: Any, column: str) -> float:
    """Return the number in a cell; NaN for text that is none.

    It may have a decimal comma, a typographic minus, a degree sign, N or S for a latitude, and Excel's ``="…"``.
    """
    if not isinstance(cell, str):
        return float(cell)
    text = unquoted(cell) if cell.startswith(_QUOTED) else cell  # 15' are minutes of arc
    text = text.translate(_SIGNS).strip().upper()
    for side in _SIDES if column == "carrington_lat" else ():
        unsigned = text.removeprefix(side) if text.startswith(side) else text.removesuffix(side)
        if unsigned != text and unsigned.strip()[:1].isdigit():
            text = _SIDES[side] + unsigned.strip()
            break
    found = _DECIMAL.match(text)  # float reads 1_00 as 100
    return float(found[1].replace(",", ".")) if found else math.nan


def _is_empty(value: Any) -> bool:
    return isinstance(value, Time) or str(value).strip() in {"", "--", "nan", "None"}


def _time(where: str, value: Any) -> str | None:
    text = unquoted(str(value))
    if isinstance(value, Time):
        return None if value.masked and bool(np.all(value.mask)) else str(value.tai.isot)
    if _is_empty(value) or is_missing_time(text):
        return None
    if is_old_fits_date(text):  # FITS says which number is the day, and spreadsheets have the order of a country
        raise ReleaseError(
            f"{where}: first_seen is {text!r}, which may be one of two days; a date begins with its year: write it as "
            "YYYY-MM-DD"
        )
    try:
        time, _ = parse_time(text, scale="utc", what="first_seen")
    except CubeError as error:
        raise ReleaseError(f"{where}: {error}") from None
    return str(time.tai.isot)
