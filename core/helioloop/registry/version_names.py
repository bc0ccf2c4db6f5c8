"""Names of versions: v0001, v0002, …, in their order."""

import re
from contextlib import suppress
from pathlib import Path
from typing import Final

FOLDER: Final = "versions"
"""The folder of a model folder in which each version has its own."""
CARD_FILE: Final = "card.json"
"""The file in the folder of a version that makes it one; it is written last."""

_NAME: Final = re.compile(r"v(\d{4,})\Z")


def is_version_name(text: str) -> bool:
    """Return whether a text is the name of a version, of this model folder or another one."""
    return _NAME.match(text) is not None


def version_name(number: int) -> str:
    """Return the name of the version with a number, at least 1: ``v0001``, and from 10,000 on with more digits."""
    return f"v{number:04d}"


def number_of(version: str) -> int:
    """Return the number of a version; 0 for a text that is no name of a version."""
    match = _NAME.match(version)
    return 0 if match is None else int(match[1])


def version_names(model_dir: Path) -> list[str]:
    """Return the names of all versions in a model folder, oldest first."""
    folder = model_dir / FOLDER
    if not folder.is_dir():
        return []
    names = [entry.name for entry in folder.iterdir() if is_version_name(entry.name) and entry.is_dir()]
    return sorted(names, key=number_of)


def misnamed_folders(model_dir: Path) -> list[str]:
    """Return the names of folders among the versions that have a card and another name, as ``v0001.bak`` or ``V0001``.

    They do not count as versions. Hidden ones, which copying programs make, and unreadable ones are left out.
    """
    folder = model_dir / FOLDER
    if not folder.is_dir():
        return []
    return sorted(
        entry.name
        for entry in folder.iterdir()
        if not entry.name.startswith(".") and not is_version_name(entry.name) and _has_card(entry)
    )


def _has_card(folder: Path) -> bool:
    """Return whether a folder has a card, as far as this account can see."""
    with suppress(PermissionError):
        return (folder / CARD_FILE).is_file()
    return False
