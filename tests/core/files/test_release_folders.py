"""Folders of releases below the release roots: found in the first root that has them, and named where none has."""

import errno
from pathlib import Path
from typing import Any

import pytest

from helioloop.files.release_folders import find_release_folder, missing_releases


def test_releases_without_a_folder_are_named(tmp_path: Path) -> None:
    """A name that is no plain one is in no root, nor is a file or a link that leads out of its root."""
    (tmp_path / "root" / "here").mkdir(parents=True)
    (tmp_path / "root" / "file").touch()
    (tmp_path / "outside").mkdir()
    (tmp_path / "root" / "linked").symlink_to(tmp_path / "outside")
    (tmp_path / "root" / "inside").symlink_to(tmp_path / "root" / "here")
    names = ["there", "here", "../outside", "there", "file", "linked", "inside"]
    assert missing_releases([tmp_path / "root"], names) == ("../outside", "file", "linked", "there")
    assert missing_releases([], ["here"]) == ("here",)


def test_the_first_root_that_has_a_release_counts(tmp_path: Path) -> None:
    for folder in ("one/a", "two/a", "two/b"):
        (tmp_path / folder).mkdir(parents=True)
    roots = [tmp_path / "one", tmp_path / "two"]
    assert find_release_folder(roots, "a") == tmp_path / "one" / "a"
    assert find_release_folder(roots, "b") == tmp_path / "two" / "b"
    assert find_release_folder(roots, "c") is None


@pytest.mark.parametrize("number", [errno.EACCES, errno.ESTALE, errno.EIO])
def test_a_release_is_not_missing_where_a_root_cannot_be_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """A network file system is away: the release may be there."""
    away, whole = tmp_path / "away", Path.stat
    (tmp_path / "here").mkdir()

    def looking(path: Path, **how: Any) -> Any:
        if path.is_relative_to(away):
            raise OSError(number, "away")
        return whole(path, **how)

    monkeypatch.setattr(Path, "stat", looking)
    assert missing_releases([away, tmp_path], ["here", "there"]) == ()
    assert missing_releases([tmp_path, away], ["here", "there"]) == ()
    assert missing_releases([tmp_path], ["here", "there"]) == ("there",)
