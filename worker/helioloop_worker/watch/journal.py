"""What a watch says and records: one line per event, and a row per folder in the project's model folder."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from helioloop.errors import CubeError, MagnetogramError, ReleaseError, SettingsError, WrongUsage
from helioloop.files.names import shown_name
from helioloop.registry.watched import WatchedFolder, WatchState, read_watched, write_watched

OF_THE_FOLDER: Final = (ReleaseError, CubeError, MagnetogramError, SettingsError, WrongUsage)
"""Errors because of which a folder is set aside; it stays so until it is changed."""


class Journal:
    """The events of one watch, and what was done with each folder.

    Parameters
    ----------
    model_dir : Path
        The project's model folder.
    say : callable
        Receives one line per event.
    """

    def __init__(self, model_dir: Path, say: Callable[[str], None]) -> None:
        self._model_dir = model_dir
        self._said: dict[str, str] = {}
        self._write = say

    def say(self, line: str) -> None:
        """Say a line; bytes of file names that are not text become escapes."""
        self._write(shown_name(line))

    def say_once(self, about: str, text: str) -> None:
        """Say a line about something unless it is what was said about it last."""
        if self._said.get(about) != text:
            self._said[about] = text
            self.say(f"{about}: {text}")

    def rows(self) -> dict[str, WatchedFolder]:
        """Return what was done with each folder last, by its path as it is shown."""
        return read_watched(self._model_dir)

    def row(self, folder: Path) -> WatchedFolder | None:
        """Return what was done with a folder last; None for a new one."""
        return self.rows().get(shown_name(str(folder)))

    def record(self, folder: Path, state: WatchState, content: str, reason: str = "") -> None:
        """Record that a step is done with a folder."""
        at = datetime.now(UTC).isoformat(timespec="seconds")
        row = WatchedFolder(folder=shown_name(str(folder)), state=state, at=at, content=content, reason=reason)
        write_watched(self._model_dir, (self.rows() | {row.folder: row}).values())

    def set_aside(self, folder: Path, content: str, reason: str) -> None:
        """Say and record why a folder cannot be used, unless that was done before."""
        row = self.row(folder)
        if row is not None and (row.state, row.content, row.reason) == (WatchState.SET_ASIDE, content, reason):
            return
        self.say(f"{folder.name}: set aside: {reason} (it stays where it is and is taken again once that is changed)")
        self.record(folder, WatchState.SET_ASIDE, content, reason)


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, or its class."""
    return str(error).split("\n", 1)[0] or type(error).__name__
