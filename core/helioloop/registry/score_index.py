"""An index beside the score files of a folder, so that the scores of a few cubes are found without reading all.

``index.sqlite`` has for each cube the file of its latest score, the place in it, and the score without masking curves.
The score files remain the truth: the index covers some of them and may be deleted at any time. It is only ever replaced
as a whole, so it needs no locks, which network file systems often lack.
"""

import json
import os
import re
import shutil
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from helioloop.files import atomic
from helioloop.records.cubes import Key

FILE_NAME: Final = "index.sqlite"
COVERED: Final = 4
"""The index is made anew when the score files that it lacks have this fraction (1/4) of the size of those in it, so
that all its makings together take time in proportion to the scores."""
_TABLES: Final = """
CREATE TABLE files (name TEXT PRIMARY KEY, bytes INTEGER NOT NULL);
CREATE TABLE scores (cube TEXT, sha256 TEXT, file TEXT, place INTEGER, length INTEGER, plain TEXT,
                     PRIMARY KEY (cube, sha256)) WITHOUT ROWID;
CREATE INDEX by_file ON scores (file);
"""
_CURVE: Final = re.compile(r'"(curve|curve_spread|member_curves)": ?(?:\[[^\]"]*\]|"[A-Za-z0-9+/=|]*")')
"""Masking curves or their spread in a line, most of its length. Text cannot look like it: its quotes are escaped."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the latest score of a cube is: the line in a score file, and the line without masking curves."""

    file: str
    start: int
    length: int
    plain: str


def without_curves(text: str) -> str:
    """Return lines of a score file without masking curves."""
    return _CURVE.sub(r'"\1": null', text)


def find_places(folder: Path, keys: Iterable[Key]) -> tuple[dict[Key, Place], frozenset[str]]:
    """Return the places of some scores, and the names of the score files in which they were searched."""
    with suppress(sqlite3.Error), closing(_open(folder)) as index:
        found = {}
        for cube, sha256 in keys:
            query = "SELECT file, place, length, plain FROM scores WHERE cube = ? AND sha256 = ?"
            for row in index.execute(query, (cube, sha256)):
                found[cube, sha256] = Place(*row)
        return found, frozenset(_covered(index))
    return {}, frozenset()


def places_in(path: Path) -> dict[Key, Place]:
    """Return the places of all scores in a score file; a line that is not a score is an error of its kind."""
    return {
        (cube, sha256): Place(file=file, start=start, length=length, plain=plain)
        for cube, sha256, file, start, length, plain in _rows(path)
    }


def plain_lines(path: Path, listed: Collection[str]) -> list[str] | None:
    """Return the scores of a score file that no later file replaces, without masking curves.

    None without an index, and where the index has files that are not among the `listed` ones: they may have replaced
    scores of this file.
    """
    with suppress(sqlite3.Error), closing(_open(path.parent)) as index:
        covered = _covered(index).keys()
        if path.name in covered and covered <= set(listed):
            return [plain for (plain,) in index.execute("SELECT plain FROM scores WHERE file = ?", (path.name,))]
    return None


def indexed_bytes(path: Path) -> int | None:
    """Return how long a score file was when the index read it; None where the index does not have it."""
    with suppress(sqlite3.Error), closing(_open(path.parent)) as index:
        return _covered(index).get(path.name)
    return None


def score_file_names(folder: Path) -> list[str]:
    """Return the names of the score files of a folder, oldest first; none where it is absent.

    `Path.glob` finds none in a folder that may not be read, as if nothing were scored; this is a `PermissionError`.
    There are as many as there were jobs, and each job lists them, so names are all that is made of them.
    """
    try:
        names = os.listdir(folder)  # noqa: PTH208
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(name for name in names if name.endswith(".jsonl"))


def update_index(folder: Path) -> None:
    """Make the index anew where it lacks much; what cannot be written or read leaves the index as it was."""
    covered: dict[str, int] = {}
    with suppress(sqlite3.Error), closing(_open(folder)) as index:
        covered = _covered(index)
    try:
        names = score_file_names(folder)
        if not covered.keys() <= set(names):
            covered = {}
        lacking = [name for name in names if name not in covered]
        # A score file that sorts before one in the index would replace a later score.
        if lacking and lacking[0] < max(covered, default=""):
            covered, lacking = {}, names
        size = sum((folder / name).stat().st_size for name in lacking)
    except OSError:  # `remove_curves` deleted a file that was just listed
        return
    if lacking and COVERED * size >= sum(covered.values()):
        with (
            suppress(OSError, sqlite3.Error, ValueError, KeyError, TypeError),
            atomic.replacing(folder / FILE_NAME, make_folders=False) as new,
        ):
            if covered:
                shutil.copyfile(folder / FILE_NAME, new)
            _add(new, folder, lacking, is_new=not covered)


def _add(path: Path, folder: Path, names: Sequence[str], *, is_new: bool) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as index:
        index.execute("PRAGMA journal_mode = OFF")  # the file is nobody else's until it is complete
        index.execute("PRAGMA synchronous = OFF")
        if is_new:
            index.executescript(_TABLES)
        index.execute("BEGIN")
        for name in names:
            index.execute("INSERT INTO files VALUES (?, ?)", (name, (folder / name).stat().st_size))
            index.executemany("INSERT OR REPLACE INTO scores VALUES (?, ?, ?, ?, ?, ?)", _rows(folder / name))
        index.execute("COMMIT")


def _rows(path: Path) -> Iterator[tuple[str, str, str, int, int, str]]:
    place = 0
    with path.open("rb") as file:
        for line in file:
            plain = without_curves(line.decode())
            values = json.loads(plain)
            yield str(values["cube"]), str(values["sha256"]), path.name, place, len(line), plain.rstrip("\n")
            place += len(line)


def _open(folder: Path) -> sqlite3.Connection:
    """Open the index to read it; without one, an `sqlite3.Error`."""
    address = f"file:{quote(str((folder / FILE_NAME).absolute()))}?mode=ro&immutable=1"
    return sqlite3.connect(address, uri=True)


def _covered(index: sqlite3.Connection) -> dict[str, int]:
    return dict(index.execute("SELECT name, bytes FROM files"))
