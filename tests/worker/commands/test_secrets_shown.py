"""No command shows a secret, whatever characters it has and whatever fails because of it."""

import itertools
from pathlib import Path

import pytest
from click.testing import CliRunner

from helioloop.cli import helioloop, load_commands
from helioloop.settings import load_settings

MARK = "QXhunterXQ"
"""In every secret, and in nothing else."""
ADDRESSES = [
    *(f"redis://{user}:{MARK}{letter}{MARK}@127.0.0.1:1/0" for letter in "/#?[]@:%éж" for user in ("", "me")),
    *(f"redis://127.0.0.1:1/0?{option}={MARK}" for option in ("password", "unknown", "db", "socket_timeout")),
    f"redis://:{MARK}@127.0.0.1:{MARK}/0",
    f"redis://:{MARK}@[::1]:1/0",
    f"redis://:{MARK}[1@[::1:1/0",
    f"rediss://:{MARK}@127.0.0.1:1/0?ssl_cert_reqs={MARK}",
    MARK,
    f":{MARK}@127.0.0.1",
]
COMMANDS = (["settings", "--all"], ["settings", "--json"], ["worker", "--role", "score", "--check"])
SECRETS = {
    "LABEL_STUDIO_API_KEY": [MARK, f"Token {MARK}", f"{MARK}ж", f"{MARK}\r\n"],
    "BASIC_AUTH_PASS": [f"{MARK}:é", f" {MARK}", f"{MARK}ж", f"{MARK}\n{MARK}"],
    "HELIOLOOP_WEBHOOK_SECRET": [f"{MARK}é", f"{MARK}\t", f"{MARK}ж"],
    "REDIS_PASSWORD": [f"{MARK}/#?[@%ж", f"{MARK}\n"],
    "LABEL_STUDIO_URL": [f"http://me:{MARK}@127.0.0.1:1", f"{MARK}:8080", f"http://me:{MARK}/x@127.0.0.1", f"//{MARK}"],
    "HTTP_PROXY": [f"http://me:{MARK}@127.0.0.1:1"],
}


def output(monkeypatch: pytest.MonkeyPatch, command: list[str], variables: dict[str, str]) -> str:
    """Return all that a command prints; it may fail, but not with an exception that nobody expected."""
    if not helioloop.commands:
        load_commands(helioloop)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    load_settings.cache_clear()
    try:
        found = CliRunner().invoke(helioloop, command)
    finally:
        load_settings.cache_clear()
    assert found.exception is None or isinstance(found.exception, SystemExit), repr(found.exception)
    return found.output


@pytest.mark.parametrize(("command", "address"), list(itertools.product(COMMANDS, ADDRESSES)), ids=repr)
def test_no_command_shows_the_password_of_redis(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: list[str], address: str
) -> None:
    """Read, refused with the rule, or not reachable: a sentence comes, and the password is not in it."""
    found = output(monkeypatch, command, {"REDIS_URL": address, "HELIOLOOP_MODEL_ROOT": str(tmp_path)})
    assert found
    assert "QX" not in found
    assert "XQ" not in found


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in SECRETS.items() for value in values], ids=repr
)
def test_no_command_shows_another_secret(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, value: str
) -> None:
    """Tokens, passwords, the webhook secret, and addresses with a login."""
    more = {"REDIS_URL": "redis://127.0.0.1:1/0", "HELIOLOOP_MODEL_ROOT": str(tmp_path)}
    for command in COMMANDS:
        found = output(monkeypatch, command, {**more, name: value})
        assert found
        assert "QX" not in found
