"""The versions of Label Studio that helioloop supports."""

from typing import Final

SUPPORTED_RANGE: Final = "1.20, or 1.23 from 1.23.1 on"
"""For sentences."""


def is_supported(version: tuple[int, ...]) -> bool:
    """Return whether a version (major, minor, patch) is supported: 1.20, or 1.23.1 and later 1.23.

    The tests run on 1.20.0 and 1.23.2. Versions 1.21.0 to 1.23.0 drop every prediction that has a timeline range.
    """
    return version[:2] == (1, 20) or (1, 23, 1) <= version < (1, 24)
