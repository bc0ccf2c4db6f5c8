"""Truth tables: true labels and emergence frames of a synthetic release or an audit sample.

They are used to evaluate models and campaigns and for risk control, never for training. ``make-release --truth`` writes
such a table.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from helioloop.data.cube_names import find_cubes
from helioloop.data.table_cells import read_cell, read_frame, read_label, read_mark
from helioloop.errors import ReleaseError
from helioloop.files.tables import OnDoubt, Row, and_more_rows, log_doubt, read_table
from helioloop.records.labels import Label

NEEDED = ("cube", "label")
OPTIONAL = ("emergence_frame", "kind", "verified")
"""Columns of a truth table; others are ignored. `verified` is that of ``labels.csv``, and no row may deny it."""


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
        If the table is missing or not CSV, lacks a required column, names a cube twice, has an invalid value, a frame
        for a non-emergence or a label that is not verified; the message gives the line.
    """
    table = read_table(
        path, needed=NEEDED, optional=OPTIONAL, numbers=OPTIONAL[:1], error=ReleaseError, on_doubt=on_doubt
    )
    names = find_cubes(table, cubes, on_doubt=on_doubt)
    _check_verified(table)
    return {cube: _row(row, cube) for row, cube in zip(table, names, strict=True)}


def contradiction(known: Mapping[str, TrueCube], verified: Iterable[tuple[str, Label]]) -> str | None:
    """Return a clause that names a cube whose label a human and a truth table contradict; None without one.

    Parameters
    ----------
    known : mapping of str to TrueCube
        The truth table.
    verified : iterable of (str, Label)
        Cubes with the labels that humans have verified elsewhere.
    """
    other = [(cube, label) for cube, label in verified if cube in known and label is not known[cube].label]
    if not other:
        return None
    cube, label = other[0]
    more = f" (and {len(other) - 1} more)" if len(other) > 1 else ""
    return f"cube {cube}{more} is {known[cube].label} there, and its verified label is {label}"


def _check_verified(table: Iterable[Row]) -> None:
    """Refuse a table with labels that nobody verified, as a release's ``labels.csv`` has them.

    Crude labels in place of the truth would make figures and guarantees of what nobody has looked at. A cell that is no
    mark, such as the name of who verified the label, denies nothing.
    """
    denied = [row for row in table if "verified" in row.cells and not _is_verified(row.cells["verified"])]
    if denied:
        raise ReleaseError(
            f"{denied[0].where}{and_more_rows(len(denied) - 1)}: verified is {denied[0].cells['verified']!r}; in a "
            "truth table or audit sample all labels are verified, and the others of a labels.csv are crude: give "
            "another table, or put 1 where a human verified the label"
        )


def _is_verified(text: str) -> bool:
    try:
        return read_mark(text)
    except ValueError:
        return True


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
