"""Type of the function that reports progress; the command line shows a bar, jobs store the numbers in Redis."""

from collections.abc import Callable

Report = Callable[[int, int, str], None]
"""Called as ``report(done, total, what)``; `what` is a short phrase, for example ``"scoring cubes"``.

A `total` of 0 means that the number is not known yet.
"""


def silent(done: int, total: int, what: str) -> None:
    """Report nothing."""


def in_words(done: int, total: int, what: str) -> str:
    """Return progress as a phrase: "scoring cubes, 3 of 7"; "scoring cubes" where the total is not known yet."""
    return f"{what}, {done} of {total}" if total else what
