"""Reads and writes CSV tables, also as spreadsheets and editors save them; errors name file and line."""

import csv
import io
import logging
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from helioloop.errors import HelioloopError
from helioloop.files import atomic
from helioloop.files.names import shown_name
from helioloop.files.table_header import Header, NotCsv, lines_of, open_table

log = logging.getLogger(__name__)

OnDoubt = Callable[[str], None]
"""Called with a sentence for each doubtful value that was read nevertheless."""

_WHOLE = re.compile(r"[+-]?\d+\Z")
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?\Z")


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table.

    Parameters
    ----------
    where : str
        File and line, as errors name them.
    cells : mapping of str to str
        Cell of each column, without surrounding white space; empty where the row is too short.
    """

    where: str
    cells: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeTable:
    """A table of which all is read, so that it can be written again.

    Parameters
    ----------
    comments : tuple of str
        The comment lines before the header, without line ends.
    columns : tuple of str
        The names in the header, in its order.
    rows : list of Row
        The rows.
    """

    comments: tuple[str, ...]
    columns: tuple[str, ...]
    rows: list[Row]


def log_doubt(sentence: str) -> None:
    """Log a doubt as a warning, for callers that do not show doubts themselves."""
    log.warning("%s", sentence)


def read_table(
    path: Path,
    *,
    needed: Sequence[str],
    optional: Sequence[str] = (),
    numbers: Collection[str] = (),
    key: str | None = None,
    error: type[HelioloopError],
    on_doubt: OnDoubt = log_doubt,
) -> list[Row]:
    """Read a table with a header line, separated by commas, semicolons, tabs or vertical bars.

    The delimiter is the one with which the header has all needed columns. A first line ``sep=;``, byte order marks,
    UTF-16, any line end, comment lines (``#``) before the header, empty rows and empty columns are accepted, and column
    names in other case or with spaces.

    Parameters
    ----------
    path : Path
        The table.
    needed : sequence of str
        Columns that must be there; their order does not matter, and other columns are read too.
    optional : sequence of str
        Further columns whose names may be written differently.
    numbers : collection of str
        Those of these columns that have numbers. Between commas, a decimal comma cuts a number in two and shifts all
        that follows; so in a table with such a column no row may have more cells than the header.
    key : str or None
        Column whose cells must all differ.
    error : type of HelioloopError
        Class of the errors raised.
    on_doubt : OnDoubt
        Called with a sentence about an encoding that was inferred, cells beyond the header, and repeated columns.

    Raises
    ------
    HelioloopError
        Of the class `error`, if the file is missing, unreadable, not text or not CSV, if it lacks a needed column or
        has one twice with different cells, if a number may be cut, or if two rows have the same key.
    """
    text, header = open_table(path, needed=needed, optional=optional, error=error, on_doubt=on_doubt)
    rows = _rows(path, text, header, asked={*needed, *optional}, numbers=numbers, error=error, on_doubt=on_doubt)
    if key is not None:
        _check_key(rows, key, error=error)
    return rows


def read_whole_table(
    path: Path, *, needed: Sequence[str], error: type[HelioloopError], on_doubt: OnDoubt = log_doubt
) -> WholeTable:
    """Read a table that is to be written again, as `read_table` does; what would be lost then is refused.

    Raises
    ------
    HelioloopError
        Of the class `error`, as from `read_table`; also if a column is there twice, cells are under no column name, or
        a comment in quotes has several lines.
    """
    text, header = open_table(path, needed=needed, error=error, on_doubt=on_doubt)
    twice = next((name for name, places in header.columns.items() if len(places) > 1), None)
    if twice is not None:
        raise error(
            f"{path}: column {twice!r} is there twice; a table that is written again must have each column once: "
            "remove or rename one"
        )
    rows = _rows(path, text, header, asked=set(needed), whole=True, error=error, on_doubt=on_doubt)
    lines = list(io.StringIO(text, newline=""))[: header.comments]
    comments = tuple(line.rstrip("\r\n") for line in lines if line.strip())
    if not all(comment.lstrip('" ').startswith("#") for comment in comments):
        raise error(
            f"{path}: a comment before the header has several lines; in a table that is written again each line of it "
            "must begin with #: put it there"
        )
    return WholeTable(comments=comments, columns=tuple(header.columns), rows=rows)


def write_table(
    path: Path,
    columns: Sequence[str],
    rows: Iterable[Mapping[str, object]],
    *,
    comments: Iterable[str] = (),
    keep_mode: bool = False,
) -> None:
    """Replace `path` by a CSV table in one step: a header line with `columns`, then one line per mapping in `rows`.

    Bytes of a file's name that are not text become escapes, see `helioloop.files.names.shown_name`.

    Parameters
    ----------
    path : Path
        The table.
    columns : sequence of str
        The header.
    rows : iterable of mapping
        Column -> cell.
    comments : iterable of str
        Lines before the header, each of which begins with ``#``.
    keep_mode : bool
        As in `atomic.replacing`.
    """
    text = io.StringIO(newline="")
    text.writelines(f"{_as_row(comment)}\n" for comment in comments)
    table = csv.DictWriter(text, columns, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    atomic.write_text(path, shown_name(text.getvalue()), keep_mode=keep_mode)


def and_more_rows(n: int) -> str:
    """Return how many rows a sentence is about besides the one that it names; empty for none."""
    return "" if n == 0 else " (and 1 more row)" if n == 1 else f" (and {n} more rows)"


def _as_row(comment: str) -> str:
    """Return a comment as it is if it is a row of a table with commas, else in quotes."""
    try:
        list(csv.reader([comment], strict=True, skipinitialspace=True))
    except csv.Error:
        return '"' + comment.replace('"', '""') + '"'
    return comment


def _rows(
    path: Path,
    text: str,
    header: Header,
    *,
    asked: set[str],
    numbers: Collection[str] = (),
    whole: bool = False,
    error: type[HelioloopError],
    on_doubt: OnDoubt,
) -> list[Row]:
    """Return the rows below the header; of a column that is there twice the first is read.

    Cells under no column name are a doubt, and an error where the `whole` table is asked for.
    """
    rows: list[Row] = []
    beyond: list[int] = []
    differing: dict[str, int] = {}
    places = {place for found in header.columns.values() for place in found}
    of_numbers = [place for name in numbers for place in header.columns.get(name, ())]
    try:
        for line, found_cells in lines_of(text, header.delimiter):
            if line <= header.line:
                continue
            if _may_be_cut(found_cells, header, of_numbers):
                raise error(
                    f"{path}, line {line}: it has {_width(found_cells)} cells and the header {_width(header.names)}; "
                    "a decimal comma, or one within a text, begins a new cell, so that the next ones are in other "
                    "columns: write decimal points, put such cells in quotes, or name each column"
                )
            cells = found_cells + [""] * (len(header.names) - len(found_cells))
            if any(cell for place, cell in enumerate(cells) if place not in places):
                beyond.append(line)
            for name, found in header.columns.items():
                if len({cells[place] for place in found}) > 1:
                    if name in asked:
                        several = " and ".join(repr(cells[place]) for place in found)
                        raise error(
                            f"{path}, line {line}: there are {len(found)} columns {name!r} and they have {several}; a "
                            "column may be there twice only with equal cells: remove or rename one"
                        )
                    differing.setdefault(name, line)
            rows.append(Row(f"{path}, line {line}", {name: cells[found[0]] for name, found in header.columns.items()}))
    except NotCsv as reason:
        raise error(f"{path}, line {reason.line}: it is not CSV ({reason}); write it again") from None
    for name, line in differing.items():
        on_doubt(f"{path}, line {line}: column {name!r} is there twice with different cells and the first is read")
    _report_unnamed(path, beyond, whole=whole, error=error, on_doubt=on_doubt)
    return rows


def _may_be_cut(cells: Sequence[str], header: Header, of_numbers: Sequence[int]) -> bool:
    """Return True for a row in which a decimal comma may have cut a number, so that the next cells are shifted.

    It has more cells than the header. Where a spreadsheet has made the header as wide as the row, a number is under no
    name, and the numbers before it are whole ones.
    """
    width = _width(cells)
    if header.delimiter != "," or not of_numbers:
        return False
    if width > len(header.names):
        return True
    if width <= (named := _width(header.names)):
        return False
    return bool(_NUMBER.match(cells[named])) and all(_WHOLE.match(cells[place]) for place in of_numbers)


def _width(cells: Sequence[str]) -> int:
    """Return the number of cells up to the last one that is not empty."""
    return max((place for place, cell in enumerate(cells, start=1) if cell), default=0)


def _report_unnamed(
    path: Path, lines: Sequence[int], *, whole: bool, error: type[HelioloopError], on_doubt: OnDoubt
) -> None:
    """Report the lines with cells under no column name: a doubt, or an error where the `whole` table is asked for."""
    if not lines:
        return
    found = f"{path}, line {lines[0]}{and_more_rows(len(lines) - 1)}: there are cells under no column name"
    if whole:
        raise error(f"{found}; a table that is written again must have a name for each: add it to the header")
    on_doubt(f"{found}, and they are ignored")


def _check_key(rows: Iterable[Row], key: str, *, error: type[HelioloopError]) -> None:
    """Refuse a table in which two rows have the same key."""
    seen: set[str] = set()
    for row in rows:
        if row.cells[key] in seen:
            raise error(f"{row.where}: {key} {row.cells[key]!r} is there twice; remove one of the two rows")
        seen.add(row.cells[key])
