"""The truth of cubes, where it is known: of a made-up release, or of a random draw that a human verified.

On the reading floor; used where a campaign or a comparison is judged and where a promise is made, never where anything
is learned. ``make-release --truth`` writes such a table.
"""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from helioloop.errors import ReleaseError
from helioloop.records import Label

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
            row = _row(
                f"{path}, line {table.line_num}", {name: (values[name] or "").strip() for name in values if name}
            )
            if row.cube in rows:
                raise ReleaseError(f"{path}, line {table.line_num}: cube {row.cube!r} is there twice; remove one row")
            rows[row.cube] = row
    except csv.Error as error:
        raise ReleaseError(f"{path}, line {table.line_num}: it is no CSV ({error}); write it again") from None
    return rows


def _row(where: str, values: dict[str, str]) -> TrueCube:
    label, frame = values["label"], values.get("emergence_frame", "")
    if label not in set(Label):
        raise ReleaseError(f"{where}: label is {label!r}; the truth is {' or '.join(Label)}: correct it")
    if frame and not (frame.isascii() and frame.isdigit()):
        raise ReleaseError(f"{where}: emergence_frame is {frame!r}; it must be a frame from 0 on, or empty: correct it")
    return TrueCube(
        cube=values["cube"], label=Label(label), frame=int(frame) if frame else None, kind=values.get("kind", "")
    )
