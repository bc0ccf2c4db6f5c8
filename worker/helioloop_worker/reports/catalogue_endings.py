"""Endings of a catalogue's file, which choose its format; known without the packages that write it."""

from pathlib import Path
from typing import Final

from helioloop.errors import WrongUsage

CSV: Final = ".csv"
VOTABLES: Final = (".vot", ".votable", ".xml")
ENDINGS: Final = (CSV, ".ecsv", *VOTABLES, ".fits")


def check_ending(path: Path) -> str:
    """Return the ending of a catalogue's file in lower case.

    Raises
    ------
    WrongUsage
        If no format has this ending.
    """
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise WrongUsage(
            f"{path.name} ends in {ending!r}, but a catalogue ends in {', '.join(ENDINGS)}, which chooses its format; "
            "rename it"
        )
    return ending
