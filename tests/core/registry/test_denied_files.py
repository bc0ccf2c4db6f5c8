"""Files of a model folder that belong to another account and that it keeps to itself."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.other_user import FIRST, SECOND, needs_root, run_as, team_folder

from helioloop.registry.project_controls import read_project_controls
from helioloop.registry.project_profile import find_project_profile
from helioloop.registry.project_stamp import ProjectStamp
from helioloop.registry.score_store import read_scores


def _stamp(folder: Path) -> ProjectStamp | None:
    return ProjectStamp.read(folder, kind="model folder")


@needs_root
@pytest.mark.parametrize(
    ("name", "read"),
    [("controls.json", read_project_controls), ("profile.json", find_project_profile), ("project.json", _stamp)],
)
def test_a_file_that_may_not_be_read_is_not_called_damaged(name: str, read: Callable[[Path], Any]) -> None:
    """Nobody is told to delete it or to restore it from a backup."""
    with team_folder() as folder:
        path = folder / name
        run_as(FIRST, lambda: path.write_text("{}"), umask=0o077)
        assert run_as(SECOND, lambda: str(read(folder))) == (
            f"RegistryError: {path} cannot be read (Permission denied); let the user number {SECOND} read {path}, "
            f"which belongs to number {FIRST}"
        )


@needs_root
def test_a_folder_of_scores_that_may_not_be_read_is_not_an_empty_one() -> None:
    """Else every cube would be scored again."""
    with team_folder() as folder:
        run_as(FIRST, (folder / "scores").mkdir, umask=0o077)
        assert "PermissionError" in run_as(SECOND, lambda: list(read_scores(folder / "scores")))
        assert read_scores(folder / "none") == {}
