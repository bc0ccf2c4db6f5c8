"""Walks through a folder with its subfolders, those that are symbolic links included. Needs no package."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

_LOST_AND_FOUND = "lost+found"
"""The folder of a disk for what a repair found; only root may read it."""


def _pass_over(_: OSError) -> None:
    """Pass over a folder that cannot be listed."""


def walk(folder: Path, *, on_error: Callable[[OSError], None] = _pass_over) -> Iterator[tuple[Path, list[str]]]:
    """Yield a folder and each of its subfolders, with the names of what is in it that is no folder, sorted.

    Hidden files and folders are left out, and so is lost+found. A folder that several links lead to, or that contains a
    link to itself, is visited once: under its own name, if it has one inside `folder`.

    Parameters
    ----------
    folder : Path
        Where to begin; may be a link itself.
    on_error : callable
        Called with the error of a folder that cannot be listed.
    """
    visited: set[str] = set()
    waiting = [folder]
    while waiting:
        # Links wait until all that is there without them has been visited.
        for place, folders, names in os.walk(waiting.pop(0), onerror=on_error):
            real = os.path.realpath(place)
            shown = sorted(name for name in folders if not name.startswith(".") and name != _LOST_AND_FOUND)
            folders[:] = [] if real in visited else [name for name in shown if not Path(place, name).is_symlink()]
            if real in visited:
                continue
            visited.add(real)
            waiting += [Path(place, name) for name in shown if name not in folders]
            yield Path(place), sorted(name for name in names if not name.startswith("."))
