"""What `helioloop versions` says of a model folder that somebody changed by hand."""

import shutil
from pathlib import Path

from click.testing import CliRunner
from tests.core.registry.test_versions import _version
from tests.other_user import FIRST, needs_root, run_as, team_folder

from helioloop.registry.version_names import misnamed_folders
from helioloop.registry.versions import Registry
from helioloop_worker.commands.learning import versions


def test_a_copied_version_is_listed_under_the_name_by_which_it_is_published(tmp_path: Path) -> None:
    """There were two lines of v0001, and no star at the published one."""
    registry = Registry(tmp_path)
    registry.publish(_version(registry), why="a test")
    shutil.copytree(tmp_path / "versions/v0001", tmp_path / "versions/v0003")
    registry.publish("v0003", why="a test")
    lines = CliRunner().invoke(versions, ["--model-dir", str(tmp_path)]).output.splitlines()
    assert [line.split()[:2] for line in lines[1:3]] == [["v0001", "2026-01-01T00:00:00+00:00"], ["*", "v0003"]]
    assert lines[3:] == ["v0003 was made as v0001: its folder was copied or renamed"]


def test_a_folder_with_another_name_than_a_version_s_is_said_to_be_passed_over(tmp_path: Path) -> None:
    """As a copy made by hand. A folder of something else is not, nor one that is being copied."""
    registry = Registry(tmp_path)
    _version(registry)
    for name in ("v0001.bak", "V0002", ".v0003.part"):
        shutil.copytree(tmp_path / "versions/v0001", tmp_path / "versions" / name)
    (tmp_path / "versions/notes").mkdir()
    said = "is passed over: a version is called v and its number, as v0001; rename that folder, or move it away"
    lines = CliRunner().invoke(versions, ["--model-dir", str(tmp_path)]).output.splitlines()
    assert lines[2:] == [f"versions/V0002 {said}", f"versions/v0001.bak {said}"]
    shutil.rmtree(tmp_path / "versions/v0001")
    lines = CliRunner().invoke(versions, ["--model-dir", str(tmp_path)]).output.splitlines()
    assert lines == [f"{tmp_path} holds no version yet", f"versions/V0002 {said}", f"versions/v0001.bak {said}"]


@needs_root
def test_a_folder_that_may_not_be_read_hides_no_other_remark() -> None:
    """As a copy that root made."""
    with team_folder() as place:
        registry = Registry(place)
        _version(registry)
        shutil.copytree(place / "versions/v0001", place / "versions/v0001.root")
        shutil.copytree(place / "versions/v0001", place / "versions/v0001.bak")
        (place / "versions/v0001.root").chmod(0o700)
        assert run_as(FIRST, lambda: misnamed_folders(place)) == ["v0001.bak"]
