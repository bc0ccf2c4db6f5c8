"""Decides which files of a cube are opened: files, and no folders, pipes, broken links, or links out of a root."""

import os
from dataclasses import dataclass
from pathlib import Path

from helioloop.data.cubes import CubeFiles, companion_path
from helioloop.errors import CubeError
from helioloop.files.kinds import why_not_a_file
from helioloop.files.release_folders import is_inside


@dataclass(frozen=True, slots=True, kw_only=True)
class NotOpened:
    """The name of a cube's file or of its companion, and why it is not opened, such as "is a folder, …"."""

    name: str
    reason: str


def why_not_opened(path: Path, root: Path | None = None) -> NotOpened | None:
    """Return why the file of a cube, or its companion, is not opened; None where both may be.

    Parameters
    ----------
    path : Path
        ``<cube>.fits``, which is in its folder.
    root : Path or None
        The release root, out of which no link may lead; None where links may lead anywhere.
    """
    for file in (path, companion_path(path)):
        if file != path and not os.path.lexists(file):
            continue
        reason = why_not_a_file(file)
        if reason is None and root is not None and not is_inside(file, root):
            reason = "is a link out of its release root; only files inside are opened: put a copy of the file there"
        if reason is not None:
            return NotOpened(name=file.name, reason=reason)
    return None


def read_cube_files(path: Path) -> CubeFiles:
    """Read ``<cube>.fits`` and its companion, as `CubeFiles.read` does, where both are files.

    Raises
    ------
    CubeError
        If one is a folder, a pipe or a broken link, missing, unreadable or too large.
    """
    found = why_not_opened(path) if os.path.lexists(path) else None
    if found is not None:
        raise CubeError(f"{found.name} {found.reason}")
    return CubeFiles.read(path)
