"""A random word in the folder of the model folders: two processes that read the same one see the same folder."""

import secrets
from pathlib import Path
from typing import Final

from helioloop.files import atomic

FILE_NAME: Final = "doctor-stamp.txt"
_LONGEST: Final = 64


def write_stamp(model_root: Path) -> str:
    """Write a new stamp into the folder and return it.

    Raises
    ------
    OSError
        If the folder is missing or cannot be written.
    """
    if not model_root.is_dir():
        raise FileNotFoundError("there is no such folder")
    stamp = secrets.token_hex(8)
    atomic.write_text(model_root / FILE_NAME, stamp + "\n")
    return stamp


def read_stamp(model_root: Path) -> str | None:
    """Return the stamp in the folder; None where there is none."""
    try:
        with (model_root / FILE_NAME).open("rb") as file:
            return file.read(_LONGEST).decode("ascii", "replace").strip() or None
    except OSError:
        return None
