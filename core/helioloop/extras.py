"""One sentence for a missing extra.

Ground floor.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from helioloop.errors import MissingExtra


@contextmanager
def needs_extra(extra: str) -> Iterator[None]:
    """Turn a failed import in the block into a `MissingExtra` that names the extra and how to install it."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"the package {error.name!r} is not installed; this command needs the extra [{extra}]: "
            f"install it with `uv pip install 'helioloop[{extra}]'`"
        ) from error
