"""Settings: the table in the docs equals the one in the code, and secrets are not shown."""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import PydanticUndefined

from helioloop.environment import names
from helioloop.errors import SettingsError
from helioloop.settings import Settings, load_settings, secret_values

DOCS = Path(__file__).parents[2] / "docs" / "settings.md"


def documented() -> dict[str, tuple[str, ...]]:
    """Return variable -> (other names, default, meaning) from docs/settings.md."""
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \| (.*?) \|$", DOCS.read_text(), flags=re.MULTILINE)
    return {row[0]: tuple(row[1:]) for row in rows}


def other_names(setting: str) -> str:
    """Return the other names of a setting in the form of the table."""
    found = [f"`{names.ALIASES[setting]}`"] if setting in names.ALIASES else []
    found += ["`…_FILE`"] if setting in names.FROM_FILES else []
    return ", ".join(found) or "–"


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
        f"HELIOLOOP_{name.upper()}": (other_names(name), default_of(name, field), field.description)
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


def test_secrets_are_never_shown() -> None:
    """Not in the representation, nor in the error for a value that breaks a rule."""
    settings = Settings(
        redis_url="redis://:hunter2@host",
        redis_password="hunter2",
        basic_auth_password="hunter2",
        label_studio_url="http://me:hunter2@host",
        label_studio_public_url="http://me:hunter2@host/x",
    )
    assert "hunter2" not in repr(settings)
    assert set(secret_values(settings)) == {"hunter2"}
    with pytest.raises(ValueError, match="ends with a space") as caught:
        Settings(basic_auth_password="hunter2 ")
    assert "hunter2" not in str(caught.value)


@pytest.fixture
def refusal(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Return a function that gives the refusal of an environment."""

    def refusal_of(**variables: str) -> str:
        with monkeypatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            load_settings.cache_clear()
            with pytest.raises(SettingsError) as caught:
                load_settings()
        assert caught.value.__cause__ is None
        return str(caught.value)

    return refusal_of


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        (
            "PORT",
            "99999",
            "PORT is '99999': Input should be less than or equal to 65535; correct it, or set HELIOLOOP_",
        ),
        ("HELIOLOOP_BACKEND_PORT", "x", "HELIOLOOP_BACKEND_PORT is 'x': Input should be a valid integer"),
        ("HELIOLOOP_BACKEND_PORT", "tcp://10.0.0.1:9090", "enableServiceLinks: false"),
        ("THREADS", "0", "THREADS is '0': Input should be greater than or equal to 1; correct it, or set HELIOLOOP_"),
        ("LOG_LEVEL", "chatty", "LOG_LEVEL is 'chatty': Input should be 'debug', 'info'"),
        ("HELIOLOOP_RELEASE_ROOTS", "/data", "HELIOLOOP_RELEASE_ROOTS is '/data', which is not JSON"),
        ("LABEL_STUDIO_URL", "hunter2:8080", "LABEL_STUDIO_URL is not an address without http:// or https:// in front"),
        ("LABEL_STUDIO_API_KEY", "Token hunter2", "LABEL_STUDIO_API_KEY contains a blank"),
        ("BASIC_AUTH_USER", "hunter2:x", "BASIC_AUTH_USER contains a colon"),
        ("BASIC_AUTH_PASS", " hunter2", "BASIC_AUTH_PASS begins or ends with a space"),
        ("BASIC_AUTH_PASS", "hunter2π", "BASIC_AUTH_PASS contains a letter outside Latin-1"),
        ("HELIOLOOP_WEBHOOK_SECRET", "hunter2ł", "HELIOLOOP_WEBHOOK_SECRET contains a letter outside Latin-1"),
    ],
)
def test_a_wrong_value_is_refused_in_a_sentence(
    refusal: Callable[..., str], variable: str, value: str, said: str
) -> None:
    """It names the variable that gave the value, the rule and the remedy, and no value that may be a secret."""
    sentence = refusal(**{variable: value})
    assert said in sentence
    assert "hunter2" not in sentence


def test_a_file_whose_secret_breaks_a_rule_is_named(refusal: Callable[..., str], tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("hunter2 \n")
    sentence = refusal(BASIC_AUTH_PASS_FILE=str(file))
    assert sentence.startswith("BASIC_AUTH_PASS_FILE begins or ends with a space")
    assert "does not exist" in refusal(BASIC_AUTH_PASS_FILE=str(tmp_path / "absent"))


@pytest.mark.parametrize(
    ("given", "level"), [("INFO", "info"), ("Debug", "debug"), ("warn", "warning"), ("FATAL", "critical")]
)
def test_levels_are_read_as_other_programs_write_them(monkeypatch: pytest.MonkeyPatch, given: str, level: str) -> None:
    monkeypatch.setenv("LOG_LEVEL", given)
    assert Settings().log_level == level


def test_the_names_of_label_studio_s_users_give_all_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Those of an environment file for label-studio-ml, with secrets in files."""
    token, password = tmp_path / "token", tmp_path / "password"
    token.write_text("t0ken\n")
    password.write_text("pässwörd\r\n")
    variables = {
        "LABEL_STUDIO_URL": "https://labels.example.org",
        "LABEL_STUDIO_API_KEY_FILE": str(token),
        "BASIC_AUTH_USER": "label-studio",
        "BASIC_AUTH_PASS_FILE": str(password),
        "MODEL_DIR": "/data/models",
        "PORT": "9191",
        "THREADS": "3",
        "LOG_LEVEL": "DEBUG",
        "REDIS_URL": "redis://redis:6379/0",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert settings.api_key() == "t0ken"
    assert settings.basic_auth_password is not None
    assert settings.basic_auth_password.get_secret_value() == "pässwörd"
    assert (settings.label_studio_url, settings.basic_auth_user) == ("https://labels.example.org", "label-studio")
    assert settings.model_dir(3) == Path("/data/models/project-3")
    assert (settings.backend_port, settings.backend_threads, settings.log_level) == (9191, 3, "debug")
    assert settings.redis_url == "redis://redis:6379/0"


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
