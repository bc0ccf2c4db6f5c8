"""The truth of cubes, where it is known: of a made-up release, or of a random draw that a human verified.

On the reading floor; used where a campaign or a comparison is judged and where a promise is made, never where anything
is learned. ``make-release --truth`` writes such a table.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from helioloop.errors import ReleaseError
from helioloop.records import Label
from helioloop.tables import read_table

NEEDED = ("cube", "label")
"""Columns that must be there; ``emergence_frame`` and ``kind`` are read where they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrueCube:
    """What a perfect annotator would say of a cube.

    Parameters
    ----------
    cube : str
        Cube name.
    label : Label
        True class.
    frame : int or None
        True emergence frame, 0-based on the grid; None where there is none or it is not known.
    kind : str
        What the cube shows, in the table's words; empty where it does not say.
    """

    cube: str
    label: Label
    frame: int | None
    kind: str


def read_truth(path: Path) -> dict[str, TrueCube]:
    """Read a truth table, by cube.

    Raises
    ------
    ReleaseError
        If the table is missing, no CSV, or a row of it cannot be meant; the text names the line.
    """
    table = read_table(path, needed=NEEDED, key="cube", error=ReleaseError)
    rows = (_row(row.where, row.cells) for row in table)
    return {row.cube: row for row in rows}


def _row(where: str, values: Mapping[str, str]) -> TrueCube:
    label, frame = values["label"], values.get("emergence_frame", "")
    if label not in set(Label):
        raise ReleaseError(f"{where}: label is {label!r}; the truth is {' or '.join(Label)}: correct it")
    if frame and not (frame.isascii() and frame.isdigit()):
        raise ReleaseError(f"{where}: emergence_frame is {frame!r}; it must be a frame from 0 on, or empty: correct it")
    return TrueCube(
        cube=values["cube"], label=Label(label), frame=int(frame) if frame else None, kind=values.get("kind", "")
    )
