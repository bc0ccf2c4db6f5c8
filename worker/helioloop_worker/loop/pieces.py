"""Work on many cubes in pieces of about equal time, so that a job that is killed loses little of it."""

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")

PIECE_SECONDS = 30.0
"""Time that a piece should take; what a job has done is on disk after each."""
_MOST_GROWTH = 4.0  # from one piece to the next: the first cubes may be quicker than the others


def in_pieces(
    items: Sequence[T],
    work: Callable[[Sequence[T], int], None],
    *,
    seconds: float = PIECE_SECONDS,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Call `work` with consecutive pieces of `items`, the first of one item, each sized by the time of the one before.

    Parameters
    ----------
    items : sequence
        What is to be done.
    work : callable
        Gets a piece, and the number of items before it.
    seconds : float
        Time that a piece should take.
    clock : callable
        Returns the time in seconds.
    """
    size, first = 1, 0
    while first < len(items):
        piece = items[first : first + size]
        started = clock()
        work(piece, first)
        first += len(piece)
        taken = max(clock() - started, 1e-6)
        size = max(1, int(len(piece) * min(_MOST_GROWTH, seconds / taken)))
