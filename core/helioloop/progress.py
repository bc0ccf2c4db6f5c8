"""Type of the function that reports progress; the command line shows a bar, jobs store the numbers in Redis."""

from collections.abc import Callable

Report = Callable[[int, int, str], None]
"""Called as ``report(done, total, what)``; `what` is a short phrase, for example ``"scoring cubes"``."""


def silent(done: int, total: int, what: str) -> None:
    """Report nothing."""
