"""What the folder of a version must contain before it is admitted or published, checked without torch."""

import json
import math
import re
from collections.abc import Iterable, Mapping
from os import SEEK_END
from pathlib import Path
from typing import Any, Final

from helioloop.registry.staging import GROWTH_ODDS_FILE, PLAN_FILE
from helioloop.registry.version_names import CARD_FILE
from helioloop.words import count

NO_SCORES: Final = "scores are missing"
"""The phrase for a folder without scores; the worker can make them again."""

_END_BYTES: Final = 256
"""The end of a plan that is read: its fingerprint, last bracket and line end."""
_PLAN_FINGERPRINT: Final = re.compile(rb'"saved_fingerprint": "([0-9a-f]+)"')
_LENGTH_BYTES: Final = 8
"""A safetensors file begins with the length of its header."""


def missing_parts(folder: Path, member_files: Iterable[str], *, fingerprint: str) -> list[str]:
    """Return what a version's folder lacks, one phrase each; empty where it can be served.

    Parameters
    ----------
    folder : Path
        The folder, in staging or among the versions.
    member_files : iterable of str
        Names of the weights' files. A version without members, which scores nothing, needs neither plan nor scores.
    fingerprint : str
        That of the card. Weights and plan that have another one are of another round: two backups, or the folders of
        two machines, were merged.

    Notes
    -----
    Of weights, header and length are read, and of the plan its ends, so that a file that was cut off is found in
    microseconds.
    """
    files = list(member_files)
    found = [phrase for name in files if (phrase := weights_damage(folder / name)) is not None]
    if not found and (phrase := _of_another_round(folder, files, fingerprint)) is not None:
        found.append(phrase)
    if files and (phrase := _plan_damage(folder / PLAN_FILE)) is not None:
        found.append(phrase)
    if (phrase := _growth_odds_damage(folder / GROWTH_ODDS_FILE)) is not None:
        found.append(phrase)
    if files and not any((folder / "scores").glob("*.jsonl")):
        found.append(NO_SCORES)
    return found


def _of_another_round(folder: Path, member_files: Iterable[str], fingerprint: str) -> str | None:
    """Return which of the whole files were made by another round than the card, in a phrase; None where none was."""
    made_by = {name: _weights_fingerprint(folder / name) for name in member_files}
    made_by[PLAN_FILE] = _plan_fingerprint(folder / PLAN_FILE)
    foreign = [name for name, made in made_by.items() if made not in {None, fingerprint}]
    if not foreign:
        return None
    named = foreign[0] if len(foreign) == 1 else f"{foreign[0]} and {count(len(foreign) - 1, 'more file')}"
    return f"{named} {'is' if len(foreign) == 1 else 'are'} of another round than {CARD_FILE}"


def _weights_fingerprint(path: Path) -> str | None:
    header, _ = _weights_header(path)
    metadata = (header or {}).get("__metadata__")
    made = metadata.get("fingerprint") if isinstance(metadata, Mapping) else None
    return made if isinstance(made, str) else None


def _plan_fingerprint(path: Path) -> str | None:
    try:
        found = _PLAN_FINGERPRINT.search(_end(path))
    except (FileNotFoundError, IsADirectoryError):
        return None
    return None if found is None else found[1].decode()


def _end(path: Path) -> bytes:
    """Return the last `_END_BYTES` of a file."""
    with path.open("rb") as file:
        file.seek(-min(_END_BYTES, path.stat().st_size), SEEK_END)
        return file.read()


def _plan_damage(path: Path) -> str | None:
    """Return what is wrong with the ends of a plan, in a phrase; None where nothing is. Its middle may be long."""
    try:
        with path.open("rb") as file:
            start = file.read(1)
        end = _end(path).rstrip()
    except (FileNotFoundError, IsADirectoryError):
        return f"{PLAN_FILE} is missing"
    is_closed = end.endswith(b"}") and not end.endswith(b" }")  # brackets within it are indented
    return None if start == b"{" and is_closed else f"{PLAN_FILE} is cut off"


def _growth_odds_damage(path: Path) -> str | None:
    """Return that growth odds cannot be read, in a phrase; None where they can, or a version has none."""
    try:
        odds = json.loads(path.read_text())
        is_sound = odds["even"] > 1.0 and math.isfinite(odds.get("shift", 0.0))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError):
        is_sound = False
    return None if is_sound else f"{path.name} is damaged"


def weights_damage(path: Path) -> str | None:
    """Return what is wrong with a file of weights, in a phrase; None where nothing is."""
    try:
        size = path.stat().st_size
        header, length = _weights_header(path)
        if header is None:
            return f"{path.name} is cut off in its header"
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        expected = _LENGTH_BYTES + length + max(ends, default=0)
    except FileNotFoundError:
        return f"{path.name} is missing"
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        return f"{path.name} is not a safetensors file"
    return None if size == expected else f"{path.name} has {size} bytes and its header names {expected}"


def _weights_header(path: Path) -> tuple[dict[str, Any] | None, int]:
    """Return the header of a safetensors file and its length in bytes; None for one that was cut off in its header."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        is_whole = length <= path.stat().st_size - _LENGTH_BYTES
        return (json.loads(file.read(length)) if is_whole else None), length
