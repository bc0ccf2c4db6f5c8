"""Services that a demo left running, because it was killed: each start is noted in a file, so the next demo stops them.

Left alone, an old Label Studio would use the same database beside the new one, and old workers the same model folder.
"""

import json
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

from helioloop.files import atomic
from helioloop_worker.demo.process import process_tree

NOTES: Final = "services.json"
STOP_SECONDS: Final = 10.0
"""How long a service may take to end after SIGTERM; then it is killed."""


def note(folder: Path, name: str, pid: int) -> None:
    """Note that a service runs, with the start of its process: the system gives its number to another one later."""
    try:
        started = psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:  # it has ended already, which who waits for it finds
        return
    atomic.write_text(folder / NOTES, json.dumps(_notes(folder) | {name: [pid, started]}))


def stop_leftovers(folder: Path) -> list[str]:
    """Stop the services that are noted in `folder` and still run, with everything they started; return their names."""
    left = {name: found for name, (pid, started) in _notes(folder).items() if (found := _find(pid, started))}
    trees = [process for found in left.values() for process in process_tree(found.pid)]
    for process in trees:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(trees, timeout=STOP_SECONDS)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=STOP_SECONDS)
    forget(folder)
    return list(left)


def forget(folder: Path) -> None:
    """Remove the notes, because all services are stopped."""
    (folder / NOTES).unlink(missing_ok=True)


def _notes(folder: Path) -> dict[str, tuple[int, float]]:
    """Return process number and start of each noted service."""
    path = folder / NOTES
    return dict(json.loads(path.read_text())) if path.exists() else {}


def _find(pid: int, started: float) -> psutil.Process | None:
    try:
        process = psutil.Process(pid)
        return process if abs(process.create_time() - started) < 1.0 else None
    except psutil.NoSuchProcess:
        return None
