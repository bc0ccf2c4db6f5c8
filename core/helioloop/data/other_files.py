"""FITS files in a release's folder that are not read as cubes: other endings, subfolders, companions without a cube."""

import re
from pathlib import Path

from helioloop.data.cubes import is_cube_file
from helioloop.data.first_bytes import begins_as_fits
from helioloop.data.times import COMPANION_SUFFIX
from helioloop.files.walking import walk

_FITS_NAME = re.compile(r"\.(fits|fts|fit)(\.(gz|fz|z|bz2|xz|zip|zst))?\Z|\.fz\Z", re.IGNORECASE)
_COMPRESSED = re.compile(r"\.(gz|fz|z|bz2|xz|zip|zst)\Z", re.IGNORECASE)
_UNFINISHED = re.compile(
    r"\.(part(ial)?\d*|filepart|crdownload|opdownload|download|downloading|aria2|tmp|temp|incomplete|!ut|unfinished)\Z",
    re.IGNORECASE,
)
"""Endings that browsers, curl, wget, WinSCP and aria2 give to files that they are writing."""
_SAVED = re.compile(r"(~|\.(bak|backup|old|orig|sav|save|swp)\d*)\Z", re.IGNORECASE)
"""Endings that editors and programs give to the state of a file before a change."""
_ENDING = re.compile(r"(\.(fits|fts|fit))?(\.(gz|fz))?\Z", re.IGNORECASE)


def other_fits_files(folder: Path) -> dict[Path, str]:
    """Return the FITS files in a folder and its subfolders that are not read as cubes, sorted, with the reason.

    FITS files are those with a usual ending and those that begin as FITS files do. Hidden files, hidden folders and
    companions beside their cube are left out.
    """
    reasons = {}
    for place, names in walk(folder):
        for path in (place / name for name in names):
            reason = why_not_a_cube(folder, path)
            if reason is not None and path.is_file() and (_FITS_NAME.search(path.name) or begins_as_fits(path)):
                reasons[path] = reason
    return dict(sorted(reasons.items()))


def why_not_a_cube(folder: Path, path: Path) -> str | None:
    """Return why a FITS file is not read as a cube; None where it is one, or the companion of one."""
    if path.name.endswith(COMPANION_SUFFIX):
        cube = path.name.removesuffix(COMPANION_SUFFIX) + ".fits"
        if path.with_name(cube).exists():
            return None
        return f"it has the times of a cube that is not beside it: add {cube}"
    if path.parent != folder:
        return "it is in a subfolder and cubes must be directly in the folder of a release: move it there"
    if is_cube_file(path):
        return None
    return why_not_to_rename(path.name) or (
        f"its name must end in .fits, as the names of all cubes do: rename it {_ENDING.sub('', path.name)}.fits"
    )


def is_named_as_fits(name: str) -> bool:
    """Return True for the usual endings of FITS files, also compressed, unfinished or kept from before a change."""
    return _FITS_NAME.search(_SAVED.sub("", _UNFINISHED.sub("", name))) is not None


def why_not_to_rename(name: str) -> str | None:
    """Return why a file is not to be renamed ``.fits``: it is unfinished, an earlier state, or compressed otherwise."""
    ending = _UNFINISHED.search(name)
    if ending:
        return f"its name ends in {ending[0]}, as that of an unfinished download or copy: finish or remove it"
    ending = _SAVED.search(name)
    if ending:
        return f"its name ends in {ending[0]}, as that of an earlier state of a file: remove or rename it"
    ending = _COMPRESSED.search(name)
    if ending and ending[1].lower() not in {"gz", "fz"}:
        return f"it is compressed as {ending[1]} and cubes are plain, gzip or tile-compressed FITS: decompress it"
    return None
