"""The header of a CSV table: which line it is, by what its cells are separated, and where each column is."""

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from helioloop.errors import HelioloopError
from helioloop.files.decoding import NotText, decode_text
from helioloop.files.kinds import why_not_a_file
from helioloop.files.path_errors import remedy_of_reading

DELIMITERS = (",", ";", "\t", "|")
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?[,;\t]*\r?\n?\Z', re.IGNORECASE)  # the first line that Excel writes


class NotCsv(Exception):
    """A line and why it is not CSV."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(problem)
        self.line = line


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
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


def open_table(
    path: Path,
    *,
    needed: Sequence[str],
    optional: Sequence[str] = (),
    error: type[HelioloopError],
    on_doubt: Callable[[str], None],
) -> tuple[str, Header]:
    """Return the text of a table and its header, which has the needed columns.

    Parameters
    ----------
    path, needed, optional, error, on_doubt
        As for `helioloop.files.tables.read_table`.

    Returns
    -------
    text : str
        The whole text; a line ``sep=;`` is emptied, so that lines keep their numbers.
    header : Header
        The header.

    Raises
    ------
    HelioloopError
        Of the class `error`, if the file is missing, unreadable, not text or not CSV, or lacks a needed column.
    """
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


def lines_of(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the line number and the cells, stripped, of each row that is not empty.

    Raises
    ------
    NotCsv
        At the row that is none.
    """
    # QUOTE_MINIMAL with spaces skipped: `a, "b, c"` has two cells.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True)
    try:
        for values in reader:
            cells = [value.strip() for value in values]
            if any(cells):
                yield reader.line_num, cells
    except csv.Error as problem:
        raise NotCsv(reader.line_num, str(problem)) from None


def _without_separator_line(text: str) -> tuple[str, tuple[str, ...]]:
    """Return the text with Excel's line ``sep=;`` emptied, and the delimiters to try, the named one first."""
    first = next(iter(io.StringIO(text, newline="")), "")
    named = _SEPARATOR_LINE.match(first)
    if named is None:
        return text, DELIMITERS
    return "\n" + text[len(first) :], tuple(dict.fromkeys((named[1], *DELIMITERS)))


def _find_header(text: str, delimiter: str, *, needed: Sequence[str], optional: Sequence[str]) -> Header:
    """Return the first row that is not a comment; a comment that names the needed columns is the header, too."""
    asked = {_plain(column): column for column in (*needed, *optional)}
    comments = 0
    try:
        for line, cells in lines_of(text, delimiter):
            names = [cells[0].lstrip("# "), *cells[1:]]
            columns: dict[str, list[int]] = {}
            for place, name in enumerate(names):
                if name:
                    columns.setdefault(asked.get(_plain(name), name), []).append(place)
            if not cells[0].startswith("#") or columns.keys() >= set(needed):
                return Header(delimiter=delimiter, line=line, names=names, columns=columns, comments=comments)
            comments = line
    except NotCsv as reason:
        return Header(delimiter=delimiter, line=reason.line, problem=str(reason))
    return Header(delimiter=delimiter)


def _plain(name: str) -> str:
    """Return a column name in lower case, with underscores for spaces and hyphens."""
    return re.sub(r"[\s_-]+", "_", name.strip("\ufeff\"' ")).casefold()
