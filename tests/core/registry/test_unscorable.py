"""Cubes that a version could not score."""

import os
import time
from pathlib import Path

import pytest

from helioloop.errors import RegistryError
from helioloop.records.cubes import CubeInfo
from helioloop.registry.unscorable import add_unscorable, clear_unscorable, read_unscorable


def _cube(sha256: str) -> CubeInfo:
    return CubeInfo(release="r", name="A", sha256=sha256)


def test_cubes_add_up_for_each_version(tmp_path: Path) -> None:
    """Two versions have lists of their own; a cube that is added twice is in the list once."""
    add_unscorable(tmp_path, "v0001", [_cube("b" * 64)])
    add_unscorable(tmp_path, "v0001", [_cube("a" * 64), _cube("b" * 64)])
    add_unscorable(tmp_path, "v0002", [_cube("c" * 64)])
    assert read_unscorable(tmp_path, "v0001") == {"a" * 64, "b" * 64}
    assert read_unscorable(tmp_path, "v0002") == {"c" * 64}
    assert read_unscorable(tmp_path, "v0003") == set()


def test_no_cubes_write_no_file(tmp_path: Path) -> None:
    add_unscorable(tmp_path, "v0001", [])
    assert list(tmp_path.iterdir()) == []


def test_clearing_has_all_versions_try_all_cubes_again(tmp_path: Path) -> None:
    """Clearing a folder without any list changes nothing."""
    clear_unscorable(tmp_path)
    add_unscorable(tmp_path, "v0001", [_cube("a" * 64)])
    add_unscorable(tmp_path, "v0002", [_cube("a" * 64)])
    clear_unscorable(tmp_path)
    assert read_unscorable(tmp_path, "v0001") == read_unscorable(tmp_path, "v0002") == set()


@pytest.mark.parametrize("content", ["", "<html>", "{}", "null", "[1]", '["a", null]'])
def test_a_damaged_file_is_an_error_with_its_remedy(tmp_path: Path, content: str) -> None:
    add_unscorable(tmp_path, "v0001", [_cube("a" * 64)])
    (tmp_path / "unscorable" / "v0001.json").write_text(content)
    with pytest.raises(RegistryError, match=r"v0001\.json is not .*; delete it: its cubes are tried again"):
        read_unscorable(tmp_path, "v0001")


@pytest.mark.parametrize(("age", "cleared"), [(7200.0, True), (60.0, False), (-10.0, False), (-86400.0, True)])
def test_cubes_found_while_the_clock_was_ahead_are_tried_again(tmp_path: Path, age: float, cleared: bool) -> None:
    """As those that were found an hour ago."""
    add_unscorable(tmp_path, "v0001", [_cube("a" * 64)])
    os.utime(tmp_path / "unscorable" / "v0001.json", (time.time() - age,) * 2)
    assert clear_unscorable(tmp_path, older_than_seconds=3600.0) is cleared
