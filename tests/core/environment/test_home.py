"""A home folder that is unknown is refused with the remedy; one that is closed or not there is done without."""

import os
import tempfile
from pathlib import Path

import pytest
from tests.other_user import SECOND, needs_root, run_as, team_folder

from helioloop.environment.home import check_home, default_cache, make_configuration_usable


@needs_root
def test_a_user_without_a_home_is_told_to_name_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a number that a container or a batch system runs as, in an environment without HOME."""
    for variable in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    said = (
        "SettingsError: no home folder is known, because HOME is not set and the system has no account for the user "
        f"number {SECOND}; set HOME to a folder of this user"
    )
    assert run_as(SECOND, check_home) == said
    assert run_as(SECOND, default_cache) == said


def _configuration() -> str | None:
    make_configuration_usable()
    return os.environ.get("XDG_CONFIG_HOME")


def test_a_home_that_can_be_written_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert _configuration() is None
    assert list(tmp_path.iterdir()) == []


@needs_root
def test_a_home_that_cannot_be_used_is_replaced_for_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of another user, as `sudo` may keep it, and one that does not exist, as accounts of services have it."""
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    with team_folder(0o700) as closed:
        for home in (closed, Path("/nonexistent")):
            monkeypatch.setenv("HOME", str(home))
            found = run_as(SECOND, _configuration)
            assert "helioloop-configuration-" in found
            Path(found, "astropy").rmdir()
            Path(found).rmdir()  # the test's process ends without its last steps


def test_without_a_home_and_a_temporary_folder_commands_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container with a read-only root: most commands do without what libraries keep there."""
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("HOME", "/proc/home")
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: ["/proc"])
    assert _configuration() is None
