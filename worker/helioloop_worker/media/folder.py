"""Media in a folder that Label Studio serves as local files."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class FolderMedia:
    """The media folder itself: files in it are available as soon as they are written.

    Parameters
    ----------
    path : str
        The path below which browsers reach Label Studio, such as ``/label-studio``; empty at the root of its host.
    """

    path: str = ""

    def address(self, name: str) -> str:
        """Return the address of a file in Label Studio; see `Media.address`."""
        return f"{self.path}/data/local-files/?d={quote(f'helioloop/{name}')}"

    def serve(self, name: str, read: Callable[[], bytes]) -> None:
        """Do nothing, and read nothing; see `Media.serve`."""

    def claim(self, name: str, content: bytes) -> bool:  # noqa: ARG002 - its file is `helioloop.registry.media_identity`
        """Return True: a folder has its own file for this; see `Media.claim`."""
        return True

    def withdraw(self, names: Iterable[str]) -> None:
        """Do nothing; see `Media.withdraw`."""
