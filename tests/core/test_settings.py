"""Settings: the table in the docs equals the one in the code, and secrets are not shown."""

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import PydanticUndefined

from helioloop.errors import SettingsError
from helioloop.settings import Settings

DOCS = Path(__file__).parents[2] / "docs" / "settings.md"


def documented() -> dict[str, tuple[str, str]]:
    """Return variable -> (default, meaning) from docs/settings.md."""
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \|$", DOCS.read_text(), flags=re.MULTILINE)
    return {name: (default, meaning) for name, default, meaning in rows}


def default_of(name: str, field: Any) -> str:
    """Return a default in the form of the table."""
    if name == "cache_root":
        return "`~/.cache/helioloop`"
    value = field.default_factory() if field.default is PydanticUndefined else field.default
    if value is None:
        return "not set"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def test_the_docs_list_every_setting_with_its_default_and_meaning() -> None:
    """The docs list no other setting."""
    in_code = {
        f"HELIOLOOP_{name.upper()}": (default_of(name, field), field.description)
        for name, field in Settings.model_fields.items()
    }
    assert documented() == in_code


def test_redis_url_is_read_without_the_prefix_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """HELIOLOOP_REDIS_URL takes precedence over REDIS_URL."""
    monkeypatch.setenv("REDIS_URL", "redis://one:1/0")
    assert Settings().redis_url == "redis://one:1/0"
    monkeypatch.setenv("HELIOLOOP_REDIS_URL", "redis://two:2/0")
    assert Settings().redis_url == "redis://two:2/0"


def test_the_error_for_a_missing_token_tells_where_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the variable and the page of Label Studio."""
    monkeypatch.delenv("HELIOLOOP_LABEL_STUDIO_API_KEY", raising=False)
    with pytest.raises(SettingsError, match=r"HELIOLOOP_LABEL_STUDIO_API_KEY is not set.*Account & Settings"):
        Settings().api_key()


def test_secrets_are_not_shown_when_settings_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither repr nor a JSON dump contains them."""
    monkeypatch.setenv("HELIOLOOP_WEBHOOK_SECRET", "webhook-secret")
    assert "webhook-secret" not in repr(Settings())
    assert "webhook-secret" not in Settings().model_dump_json()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other cache folders")
def test_the_cache_is_in_the_cache_folder_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On Linux XDG_CACHE_HOME names it; without that it is ~/.cache."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("HELIOLOOP_CACHE_ROOT", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert Settings().cache_root == tmp_path / ".cache" / "helioloop"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert Settings().cache_root == tmp_path / "cache" / "helioloop"


def test_projects_are_those_that_have_a_model_folder(tmp_path: Path) -> None:
    """They come in increasing order; files and folders with other names do not count."""
    settings = Settings(model_root=tmp_path / "models")
    assert settings.projects() == []
    for name in ("project-10", "project-2", "project-x", "project-02", "project--1", "project-3-old", "projects"):
        (settings.model_root / name).mkdir(parents=True)
    (settings.model_root / "project-4").write_text("a file")
    assert settings.projects() == [2, 10]
    assert [settings.model_dir(project).name for project in settings.projects()] == ["project-2", "project-10"]
