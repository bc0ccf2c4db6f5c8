"""Says what this user may not do with a path, and who could change that."""

import os
import stat
from pathlib import Path

from helioloop.environment.users import this_user, user_name


def remedy_for_denial(path: Path) -> str:
    """Return what would let this user read and replace a path: the first folder or file on the way that does not.

    Parameters
    ----------
    path : Path
        A path whose use was denied; it need not exist.
    """
    user, path = this_user(), path.absolute()
    for folder in reversed(path.parents):
        if not _may(folder, os.X_OK) and _is_there(folder):
            return f"let the user {user} enter {folder}, {_owner(folder)}"
    if _is_there(path) and not _may(path, os.R_OK | (os.X_OK if is_folder(path) else 0)):
        return f"let the user {user} read {path}, {_owner(path)}"
    folder = next((place for place in (path, *path.parents) if is_folder(place)), path.parent)
    if not _may(folder, os.W_OK):
        return f"let the user {user} write in {folder}, {_owner(folder)}"
    if _is_kept_by_sticky_bit(path):
        return (
            f"in {path.parent}, which has the sticky bit, only its owner may replace {path.name}, {_owner(path)}: "
            f"remove the bit (chmod -t {path.parent})"
        )
    return f"let the user {user} read and write there"


def denied_reading(path: Path, error: PermissionError) -> str:
    """Return in a sentence that a file may not be read, and what would let this user read it."""
    return f"{path} cannot be read ({error.strerror}); {remedy_for_denial(path)}"


def _may(path: Path, mode: int) -> bool:
    """Return whether the user as whom this process works may use a path so; servers of files may forbid it even so."""
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)


def is_folder(path: Path) -> bool:
    """Return whether a path is a folder, as far as can be seen: `Path.is_dir` raises where a folder above is closed."""
    try:
        return path.is_dir()
    except OSError:
        return False


def _is_there(path: Path) -> bool:
    try:
        path.lstat()
    except OSError:
        return False
    return True


def _is_kept_by_sticky_bit(path: Path) -> bool:
    """Return whether the folder of a path lets only the owner replace it, and this user is not the owner."""
    if not (_is_there(path) and is_folder(path.parent)):
        return False
    folder = path.parent.stat()
    return bool(folder.st_mode & stat.S_ISVTX) and os.geteuid() not in (folder.st_uid, path.lstat().st_uid)


def _owner(path: Path) -> str:
    """Return whose a folder or file is."""
    return f"which belongs to {user_name(path.lstat().st_uid)}"
