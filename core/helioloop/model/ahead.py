"""Items of an iterator made one ahead, in another thread, while the caller works on the one before. Needs torch."""

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

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
    with ThreadPoolExecutor(1, initializer=torch.set_num_threads, initargs=(torch.get_num_threads(),)) as thread:
        waiting = thread.submit(lambda: next(items, None))
        while (item := waiting.result()) is not None:
            waiting = thread.submit(lambda: next(items, None))
            yield item
