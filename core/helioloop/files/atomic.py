"""Writes files that appear whole or not at all: a new file beside the place, flushed to disk, renamed over it.

Devices and pipes are written to instead: root would replace ``/dev/null`` by a file, for every program of the machine.
"""

import errno
import json
import os
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Final

_CANNOT_FLUSH: Final = {errno.EINVAL, errno.ENOTSUP, errno.EBADF}
_REPLACED_AT_ONCE: Final = 16
_OURS: Final = "hl"
"""Begins the ending of new files, which tells them from others' hidden files, as a backup ``.labels.csv.20240315``."""
_DESCRIPTOR: Final = re.compile(r"(?:/dev/fd|/proc/self/fd)/(\d+)\Z|/dev/(stdout|stderr)\Z")
_STANDARD: Final = {"stdout": 1, "stderr": 2}
_UNFINISHED: Final = re.compile(rf"\..+\.{_OURS}[0-9a-f]{{6}}\Z")


@contextmanager
def replacing(path: Path, *, make_folders: bool = True, keep_mode: bool = False) -> Iterator[Path]:
    """Yield an empty new file beside `path`, which replaces `path` in one step when the block ends.

    Its permissions are those that `open` would give: 0666 without the bits of the umask. If the block raises, or the
    disk is full, the new file is removed and `path` stays as it was. A device or a pipe, such as ``/dev/stdout``,
    receives the content of the new file when the block ends.

    Parameters
    ----------
    path : Path
        The file to replace.
    make_folders : bool
        False where a missing folder is a `FileNotFoundError`: another process has moved or deleted it.
    keep_mode : bool
        Give the new file the permissions of the one that it replaces, and its owner and group as far as this account
        may: for a file that others made.
    """
    if is_stream(path):
        with _sending(path) as new:
            yield new
        return
    if make_folders:
        path.parent.mkdir(parents=True, exist_ok=True)
    with _replacing(path) as new:
        yield new
        if keep_mode:
            _make_like(path, new)
    sync_folder(path.parent)


def check_replaceable(path: Path) -> None:
    """Raise now what `replacing` would raise where no new file can be made beside `path`, before the work for it.

    Nothing stays, and missing folders are not made: the folder is then tried in which they would be.

    Raises
    ------
    OSError
        If the disk is read-only or full of files, or this user may not write there.
    """
    if is_stream(path):
        return
    folder = next((place for place in path.parents if place.exists()), path.parent)
    new = unfinished(folder / path.name)
    try:
        new.touch(exist_ok=False)
        new.unlink()
    except OSError as error:
        raise _naming(error, new, path) from None


def replace_many(contents: Mapping[Path, bytes]) -> None:
    """Replace each path by its content; each file appears whole or not at all.

    Files are flushed and renamed in threads, which takes a fraction of the time: a disk flushes many files in about the
    time of one, and a file system may take milliseconds to free the old file.

    Parameters
    ----------
    contents : mapping
        Path -> content. Missing folders are made.

    Raises
    ------
    OSError
        Where a file cannot be written. Others may have been replaced; no new file is left.
    """
    folders = {path.parent for path in contents}
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)

    def write(path: Path) -> None:
        with _replacing(path) as new:
            new.write_bytes(contents[path])

    with ThreadPoolExecutor(_REPLACED_AT_ONCE) as threads:
        list(threads.map(write, contents))
    for folder in folders:
        sync_folder(folder)


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Do what `replacing` does, without flushing the folder."""
    new = unfinished(path)
    try:
        # The kernel applies the umask. Python could only read it by setting it, which is a race between threads.
        os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    except OSError as error:
        raise _naming(error, new, path) from None
    try:
        yield new
        with new.open("rb") as file:
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise _naming(error, new, path) from None
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def _make_like(old: Path, new: Path) -> None:
    """Give `new` the owner, group and permissions of `old` as far as account and disk allow."""
    try:
        like = old.stat()
    except FileNotFoundError:
        return
    for group, owner in ((like.st_gid, -1), (-1, like.st_uid)):  # an account may give a file to its groups only
        with suppress(OSError):
            os.chown(new, owner, group)
    with suppress(OSError):  # exFAT and some network disks have no permissions; last, since chown may clear some
        new.chmod(stat.S_IMODE(like.st_mode))


def _naming(error: OSError, new: Path, path: Path) -> OSError:
    """Return the error with the name of the file that was to be replaced, where it has none or that of the new one."""
    if error.filename is None or os.fsdecode(error.filename) == str(new):  # none: of a write, as to a full disk
        error.filename, error.filename2 = str(path), None
    return error


def is_stream(path: Path) -> bool:
    """Return True for devices and pipes, and for what ``/dev/stdout`` and ``/dev/fd`` lead to, files included."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    parts = Path(os.path.abspath(path)).parts[1:3]  # noqa: PTH100 - links are not to be followed
    if parts[:1] in {("dev",), ("proc",)} and parts != ("dev", "shm"):
        return not stat.S_ISDIR(mode)
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISBLK(mode)


