"""Forks of a worker: a process that a worker forks does not run the worker's own signal handlers.

Between the fork and the first line of its own, a forked process still has the handlers of the worker. One that is
stopped just then, as by a supervisor that signals all processes of a service, would raise the exception that ends the
worker's loop: it would go on as a second worker that ends, release what the first one holds, and return to its caller.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

STOPPING: Final = (signal.SIGINT, signal.SIGTERM)
"""The signals that ask a worker to stop."""


@contextmanager
def signals_wait() -> Iterator[None]:
    """Let signals to stop wait for the process that is forked within, until it calls `accept_signals`.

    The handlers of this process stay, because a signal may reach another thread of it meanwhile, where it does not
    wait; with the system's action instead it would end this process.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def accept_signals() -> None:
    """Accept signals to stop from now on, and those that wait, with the handlers that are installed now."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)


def end_at_signals() -> None:
    """Accept signals to stop, and end at the first, as a process without handlers does."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_DFL)
    accept_signals()
