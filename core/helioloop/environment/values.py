"""The rules for values of settings: folders, durations, and words out of a few."""

import errno
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field

from helioloop.environment.answering import within

_YEAR_SECONDS: Final = 31_557_600.0
_LOOK_SECONDS: Final = 1.0
_UNSEEN: Final[tuple[Path | None, bool]] = (None, False)
_LEVELS: Final = {"warn": "warning", "fatal": "critical"}
"""Names of levels that other programs use."""


def read_folder(value: Any) -> Any:
    """Return the path that a text names, with the home folder in place of ``~``; other values as they are.

    Raises
    ------
    ValueError
        Where the text is empty, begins or ends with a blank, has a character that no path has, or begins with ``~``
        while the home folder is not known. A blank in front would make an absolute path one below the current folder.
    """
    if not isinstance(value, str):
        return value
    if not value:
        raise ValueError("is empty, and an empty path would be the current folder; write the path of a folder")
    if value != value.strip():
        raise ValueError("begins or ends with a blank, which would be part of the path; remove it")
    if "\0" in value:
        raise ValueError("has the character U+0000, which no path has; remove it")
    try:
        return Path(value).expanduser()
    except RuntimeError:
        raise ValueError(
            "begins with ~, and the home folder is not known here; write the whole path, or set HOME"
        ) from None


def read_own_folder(value: Any) -> Any:
    """Return the path of a folder of this machine as `read_folder` does; it need not be there yet.

    Raises
    ------
    ValueError
        As `read_folder`, and where the path is that of a file or leads through one, or its name is too long.

    Notes
    -----
    A folder that cannot be looked at now, on a network file system that is away or without the right, or that does not
    answer within a second, is accepted: most programs need only some of the folders, and whoever needs this one gives
    the reason.
    """
    path = read_folder(value)
    if isinstance(value, str):
        try:
            there, is_file = within(_LOOK_SECONDS, lambda: _nearest(path), otherwise=_UNSEEN)
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                raise ValueError(f"cannot be looked at ({error.strerror}); correct the path") from None
            return path
        if is_file:
            raise ValueError(
                "is a file; name a folder" if there == path else f"leads through the file {there}; name a folder"
            )
    return path


def _nearest(path: Path) -> tuple[Path | None, bool]:
    """Return the path, or the nearest one above it that exists, and whether that is something other than a folder."""
    there = next((place for place in (path, *path.parents) if place.exists()), None)
    return there, there is not None and not there.is_dir()


Folder = Annotated[Path, BeforeValidator(read_own_folder)]
"""A folder of this machine."""
FolderElsewhere = Annotated[Path, BeforeValidator(read_folder)]
"""A folder as another program sees it, which may run on another machine."""

Seconds = Annotated[float, Field(le=_YEAR_SECONDS)]
"""A duration of at most a year: longer ones are beyond what clocks and locks take, and nobody means them."""


def read_word(value: Any) -> Any:
    """Return a word in lower case, without blanks around it; other values as they are."""
    return value.strip().lower() if isinstance(value, str) else value


def read_level(value: Any) -> Any:
    """Return the name of a level, also where it is written as other programs do; other values as they are."""
    word = read_word(value)
    return _LEVELS.get(word, word) if isinstance(word, str) else word


Level = Annotated[Literal["debug", "info", "warning", "error", "critical"], BeforeValidator(read_level)]
LogFormat = Annotated[Literal["text", "json"], BeforeValidator(read_word)]
RecipeName = Annotated[Literal["auto", "quick", "accurate", "paper", "paper-adamw"], BeforeValidator(read_word)]
DeviceName = Annotated[Literal["auto", "cpu", "cuda"], BeforeValidator(read_word)]
