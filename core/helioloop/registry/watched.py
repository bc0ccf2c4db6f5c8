"""What ``helioloop watch`` did with each folder: ``watched.csv`` in a project's model folder.

A row is written after its step is done, so a watch that was killed repeats at most one step, and every step can be
repeated. A folder without a row is new; one whose content differs from its row was changed and is taken again.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from helioloop.errors import RegistryError
from helioloop.files.tables import read_table, write_table
from helioloop.registry.folder_format import ensure_format

FILE_NAME = "watched.csv"
COLUMNS = ("folder", "state", "at", "reason", "content")


class WatchState(StrEnum):
    """What was done with a folder last."""

    SET_ASIDE = "set aside"
    CUT = "cut"
    """A series of full-disk files: everything that was there is read."""
    INGESTED = "ingested"
    PRE_LABELLED = "pre-labelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedFolder:
    """One row of the table.

    Parameters
    ----------
    folder : str
        Absolute path.
    state : WatchState
        What was done with it last.
    at : str
        When, UTC, ISO 8601.
    content : str
        Hash of names, sizes and times of change of its files then, and of what decides about it elsewhere: the release
        that a series is cut into, another folder of the same name.
    reason : str
        Why it was set aside; of a series that was cut, what was said about its files; else empty.
    """

    folder: str
    state: WatchState
    at: str
    content: str
    reason: str = ""


def read_watched(model_dir: Path) -> dict[str, WatchedFolder]:
    """Return the rows by folder; empty where nothing was watched.

    Raises
    ------
    RegistryError
        If the table is damaged.
    """
    path = model_dir / FILE_NAME
    if not path.exists():
        return {}
    rows = {}
    for row in read_table(path, needed=COLUMNS, key="folder", error=RegistryError):
        cells = {column: row.cells[column] for column in COLUMNS}
        try:
            state = WatchState(cells["state"])
        except ValueError:
            raise RegistryError(
                f"{row.where}: state is {cells['state']!r}; it must be one of {', '.join(WatchState)}: remove the row, "
                "and the folder is taken again"
            ) from None
        rows[cells["folder"]] = WatchedFolder(
            folder=cells["folder"], state=state, at=cells["at"], content=cells["content"], reason=cells["reason"]
        )
    return rows


def write_watched(model_dir: Path, rows: Iterable[WatchedFolder]) -> None:
    """Replace the table in one step; rows are sorted by folder."""
    ensure_format(model_dir)
    write_table(model_dir / FILE_NAME, COLUMNS, (asdict(row) for row in sorted(rows, key=lambda row: row.folder)))
