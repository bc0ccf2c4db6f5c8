"""FITS files in folders that are not read: compressed otherwise, unfinished, broken links, folders without access."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from helioloop.archive.making import FITS_ENDINGS
from helioloop.data.other_files import is_named_as_fits, why_not_to_rename
from helioloop.files.kinds import why_not_a_file
from helioloop.files.walking import walk


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


def unread_sentences(places: Iterable[str]) -> list[str]:
    """Return one sentence for each reason, with the first file and the number of others."""
    names: dict[str, list[str]] = {}
    for name, reason in unread_files(places).items():
        names.setdefault(reason, []).append(name)
    return [
        f"{found[0]}{f' (and {len(found) - 1} more)' if len(found) > 1 else ''} is not read: {reason}"
        for reason, found in names.items()
    ]


def _unread_in(folder: Path) -> Iterator[tuple[str, str]]:
    closed: list[OSError] = []
    for place, names in walk(folder, on_error=closed.append):
        for path in (place / name for name in names if is_named_as_fits(name)):
            kind = why_not_a_file(path)
            reason = f"it {kind}" if kind else why_not_to_rename(path.name)
            if kind or not path.name.lower().endswith(FITS_ENDINGS):
                yield str(path), reason or "its name must end as those of FITS files do: rename it"
    for error in closed:
        yield str(error.filename), f"its folder cannot be listed ({error.strerror}): let this user read it"
