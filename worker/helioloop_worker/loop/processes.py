"""Calls a function on many items in several processes: for work on cubes, each of which takes seconds."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import TypeVar

import joblib

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_processes(function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[tuple[Item, Result]]:
    """Yield each item with its result, in the order in which the results are ready; one process per processor core.

    Parameters
    ----------
    function : callable
        Of a module, so that another process can import it.
    items : sequence
        Picklable values.
    """
    processes = max(1, min(len(items), joblib.cpu_count()))
    # Spawned, not forked: a job's process holds connections and perhaps a thread pool.
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        futures = {pool.submit(function, item): item for item in items}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
