"""Gathers the facts: asks the services and this machine, each in a thread of its own, until a deadline.

What is not gathered by then stays None. Nothing is changed, except that a random word is written into the folder of
the model folders, and that a backend that Label Studio shows as disconnected is saved again as it is.
"""

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from helioloop.environment.answering import ANSWER_SECONDS, silent_folders
from helioloop.settings import Settings
from helioloop_worker.doctor.facts import Facts
from helioloop_worker.doctor.gathering_here import read_folder, read_machine
from helioloop_worker.doctor.gathering_labelstudio import ask_label_studio
from helioloop_worker.doctor.gathering_redis import read_redis

TOTAL_SECONDS: Final = 14.0
"""Longest time for all facts."""

Put = Callable[..., None]
"""Stores facts under the names of the fields of `Facts`."""
Gatherer = Callable[[Put], None]


def gather(
    settings: Settings,
    project: int | None,
    *,
    backend_url: str | None = None,
    total_seconds: float = TOTAL_SECONDS,
    report: Callable[[int, int, str], None] = lambda *_: None,
) -> Facts:
    """Return the facts.

    Parameters
    ----------
    settings : Settings
        The settings of this process.
    project : int or None
        Label Studio project; None takes the only one that has a model folder.
    backend_url : str, optional
        The backend's address as Label Studio should have it.
    total_seconds : float
        Longest time for all of it.
    report : callable
        Called with the number of parts that are done, the number of all parts, and what is waited for.
    """
    begun = time.monotonic()
    silent = silent_folders(_folders(settings), seconds=min(ANSWER_SECONDS, 0.3 * total_seconds))
    projects = () if settings.model_root in silent else tuple(settings.projects())
    if project is None and len(projects) == 1:
        project = projects[0]
    answering_seconds = 0.9 * total_seconds  # so that the lack of an answer is stored before the time is over
    parts: dict[str, Gatherer] = {
        "Label Studio and the backend": lambda put: ask_label_studio(
            put, settings, project, backend_url=backend_url, deadline=begun + answering_seconds, silent=silent
        ),
        "Redis": lambda put: read_redis(put, settings, timeout_seconds=min(3.0, answering_seconds)),
        "this machine": lambda put: put(machine=read_machine(settings, silent)),
        "the model folder": lambda put: put(folder=read_folder(settings, project, silent)),
    }
    found = _run(parts, begun + total_seconds, report)
    return Facts(settings=settings, project=project, projects=projects, wanted_url=backend_url, **found)


def _folders(settings: Settings) -> tuple[Path, ...]:
    return (settings.model_root, settings.media_root, settings.cache_root, *settings.release_roots)


def _run(parts: dict[str, Gatherer], deadline: float, report: Callable[[int, int, str], None]) -> dict[str, Any]:
    """Run each part in a thread until the deadline, and return what they have stored."""
    found: dict[str, Any] = {}
    closed = threading.Event()
    lock = threading.Lock()

    def put(**facts: Any) -> None:
        with lock:
            if not closed.is_set():
                found.update(facts)

    failures: list[BaseException] = []

    def run(part: Gatherer) -> None:
        try:
            part(put)
        except Exception as error:  # noqa: BLE001 - raised again in the main thread
            failures.append(error)

    threads = {name: threading.Thread(target=run, args=(part,), name=name, daemon=True) for name, part in parts.items()}
    for thread in threads.values():
        thread.start()
    while time.monotonic() < deadline and not failures:
        waiting = [name for name, thread in threads.items() if thread.is_alive()]
        report(len(threads) - len(waiting), len(threads), _words(waiting))
        if not waiting:
            break
        threads[waiting[0]].join(0.1)
    with lock:
        closed.set()
    if failures:
        raise failures[0]
    return found


def _words(waiting: Sequence[str]) -> str:
    return f"asking {', '.join(waiting)}" if waiting else "done"
