"""Passwords and tokens of the demo's services, made once and kept in files that only their owner can read."""

import json
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

EMAIL = "demo@helioloop.example"


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """The one account of the demo's Label Studio."""

    email: str
    password: str = field(repr=False)
    token: str = field(repr=False)


def stored_login(path: Path) -> Login:
    """Return the login in the file at `path`; a new one is made and stored if there is none."""
    values = _stored(path, lambda: {"password": secrets.token_urlsafe(12), "token": secrets.token_hex(20)})
    return Login(email=EMAIL, password=values["password"], token=values["token"])


def stored_secret(path: Path) -> str:
    """Return the secret in the file at `path`; a new one is made and stored if there is none."""
    return _stored(path, lambda: {"secret": secrets.token_urlsafe(24)})["secret"]


def write_private(path: Path, text: str) -> None:
    """Write a file that nobody but its owner can read at any moment."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)


def _stored(path: Path, make: Callable[[], dict[str, str]]) -> dict[str, str]:
    if not path.exists():
        write_private(path, json.dumps(make()))
    return dict(json.loads(path.read_text()))
