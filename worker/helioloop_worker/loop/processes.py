"""Calls a function on many items in several processes: for work on cubes, each of which takes seconds."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

import joblib

from helioloop.environment.pools import make_pool

Item = TypeVar("Item")
Result = TypeVar("Result")

AHEAD = 2
"""Items that wait for each process: it never waits for one, and few are in question when a process dies."""


def in_processes(
    function: Callable[[Item], Result], items: Sequence[Item], *, died: Callable[[Item], Result] | None = None
) -> Iterator[tuple[Item, Result]]:
    """Yield each item with its result, in the order in which the results are ready; one process per processor core.

    Parameters
    ----------
    function : callable
        Of a module, so that another process can import it.
    items : sequence
        Picklable values.
    died : callable or None
        Returns the result of an item at which its process dies, for instance of lack of memory. Without it the work
        ends with an error.

    Raises
    ------
    BrokenProcessPool
        If a process dies and `died` is None.
    """
    processes = max(1, min(len(items), joblib.cpu_count()))
    waiting = deque(items)
    while waiting:
        in_question = deque((yield from _work(function, waiting, processes, at_once=AHEAD * processes)))
        if in_question and died is None:
            raise BrokenProcessPool("a process died while it worked on a cube; its memory may be too small")
        while in_question and died is not None:  # which of them killed it shows when each is worked on alone
            for item in (yield from _work(function, in_question, 1, at_once=1)):
                yield item, died(item)


def in_order(finished: Iterable[tuple[Item, Result]], items: Sequence[Item]) -> Iterator[Sequence[tuple[Item, Result]]]:
    """Yield for each finished item the results that can follow in the order of the items; few wait for an earlier one.

    Parameters
    ----------
    finished : iterable of (item, result)
        From `in_processes`.
    items : sequence
        The same items, in the order that is wanted.
    """
    places = {id(item): place for place, item in enumerate(items)}
    waiting: dict[int, tuple[Item, Result]] = {}
    following = 0
    for item, result in finished:
        waiting[places[id(item)]] = item, result
        due = []
        while following in waiting:
            due.append(waiting.pop(following))
            following += 1
        yield due


def _work(
    function: Callable[[Item], Result], waiting: deque[Item], processes: int, *, at_once: int
) -> Generator[tuple[Item, Result], None, list[Item]]:
    """Yield results until nothing waits or a process dies; return the items without a result that were in work then."""
    with make_pool(processes) as pool:
        working: dict[Future[Result], Item] = {}
        lost: list[Item] = []
        try:
            while working or (waiting and not lost):
                while waiting and len(working) < at_once and not lost:
                    item = waiting.popleft()
                    try:
                        working[pool.submit(function, item)] = item
                    except BrokenProcessPool:
                        lost.append(item)
                for future in wait(working, return_when=FIRST_COMPLETED).done:
                    item = working.pop(future)
                    try:
                        result = future.result()
                    except BrokenProcessPool:
                        lost.append(item)
                    else:
                        yield item, result
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    return lost
