"""The home folder, in which libraries expect their configuration: one that cannot be used must not stop a command.

Accounts of services often have a home that does not exist, and ``sudo`` or ``su`` may keep the home of another user.
SunPy needs a folder that it can write, and astropy one that it can look into.
"""

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import platformdirs

from helioloop.environment.users import this_user
from helioloop.errors import SettingsError

_CONFIGURATION: Final = "XDG_CONFIG_HOME"


def default_cache() -> Path:
    """Return the folder of the cache where no setting names one.

    Raises
    ------
    SettingsError
        Where no home folder is known.
    """
    return _known(lambda: platformdirs.user_cache_path("helioloop", appauthor=False))


def check_home() -> None:
    """Refuse to go on without a home folder, which libraries ask for.

    Raises
    ------
    SettingsError
        Where no home folder is known.
    """
    _known(Path.home)


def make_configuration_usable() -> None:
    """Let libraries have their configuration in a temporary folder, where the usual one cannot be written.

    Processes that this one starts use the same folder; it is removed when this one ends. Where no temporary folder can
    be written either, as in a container whose root is read-only or where the disk is full, the usual place stays: most
    commands do without those libraries, and the others name it.
    """
    if _can_be_written(Path(os.environ.get(_CONFIGURATION) or Path.home() / ".config") / "sunpy"):
        return
    try:
        folder = tempfile.mkdtemp(prefix="helioloop-configuration-")
    except OSError:
        return
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (Path(folder) / "astropy").mkdir()  # without it, older versions of astropy would look below the home folder
    os.environ[_CONFIGURATION] = folder


def _can_be_written(folder: Path) -> bool:
    """Return whether a folder can be written, or made."""
    while not os.access(folder, os.F_OK) and folder != folder.parent:
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


def _known(find: Callable[[], Path]) -> Path:
    """Return a folder that depends on the home folder."""
    try:
        return find()
    except RuntimeError:
        raise SettingsError(
            "no home folder is known, because HOME is not set and the system has no account for the user "
            f"{this_user()}; set HOME to a folder of this user"
        ) from None
