"""Reads a secret from the file that a ``…_FILE`` variable names, as Docker and Kubernetes mount secrets."""

import os
import stat
from pathlib import Path
from typing import Final

from helioloop.errors import SettingsError

LARGEST_BYTES: Final = 8192
"""Longer than any token, password or address; servers refuse longer header lines."""
_FIRST_PRINTABLE: Final = " "


def read_secret(variable: str, path: Path) -> str:
    """Return the secret in a file, without the line ends after it.

    Parameters
    ----------
    variable : str
        The variable that names the file, for messages.
    path : Path
        The file; a symbolic link is followed, because Kubernetes mounts secrets as links.

    Raises
    ------
    SettingsError
        Where the file is missing, unreadable, not a regular file, empty, longer than `LARGEST_BYTES`, or not one line
        of text in UTF-8. The sentence contains the variable and the path, nothing of the content.
    """
    data = _read(variable, path)
    if len(data) > LARGEST_BYTES:
        raise SettingsError(
            f"{variable} names {path}, which is larger than {LARGEST_BYTES} bytes, the largest size of a secret; name "
            "the file that contains only the secret"
        )
    try:
        text = data.decode("utf-8-sig").rstrip("\r\n")  # Windows editors put a mark at the start of a text file
    except UnicodeDecodeError:
        raise SettingsError(
            f"{variable} names {path}, which is not text in UTF-8; write the secret into it as one line of text"
        ) from None
    if not text.strip():
        raise SettingsError(f"{variable} names {path}, which is empty; write the secret into it, or unset {variable}")
    if "\n" in text or "\r" in text:
        raise SettingsError(
            f"{variable} names {path}, which has more than one line; write only the secret into it, as one line"
        )
    if any(letter < _FIRST_PRINTABLE or letter == "\x7f" for letter in text):
        raise SettingsError(
            f"{variable} names {path}, which contains control characters and so is not a text file; write the secret "
            "into it as one line of text in UTF-8"
        )
    return text


def _read(variable: str, path: Path) -> bytes:
    """Return at most one byte more than a secret may have."""
    shown = _shown(path)
    try:
        # without blocking: opening a pipe would wait for its writer for ever
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(descriptor, "rb") as file:
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                return file.read(LARGEST_BYTES + 1)
    except FileNotFoundError:
        raise SettingsError(
            f"{variable} names {shown}, which does not exist; create the file, mount the secret there, or correct the "
            "path"
        ) from None
    except IsADirectoryError:
        raise SettingsError(
            f"{variable} names {shown}, which is a folder; name the file in it that contains the secret"
        ) from None
    except PermissionError:
        raise SettingsError(
            f"{variable} names {shown}, which the user of this process (id {_user()}) may not read; give that user the "
            "right to read it"
        ) from None
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL
        raise SettingsError(
            f"{variable} names {shown}, which cannot be read ({type(error).__name__}); name a readable file that "
            "contains only the secret"
        ) from None
    raise SettingsError(
        f"{variable} names {shown}, which is not a regular file; name a file that contains only the secret"
    )


def _shown(path: Path) -> str:
    """Return the path as messages show it; not a value that may be the secret itself, put where its path belongs."""
    text = str(path)
    if path.is_absolute() or text.startswith((".", "~")):
        return text
    return f"a relative path of {len(text)} characters (not shown, because it may be the secret itself)"


def _user() -> int | str:
    return os.getuid() if hasattr(os, "getuid") else "unknown"
