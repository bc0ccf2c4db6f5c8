"""Contents of files, read again only after a file was replaced."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Generic, TypeVar

from helioloop.errors import RegistryError
from helioloop.registry import label_snapshot
from helioloop.registry.project_controls import controls_path
from helioloop.registry.publications import POINTER
from helioloop.registry.random_checks import random_checks_path
from helioloop.settings import Settings

T = TypeVar("T")
Stamp = tuple[int, int, int]
"""What changes when a file is replaced."""

FOLDERS_IN_MEMORY: Final = 1000


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFolder:
    """The paths of a model folder that every request needs."""

    path: Path
    published: str
    format: str
    controls: str
    labels: str
    random_checks: str


class ModelFolders:
    """The model folders of all projects.

    Parameters
    ----------
    settings : Settings
        Where they are.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._held: dict[int, ModelFolder] = {}

    def get(self, project: int) -> ModelFolder:
        """Return the paths of a project; making them takes longer than a look at the files."""
        held = self._held.get(project)
        if held is None:
            if len(self._held) >= FOLDERS_IN_MEMORY:
                self._held.clear()
            path = self._settings.model_dir(project)
            held = self._held[project] = ModelFolder(
                path=path,
                published=str(path / POINTER),
                format=str(path / "format.json"),
                controls=str(controls_path(path)),
                labels=str(path / label_snapshot.FILE_NAME),
                random_checks=str(random_checks_path(path)),
            )
        return held


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
