"""Writes and reads the files of a cache: one that this user may not use, or whose disk is full, is no error.

What a cache lacks is made again. One sentence says so, not one for each file.
"""

import logging
from pathlib import Path

from helioloop.files import atomic
from helioloop.files.path_errors import remedy_of

log = logging.getLogger(__name__)

_said: set[tuple[Path, int | None]] = set()
"""Folder and error of each sentence that this process has said."""


def write(folder: Path, path: Path, content: bytes) -> None:
    """Replace a file of a cache in one step; where that fails, say so once and go on.

    Parameters
    ----------
    folder : Path
        Folder of the cache, as sentences name it.
    path : Path
        The file, in this folder or below.
    content : bytes
        What it contains.
    """
    try:
        atomic.write_bytes(path, content)
    except OSError as error:
        say_unusable(folder, error)


def say_unusable(folder: Path, error: OSError) -> None:
    """Log that a cache cannot be used, once for each cause.

    Parameters
    ----------
    folder : Path
        Folder of the cache.
    error : OSError
        Why a file could not be read or written; it names the file.
    """
    if (folder, error.errno) in _said:
        return
    _said.add((folder, error.errno))
    log.warning(
        "the cache %s cannot be used (%s), and what it lacks is made again each time; %s, or name another folder with "
        "HELIOLOOP_CACHE_ROOT",
        folder,
        error.strerror,
        remedy_of(error) or "correct that",
    )
