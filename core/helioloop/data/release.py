"""Opens releases, which are folders of cubes with a label table, and finds cubes under the release roots.

Commands open a release by its folder. The worker gets names from Label Studio, which are not trusted: it finds cubes
through `ReleaseRoots` only.
"""

import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from helioloop.data.cube_names import find_cubes
from helioloop.data.cube_opening import why_not_opened
from helioloop.data.cubes import is_cube_file
from helioloop.data.other_files import other_fits_files
from helioloop.data.table_cells import is_missing, read_cell, read_label, read_mark
from helioloop.errors import CubeError, ReleaseError, WrongUsage
from helioloop.files.names import LONGEST_NAME, is_plain_name
from helioloop.files.release_folders import find_release_folder
from helioloop.files.tables import OnDoubt, Row, and_more_rows, log_doubt, read_table, write_table
from helioloop.records.labels import Label

LABELS_FILE = "labels.csv"
COLUMNS = ("cube", "label", "verified")


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRow:
    """One row of a label table; `label` is None if the cell is empty."""

    cube: str
    label: Label | None
    verified: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A folder of cubes with its labels.

    Parameters
    ----------
    folder : Path
        Folder, links resolved; its name is that of the release.
    rows : tuple of LabelRow
        In the order of ``labels.csv``, then unlabelled rows for cubes that are not in it, sorted by name.
    missing : tuple of str
        Cubes in ``labels.csv`` that have no file.
    unlisted : tuple of str
        Cubes that have a file and no row in ``labels.csv``, sorted by name.
    doubts : tuple of str
        What was read from a table although it is doubtful, one sentence each.
    """

    folder: Path
    rows: tuple[LabelRow, ...]
    missing: tuple[str, ...]
    unlisted: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Read the label table of a release and list its files; no cube is read.

        Raises
        ------
        ReleaseError
            If the folder does not exist or contains no cube, or its table cannot be used.
        """
        folder = folder.resolve()
        if not folder.is_dir():
            raise ReleaseError(
                f"{folder} is not a folder; a release is a folder of cubes with {LABELS_FILE}: name another one"
            )
        present = {path.name.removesuffix(".fits") for path in folder.iterdir() if is_cube_file(path)}
        doubts: list[str] = []
        table = read_labels(folder / LABELS_FILE, cubes=present, folder=folder.name, on_doubt=doubts.append)
        if not present:
            other = next(iter(other_fits_files(folder).items()), None)
            found = "" if other is None else f"; {other[0].relative_to(folder)}: {other[1]}"
            raise ReleaseError(
                f"{folder} contains no cube; a release has files <cube>.fits beside {LABELS_FILE}: add them{found}"
            )
        missing = tuple(cube for cube in table if cube not in present)
        if table and len(missing) == len(table):
            doubts.append(
                f"no row of {folder / LABELS_FILE} names a cube of the folder, such as {min(present)!r}, and the first "
                f"names {missing[0]!r}; the column cube must have the names of the files"
            )
        others = list(other_fits_files(folder))
        if others:
            more = f" (and {len(others) - 1} more)" if len(others) > 1 else ""
            doubts.append(
                f"{others[0]}{more} is not read, because cubes are files <cube>.fits directly in the release's folder; "
                "`helioloop check` lists what to do"
            )
        unlisted = tuple(sorted(present.difference(table)))
        return cls(
            folder=folder,
            rows=(*table.values(), *(LabelRow(cube=cube, label=None, verified=False) for cube in unlisted)),
            missing=missing,
            unlisted=unlisted,
            doubts=tuple(doubts),
        )

    @property
    def name(self) -> str:
        """Name of the release's folder."""
        return self.folder.name

    def path(self, cube: str) -> Path:
        """Return the path of a cube's file."""
        return self.folder / f"{_plain_name(cube, what='cube')}.fits"

    def with_labels(self, path: Path) -> Self:
        """Return the release with label and verified taken from the table at `path` for the cubes named in it.

        Raises
        ------
        WrongUsage
            If the table names a cube that the release does not have.
        ReleaseError
            If the table cannot be used.
        """
        own = {row.cube for row in self.rows}
        doubts: list[str] = []
        table = read_labels(path, cubes=own, folder=self.name, on_doubt=doubts.append)
        unknown = [cube for cube in table if cube not in own]
        if unknown:
            raise WrongUsage(
                f"cube {unknown[0]!r} in {path.name} is not in release {self.name}; a label table names cubes of the "
                f"release: remove {'it' if len(unknown) == 1 else f'it and {len(unknown) - 1} more'}"
            )
        return replace(
            self,
            rows=tuple(table.get(row.cube, row) for row in self.rows),
            unlisted=tuple(cube for cube in self.unlisted if cube not in table),
            doubts=(*self.doubts, *doubts),
        )


