"""Runs a function as another user of this machine. The users are real, though they have no names, so only root can."""

import ctypes  # noqa: F401 - filelock needs it, and another user cannot import it
import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

FIRST: Final = 47_001
SECOND: Final = 47_002
TEAM: Final = 47_000
"""The group of both."""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can run something as another user")


def run_as(user: int, function: Callable[[], Any], *, umask: int = 0o022) -> Any:
    """Return what a function returns in a process of another user, as JSON values.

    An `OSError`, or another exception, is returned as its text with the name of its class. The process is a copy of
    this one, because the files of this Python may be unreadable for others; so the function can import nothing new.

    Parameters
    ----------
    user : int
        `FIRST` or `SECOND`, of the group `TEAM`.
    function : callable
        Called in the other process.
    umask : int
        Bits that new files do not get.
    """
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads of this process are of no use in the other one
        child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(TEAM)
            os.setuid(user)
            os.umask(umask)
            try:
                result = function()
            except Exception as error:  # noqa: BLE001 - any is a result
                result = f"{type(error).__name__}: {error}"
            os.write(writing, json.dumps(result).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        content = pipe.read()
    os.waitpid(child, 0)
    return json.loads(content)


@contextmanager
def team_folder(mode: int = 0o2775) -> Iterator[Path]:
    """Yield a new folder of `FIRST` and the group; those of pytest are closed to other users."""
    folder = Path(tempfile.mkdtemp(prefix="helioloop-team-"))
    try:
        os.chown(folder, FIRST, TEAM)
        folder.chmod(mode)
        yield folder
    finally:
        shutil.rmtree(folder)
