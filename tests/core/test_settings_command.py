"""`helioloop settings`: values, where they come from, and no secrets; and what other commands report at their start."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from helioloop.cli import helioloop, load_commands
from helioloop.settings import Settings, load_settings

load_commands(helioloop)

Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs `helioloop` with variables."""

    def run_with(*arguments: str, **variables: str) -> Result:
        with monkeypatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            load_settings.cache_clear()
            try:
                return CliRunner().invoke(helioloop, arguments)
            finally:
                load_settings.cache_clear()

    return run_with


def test_values_are_shown_with_their_variable_or_file(run: Run, tmp_path: Path) -> None:
    """Secrets are not shown, nor is the password in an address."""
    file = tmp_path / "token"
    file.write_text("hunter2\n")
    result = run(
        "settings",
        PORT="9191",
        LABEL_STUDIO_API_KEY_FILE=str(file),
        REDIS_URL="redis://:hunter2@redis:6379/0",
        HELIOLOOP_RELEASE_ROOTS='["/data/a", "/b"]',
    )
    assert result.exit_code == 0, result.output
    shown = [line.split(maxsplit=1) for line in result.stdout.splitlines()]
    rows = {name: rest.split("  ") for name, rest in shown}
    assert rows["backend_port"][-1].strip() == "PORT"
    assert rows["redis_url"][0] == "redis://redis:6379/0"
    assert f"{file} (LABEL_STUDIO_API_KEY_FILE)" in result.stdout
    assert '["/data/a", "/b"]' in result.stdout
    assert "hunter2" not in result.output


def test_json_lists_all_settings(run: Run) -> None:
    """With the default where no variable gives a value, and what is doubtful."""
    result = run("settings", "--json", BASIC_AUTH_USER="me", BASIC_AUTH_PASS="hunter2", HELIOLOOP_SEEED="7")
    answer = json.loads(result.stdout)
    rows = {row.pop("setting"): row for row in answer["settings"]}
    assert list(rows) == list(Settings.model_fields)
    assert rows["basic_auth_user"] == {"value": "me", "variable": "BASIC_AUTH_USER", "file": None}
    assert rows["basic_auth_password"] == {"value": "set, not shown", "variable": "BASIC_AUTH_PASS", "file": None}
    assert rows["seed"] == {"value": 0, "variable": None, "file": None}
    assert rows["webhook_secret"]["value"] is None
    assert rows["require_services"]["value"] in (True, False)
    [doubt] = answer["doubts"]
    assert doubt.endswith("did you mean HELIOLOOP_SEED?")


def test_all_shows_defaults_too(run: Run) -> None:
    result = run("settings", "--all")
    assert len(result.stdout.splitlines()) == len(Settings.model_fields) + 1
    assert "default" in result.stdout


@pytest.mark.parametrize(
    "variables",
    [{"PORT": "x"}, {"REDIS_URL": "redis://:hun/ter2@host"}, {"BASIC_AUTH_PASS_FILE": "/absent/hunter"}],
    ids=lambda variables: next(iter(variables)),
)
def test_a_wrong_value_is_status_1(run: Run, variables: dict[str, str]) -> None:
    result = run("settings", **variables)
    assert result.exit_code == 1
    assert next(iter(variables)) in result.stderr
    assert "ter2" not in result.output


def test_each_command_reports_variables_without_effect_once(run: Run) -> None:
    """On stderr, and it runs all the same; with --help too, which runs nothing."""
    for arguments in (("settings", "--json"), ("score", "--help")):
        result = run(*arguments, HELIOLOOP_MODEL_ROT="/hunter2")
        assert result.exit_code == 0
        assert result.stderr.count("HELIOLOOP_MODEL_ROT is ignored") == 1
        assert "hunter2" not in result.stderr


def test_nothing_is_reported_without_doubtful_variables(run: Run) -> None:
    assert run("settings").stderr == ""
