"""Pools of processes that end with the process that made them, however that ends.

Python ends a pool when its process exits. A process that is killed cannot, and its pool would finish what is queued
and then wait for ever, with all its memory.
"""

import multiprocessing
import os
import signal
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.connection import wait
from threading import Thread
from typing import Any


def make_pool(
    processes: int,
    *,
    ignores_interrupt: bool = False,
    initializer: Callable[..., object] | None = None,
    initargs: tuple[Any, ...] = (),
) -> ProcessPoolExecutor:
    """Return a pool of processes that are spawned, not forked: a forked one would inherit locks of thread pools.

    Parameters
    ----------
    processes : int
        How many, at most.
    ignores_interrupt : bool
        True where a process finishes the file that it is writing at Ctrl-C, which reaches all processes; the pool's
        owner then stops the pool.
    initializer : callable, optional
        Called in each process first, with `initargs`.
    initargs : tuple
        Arguments of `initializer`.
    """
    return ProcessPoolExecutor(
        processes,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_begin,
        initargs=(ignores_interrupt, initializer, initargs),
    )


def _begin(ignores_interrupt: bool, initializer: Callable[..., object] | None, initargs: tuple[Any, ...]) -> None:
    if ignores_interrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_owner, name="end with the owner of the pool", daemon=True).start()
    if initializer is not None:
        initializer(*initargs)


def _end_with_owner() -> None:
    """Wait until the process that made the pool has ended, and end this one at once."""
    owner = multiprocessing.parent_process()
    if owner is not None:
        wait([owner.sentinel])
        os._exit(1)
