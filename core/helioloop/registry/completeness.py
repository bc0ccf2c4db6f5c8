"""What the folder of a version must contain before it is admitted or published, checked without torch."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from helioloop.registry.staging import PLAN_FILE

NO_SCORES: Final = "scores are missing"
"""The phrase for a folder without scores; the worker can make them again."""

_LENGTH_BYTES: Final = 8
"""A safetensors file begins with the length of its header."""


def missing_parts(folder: Path, member_files: Iterable[str]) -> list[str]:
    """Return what a version's folder lacks, one phrase each; empty where it can be served.

    Parameters
    ----------
    folder : Path
        The folder, in staging or among the versions.
    member_files : iterable of str
        Names of the weights' files. A version without members, which scores nothing, needs neither plan nor scores.

    Notes
    -----
    Of weights, header and length are read, so that a file that was cut off is found in microseconds.
    """
    files = list(member_files)
    found = [phrase for name in files if (phrase := weights_damage(folder / name)) is not None]
    if files and not (folder / PLAN_FILE).is_file():
        found.append(f"{PLAN_FILE} is missing")
    if files and not any((folder / "scores").glob("*.jsonl")):
        found.append(NO_SCORES)
    return found


def weights_damage(path: Path) -> str | None:
    """Return what is wrong with a file of weights, in a phrase; None where nothing is."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
            header = json.loads(file.read(length)) if length <= size - _LENGTH_BYTES else None
        if header is None:
            return f"{path.name} is cut off in its header"
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        expected = _LENGTH_BYTES + length + max(ends, default=0)
    except FileNotFoundError:
        return f"{path.name} is missing"
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        return f"{path.name} is not a safetensors file"
    return None if size == expected else f"{path.name} has {size} bytes and its header names {expected}"
