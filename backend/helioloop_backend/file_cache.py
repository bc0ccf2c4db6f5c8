"""Contents of files, read again only after a file was replaced."""

import os
from collections.abc import Callable
from typing import Generic, TypeVar

from helioloop.errors import RegistryError

T = TypeVar("T")
Stamp = tuple[int, int, int]
"""What changes when a file is replaced."""


class FileCache(Generic[T]):
    """Keeps what was read from each file until the file is replaced or deleted."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[Stamp, T]] = {}

    def get(self, path: str, read: Callable[[], T]) -> T | None:
        """Return what `path` contains; None where the file is absent or damaged, `OSError` where it cannot be read.

        Parameters
        ----------
        path : str
            A file that is only ever replaced as a whole.
        read : callable
            Reads it; raises `RegistryError` for a damaged file.
        """
        try:
            return self.get_sound(path, read)
        except RegistryError:
            return None

    def get_sound(self, path: str, read: Callable[[], T]) -> T | None:
        """Return what `path` contains; None where the file is absent.

        Raises
        ------
        RegistryError
            Where it is damaged.
        OSError
            Where it cannot be read or looked at.
        """
        stamp = stamp_of(path)
        if stamp is None:
            self._held.pop(path, None)
            return None
        held = self._held.get(path)
        if held is None or held[0] != stamp:
            self._held.pop(path, None)
            held = self._held[path] = (stamp, read())
        return held[1]


def stamp_of(path: str) -> Stamp | None:
    """Return what changes when a file is replaced; None where the file is absent.

    Raises
    ------
    OSError
        Where the file cannot be looked at, by its rights or on a network file system that does not answer: it may be
        there.
    """
    try:
        found = os.stat(path)  # noqa: PTH116 - several times for each request
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
