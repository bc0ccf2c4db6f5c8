"""What mends an error of a path, by its number."""

import errno
import os
from pathlib import Path
from typing import Final

from helioloop.files.access import remedy_for_denial

_REMEDIES: Final = {
    errno.EACCES: "let this user read and write there",
    errno.EPERM: "let this user read and write there",
    errno.EROFS: "name a folder on a disk that can be written",
    errno.ENOSPC: "free space on that disk",
    errno.EDQUOT: "free space on that disk",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f)",
    errno.EMFILE: "raise the limit on open files (ulimit -n)",
    errno.EIO: "check that disk",
    errno.ESTALE: "look whether its network file system is there, and try again",
    errno.ENOENT: "make its folder, or correct the path",
    errno.ENOTDIR: "correct the path, in which a file is used as a folder",
    errno.EEXIST: "correct the path, which is that of a file",
    errno.EISDIR: "correct the path, which is that of a folder",
    errno.ENAMETOOLONG: "shorten the path",
    errno.ELOOP: "remove the link that leads back to itself",
}
_DENIALS: Final = {errno.EACCES, errno.EPERM}
"""Errors whose remedy depends on the owner."""


def remedy_of(error: OSError) -> str | None:
    """Return what mends an error of a path; None of another error."""
    if error.errno in _DENIALS and isinstance(error.filename, str | bytes):
        return remedy_for_denial(Path(os.fsdecode(error.filename)))
    return _REMEDIES.get(error.errno or 0)


def remedy_of_reading(error: OSError) -> str | None:
    """Return what mends an error of a file that was to be read; None of another error."""
    return "name a file, not a folder" if error.errno == errno.EISDIR else remedy_of(error)
