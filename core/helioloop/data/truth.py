"""Truth tables: true labels and emergence frames of a synthetic release or an audit sample.

They are used to evaluate models and campaigns and for risk control, never for training. ``make-release --truth`` writes
such a table.
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from helioloop.data.cube_names import find_cubes
from helioloop.data.table_cells import read_cell, read_frame, read_label
from helioloop.errors import ReleaseError
from helioloop.files.tables import OnDoubt, Row, log_doubt, read_table
from helioloop.records.labels import Label

NEEDED = ("cube", "label")
OPTIONAL = ("emergence_frame", "kind")
"""Columns of a truth table; others are ignored."""


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


def read_truth(
    path: Path, *, cubes: Collection[str] | None = None, on_doubt: OnDoubt = log_doubt
) -> dict[str, TrueCube]:
    """Read a truth table and return its rows by cube name.

    Parameters
    ----------
    path : Path
        The table.
    cubes : collection of str or None
        Names of the cubes that may be meant; rows may spell them differently, see `cube_names`. None takes the names
        as they are written.
    on_doubt : OnDoubt
        Called with a sentence for each doubtful value that was read nevertheless.

    Raises
    ------
    ReleaseError
        If the table is missing or not CSV, lacks a required column, names a cube twice, has an invalid value or a
        frame for a non-emergence; the message gives the line.
    """
    table = read_table(
        path, needed=NEEDED, optional=OPTIONAL, numbers=OPTIONAL[:1], error=ReleaseError, on_doubt=on_doubt
    )
    names = find_cubes(table, cubes, on_doubt=on_doubt)
    return {cube: _row(row, cube) for row, cube in zip(table, names, strict=True)}


def _row(row: Row, cube: str) -> TrueCube:
    label = read_cell(row, "label", read_label)
    if label is None:
        raise ReleaseError(f"{row.where}: label is {row.cells['label']!r}; it must be {' or '.join(Label)}: correct it")
    frame = read_cell(row, "emergence_frame", read_frame)
    if frame is not None and label is not Label.EMERGENCE:
        raise ReleaseError(
            f"{row.where}: label is {row.cells['label']!r} and emergence_frame is {frame}; only an emergence has a "
            "frame: correct the label, or leave the frame empty"
        )
    return TrueCube(
        cube=cube,
        label=label,
        frame=frame,
        kind=row.cells.get("kind", ""),
    )
