"""Truth tables: true labels and emergence frames of a synthetic release or an audit sample.

They are used to evaluate models and campaigns and for risk control, never for training. ``make-release --truth`` writes
such a table.
"""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from helioloop.errors import ReleaseError
from helioloop.records import Label

NEEDED = ("cube", "label")
"""Required columns; ``emergence_frame`` and ``kind`` are optional, others are ignored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrueCube:
    """True label and emergence frame of a cube.

    Parameters
    ----------
    cube : str
        Cube name.
    label : Label
        True class.
    frame : int or None
        True emergence frame, 0-based on the grid; None without emergence or if unknown.
    kind : str
        What the cube shows, as written in the table; empty if the table does not give it.
    """

    cube: str
    label: Label
    frame: int | None
    kind: str


def read_truth(path: Path) -> dict[str, TrueCube]:
    """Read a truth table and return its rows by cube name.

    Raises
    ------
    ReleaseError
        If the table is missing or not CSV, lacks a required column, names a cube twice or has an invalid value; the
        message gives the line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ReleaseError(
            f"{path} cannot be read ({error}); a truth table is a CSV with the columns {','.join(NEEDED)}"
        ) from None
    table = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    rows: dict[str, TrueCube] = {}
    try:
        absent = [column for column in NEEDED if column not in (table.fieldnames or ())]
        if absent:
            raise ReleaseError(f"{path} has no column {absent[0]!r}; its first line must name {','.join(NEEDED)}")
        for values in table:
            where = f"{path}, line {table.line_num}"
            row = _row(where, {name: (values[name] or "").strip() for name in values if name})
            if row.cube in rows:
                raise ReleaseError(f"{where}: cube {row.cube!r} is there twice; remove one of its rows")
            rows[row.cube] = row
    except csv.Error as error:
        raise ReleaseError(
            f"{path}, line {table.line_num}: the table is not valid CSV ({error}); write it again"
        ) from None
    return rows


def _row(where: str, values: dict[str, str]) -> TrueCube:
    """Return the cube in one row of the table; `where` is the file and line for messages."""
    label, frame = values["label"], values.get("emergence_frame", "")
    if label not in set(Label):
        raise ReleaseError(f"{where}: label is {label!r}; it must be {' or '.join(Label)}: correct it")
    if frame and not (frame.isascii() and frame.isdigit()):
        raise ReleaseError(
            f"{where}: emergence_frame is {frame!r}; it must be a frame number of at least 0, or empty: correct it"
        )
    return TrueCube(
        cube=values["cube"], label=Label(label), frame=int(frame) if frame else None, kind=values.get("kind", "")
    )
