"""The content of a folder as a hash: a folder whose content differs from its row in ``watched.csv`` is taken again.

What decides about a folder may be elsewhere, too: the release that a series is cut into, or another folder of the same
name. So a remedy is noticed wherever it is, and a result that was removed is made again.
"""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

_N_DIGITS = 32


def hash_files(folder: Path, files: Iterable[Path]) -> str:
    """Return a hash of names, sizes and times of change of files in a folder."""
    digest = hashlib.sha256()
    for path in files:
        digest.update(os.fsencode(f"{path.relative_to(folder)}\0{_size_and_time(path)}\n"))
    return digest.hexdigest()[:_N_DIGITS]


def hash_with(content: str, elsewhere: str) -> str:
    """Return a hash of the content of a folder and of what decides about it elsewhere; the first alone without it."""
    return hashlib.sha256(os.fsencode(f"{content}\0{elsewhere}")).hexdigest()[:_N_DIGITS] if elsewhere else content


def describe_state(path: Path) -> str:
    """Return a text that differs once a file is changed, and once a file or folder comes or goes."""
    if not os.path.lexists(path):
        return f"{path}: absent"
    return f"{path}: folder" if path.is_dir() else f"{path}: {_size_and_time(path)}"


def _size_and_time(path: Path) -> str:
    try:
        stat = path.stat()
    except OSError:
        if not path.is_symlink():
            raise
        stat = path.lstat()  # it leads nowhere; what restores its file or removes it changes this
    return f"{stat.st_size}\0{stat.st_mtime_ns}"
