"""Whether the files behind the labelling screen are those that were written last: one word in two folders.

The media folder may be restored from a backup of its own. Curves and reasons are those of an earlier version then, and
a random check that was chosen since shows what the model said of it, although its answer counts as blind. So a
write-back leaves a new random word in ``screens.txt`` of the media folder and of the model folder. Where they differ,
the next one writes the files of all tasks.
"""

import secrets
from pathlib import Path
from typing import Final

from helioloop.errors import ServiceError
from helioloop.files import atomic

SCREENS: Final = "screens.txt"
_LONGEST: Final = 64


def note_screens(model_dir: Path, media: Path) -> None:
    """Note that the media folder has the files that were written last.

    Raises
    ------
    ServiceError
        Where the media folder cannot be written.
    """
    word = f"{secrets.token_hex(8)}\n"
    try:
        atomic.write_text(media / SCREENS, word)
    except OSError as error:
        raise ServiceError(
            f"{media / SCREENS} cannot be written ({error.strerror}); free space or correct the permissions, then "
            "repeat this"
        ) from error
    atomic.write_text(model_dir / SCREENS, word)


def has_last_screens(model_dir: Path, media: Path) -> bool:
    """Return whether the media folder has the files that were written last; True where none were noted yet."""
    noted = _word(model_dir)
    return noted is None or noted == _word(media)


def _word(folder: Path) -> bytes | None:
    """Return the word in a folder; None without one, and where it cannot be read."""
    try:
        with (folder / SCREENS).open("rb") as file:
            return file.read(_LONGEST)
    except OSError:
        return None
