"""The content of a folder as a hash: a folder whose content differs from its row in ``watched.csv`` is taken again."""

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


def _size_and_time(path: Path) -> str:
    try:
        stat = path.stat()
    except OSError:
        if not path.is_symlink():
            raise
        stat = path.lstat()  # it leads nowhere; what restores its file or removes it changes this
    return f"{stat.st_size}\0{stat.st_mtime_ns}"
