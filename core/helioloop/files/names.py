"""Decides which names may become part of a path: those of releases and cubes come from tables and from Label Studio."""

from typing import Any, Final, TypeGuard

LONGEST_NAME: Final = 200
"""Characters of the name of a cube or release, at most."""


def is_plain_name(value: Any) -> TypeGuard[str]:
    """Return True for a string that names a file or folder and cannot lead out of its folder.

    A plain name has 1 to `LONGEST_NAME` printable characters, no slash, no backslash and no leading dot.
    """
    return (
        isinstance(value, str)
        and 0 < len(value) <= LONGEST_NAME
        and not value.startswith(".")
        and value.isprintable()
        and not {"/", "\\"} & set(value)
    )
