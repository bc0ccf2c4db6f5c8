"""Two users share a folder: what one of them may not do is said with its owner, and nothing is left half-written."""

import errno
import os
import stat
from pathlib import Path

import pytest
from tests.other_user import FIRST, SECOND, needs_root, run_as, team_folder

from helioloop.cli import path_error
from helioloop.environment.users import this_user
from helioloop.files import atomic
from helioloop.files.access import remedy_for_denial


def _write(path: Path, text: str = "x") -> str | None:
    """Return what the command line prints where a file cannot be written."""
    try:
        atomic.write_text(path, text)
    except OSError as error:
        return path_error(error)
    return None


def test_this_user_has_a_name() -> None:
    assert this_user()


@needs_root
def test_a_user_without_a_name_is_a_number() -> None:
    assert run_as(SECOND, this_user) == f"number {SECOND}"


@needs_root
@pytest.mark.parametrize("umask", [0o002, 0o077])
def test_another_user_of_the_group_replaces_a_file_with_the_umask_of_its_own(umask: int) -> None:
    """Replacing needs no right to the old file, only to its folder."""
    with team_folder() as folder:
        path = folder / "published.json"
        assert run_as(FIRST, lambda: _write(path), umask=umask) is None
        assert run_as(SECOND, lambda: _write(path, "y"), umask=umask) is None
        assert path.read_text() == "y"
        assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
        assert [entry.name for entry in folder.iterdir()] == ["published.json"]


@needs_root
def test_a_folder_that_cannot_be_written_is_named_with_its_owner() -> None:
    with team_folder(0o755) as folder:
        path = folder / "published.json"
        run_as(FIRST, lambda: _write(path))
        said = run_as(SECOND, lambda: _write(path, "y"))
        assert said == (
            f"{path} cannot be used (Permission denied); let the user number {SECOND} write in {folder}, which belongs "
            f"to number {FIRST}"
        )
        assert path.read_text() == "x"


@needs_root
def test_a_folder_that_cannot_be_entered_is_the_one_that_is_named() -> None:
    with team_folder() as folder:
        closed = folder / "closed"
        run_as(FIRST, lambda: _write(closed / "deep" / "file"), umask=0o077)
        said = run_as(SECOND, lambda: _write(closed / "deep" / "file"))
        assert said.endswith(f"let the user number {SECOND} enter {closed}, which belongs to number {FIRST}")


@needs_root
def test_a_file_that_cannot_be_read_is_named_with_its_owner() -> None:
    with team_folder() as folder:
        path = folder / "card.json"
        run_as(FIRST, lambda: _write(path), umask=0o077)
        said = run_as(SECOND, lambda: remedy_for_denial(path))
        assert said == f"let the user number {SECOND} read {path}, which belongs to number {FIRST}"


@needs_root
def test_the_user_as_whom_a_process_works_counts() -> None:
    """Not the one that started it."""
    with team_folder() as folder:
        path = folder / "closed" / "card.json"
        run_as(FIRST, lambda: _write(path), umask=0o077)

        def as_another() -> str:
            os.seteuid(SECOND)
            return remedy_for_denial(path)

        said = f"let the user number {SECOND} enter {path.parent}, which belongs to number {FIRST}"
        assert run_as(0, as_another) == said


@needs_root
@pytest.mark.parametrize("name", ["card.json", "deep/card.json", "link"])
def test_what_forbids_a_path_may_be_out_of_sight(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with a server of files that takes this user for another one: the rights that are seen would allow it."""
    with team_folder() as folder:
        closed = folder / "closed"
        run_as(FIRST, lambda: _write(closed / "card.json"), umask=0o077)
        (folder / "link").symlink_to(closed / "card.json")
        monkeypatch.setattr("helioloop.files.access._may", lambda *_: True)
        path = folder / name if name == "link" else closed / name
        said = run_as(SECOND, lambda: remedy_for_denial(path))
        assert said == f"let the user number {SECOND} read and write there"


@needs_root
def test_a_folder_with_the_sticky_bit_is_told_apart() -> None:
    """As /tmp: everybody may write in it, and only the owner of a file may replace it."""
    with team_folder(0o3775) as folder:
        path = folder / "published.json"
        run_as(FIRST, lambda: _write(path))
        said = run_as(SECOND, lambda: _write(path, "y"))
        assert "(Operation not permitted); in" in said
        assert said.endswith(f"remove the bit (chmod -t {folder})")
        assert (path.read_text(), [entry.name for entry in folder.iterdir()]) == ("x", ["published.json"])


def test_an_error_names_the_file_and_not_the_new_one_beside_it(tmp_path: Path) -> None:
    (tmp_path / "folder" / "file").mkdir(parents=True)
    with pytest.raises(OSError, match="directory") as caught:
        atomic.write_text(tmp_path / "folder" / "file", "x")
    assert caught.value.filename == str(tmp_path / "folder" / "file")
    with pytest.raises(OSError, match="too long") as caught:
        atomic.write_text(tmp_path / ("x" * 250), "x")
    assert (caught.value.errno, caught.value.filename) == (errno.ENAMETOOLONG, str(tmp_path / ("x" * 250)))