@contextmanager
def _sending(path: Path) -> Iterator[Path]:
    """Yield a new file whose content goes to the device or pipe at `path` when the block ends."""
    with tempfile.TemporaryDirectory() as folder:
        new = Path(folder) / path.name
        new.touch()
        yield new
        with new.open("rb") as content, _opened_stream(path) as stream:
            shutil.copyfileobj(content, stream)


def _opened_stream(path: Path) -> BinaryIO:
    """Return a device or pipe opened for writing; of a file behind a descriptor of this process, where that is in it.

    Opened anew, the file behind ``/dev/stdout`` would have another position, and what the shell's next command writes
    would replace the content.
    """
    found = _DESCRIPTOR.match(os.path.abspath(path))  # noqa: PTH100 - links are not to be followed
    if found is None:
        return path.open("ab")
    return os.fdopen(os.dup(int(found[1] or _STANDARD[found[2]])), "wb")


def unfinished(path: Path) -> Path:
    """Return the path of a new file beside `path`, which `is_unfinished` recognises."""
    return path.with_name(f".{path.name}.{_OURS}{secrets.token_hex(3)}")


def is_unfinished(name: str) -> bool:
    """Return whether a file has the name of a new file that `replacing` writes; a process that was killed leaves it."""
    return _UNFINISHED.match(name) is not None


def write_bytes(path: Path, content: bytes, *, make_folders: bool = True, keep_mode: bool = False) -> None:
    """Replace `path` by `content` in one step: a reader sees the old file or the new one, never a mixture."""
    with replacing(path, make_folders=make_folders, keep_mode=keep_mode) as new:
        new.write_bytes(content)


def write_text(path: Path, text: str, *, make_folders: bool = True, keep_mode: bool = False) -> None:
    """Replace `path` by `text` (UTF-8) in one step."""
    write_bytes(path, text.encode(), make_folders=make_folders, keep_mode=keep_mode)


def write_json(path: Path, value: Any, *, make_folders: bool = True) -> None:
    """Replace `path` by `value` as JSON in one step; NaN raises ValueError."""
    text = json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n"
    write_text(path, text, make_folders=make_folders)


def write_compact_json(path: Path, value: Any) -> None:
    """Replace `path` by `value` as JSON without line breaks, in one step: for large tables, ten times as fast."""
    write_text(path, compact_json(value))


def compact_json(value: Any) -> str:
    """Return the text that `write_compact_json` writes; NaN raises ValueError."""
    return json.dumps(value, sort_keys=True, allow_nan=False, separators=(",", ":")) + "\n"


def write_json_lines(path: Path, values: Iterable[Any], *, make_folders: bool = True) -> None:
    """Replace `path` by one JSON value per line, in one step; NaN raises ValueError."""
    text = "".join(json.dumps(value, sort_keys=True, allow_nan=False) + "\n" for value in values)
    write_text(path, text, make_folders=make_folders)


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to disk, so that a rename in it survives a power cut.

    Some network file systems cannot flush a folder; on these nothing is done.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_FLUSH:
            raise
    finally:
        os.close(descriptor)
