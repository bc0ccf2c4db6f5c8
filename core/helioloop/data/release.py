"""Releases: a folder of cubes with its label table, and the roots that releases are found in.

Above `cubes`. Commands open a release by its folder; the worker finds cubes through `ReleaseRoots` only, by names that
came from Label Studio and are trusted no further than that.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from helioloop import atomic
from helioloop.data.cubes import companion_path, is_cube_file
from helioloop.errors import CubeError, ReleaseError, WrongUsage
from helioloop.names import LONGEST_NAME, is_plain_name
from helioloop.records import Label

LABELS_FILE = "labels.csv"
COLUMNS = ("cube", "label", "verified")


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRow:
    """One row of a label table; `label` is None where it is empty."""

    cube: str
    label: Label | None
    verified: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A folder of cubes with its labels.

    Parameters
    ----------
    folder : Path
        Where it lies; its name is the release's.
    rows : tuple of LabelRow
        In the order of ``labels.csv``; then cubes without a row there, by name, unlabelled.
    missing : tuple of str
        Cubes that have a row and no file.
    """

    folder: Path
    rows: tuple[LabelRow, ...]
    missing: tuple[str, ...]

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open a release; no cube is read.

        Raises
        ------
        ReleaseError
            If the folder is none, holds no cube, or its table cannot be used.
        """
        folder = folder.resolve()
        if not folder.is_dir():
            raise ReleaseError(f"{folder} is no folder; a release is a folder of cubes with {LABELS_FILE}")
        table = read_labels(folder / LABELS_FILE)
        present = {path.name.removesuffix(".fits") for path in folder.iterdir() if is_cube_file(path)}
        if not present:
            raise ReleaseError(f"{folder} holds no cube; a release holds files <cube>.fits beside {LABELS_FILE}")
        unlisted = (LabelRow(cube=cube, label=None, verified=False) for cube in sorted(present.difference(table)))
        return cls(
            folder=folder,
            rows=(*table.values(), *unlisted),
            missing=tuple(cube for cube in table if cube not in present),
        )

    @property
    def name(self) -> str:
        """The release's name: that of its folder."""
        return self.folder.name

    def path(self, cube: str) -> Path:
        """Return the path of a cube's file."""
        return self.folder / f"{_plain_name(cube, what='cube')}.fits"

    def with_labels(self, path: Path) -> Self:
        """Return the release with label and verified replaced for the cubes that the table at `path` names.

        Raises
        ------
        WrongUsage
            If the table names a cube that the release does not have.
        ReleaseError
            If the table cannot be used.
        """
        table = read_labels(path)
        own = {row.cube for row in self.rows}
        unknown = [cube for cube in table if cube not in own]
        if unknown:
            raise WrongUsage(
                f"cube {unknown[0]!r} in {path.name} is not in release {self.name}; a label table names cubes of the "
                f"release: remove {'it' if len(unknown) == 1 else f'it and {len(unknown) - 1} more'}"
            )
        return replace(self, rows=tuple(table.get(row.cube, row) for row in self.rows))


@dataclass(frozen=True, slots=True)
class ReleaseRoots:
    """The folders that releases lie in; nothing outside them is opened, whatever a name says."""

    roots: Sequence[Path]

    def folder(self, release: str) -> Path:
        """Return a release's folder, in the first root that has it.

        Raises
        ------
        ReleaseError
            If the name is not a plain one, or no root has it.
        """
        _plain_name(release, what="release")
        for root in self.roots:
            folder = root / release
            if folder.is_dir() and _inside(folder, root):
                return folder
        raise ReleaseError(
            f"release {release!r} is in none of the release roots; put it there, or name its parent folder in "
            "HELIOLOOP_RELEASE_ROOTS"
        )

    def path(self, release: str, cube: str) -> Path:
        """Return the path of a cube's file, in the first root that has it.

        Raises
        ------
        ReleaseError
            If the release's name is not a plain one.
        CubeError
            If the cube's name is not a plain one, no root has it, or links lead out of the root.
        """
        _plain_name(release, what="release")
        _plain_name(cube, what="cube")
        for root in self.roots:
            path = root / release / f"{cube}.fits"
            if path.is_file():
                for file in (path, companion_path(path)):
                    if file.exists() and not _inside(file, root):
                        raise CubeError(
                            f"{file.name} of release {release} is a link out of its release root; only files inside "
                            "are opened: put the file itself there"
                        )
                return path
        raise CubeError(
            f"cube {cube!r} of release {release!r} is in none of the release roots; restore its file, remove it from "
            f"{LABELS_FILE}, or name the release's parent folder in HELIOLOOP_RELEASE_ROOTS"
        )


def read_labels(path: Path) -> dict[str, LabelRow]:
    """Read a label table, by cube, in its order.

    The columns ``cube``, ``label`` and ``verified`` must be there, others are passed over. A label is one of the two
    classes or empty; verified is 0, 1 or empty, which means 0.

    Raises
    ------
    ReleaseError
        If the table is missing or not as described; the text names the line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ReleaseError(
            f"{path} is missing; write a table with the columns {','.join(COLUMNS)}, the header alone will do"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ReleaseError(f"{path} cannot be read as UTF-8 text ({error}); write it again") from None
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    rows: dict[str, LabelRow] = {}
    try:
        names = [name.strip() for name in reader.fieldnames or ()]
        reader.fieldnames = names
        absent = [column for column in COLUMNS if column not in names]
        if absent:
            raise ReleaseError(f"{path} has no column {absent[0]!r}; its first line must name {','.join(COLUMNS)}")
        for values in reader:
            where = f"{path}, line {reader.line_num}"
            row = _row(where, *((values[column] or "").strip() for column in COLUMNS))
            if row.cube in rows:
                raise ReleaseError(f"{where}: cube {row.cube!r} is there twice; a cube has one row: remove one")
            rows[row.cube] = row
    except csv.Error as error:
        raise ReleaseError(f"{path}, line {reader.line_num}: it is no CSV ({error}); write it again") from None
    return rows


def write_labels(path: Path, rows: Iterable[LabelRow]) -> None:
    """Write a label table in one step; `read_labels` reads it back."""
    atomic.write_table(
        path, COLUMNS, ({"cube": row.cube, "label": row.label or "", "verified": int(row.verified)} for row in rows)
    )


def _row(where: str, cube: str, label: str, verified: str) -> LabelRow:
    try:
        _plain_name(cube, what="cube")
    except CubeError as error:
        raise ReleaseError(f"{where}: {error}") from None
    if label not in {"", *Label}:
        raise ReleaseError(f"{where}: label is {label!r}; it must be {' or '.join(Label)}, or empty: correct it")
    if verified not in {"", "0", "1"}:
        raise ReleaseError(f"{where}: verified is {verified!r}; it must be 0 or 1: correct it")
    if verified == "1" and not label:
        raise ReleaseError(f"{where}: verified is 1 and label is empty; only a label can be verified: give it or put 0")
    return LabelRow(cube=cube, label=Label(label) if label else None, verified=verified == "1")


def _plain_name(name: str, *, what: str) -> str:
    """Return `name` if it names a file or folder and no path."""
    if not is_plain_name(name):
        error = CubeError if what == "cube" else ReleaseError
        raise error(
            f"the {what} name {name[:60]!r} is not allowed; it must be a plain file name of at most {LONGEST_NAME} "
            "characters, without separators, control characters or a leading dot: rename it"
        )
    return name


def _inside(path: Path, root: Path) -> bool:
    """Return True where `path`, links followed, lies in `root`."""
    return path.resolve().is_relative_to(root.resolve())
