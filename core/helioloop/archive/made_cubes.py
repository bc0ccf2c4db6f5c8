"""The cubes that the runs of a growing series made: a note of each, in the hidden folder of the release."""

import json
from pathlib import Path
from typing import Any

from helioloop.archive.release import Passage
from helioloop.archive.spool import Spool
from helioloop.files import atomic

_MADE = "made"


def write_note(spool: Spool, cube: str, passage: Passage) -> None:
    """Note that a cube is made, with the row of its region and the files that it was made from; call it after that."""
    note = {"row": passage.region.row, "files": [file.place for file in passage.files]}
    atomic.write_json(_note(spool, cube), note)


def read_note(spool: Spool, cube: str) -> dict[str, Any] | None:
    """Return the row of the region and the files that a cube was made from; None if it is not made."""
    note = _note(spool, cube)
    return dict(json.loads(note.read_text(encoding="utf-8"))) if note.exists() else None


def noted_cubes(spool: Spool) -> list[str]:
    """Return the names of all cubes that were made, sorted."""
    return [note.name.removesuffix(".json") for note in sorted((spool.folder / _MADE).glob("*.json"))]


def _note(spool: Spool, cube: str) -> Path:
    return spool.folder / _MADE / f"{cube}.json"
