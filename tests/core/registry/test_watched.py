"""The table of watched folders: written whole, read back, and refused where it is damaged."""

from pathlib import Path

import pytest

from helioloop.errors import RegistryError
from helioloop.registry.watched import WatchedFolder, WatchState, read_watched, write_watched

ROWS = [
    WatchedFolder(folder="/b", state=WatchState.SET_ASIDE, at="2026-01-01T00:00:00+00:00", content="2", reason="x, y"),
    WatchedFolder(folder="/a", state=WatchState.INGESTED, at="2026-01-02T00:00:00+00:00", content="1"),
]


def test_rows_are_read_back_by_folder(tmp_path: Path) -> None:
    assert read_watched(tmp_path) == {}
    write_watched(tmp_path, ROWS)
    assert read_watched(tmp_path) == {row.folder: row for row in ROWS}
    assert (tmp_path / "watched.csv").read_text().splitlines()[1].startswith("/a,ingested")


def test_an_unknown_state_is_named_with_the_remedy(tmp_path: Path) -> None:
    write_watched(tmp_path, ROWS)
    path = tmp_path / "watched.csv"
    path.write_text(path.read_text().replace("ingested", "done"))
    with pytest.raises(RegistryError, match=r"line 2: state is 'done'; .*remove the row"):
        read_watched(tmp_path)
