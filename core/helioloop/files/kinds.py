"""Tells files from what only has the name of one: folders, links that lead nowhere, pipes."""

import errno
import stat
from pathlib import Path


def why_not_a_file(path: Path) -> str | None:
    """Return what `path` is instead of a file, with the remedy; None for a file and for a link to one.

    The text has no subject: "is a folder, …". Nothing is opened, because opening a pipe waits for its writer.

    Parameters
    ----------
    path : Path
        A name that is in its folder.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        if error.errno == errno.ELOOP:
            return "is a link that leads back to itself, and only files are read: put the file there"
        if error.errno == errno.ENOENT and path.is_symlink():
            return "is a link to a file that does not exist: restore that file, or put a copy of it there"
        return f"cannot be looked at ({error.strerror}): let this user read its folder"
    if stat.S_ISREG(mode):
        return None
    if stat.S_ISDIR(mode):
        return "is a folder, and only files are read: give the folder another name"
    return "is a pipe, a socket or a device, and only files are read: remove it"
