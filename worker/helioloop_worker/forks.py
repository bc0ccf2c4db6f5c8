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
    """Let signals to stop wait, and fork within: this process gets them at the end, a child once it accepts them.

    A child begins with the system's default action for these signals, which ends it, and calls `accept_signals` when
    it has the handlers that it wants. Only the main thread of a process may use this.
    """
    waiting = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    handlers = {number: signal.signal(number, signal.SIG_DFL) for number in STOPPING}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, waiting)


def accept_signals() -> None:
    """Accept signals to stop from now on, and those that wait."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
