"""The port to the place from which Label Studio gets videos, curves and reasons.

The files in the media folder are the truth in any case; `folder` and `bucket` make them available. One contract test
runs on both.
"""

from collections.abc import Callable, Iterable
from typing import Protocol


class Media(Protocol):
    """A place with files by name, such as ``project-1/release/cube.mp4``; picklable, for other processes."""

    def address(self, name: str) -> str:
        """Return what the data of a task has for a file."""

    def serve(self, name: str, read: Callable[[], bytes]) -> None:
        """Make a file available with the content that `read` returns; nothing is sent where it is there already.

        Raises
        ------
        ServiceError
            Where the place cannot be written.
        """

    def claim(self, name: str, content: bytes) -> bool:
        """Store a file unless there is one, and return whether it has this content.

        Raises
        ------
        ServiceError
            Where the place cannot be read or written.
        """

    def withdraw(self, names: Iterable[str]) -> None:
        """Make files unavailable; unknown ones are passed over.

        Raises
        ------
        ServiceError
            Where the place cannot be written, or refuses to delete one of them; others may be deleted then.
        """
