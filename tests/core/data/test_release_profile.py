"""The profile of a release: a file that is not there, and what is there in its place."""

import os
from pathlib import Path

import pytest

from helioloop.data.release_profile import PROFILE_FILE, read_release_profile
from helioloop.errors import SettingsError


def test_a_release_without_the_file_is_of_mdi_and_a_link_to_one_is_read(tmp_path: Path) -> None:
    assert read_release_profile(tmp_path).name == "mdi"
    (tmp_path / "other.toml").write_text('profile = "hmi"\n')
    (tmp_path / PROFILE_FILE).symlink_to("other.toml")
    assert read_release_profile(tmp_path).name == "hmi"


def test_what_is_no_file_is_refused_and_not_taken_for_none(tmp_path: Path) -> None:
    """A link that leads nowhere or back to itself, a folder, and a pipe, which nobody writes to."""
    path = tmp_path / PROFILE_FILE
    for make, remove, reason in (
        (lambda: path.symlink_to("gone.toml"), path.unlink, "is a link to a file that does not exist: restore"),
        (lambda: path.symlink_to(PROFILE_FILE), path.unlink, "is a link that leads back to itself"),
        (path.mkdir, path.rmdir, "is a folder"),
        (lambda: os.mkfifo(path), path.unlink, "is a pipe"),
    ):
        make()
        with pytest.raises(SettingsError, match=f"release.toml {reason}"):
            read_release_profile(tmp_path)
        remove()
