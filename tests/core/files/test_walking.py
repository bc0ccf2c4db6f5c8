"""The walk through a folder: links count as folders, and none is visited twice."""

import os
from pathlib import Path

import pytest

from helioloop.files.walking import walk


def found(folder: Path) -> list[str]:
    """What the walk finds, relative to the folder."""
    return [str((place / name).relative_to(folder)) for place, names in walk(folder) for name in names]


def make(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_a_subfolder_that_is_a_link_is_searched_as_one_that_is_there(tmp_path: Path) -> None:
    """An archive disk, of which the working folder has one day itself and links to two."""
    make(tmp_path, "disk/01/a.fits", "disk/02/deep/b.fits", "work/03/c.fits")
    for day in ("01", "02"):
        (tmp_path / "work" / day).symlink_to(tmp_path / "disk" / day)
    assert found(tmp_path / "work") == ["03/c.fits", "01/a.fits", "02/deep/b.fits"]


def test_links_in_a_folder_that_a_link_leads_to_are_followed_too(tmp_path: Path) -> None:
    make(tmp_path, "far/a.fits", "disk/b.fits")
    (tmp_path / "disk" / "on").symlink_to(tmp_path / "far")
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "disk").symlink_to("../disk")
    assert found(tmp_path / "work") == ["disk/b.fits", "disk/on/a.fits"]


def test_a_folder_that_a_link_leads_to_is_not_read_twice_and_keeps_its_own_name(tmp_path: Path) -> None:
    """Also where the link sorts first, and where it leads to a folder above itself."""
    make(tmp_path, "z/a.fits")
    (tmp_path / "a-link").symlink_to("z")
    (tmp_path / "z" / "up").symlink_to(tmp_path)
    (tmp_path / "broken").symlink_to("nowhere")
    assert found(tmp_path) == ["broken", "z/a.fits"]


def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    make(tmp_path, "disk/a.fits")
    (tmp_path / "work").symlink_to("disk")
    assert found(tmp_path / "work") == ["a.fits"]


def test_hidden_files_hidden_folders_and_lost_and_found_are_left_out(tmp_path: Path) -> None:
    make(tmp_path, "a.fits", ".b.fits", ".hidden/c.fits", "lost+found/d.fits")
    assert found(tmp_path) == ["a.fits"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list every folder")
def test_a_folder_that_cannot_be_listed_is_told(tmp_path: Path) -> None:
    make(tmp_path, "closed/a.fits", "b.fits")
    (tmp_path / "closed").chmod(0)
    errors: list[OSError] = []
    try:
        assert [names for _, names in walk(tmp_path, on_error=errors.append)] == [["b.fits"]]
    finally:
        (tmp_path / "closed").chmod(0o700)
    assert [error.filename for error in errors] == [str(tmp_path / "closed")]
