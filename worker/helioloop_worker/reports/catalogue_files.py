"""Writes the catalogue as CSV, ECSV, VOTable or FITS; the file's ending chooses the format."""

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from astropy.io import fits
from astropy.io.votable.tree import Info, Param, Resource, TableElement, TimeSys, VOTableFile
from astropy.table import Table

from helioloop.errors import WrongUsage
from helioloop.files import atomic
from helioloop_worker.reports.catalogue import Catalogue
from helioloop_worker.reports.catalogue_columns import CATALOGUE_COLUMNS, MISSING_FRAME, as_table, with_times
from helioloop_worker.reports.catalogue_endings import CSV, VOTABLES, check_ending
from helioloop_worker.reports.catalogue_table import write_catalogue
from helioloop_worker.reports.provenance import Fact, provenance

VOTABLE_VERSION = "1.4"
"""The first version with TIMESYS, which gives the scale of times."""

_CARD_VALUE = 70
"""Characters of a FITS card after its keyword, for value and comment."""


def write_catalogue_file(path: Path, catalogue: Catalogue) -> None:
    """Write one row per cube in the format of the file's ending; an existing file is replaced in one step.

    CSV has the columns `catalogue_table.COLUMNS` alone. The other formats have `CATALOGUE_COLUMNS` with descriptions,
    units and UCDs, and the provenance.

    Raises
    ------
    WrongUsage
        If no format has this ending, or FITS cannot store a name.
    """
    ending = check_ending(path)
    if ending == CSV:
        write_catalogue(path, catalogue.entries, version=catalogue.version)
    else:
        table = as_table(catalogue.entries, version=catalogue.version)
        atomic.write_bytes(path, _FORMATS[ending](table, provenance(catalogue)))


def _ecsv(table: Table, facts: Sequence[Fact]) -> bytes:
    timed = with_times(table)
    timed.meta.update({fact.name: fact.value for fact in facts})
    text = io.StringIO()
    timed.write(text, format="ascii.ecsv", delimiter=",")
    return text.getvalue().encode()


def _votable(table: Table, facts: Sequence[Fact]) -> bytes:
    document = VOTableFile(version=VOTABLE_VERSION)
    resource = Resource(name="catalogue")
    document.resources.append(resource)
    for scale in ("utc", "tai"):
        # Archives do not say for which place the times of their headers are.
        system = TimeSys(
            ID=f"time_{scale}", timescale=scale.upper(), refposition="UNKNOWN", config={"version_1_4_or_later": True}
        )
        resource.time_systems.append(system)
    made = TableElement.from_table(document, table)
    made.name = "catalogue"
    made.description = "Labels, scores and emergence times of bipolar magnetic regions"
    made.format = "tabledata"  # an unknown text is an empty one: VOTable's readers make no difference
    for field in made.fields:
        column = CATALOGUE_COLUMNS[field.name]
        if column.scale is not None:
            field.ref = f"time_{column.scale}"
            field.xtype = "timestamp"
        if column.kind is int:
            field.values.null = MISSING_FRAME
    for fact in facts:
        _add_fact(made, fact, document)
    resource.tables.append(made)
    file = io.BytesIO()
    document.to_xml(file)
    return file.getvalue()


def _add_fact(table: TableElement, fact: Fact, document: VOTableFile) -> None:
    """Add a number as PARAM and a text as INFO: astropy would escape the text of a PARAM twice."""
    if isinstance(fact.value, str):
        info = Info(ID=f"provenance_{fact.name}", name=fact.name, value=fact.value)
        info.content = fact.description
        table.infos.append(info)
    else:
        datatype = "int" if isinstance(fact.value, int) else "double"
        param = Param(document, ID=f"provenance_{fact.name}", name=fact.name, value=fact.value, datatype=datatype)
        param.description = fact.description
        table.params.append(param)


def _fits(table: Table, facts: Sequence[Fact]) -> bytes:
    for name in table.colnames:
        _check_ascii(table, name)
    columns = fits.table_to_hdu(_without_metadata(table))
    columns.name = "CATALOGUE"
    header = columns.header
    for number, name in enumerate(table.colnames, start=1):
        column = CATALOGUE_COLUMNS[name]
        header.set(f"TUCD{number}", column.ucd, after=f"TFORM{number}")
        header.set(f"TCOMM{number}", column.description, after=f"TFORM{number}")
        if column.scale is not None:
            header.set(f"TCTYP{number}", column.scale.upper(), "time scale", after=f"TFORM{number}")
    header["TIMESYS"] = ("UTC", "default time scale")
    for fact in facts:
        value = fact.value.encode("ascii", "backslashreplace").decode() if isinstance(fact.value, str) else fact.value
        header[fact.keyword] = (value, fact.description if _comment_fits(value, fact.description) else None)
    file = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), columns]).writeto(file, checksum=True)
    return file.getvalue()


def _comment_fits(value: str | int | float, comment: str) -> bool:
    """Return True if a card has room for a comment: a text that fills its card leaves none, a longer one continues."""
    quoted = max(len(value), 8) + value.count("'") + 2 if isinstance(value, str) else 20
    return quoted > _CARD_VALUE or quoted + len(f" / {comment}") <= _CARD_VALUE


def _without_metadata(table: Table) -> Table:
    """Return the columns with their units alone; astropy would store the rest in COMMENT cards of its own."""
    plain = Table()
    for name in table.colnames:
        plain[name] = table[name].copy()
        plain[name].description = None
        plain[name].meta.clear()
    return plain


def _check_ascii(table: Table, name: str) -> None:
    """Refuse text that a FITS table cannot store."""
    if CATALOGUE_COLUMNS[name].kind is not str:
        return
    for text in table[name].filled(""):
        if not str(text).isascii():
            raise WrongUsage(
                f"the {name} {str(text)!r} has other characters than ASCII, which a FITS table cannot store; name a "
                "file that ends in .ecsv or .vot"
            )


_FORMATS: Mapping[str, Callable[[Table, Sequence[Fact]], bytes]] = {
    ".ecsv": _ecsv,
    **dict.fromkeys(VOTABLES, _votable),
    ".fits": _fits,
}
