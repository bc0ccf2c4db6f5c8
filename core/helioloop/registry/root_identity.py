"""The identity of a model root: a random word in a file of it, made once.

A folder keeps it when it is moved or restored, and machines that share the folder share it. So it tells whether two
processes work on one model root where their paths say nothing: `helioloop.messaging.served_root` keeps it in Redis.
"""

import re
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final

from helioloop.files import atomic
from helioloop.files.lease import holding

FILE_NAME: Final = "model-root-id.txt"
_MODE: Final = 0o644
"""Whatever the umask, other users of the folder read it; it is no secret."""
_WORD: Final = re.compile(rb"[0-9a-f]{16}")
_LONGEST: Final = 64
_WAIT_SECONDS: Final = 5.0
"""Longest wait for another process that makes the file just now."""


def make_root_identity(model_root: Path) -> str | None:
    """Return the identity of a model root, which is made where the folder has none.

    Returns
    -------
    str or None
        None where it has none and none can be made: there is no such folder, or this account may not write there.
    """
    if (path := model_root / FILE_NAME).exists() or not model_root.is_dir():
        return read_root_identity(model_root)
    with suppress(OSError), holding(model_root / f".{FILE_NAME}.lock", wait_seconds=_WAIT_SECONDS) as alone:
        if alone and not path.exists():
            with atomic.replacing(path, make_folders=False) as new:
                new.write_text(f"{secrets.token_hex(8)}\n")
                new.chmod(_MODE)
    return read_root_identity(model_root)


def read_root_identity(model_root: Path) -> str | None:
    """Return the identity of a model root; None where it has none, or it is damaged or may not be read."""
    try:
        with (model_root / FILE_NAME).open("rb") as file:
            found = file.read(_LONGEST).strip()
    except OSError:
        return None
    return found.decode() if _WORD.fullmatch(found) else None


def lacks_root_identity(model_root: Path) -> bool:
    """Return whether a model root certainly has no identity: there is no such file, or no such folder.

    False where there is one that is damaged, and where this account may not look: it may be any model root then.
    """
    try:
        (model_root / FILE_NAME).lstat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False
