"""Finds the cubes that the rows of a table name, also if a spreadsheet, script or file system altered the names."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum

from helioloop.data.table_cells import unquoted
from helioloop.errors import ReleaseError
from helioloop.files.tables import OnDoubt, Row, and_more_rows

COLUMN = "cube"

_ENDINGS = re.compile(r"(\.dt|(\.dt)?\.(fits|fit|fts)(\.(gz|fz|z|bz2))?)\Z", re.IGNORECASE)
_WHOLE_NUMBER = re.compile(r"([0-9]+)(?:[.,]0*)?\Z")


class _Doubt(Enum):
    """Why a name that was read is doubtful."""

    ZEROS = "which has the leading zeros that spreadsheets remove"
    CASE = "which differs in upper and lower case"
    FOLDER = "although the name is that of a file in another folder"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """A name that was read with a doubt."""

    row: Row
    cube: str
    doubt: _Doubt


def find_cubes(
    rows: Sequence[Row], cubes: Collection[str] | None, *, folder: str | None = None, on_doubt: OnDoubt
) -> list[str]:
    """Return the name of the cube that each row names in its column ``cube``.

    A name may have quotes, a path in front, an ending such as ``.fits.gz``, and another Unicode normal form. It may
    lack leading zeros or differ in case, where only one cube can be meant; that is doubtful.

    Parameters
    ----------
    rows : sequence of Row
        From `read_table`.
    cubes : collection of str or None
        Names of the cubes that there are; None takes the names as they are written.
    folder : str or None
        Name of their folder; a path to another folder is doubtful. None if the cubes are of several folders.
    on_doubt : OnDoubt
        Called with one sentence for each kind of doubtful names.

    Returns
    -------
    list of str
        One name per row; a name that is none of `cubes` is returned without quotes, path and ending.

    Raises
    ------
    ReleaseError
        If a name may be that of two cubes, or two rows name the same cube.
    """
    index = None if cubes is None else _Index(cubes)
    names: list[str] = []
    doubtful: list[_Read] = []
    seen: set[str] = set()
    for row in rows:
        written = row.cells[COLUMN]
        cube, doubt = (written, None) if index is None else index.find(written, row.where, folder=folder)
        if cube in seen:
            here = "" if cube == written else f", here as {written!r}"
            raise ReleaseError(f"{row.where}: cube {cube!r} is there twice{here}; remove one of the two rows")
        seen.add(cube)
        names.append(cube)
        if doubt is not None:
            doubtful.append(_Read(row=row, cube=cube, doubt=doubt))
    for kind in _Doubt:
        alike = [read for read in doubtful if read.doubt is kind]
        if alike:
            first = alike[0]
            on_doubt(
                f"{first.row.where}{and_more_rows(len(alike) - 1)}: {first.row.cells[COLUMN]!r} is read as cube "
                f"{first.cube!r}, {kind.value}; write the names of the files"
            )
    return names


class _Index:
    """The cubes by name, by normal form, by lower case and by number."""

    def __init__(self, cubes: Collection[str]) -> None:
        self._exact = frozenset(cubes)
        self._normal: dict[str, list[str]] = defaultdict(list)
        self._lower: dict[str, list[str]] = defaultdict(list)
        self._numbers: dict[int, list[str]] = defaultdict(list)
        for cube in sorted(self._exact):
            self._normal[_normal(cube)].append(cube)
            self._lower[_normal(cube).casefold()].append(cube)
            if cube.isascii() and cube.isdigit():
                self._numbers[int(cube)].append(cube)

    def find(self, written: str, where: str, *, folder: str | None) -> tuple[str, _Doubt | None]:
        """Return the cube of a name and why that is doubtful; an unknown name without quotes, path and ending."""
        path, name, stem = _parts(unquoted(written))
        elsewhere = folder is not None and path not in {"", "."} and path.rpartition("/")[2] != folder
        # with quotes first: a cube's own name may have some
        spellings = dict.fromkeys((written, *_parts(written)[1:], unquoted(written), name, stem))
        for spelling in spellings:
            if spelling in self._exact:
                return spelling, _Doubt.FOLDER if elsewhere else None
        for spelling in spellings:
            if (cube := _only(self._normal.get(_normal(spelling)), written, where)) is not None:
                return cube, _Doubt.FOLDER if elsewhere else None
        for spelling in spellings:
            if (cube := _only(self._lower.get(_normal(spelling).casefold()), written, where)) is not None:
                return cube, _Doubt.CASE
            number = _WHOLE_NUMBER.match(spelling)
            found = None if number is None else self._numbers.get(int(number[1]))
            if (cube := _only(found, written, where)) is not None:
                return cube, _Doubt.ZEROS
        return stem, None


def _parts(name: str) -> tuple[str, str, str]:
    """Return the folder of a file, its name, and the name without ending."""
    path, _, name = name.replace("\\", "/").rpartition("/")
    return path, name, _ENDINGS.sub("", name) or name


def _only(found: Sequence[str] | None, written: str, where: str) -> str | None:
    """Return the one cube that was found, or None; several are an error."""
    if found is not None and len(found) > 1:
        listed = " or ".join(map(repr, found[:3]))
        raise ReleaseError(f"{where}: the name {written!r} may be cube {listed}; write the name of the file")
    return found[0] if found else None


def _normal(name: str) -> str:
    """Return the composed Unicode form; macOS writes the decomposed one in file names."""
    return unicodedata.normalize("NFC", name)
