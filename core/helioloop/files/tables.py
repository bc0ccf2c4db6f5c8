"""Reads and writes CSV tables, also as spreadsheets and editors save them; errors name file and line."""

import csv
import io
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from helioloop.errors import HelioloopError
from helioloop.files import atomic
from helioloop.files.decoding import NotText, decode_text
from helioloop.files.kinds import why_not_a_file
from helioloop.files.names import shown_name
from helioloop.files.path_errors import remedy_of_reading

log = logging.getLogger(__name__)

OnDoubt = Callable[[str], None]
"""Called with a sentence for each doubtful value that was read nevertheless."""

DELIMITERS = (",", ";", "\t", "|")
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?[,;\t]*\r?\n?\Z', re.IGNORECASE)  # the first line that Excel writes


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
        has one twice with different cells, or if two rows have the same key.
    """
    text, header = _opened(path, needed=needed, optional=optional, error=error, on_doubt=on_doubt)
    rows = _rows(path, text, header, asked={*needed, *optional}, error=error, on_doubt=on_doubt)
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
    text, header = _opened(path, needed=needed, error=error, on_doubt=on_doubt)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Header:
    """The header of a table if it is separated by `delimiter`.

    Parameters
    ----------
    delimiter : str
        One character.
    line : int
        The line of the header, counted from 1.
    names : list of str
        The cells of the header.
    problem : str or None
        Why the header is not CSV.
    columns : mapping of str to list of int
        Column name -> where it is; several places if it is there twice.
    comments : int
        Lines up to the last comment before the header.
    """

    delimiter: str
    line: int = 1
    names: list[str] = field(default_factory=list)
    problem: str | None = None
    columns: Mapping[str, list[int]] = field(default_factory=dict)
    comments: int = 0


def _as_row(comment: str) -> str:
    """Return a comment as it is if it is a row of a table with commas, else in quotes."""
    try:
        list(csv.reader([comment], strict=True, skipinitialspace=True))
    except csv.Error:
        return '"' + comment.replace('"', '""') + '"'
    return comment


def _opened(
    path: Path,
    *,
    needed: Sequence[str],
    optional: Sequence[str] = (),
    error: type[HelioloopError],
    on_doubt: OnDoubt,
) -> tuple[str, _Header]:
    """Return the text of a table and its header, which has the needed columns; raise `error` otherwise."""
    header_line = ",".join(needed)
    try:
        text, inferred = decode_text(path.read_bytes())
    except FileNotFoundError:
        if path.is_symlink():
            raise error(f"{path} {why_not_a_file(path)}") from None
        raise error(f"{path} is missing; write a CSV table that has at least the header line {header_line}") from None
    except NotText as reason:
        raise error(f"{path}: {reason}") from None
    except OSError as reason:
        remedy = remedy_of_reading(reason) or "check the disk, or write the file again"
        raise error(f"{path} cannot be read ({reason.strerror}); {remedy}") from None
    if inferred is not None:
        on_doubt(f"{path} is not UTF-8 and was read as {inferred}; save it as UTF-8 if a name in it looks wrong")
    text, delimiters = _without_separator_line(text)
    headers = [_find_header(text, delimiter, needed=needed, optional=optional) for delimiter in delimiters]
    header = max(headers, key=lambda header: len(header.columns.keys() & set(needed)))  # the first of equally good ones
    missing = [column for column in needed if column not in header.columns]
    if missing:
        if header.problem is not None:
            raise error(f"{path}, line {header.line}: it is not CSV ({header.problem}); write it again")
        found = f", and it names {','.join(header.names)}" if header.names else ""
        raise error(f"{path} has no column {missing[0]!r}; its first line must name {header_line}{found}: add it")
    return text, header


def _without_separator_line(text: str) -> tuple[str, tuple[str, ...]]:
    """Return the text with Excel's line ``sep=;`` emptied, and the delimiters to try, the named one first."""
    first = next(iter(io.StringIO(text, newline="")), "")
    named = _SEPARATOR_LINE.match(first)
    if named is None:
        return text, DELIMITERS
    return "\n" + text[len(first) :], tuple(dict.fromkeys((named[1], *DELIMITERS)))


def _lines(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the line number and the cells, stripped, of each row that is not empty."""
    # QUOTE_MINIMAL with spaces skipped: `a, "b, c"` has two cells.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True)
    try:
        for values in reader:
            cells = [value.strip() for value in values]
            if any(cells):
                yield reader.line_num, cells
    except csv.Error as problem:
        raise _NotCsv(reader.line_num, str(problem)) from None


class _NotCsv(Exception):
    """A line and why it is not CSV."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(problem)
        self.line = line


def _find_header(text: str, delimiter: str, *, needed: Sequence[str], optional: Sequence[str]) -> _Header:
    """Return the first row that is not a comment; a comment that names the needed columns is the header, too."""
    asked = {_plain(column): column for column in (*needed, *optional)}
    comments = 0
    try:
        for line, cells in _lines(text, delimiter):
            names = [cells[0].lstrip("# "), *cells[1:]]
            columns: dict[str, list[int]] = {}
            for place, name in enumerate(names):
                if name:
                    columns.setdefault(asked.get(_plain(name), name), []).append(place)
            if not cells[0].startswith("#") or columns.keys() >= set(needed):
                return _Header(delimiter=delimiter, line=line, names=names, columns=columns, comments=comments)
            comments = line
    except _NotCsv as reason:
        return _Header(delimiter=delimiter, line=reason.line, problem=str(reason))
    return _Header(delimiter=delimiter)


def _plain(name: str) -> str:
    """Return a column name in lower case, with underscores for spaces and hyphens."""
    return re.sub(r"[\s_-]+", "_", name.strip("\ufeff\"' ")).casefold()


def _rows(
    path: Path,
    text: str,
    header: _Header,
    *,
    asked: set[str],
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
    try:
        for line, found_cells in _lines(text, header.delimiter):
            if line <= header.line:
                continue
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
    except _NotCsv as reason:
        raise error(f"{path}, line {reason.line}: it is not CSV ({reason}); write it again") from None
    for name, line in differing.items():
        on_doubt(f"{path}, line {line}: column {name!r} is there twice with different cells and the first is read")
    _report_unnamed(path, beyond, whole=whole, error=error, on_doubt=on_doubt)
    return rows


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
