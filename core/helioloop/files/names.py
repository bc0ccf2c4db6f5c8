"""Decides which names may become part of a path: those of releases and cubes come from tables and from Label Studio."""

import os
from typing import Any, Final, TypeGuard

LONGEST_NAME: Final = 200
"""Characters of the name of a cube or release, at most."""
_LONGEST_FILE_BYTES: Final = 255 - 10
"""Bytes of a file's name on all usual disks, less those that `atomic` adds while it writes the file."""


def is_plain_name(value: Any) -> TypeGuard[str]:
    """Return True for a string that names a file or folder and cannot lead out of its folder.

    A plain name has 1 to `LONGEST_NAME` printable characters, no slash, no backslash, no leading dot and no blank at
    its ends, which tables do not keep.
    """
    return (
        isinstance(value, str)
        and 0 < len(value) <= LONGEST_NAME
        and not value.startswith(".")
        and value == value.strip()
        and value.isprintable()
        and not {"/", "\\"} & set(value)
    )


def file_name(stem: str, ending: str) -> str:
    """Return `stem` with `ending`, the stem cut so that a file can have that name.

    Disks limit bytes, not characters: 120 Cyrillic letters are 240 bytes. Different stems may be cut to the same one,
    so `ending` must tell them apart where that matters.
    """
    room = _LONGEST_FILE_BYTES - len(os.fsencode(ending))
    return os.fsencode(stem)[:room].decode(errors="ignore") + ending if len(os.fsencode(stem)) > room else stem + ending


def shown_name(name: str) -> str:
    """Return a name that can be written as UTF-8: bytes of a file name that are not text become escapes."""
    return name.encode(errors="backslashreplace").decode()
