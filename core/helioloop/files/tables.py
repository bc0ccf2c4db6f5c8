"""Reads and writes CSV tables: UTF-8, one header line, errors that name file and line."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from helioloop.errors import HelioloopError
from helioloop.files import atomic


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


def read_table(path: Path, *, needed: Sequence[str], key: str | None = None, error: type[HelioloopError]) -> list[Row]:
    """Read a CSV table with a header line, in UTF-8 with or without a byte order mark.

    Parameters
    ----------
    path : Path
        The table.
    needed : sequence of str
        Columns that must be there; their order does not matter, and other columns are read too.
    key : str or None
        Column whose cells must all differ.
    error : type of HelioloopError
        Class of the errors raised.

    Raises
    ------
    HelioloopError
        Of the class `error`, if the file is missing, unreadable, not UTF-8 or not CSV, if it lacks a needed column, or
        if two rows have the same key.
    """
    header = ",".join(needed)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise error(f"{path} is missing; write a CSV table that has at least the header line {header}") from None
    except (OSError, UnicodeDecodeError) as reason:
        raise error(f"{path} cannot be read as UTF-8 text ({reason}); write it again") from None
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    rows: list[Row] = []
    keys: set[str] = set()
    try:
        reader.fieldnames = [name.strip() for name in reader.fieldnames or ()]
        missing = [column for column in needed if column not in reader.fieldnames]
        if missing:
            raise error(f"{path} has no column {missing[0]!r}; its first line must name {header}")
        for values in reader:
            row = Row(
                f"{path}, line {reader.line_num}", {name: (values[name] or "").strip() for name in reader.fieldnames}
            )
            rows.append(row)
            if key is not None:
                if row.cells[key] in keys:
                    raise error(f"{row.where}: {key} {row.cells[key]!r} is there twice; remove one of the two rows")
                keys.add(row.cells[key])
    except csv.Error as reason:
        raise error(f"{path}, line {reader.reader.line_num}: it is not CSV ({reason}); write it again") from None
    return rows


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> None:
    """Replace `path` by a CSV table in one step: a header line with `columns`, then one line per mapping in `rows`."""
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, columns, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    atomic.write_text(path, text.getvalue())
