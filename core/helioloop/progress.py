"""How long work tells how far it is: a callable that the command line and the jobs each fill in their own way.

Ground floor.
"""

from collections.abc import Callable

Report = Callable[[int, int, str], None]
"""Called as ``report(done, total, what)``; `what` is a short phrase such as ``"scoring cubes"``."""


def silent(done: int, total: int, what: str) -> None:
    """Report nothing."""
