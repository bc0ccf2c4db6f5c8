"""Contents of files, read again only after a file was replaced."""

from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from helioloop.errors import RegistryError

T = TypeVar("T")


class FileCache(Generic[T]):
    """Keeps what was read from each file until the file is replaced or deleted."""

    def __init__(self) -> None:
        self._held: dict[Path, tuple[tuple[int, int], T]] = {}

    def get(self, path: Path, read: Callable[[], T]) -> T | None:
        """Return what `path` contains; None where the file is absent or damaged.

        Parameters
        ----------
        path : Path
            A file that is only ever replaced as a whole.
        read : callable
            Reads it; raises `RegistryError` for a damaged file.
        """
        try:
            stat = path.stat()
            replaced = (stat.st_mtime_ns, stat.st_ino)
            held = self._held.get(path)
            if held is None or held[0] != replaced:
                held = self._held[path] = (replaced, read())
        except (FileNotFoundError, RegistryError):
            self._held.pop(path, None)
            return None
        return held[1]
