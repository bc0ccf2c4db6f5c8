"""Results made one ahead, in another thread, while the caller works on the one before. Needs torch."""

from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

ItemT = TypeVar("ItemT")
T = TypeVar("T")


def one_ahead(items: Iterator[T]) -> Generator[T, None, None]:
    """Yield `items`; the next one is made in another thread meanwhile.

    The items are the same and in the same order, because one thread makes all of them. An error in making one is raised
    where this item is expected. Nothing more is made after this iterator is closed.

    Parameters
    ----------
    items : iterator
        Used by the other thread alone until this iterator ends. It computes with as many threads as the caller.
    """
    with _one_thread() as thread:
        waiting = thread.submit(lambda: next(items, None))
        while (item := waiting.result()) is not None:
            waiting = thread.submit(lambda: next(items, None))
            yield item


def each_ahead(items: Iterable[ItemT], make: Callable[[ItemT], T]) -> Generator[Future[T], None, None]:
    """Yield the result of `make` for each item, in order; the next one is made in another thread meanwhile.

    An error in making one is raised by its result, and the others are made nevertheless. Close this iterator where it
    is left early: nothing more is made then.
    """
    with _one_thread() as thread:
        waiting: Future[T] | None = None
        for item in items:
            following = thread.submit(make, item)
            if waiting is not None:
                yield waiting
            waiting = following
        if waiting is not None:
            yield waiting


def _one_thread() -> ThreadPoolExecutor:
    """Return a pool of one thread that computes with as many threads as the caller."""
    return ThreadPoolExecutor(1, initializer=torch.set_num_threads, initargs=(torch.get_num_threads(),))
