"""Lock files that work on network file systems: a file that exists while its holder renews it.

A lock file is created exclusively. No lock of the operating system (flock) is used, which some network file systems
lack or keep to one machine. The lock of a process that died is free at once on its machine, and on other machines when
it has not been renewed for `LEASE_SECONDS`. So is that of a process that is stopped. Clocks of machines are never
compared.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from filelock import SoftFileLease, Timeout

LEASE_SECONDS: Final = 30.0
"""A lock that was not renewed for this long belongs to a process that died; its holder renews it every third of it."""
MARGIN_SECONDS: Final = 10.0
"""Time beyond `LEASE_SECONDS` that taking over may take, because lock files are looked at again and again."""


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
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lease = SoftFileLease(path, lease_duration=LEASE_SECONDS)
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
    lease = SoftFileLease(path, lease_duration=LEASE_SECONDS)
    try:
        lease.acquire(timeout=0)
    except Timeout:
        return not _seems_dead(path)
    lease.release()
    return False


def _acquire(lease: SoftFileLease, path: Path, wait_seconds: float) -> None:
    try:
        lease.acquire(timeout=wait_seconds)
    except Timeout:
        if not _seems_dead(path):
            raise
        lease.acquire(timeout=LEASE_SECONDS + MARGIN_SECONDS)


def _seems_dead(path: Path) -> bool:
    """Return whether the holder, wherever it is, has not renewed its lock file for `LEASE_SECONDS`."""
    try:
        return _now(path.parent) - path.stat().st_mtime > LEASE_SECONDS
    except OSError:
        return False


def _now(folder: Path) -> float:
    """Return the time of the clock that dates the files of a folder, which may be a server's."""
    probe = folder / f".clock.{secrets.token_hex(4)}"
    descriptor = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        return os.fstat(descriptor).st_mtime
    finally:
        os.close(descriptor)
        probe.unlink()
