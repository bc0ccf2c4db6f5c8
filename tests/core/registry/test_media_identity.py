"""A media folder belongs to one project of Label Studio, whatever number other projects have."""

import json
from pathlib import Path

import pytest

from helioloop.errors import RegistryError
from helioloop.registry.media_identity import check_media_identity
from helioloop.registry.project_stamp import FILE_NAME

CREATED = "2026-03-01T12:00:00.123456Z"
OTHER = "2026-05-01T08:00:00.5+00:00"


def check(folder: Path, created_at: str | None = CREATED, *, title: str = "bipoles", claim: bool = True) -> None:
    """Check the folder for project 1."""
    check_media_identity(folder, project=1, title=title, created_at=created_at, claim=claim)


def test_a_folder_becomes_that_of_the_first_project(tmp_path: Path) -> None:
    """Also one with videos, which an earlier helioloop made; a new title changes nothing."""
    (tmp_path / "six").mkdir()
    check(tmp_path, claim=False)
    assert not (tmp_path / FILE_NAME).exists()
    check(tmp_path)
    check(tmp_path, title="renamed")
    assert json.loads((tmp_path / FILE_NAME).read_text())["title"] == "bipoles"


def test_another_project_of_the_number_is_refused_with_both_names(tmp_path: Path) -> None:
    check(tmp_path)
    with pytest.raises(RegistryError, match=r"project 1, 'second', .*2026-05-01 08:00 UTC.*'bipoles'.*own HELIOLOOP_"):
        check(tmp_path, OTHER, title="second")
    (tmp_path / FILE_NAME).unlink()
    check(tmp_path, OTHER, title="second")


def test_no_folder_is_made(tmp_path: Path) -> None:
    """A train worker has no media folder."""
    check(tmp_path / "project-1")
    assert not (tmp_path / "project-1").exists()


def test_nothing_is_checked_where_label_studio_does_not_say_when(tmp_path: Path) -> None:
    check(tmp_path)
    check(tmp_path, None)


def test_a_damaged_file_is_named_with_its_remedy(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text("{")
    with pytest.raises(RegistryError, match=r"project\.json does not name the project of a media folder .* delete it"):
        check(tmp_path)
