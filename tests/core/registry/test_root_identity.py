"""The identity of a model root: made once, by whoever comes first, and kept by the folder."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.other_user import FIRST, SECOND, needs_root, run_as, team_folder

from helioloop.registry.root_identity import FILE_NAME, make_root_identity, read_root_identity

MAKES = """
import sys
from pathlib import Path
from helioloop.registry.root_identity import make_root_identity
print(make_root_identity(Path(sys.argv[1])))
"""


def test_it_is_made_once_and_read_afterwards(tmp_path: Path) -> None:
    assert read_root_identity(tmp_path) is None
    made = make_root_identity(tmp_path)
    assert made is not None
    assert len(made) == 16
    assert make_root_identity(tmp_path) == read_root_identity(tmp_path) == made
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_two_folders_have_two(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    assert make_root_identity(tmp_path / "one") != make_root_identity(tmp_path / "two")


def test_a_folder_keeps_it_when_it_is_moved_and_when_it_is_seen_at_another_path(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    made = make_root_identity(tmp_path / "one")
    shutil.move(tmp_path / "one", tmp_path / "two")
    (tmp_path / "mounted").symlink_to(tmp_path / "two", target_is_directory=True)
    assert make_root_identity(tmp_path / "two") == make_root_identity(tmp_path / "mounted") == made


def test_processes_that_make_it_at_the_same_time_agree(tmp_path: Path) -> None:
    """Six at once, as where the workers of several machines start together."""
    command = [sys.executable, "-c", MAKES, str(tmp_path)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(6)]
    said = {process.communicate(timeout=60)[0].strip() for process in started}
    assert said == {read_root_identity(tmp_path)}


def test_a_folder_that_is_not_there_has_none_and_is_not_made(tmp_path: Path) -> None:
    assert make_root_identity(tmp_path / "models") is None
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize("content", [b"", b"word", b"\xff" * 16, b"0123456789abcdef" * 9])
def test_a_damaged_file_is_none_and_stays(tmp_path: Path, content: bytes) -> None:
    """Another one in its place would make the folder a stranger to its own workers."""
    (tmp_path / FILE_NAME).write_bytes(content)
    assert make_root_identity(tmp_path) is None
    assert (tmp_path / FILE_NAME).read_bytes() == content


@needs_root
def test_a_reader_that_may_not_write_goes_without_and_then_reads_what_another_user_made() -> None:
    """As the backend with a folder that is mounted read-only; the other user's umask hides new files."""
    with team_folder(0o755) as folder:
        assert run_as(SECOND, lambda: make_root_identity(folder)) is None
        made = run_as(FIRST, lambda: make_root_identity(folder), umask=0o077)
        assert made == make_root_identity(folder)
        assert run_as(SECOND, lambda: make_root_identity(folder)) == made
