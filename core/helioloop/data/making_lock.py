"""One run at a time makes a release: two that write into one folder would remove each other's unfinished files."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from helioloop.errors import ReleaseError
from helioloop.files import atomic, lease

LOCK: Final = ".making.lock"
"""Name of the lock file in the release's folder; it stays only where a run was killed, and stops no later run."""


def is_of_lock(name: str) -> bool:
    """Return whether a file's name is that of the lock, or of what is beside it while it is taken."""
    return name == LOCK or atomic.is_unfinished(name)


@contextmanager
def only_maker(out: Path) -> Iterator[None]:
    """Keep other runs from making the release in the folder `out`, which is created if missing.

    Whoever looks at what is in the folder does so inside: another run may have ended just before.

    Raises
    ------
    ReleaseError
        If another run, on this or another machine, makes it now.
    """
    with lease.holding(out / LOCK) as is_held:
        if not is_held:
            raise ReleaseError(
                f"another run makes {out} now; wait until it has ended, after which the same command goes on from what "
                "is there, or name another folder"
            )
        yield
