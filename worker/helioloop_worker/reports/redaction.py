"""Messages that were raised or written elsewhere, made fit to show: one line, no secrets, no folders.

A status page is passed on to colleagues, and error messages can contain tokens, passwords and folders.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from helioloop.settings import Settings, secret_values

HIDDEN = "…"

_URL_LOGIN = re.compile(r"(?<=://)[^/\s@]*@")
"""``user:password@`` in a URL."""
_HEADER_TOKEN = re.compile(r"(?:(?<=Token )|(?<=Bearer ))[\w.+/=-]{16,}")
"""The token of an Authorization header."""
_ERROR_CLASS = re.compile(r"helioloop\.errors\.\w+: ")
"""The class name that a traceback puts before the message of one of our errors."""

_NOT_INSIDE = r"(?<![\w:/.~)\]-])"
"""Before the slash of an absolute path: no character that would make it part of a URL or of a relative path."""
_ENDS_PATH = r"""\s'"`,;:()"""
"""Characters that a path in a message ends before."""
_ABSOLUTE_PATH = rf"{_NOT_INSIDE}/[^/{_ENDS_PATH}][^{_ENDS_PATH}]*"


def redact(message: str, *, model_dir: Path) -> str:
    """Return a message on one line, without logins and class names, and of each path only the last part.

    The path of the model folder stays whole, because remedies name it.
    """
    keep = str(model_dir)
    message = _ERROR_CLASS.sub("", message)
    message = _HEADER_TOKEN.sub(HIDDEN, _URL_LOGIN.sub(HIDDEN, message))
    message = re.sub(f"{re.escape(keep)}|{_ABSOLUTE_PATH}", lambda path: _last_part(path[0], keep=keep), message)
    return "".join(letter for letter in " ".join(message.split()) if letter.isprintable())


def hide_secrets(message: str, settings: Settings) -> str:
    """Return a message without the values of the secret settings and the password of Redis."""
    for secret in _secrets(settings):
        message = message.replace(secret, HIDDEN)
    return message


def _last_part(path: str, *, keep: str) -> str:
    return path if path == keep else path.rstrip("/").rpartition("/")[2]


def _secrets(settings: Settings) -> Iterator[str]:
    """Yield the secrets without white space around them: a line end after a token is what makes a header fail."""
    yield from filter(None, (secret.strip() for secret in secret_values(settings)))
