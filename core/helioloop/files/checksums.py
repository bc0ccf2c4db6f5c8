"""Checks the files in a folder against its ``SHA256SUMS``, the list that ``sha256sum`` writes."""

import hashlib
import re
from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from helioloop.progress import Report, silent

CHECKSUMS_FILE: Final = "SHA256SUMS"

_LINE: Final = re.compile(r"([0-9a-fA-F]{64}) [ *](?:\./)?(.+)")


def checksum_problem(folder: Path, *, needed: Collection[str] = (), report: Report = silent) -> str | None:
    """Return what does not fit the list of a folder, in one sentence; None where all files have their hashes.

    Parameters
    ----------
    folder : Path
        A folder with `CHECKSUMS_FILE`. Missing files are found before any file is read.
    needed : collection of str
        Files, as paths below the folder, that the list must contain.
    report : Report
        Called after each file.
    """
    found = _read(folder / CHECKSUMS_FILE)
    if isinstance(found, str):
        return found
    unlisted = sorted(set(needed) - found.keys())
    if unlisted:
        return f"{CHECKSUMS_FILE} does not list {unlisted[0]}{_others(unlisted)}: write it again when all are there"
    missing = [name for name in found if not (folder / name).is_file()]
    if missing:
        return f"{CHECKSUMS_FILE} lists {missing[0]}{_others(missing)}, which is not there: copy it"
    for done, (name, sha256) in enumerate(found.items(), start=1):
        with (folder / name).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                return f"{name} has another hash than in {CHECKSUMS_FILE}: copy the file, or write the list, again"
        report(done, len(found), "checking files")
    return None


def _read(path: Path) -> Mapping[str, str] | str:
    """Return the hash of each listed file, or what is wrong with the list."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        return f"{path.name} cannot be read ({error}): write it again"
    hashes = {}
    for number, line in enumerate(lines, start=1):
        match = _LINE.fullmatch(line)
        name = PurePosixPath(match[2]) if match else None
        if match is None or name is None or name.is_absolute() or ".." in name.parts:
            return f"{path.name}, line {number}, is not `hash  file` as sha256sum writes it: write it again"
        hashes[str(name)] = match[1].lower()
    return hashes or f"{path.name} is empty: write it again"


def _others(names: Collection[str]) -> str:
    return f" and {len(names) - 1} more" if len(names) > 1 else ""
