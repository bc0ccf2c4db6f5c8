"""Lock files that work on network file systems: a file that exists while its holder renews it.

A lock file is created exclusively. No lock of the operating system (flock) is used, which some network file systems
lack or keep to one machine. The lock of a process that died is free at once on its machine, and on other machines when
it has not been renewed for `LEASE_SECONDS`. So is that of a process that is stopped. Clocks of machines are never
compared.

The library takes a lock over by exchanging two names, which many file systems refuse (NFS, SMB, exFAT, FUSE); there the
file of a process that died is renamed, and looked at again before it is removed.
"""

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from filelock import SoftFileLease, Timeout

from helioloop.environment.stored_times import is_ahead
from helioloop.files.atomic import unfinished

LEASE_SECONDS: Final = 30.0
"""A lock that was not renewed for this long belongs to a process that died; its holder renews it every third of it."""
MARGIN_SECONDS: Final = 10.0
"""Time beyond `LEASE_SECONDS` that taking over may take, because lock files are looked at again and again."""
_MODE: Final = 0o644
"""Whatever the umask, other users read whose lock it is: they could not tell that its holder died."""
_POLL_SECONDS: Final = 0.05


@contextmanager
def holding(path: Path, *, wait_seconds: float = 0.0) -> Iterator[bool]:
    """Hold a lock file if it is free, and yield whether it is held.

    Parameters
    ----------
    path : Path
        The lock file; it exists only while it is held. Missing folders are made.
    wait_seconds : float
        Longest wait for another holder. A holder that seems to have died is watched for `LEASE_SECONDS`
        in any case, and its lock is then taken over.

    Raises
    ------
    OSError
        Where this user may not write in the folder, or may not remove the lock of a holder that died.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lease = _lease(path)
    try:
        _acquire(lease, path, wait_seconds)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lease.release()


def is_held(path: Path) -> bool:
    """Return whether a living process holds a lock file; False for one that seems to have died."""
    if not path.exists():
        return False
    lease = _lease(path)
    try:
        lease.acquire(timeout=0)
    except Timeout:
        return not _seems_dead(path)
    lease.release()
    return False


def _lease(path: Path) -> SoftFileLease:
    return SoftFileLease(path, lease_duration=LEASE_SECONDS, mode=_MODE)


def _acquire(lease: SoftFileLease, path: Path, wait_seconds: float) -> None:
    try:
        lease.acquire(timeout=wait_seconds)
    except Timeout:
        if not os.access(path.parent, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path)) from None
        if not _seems_dead(path):
            raise
        _take_over(lease, path)


def _take_over(lease: SoftFileLease, path: Path) -> None:
    """Acquire a lock whose holder seems to have died, when it was watched for `LEASE_SECONDS`."""
    seen, since = _identity(path), time.monotonic()
    until = since + LEASE_SECONDS + MARGIN_SECONDS
    while time.monotonic() < until:
        try:
            lease.acquire(timeout=_POLL_SECONDS)
        except Timeout:
            now = _identity(path)
            if now != seen:
                seen, since = now, time.monotonic()
            elif time.monotonic() - since > LEASE_SECONDS:
                _remove(path, seen)
        else:
            return
    raise Timeout(str(path))


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what changes where a lock file is renewed or is another one; None where there is none."""
    try:
        with path.open("rb") as file:  # opening lets a network file system ask its server
            found = os.fstat(file.fileno())
    except PermissionError:
        found = path.lstat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def _remove(path: Path, judged: tuple[int, int] | None) -> None:
    """Remove a lock file that is the one that was judged dead; put back another one.

    Raises
    ------
    OSError
        Where this user may not, as in a folder with the sticky bit.
    """
    aside = unfinished(path)  # `helioloop prune` removes such a file if it stays
    try:
        path.rename(aside)
    except FileNotFoundError:
        return
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    if _identity(aside) == judged or path.exists():
        aside.unlink()
    else:
        aside.rename(path)


def _seems_dead(path: Path) -> bool:
    """Return whether the holder, wherever it is, has not renewed its lock file for `LEASE_SECONDS`.

    So it seems, too, where the file is of the future: the clock was ahead when it was renewed, and was put right since.
    One who takes it over watches it first.
    """
    try:
        now, renewed_at = _now(path.parent), path.stat().st_mtime
        return now - renewed_at > LEASE_SECONDS or is_ahead(renewed_at, now=now)
    except OSError:
        return False


def _now(folder: Path) -> float:
    """Return the time of the clock that dates the files of a folder, which may be a server's."""
    probe = unfinished(folder / "clock")
    descriptor = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        return os.fstat(descriptor).st_mtime
    finally:
        os.close(descriptor)
        probe.unlink()