@dataclass(frozen=True, slots=True)
class ReleaseRoots:
    """The folders that contain releases. No name leads to a file outside them."""

    roots: Sequence[Path]

    def folder(self, release: str) -> Path:
        """Return the folder of a release, in the first root that has it.

        Raises
        ------
        ReleaseError
            If the name is not a plain file name, or no root has the release.
        """
        _plain_name(release, what="release")
        if (folder := find_release_folder(self.roots, release)) is not None:
            return folder
        raise ReleaseError(
            f"release {release!r} is in none of the release roots; put it there, or name its parent folder in "
            "HELIOLOOP_RELEASE_ROOTS"
        )

    def path(self, release: str, cube: str) -> Path:
        """Return the path of a cube's file, in the first root that has it; the file is not opened.

        Raises
        ------
        ReleaseError
            If the name of the release is not a plain file name.
        CubeError
            If the name of the cube is not a plain file name, no root has it, it or its companion is not a file, or a
            link leads out of its root.
        """
        _plain_name(release, what="release")
        _plain_name(cube, what="cube")
        reason = None
        for root in self.roots:
            path = root / release / f"{cube}.fits"
            found = why_not_opened(path, root) if os.path.lexists(path) else None
            if path.is_file() and found is None:
                return path
            reason = reason or found
            if path.is_file():
                break
        if reason is not None:
            raise CubeError(f"{reason.name} of release {release} {reason.reason}")
        raise CubeError(
            f"cube {cube!r} of release {release!r} is in none of the release roots; restore its file, remove it from "
            f"{LABELS_FILE}, or name the release's parent folder in HELIOLOOP_RELEASE_ROOTS"
        )


def read_labels(
    path: Path, *, cubes: Collection[str] | None = None, folder: str | None = None, on_doubt: OnDoubt = log_doubt
) -> dict[str, LabelRow]:
    """Read a label table; return its rows by cube, in the order of the table.

    The columns ``cube``, ``label`` and ``verified`` must be there; other columns are ignored. A label is one of the two
    classes or empty; verified is 0, 1 or empty, which means 0. See `table_cells` for other spellings.

    Parameters
    ----------
    path : Path
        The table.
    cubes : collection of str or None
        Names of the cubes that there are; rows may spell them differently, see `cube_names`. None takes the names as
        they are written.
    folder : str or None
        Name of the folder of these cubes.
    on_doubt : OnDoubt
        Called with a sentence for each doubtful value that was read nevertheless.

    Raises
    ------
    ReleaseError
        If the table is missing or breaks one of these rules, or a cube has two rows; the text names the line.
    """
    table = read_table(path, needed=COLUMNS, error=ReleaseError, on_doubt=on_doubt)
    names = find_cubes(table, cubes, folder=folder, on_doubt=on_doubt)
    absent = [row for row in table if is_missing(row.cells["label"]) or is_missing(row.cells["verified"])]
    if absent:
        on_doubt(f"{absent[0].where}{and_more_rows(len(absent) - 1)}: NA is read as an empty cell; leave it empty")
    return {cube: _row(row, cube) for row, cube in zip(table, names, strict=True)}


def write_labels(path: Path, rows: Iterable[LabelRow]) -> None:
    """Replace `path` by a label table in one step."""
    write_table(
        path, COLUMNS, ({"cube": row.cube, "label": row.label or "", "verified": int(row.verified)} for row in rows)
    )


def _row(row: Row, cube: str) -> LabelRow:
    try:
        _plain_name(cube, what="cube")
    except CubeError as error:
        raise ReleaseError(f"{row.where}: {error}") from None
    label = read_cell(row, "label", read_label)
    verified = read_cell(row, "verified", read_mark)
    if verified and label is None:
        raise ReleaseError(
            f"{row.where}: verified is {row.cells['verified']} and label is empty; only a label can be verified: give "
            "it or put 0"
        )
    return LabelRow(cube=cube, label=label, verified=verified)


def why_not_a_name(name: str, *, what: str) -> str | None:
    """Return why `name` is not allowed for a cube or a release; None for a plain file name."""
    if is_plain_name(name):
        return None
    return (
        f"the {what} name {name[:60]!r} is not allowed; it must be a plain file name of at most {LONGEST_NAME} "
        "characters, without separators, control characters, a leading dot or blanks at its ends: rename it"
    )


def _plain_name(name: str, *, what: str) -> str:
    """Return `name` if it is a plain file name; raise CubeError or ReleaseError otherwise."""
    reason = why_not_a_name(name, what=what)
    if reason is not None:
        raise (CubeError if what == "cube" else ReleaseError)(reason)
    return name
