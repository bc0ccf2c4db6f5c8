"""Whether folders answer: on a network file system whose server is away, a call may never return.

Such a call blocks its thread for good. It is made in a thread of its own, and nobody waits longer than a few seconds.
"""

import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, TypeVar

T = TypeVar("T")

ANSWER_SECONDS: Final = 3.0
"""After this long without an answer a folder counts as silent."""

_lock = threading.Lock()
_looking: dict[Path, threading.Thread] = {}
"""The thread that looks at a folder; at a folder that never answers, no second one gets stuck."""


def within(seconds: float, call: Callable[[], T], *, otherwise: T) -> T:
    """Return what a call returns, or `otherwise` where it has not ended in time; its errors are raised.

    The thread of a call that does not end is left behind, and ends with the process.
    """
    found: list[T] = []
    errors: list[Exception] = []

    def run() -> None:
        try:
            found.append(call())
        except Exception as error:  # noqa: BLE001 - raised again in the thread that waits
            errors.append(error)

    thread = threading.Thread(target=run, name="may-hang", daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    return found[0] if found else otherwise


def silent_folders(folders: Iterable[Path], *, seconds: float = ANSWER_SECONDS) -> tuple[Path, ...]:
    """Return the folders that do not answer in time; all are looked at side by side.

    A folder that is missing or may not be read answers.
    """
    end = time.monotonic() + seconds
    threads = {folder: _look_at(folder) for folder in dict.fromkeys(folders)}
    for thread in threads.values():
        thread.join(max(0.0, end - time.monotonic()))
    return tuple(folder for folder, thread in threads.items() if thread.is_alive())


def silent_sentence(named: Sequence[tuple[str, Path]], *, seconds: float = ANSWER_SECONDS) -> str | None:
    """Return which of these folders do not answer, in one sentence; None where all do.

    Parameters
    ----------
    named : sequence of (str, Path)
        Name of a setting or option, and folder.
    seconds : float
        Longest wait.
    """
    silent = silent_folders([folder for _, folder in named], seconds=seconds)
    if not silent:
        return None
    listed = ", ".join(f"{folder} ({name})" for name, folder in named if folder in silent)
    return f"{listed}: {what_is_wrong(seconds)}"


def what_is_wrong(seconds: float = ANSWER_SECONDS) -> str:
    """Return what is wrong with a silent folder, and the remedy."""
    return (
        f"no answer within {seconds:g} s, as from a network file system whose server is away; bring that back, or "
        "mount the folder again"
    )


def _look_at(folder: Path) -> threading.Thread:
    """Return the thread that looks at a folder; the one of before, where that has not ended."""
    with _lock:
        known = _looking.get(folder)
        if known is not None and known.is_alive():
            return known
        thread = threading.Thread(target=_look, args=(folder,), name="may-hang", daemon=True)
        _looking[folder] = thread
        thread.start()
        return thread


def _look(folder: Path) -> None:
    """Ask for the free space, which the client of a network file system does not keep, and for the first entry."""
    try:
        os.statvfs(folder)
        with os.scandir(folder) as entries:
            next(entries, None)
    except OSError:
        return
