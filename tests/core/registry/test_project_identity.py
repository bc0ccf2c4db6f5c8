"""A model folder belongs to one project of Label Studio, whatever number other projects have."""

import json
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from helioloop.errors import RegistryError
from helioloop.registry.label_snapshot import Snapshot
from helioloop.registry.project_identity import check_project_identity
from helioloop.registry.project_stamp import FILE_NAME

CREATED = "2026-03-01T12:00:00.123456Z"
OTHER = "2026-05-01T08:00:00.5+00:00"


def check(folder: Path, created_at: str | None = CREATED, title: str = "bipoles") -> None:
    """Check the folder for project 1."""
    check_project_identity(folder, project=1, title=title, created_at=created_at)


def test_a_new_folder_becomes_the_projects(tmp_path: Path) -> None:
    """The time is the same in every notation; a new title changes nothing."""
    check(tmp_path / "project-1")
    for same in (CREATED, "2026-03-01T13:00:00.123456+01:00", "2026-03-01T12:00:00.123456"):
        check(tmp_path / "project-1", same, title="renamed")
    assert json.loads((tmp_path / "project-1" / FILE_NAME).read_text())["title"] == "bipoles"


def test_a_project_with_the_same_number_does_not_get_the_folder(tmp_path: Path) -> None:
    """The sentence names both projects and what to do."""
    check(tmp_path)
    with pytest.raises(RegistryError, match=r"project 1, 'second', .*2026-05-01 08:00 UTC.*move the folder") as caught:
        check(tmp_path, OTHER, title="second")
    assert "'bipoles', created 2026-03-01 12:00 UTC" in str(caught.value)
    check(tmp_path)


def test_a_database_that_was_moved_as_json_has_the_same_project(tmp_path: Path) -> None:
    """Its times have milliseconds only."""
    check(tmp_path)
    check(tmp_path, "2026-03-01T12:00:00.123Z")


def test_a_folder_from_before_the_file_is_kept_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Its labels were read after the project was created."""
    Snapshot(read_at="2026-03-02T00:00:00+00:00").write(tmp_path)
    with caplog.at_level(logging.INFO):
        check(tmp_path)
    assert "belongs to project 1, 'bipoles', from now on" in caplog.text
    with pytest.raises(RegistryError, match="is not the model folder"):
        check(tmp_path, OTHER)


@pytest.mark.parametrize(("hours", "refused"), [(0.5, False), (2.0, True)])
def test_labels_that_are_older_than_the_project_are_another_projects(
    tmp_path: Path, hours: float, refused: bool
) -> None:
    """Up to an hour may be the difference of two clocks."""
    created = datetime(2026, 3, 1, tzinfo=UTC)
    Snapshot(read_at=(created - timedelta(hours=hours)).isoformat()).write(tmp_path)
    if not refused:
        check(tmp_path, created.isoformat())
        return
    with pytest.raises(RegistryError, match=r"its labels were read on 2026-02-28 22:00 UTC.*delete project\.json"):
        check(tmp_path, created.isoformat())
    assert not (tmp_path / FILE_NAME).exists()


@pytest.mark.parametrize("created_at", [None, "", "yesterday"])
def test_nothing_is_checked_where_label_studio_does_not_say_when(tmp_path: Path, created_at: str | None) -> None:
    check(tmp_path)
    check(tmp_path, created_at)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"title": "x", "created_at": 5}', "\x00"])
def test_a_damaged_file_is_named_with_its_remedy(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE_NAME).write_text(text)
    with pytest.raises(RegistryError, match=r"project\.json does not name the project .* delete it"):
        check(tmp_path)
