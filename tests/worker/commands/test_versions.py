"""What `helioloop versions` says of a model folder that somebody changed by hand."""

import shutil
from pathlib import Path

from click.testing import CliRunner
from tests.core.registry.test_versions import _version

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
