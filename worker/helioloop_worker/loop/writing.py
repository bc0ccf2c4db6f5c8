"""The lock on writing into a project: one process at a time."""

from collections.abc import Iterator
from contextlib import contextmanager

from redis.lock import Lock

from helioloop.progress import Report
from helioloop_worker.context import Context
from helioloop_worker.loop.locks import exclusive

WRITER_SECONDS = 180
"""The lock of a writer that died is free after this long; a living writer renews it between calls."""
WAIT_SECONDS = 240
"""How long a second writer waits for the first."""


@contextmanager
def writing(context: Context, project: int) -> Iterator[Lock]:
    """Hold the lock on writing into a project: the SQLite below Label Studio takes one bulk writer at a time.

    Raises
    ------
    ServiceError
        Where another process holds the lock for too long, or the lock is lost; see `exclusive`.
    """
    with exclusive(
        context.connection,
        f"helioloop:writer:{project}",
        held_seconds=WRITER_SECONDS,
        wait_seconds=WAIT_SECONDS,
        busy=f"another process has been writing into project {project} for over {WAIT_SECONDS} s; one writes at a "
        "time: repeat this later",
        lost=f"project {project}: the lock on writing was lost, because Redis was emptied or Label Studio took over "
        f"{WRITER_SECONDS} s to answer; the next write-back writes what is missing",
    ) as lock:
        yield lock


def holding(lock: Lock, report: Report) -> Report:
    """Return a report that also renews the lock."""

    def renewing(done: int, total: int, what: str) -> None:
        lock.reacquire()
        report(done, total, what)

    return renewing
