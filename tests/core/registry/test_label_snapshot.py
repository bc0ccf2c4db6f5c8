"""Label snapshots in memory: they are read again only after their file was replaced."""

from pathlib import Path

import pytest

from helioloop.errors import RegistryError
from helioloop.files import atomic
from helioloop.records.labels import CurrentLabel, Label
from helioloop.registry import label_snapshot
from helioloop.registry.folder_format import ensure_format
from helioloop.registry.label_snapshot import Snapshot


def snapshot(*cubes: str) -> Snapshot:
    """Return a snapshot in which these cubes are emergences."""
    labels = {cube: CurrentLabel(cube=cube, label=Label.EMERGENCE) for cube in cubes}
    return Snapshot(read_at="2026-01-01T00:00:00+00:00", annotations={"1": "2026-01-01T00:00:00Z"}, cubes=labels)


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return the list to which each reading of a file adds its model folder."""
    found: list[Path] = []
    whole = Snapshot.read

    def counted(model_dir: Path) -> Snapshot | None:
        found.append(model_dir)
        return whole(model_dir)

    monkeypatch.setattr(Snapshot, "read", counted)
    return found


def test_a_file_is_read_once_by_a_process_that_did_not_write_it(tmp_path: Path, readings: list[Path]) -> None:
    """And again after another process has replaced it."""
    snapshot("A").write(tmp_path)
    label_snapshot._KEPT.clear()  # as in another process
    for _ in range(3):
        assert Snapshot.read_if_changed(tmp_path) == snapshot("A")
    assert len(readings) == 1
    snapshot("A", "B").write(tmp_path)
    label_snapshot._KEPT.clear()
    for _ in range(3):
        assert Snapshot.read_if_changed(tmp_path) == snapshot("A", "B")
    assert len(readings) == 2


def test_the_process_that_wrote_it_does_not_read_it(tmp_path: Path, readings: list[Path]) -> None:
    """What it has in memory is what a reading gives."""
    snapshot("A", "B").write(tmp_path)
    assert Snapshot.read_if_changed(tmp_path) == snapshot("A", "B")
    assert readings == []
    assert Snapshot.read(tmp_path) == snapshot("A", "B")


def test_a_file_that_another_process_replaces_at_once_is_read(
    tmp_path: Path, readings: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The labels that this process wrote are never taken for those in the other's file."""
    other = tmp_path / "other"
    snapshot("A", "B").write(other)
    flush, model_dir = atomic.sync_folder, tmp_path / "models"

    def replaced(folder: Path) -> None:
        """Replace the file right after the rename."""
        flush(folder)
        if folder == model_dir:
            (other / label_snapshot.FILE_NAME).replace(model_dir / label_snapshot.FILE_NAME)

    ensure_format(model_dir)
    with monkeypatch.context() as patch:
        patch.setattr(atomic, "sync_folder", replaced)
        snapshot("A").write(model_dir)
    for _ in range(2):
        assert Snapshot.read_if_changed(model_dir) == snapshot("A", "B")
    assert readings == [model_dir]


def test_a_file_that_another_program_replaced_or_deleted_is_noticed(tmp_path: Path) -> None:
    """A damaged one is an error, as for every reading."""
    snapshot("A").write(tmp_path)
    path = tmp_path / label_snapshot.FILE_NAME
    path.with_name("new").write_text(path.read_text().replace("emergence", "non-emergence"))
    path.with_name("new").replace(path)
    found = Snapshot.read_if_changed(tmp_path)
    assert found is not None
    assert found.cubes["A"].label is Label.NON_EMERGENCE
    path.write_text("{")
    with pytest.raises(RegistryError, match="is not a label snapshot"):
        Snapshot.read_if_changed(tmp_path)
    path.unlink()
    assert Snapshot.read_if_changed(tmp_path) is None


def test_the_snapshots_of_few_folders_are_kept(tmp_path: Path) -> None:
    """Of four, whatever the number of projects."""
    for number in range(6):
        snapshot(str(number)).write(tmp_path / str(number))
    assert len(label_snapshot._KEPT) == label_snapshot.SNAPSHOTS_IN_MEMORY
    assert Snapshot.read_if_changed(tmp_path / "0") == snapshot("0")
