"""Truth tables: true labels and emergence frames of a synthetic release or an audit sample.

They are used to evaluate models and campaigns and for risk control, never for training. ``make-release --truth`` writes
such a table.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from helioloop.errors import ReleaseError
from helioloop.files.tables import read_table
from helioloop.records.labels import Label

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
    table = read_table(path, needed=NEEDED, key="cube", error=ReleaseError)
    rows = (_row(row.where, row.cells) for row in table)
    return {row.cube: row for row in rows}


def _row(where: str, values: Mapping[str, str]) -> TrueCube:
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
