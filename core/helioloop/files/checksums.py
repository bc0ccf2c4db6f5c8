"""Checks the files in a folder against its ``SHA256SUMS``, the list that ``sha256sum`` writes."""

import hashlib
import os
import re
from codecs import BOM_UTF8
from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from helioloop.files.kinds import why_not_a_file
from helioloop.progress import Report, silent

CHECKSUMS_FILE: Final = "SHA256SUMS"
WRITE_AGAIN: Final = (
    f"write it again, in that folder, with `find -L . -type f ! -name {CHECKSUMS_FILE} -exec sha256sum {{}} + "
    f"> {CHECKSUMS_FILE}`"
)
"""The command lists subfolders and links, too, and not the list itself, which is not whole while it is written."""

_LINE: Final = re.compile(r"(?P<hash>[0-9a-fA-F]{64}) [ *](?P<name>.+)")
_TAGGED_LINE: Final = re.compile(r"SHA(2-)?256 ?\((?P<name>.+)\) ?= ?(?P<hash>[0-9a-fA-F]{64})")
"""As `sha256sum --tag`, BSD's `sha256` and `openssl dgst -sha256` write it."""


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
        return f"{CHECKSUMS_FILE} does not list {unlisted[0]}{_others(unlisted)}: {WRITE_AGAIN} when all are there"
    missing = [name for name in found if not (folder / name).is_file()]
    if missing:
        there = os.path.lexists(folder / missing[0])
        reason = why_not_a_file(folder / missing[0]) if there else "is not there: copy it"
        return f"{CHECKSUMS_FILE} lists {missing[0]}{_others(missing)}, which {reason}"
    for done, (name, sha256) in enumerate(found.items(), start=1):
        with (folder / name).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                return f"{name} has another hash than in {CHECKSUMS_FILE}: copy the file, or write the list, again"
        report(done, len(found), "checking files")
    return None


def _read(path: Path) -> Mapping[str, str] | str:
    """Return the hash of each listed file, or what is wrong with the list; its own entry is left out.

    Names are bytes, as in the folder; empty lines and comments are passed over.
    """
    try:
        lines = path.read_bytes().removeprefix(BOM_UTF8).splitlines()
    except OSError as error:
        return f"{path.name} cannot be read ({error.strerror}): let this user read it, or {WRITE_AGAIN}"
    hashes = {}
    for number, line in enumerate(map(os.fsdecode, lines), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line) or _TAGGED_LINE.fullmatch(line)
        if match is None:
            return f"{path.name}, line {number}, is {line[:60]!r} and not `hash  file` as of sha256sum: {WRITE_AGAIN}"
        name = PurePosixPath(match["name"])
        if name.is_absolute() or ".." in name.parts:
            return (
                f"{path.name}, line {number}, lists {name}; names must be paths below the folder of the list: "
                f"{WRITE_AGAIN}"
            )
        hashes[str(name)] = match["hash"].lower()
    hashes.pop(path.name, None)
    return hashes or f"{path.name} lists no file: {WRITE_AGAIN}"


def _others(names: Collection[str]) -> str:
    return f" and {len(names) - 1} more" if len(names) > 1 else ""
