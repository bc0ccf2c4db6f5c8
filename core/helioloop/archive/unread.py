"""FITS files in folders that are not read: other names, archives, unfinished, broken links, folders without access."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from helioloop.archive.making import FITS_ENDINGS
from helioloop.data.first_bytes import begins_as_fits
from helioloop.data.other_files import is_named_as_fits, why_not_to_rename
from helioloop.files.kinds import why_not_a_file
from helioloop.files.walking import walk

_ARCHIVE: Final = re.compile(r"\.(tar(\.(gz|bz2|xz|zst|z))?|tgz|tbz2?|txz|tzst|zip|7z|rar)\Z", re.IGNORECASE)


def unread_files(places: Iterable[str]) -> dict[str, str]:
    """Return what `helioloop.archive.making.find_files` passes over in folders, with the reason and the remedy.

    Hidden files and folders are left out, and so is lost+found of a disk, which only root may read.

    Parameters
    ----------
    places : iterable of str
        Paths, patterns and URLs; only folders are searched.
    """
    folders = [Path(place) for place in places if "://" not in place and place.strip() and Path(place).is_dir()]
    return dict(sorted(found for folder in folders for found in _unread_in(folder)))


def unread_sentences(unread: Mapping[str, str]) -> list[str]:
    """Return one sentence for each reason of `unread_files`, with the first file and the number of others."""
    names: dict[str, list[str]] = {}
    for name, reason in unread.items():
        names.setdefault(reason, []).append(name)
    return [
        f"{found[0]}{f' (and {len(found) - 1} more)' if len(found) > 1 else ''} is not read: {reason}"
        for reason, found in names.items()
    ]


def _unread_in(folder: Path) -> Iterator[tuple[str, str]]:
    closed: list[OSError] = []
    for place, names in walk(folder, on_error=closed.append):
        for path in (place / name for name in names):
            reason = _why_unread(path)
            if reason is not None:
                yield str(path), reason
    for error in closed:
        yield str(error.filename), f"its folder cannot be listed ({error.strerror}): let this user read it"


def _why_unread(path: Path) -> str | None:
    """Return why a file is not read; None where it is, and for what is neither FITS nor an archive of files."""
    kind = why_not_a_file(path)
    if is_named_as_fits(path.name):
        if kind is not None:
            return f"it {kind}"
        if path.name.lower().endswith(FITS_ENDINGS):
            return None
    elif kind is not None:
        return None
    elif _ARCHIVE.search(path.name):
        return "it is an archive, and only files outside of archives are read: unpack it, or remove it if that is done"
    elif not begins_as_fits(path):
        return None
    return why_not_to_rename(path.name) or (
        f"it is FITS and its name has another ending than {', '.join(FITS_ENDINGS)}: rename it, or remove it if it is "
        "a copy"
    )
