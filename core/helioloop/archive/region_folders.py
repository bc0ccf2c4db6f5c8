"""Regions that are named after the folder of their files: which folder that is, and which names cannot be used."""

import os
from collections.abc import Iterable
from pathlib import Path

from helioloop.archive.regions import why_not_a_region
from helioloop.records.region_spelling import region_key


def region_folder(place: str) -> Path:
    """Return the folder that a file is in, as it was given: links are not followed.

    In git-annex and DataLad each file is a link to a folder of its own, which says nothing of its region.
    """
    return Path(os.path.abspath(place)).parent  # noqa: PTH100 - Path.resolve follows links


def why_not_regions(folders: Iterable[Path]) -> dict[Path, str]:
    """Return the folders after which no region can be named, each with the reason and the remedy.

    Parameters
    ----------
    folders : iterable of Path
        From `region_folder`, of all files without the number of a region; a folder may be there several times.
    """
    alike: dict[str, list[Path]] = {}
    reasons = {}
    for folder in sorted(set(folders)):
        if (rule := why_not_a_region(folder.name)) is not None:
            reasons[folder] = (
                f"it has no HARPNUM or TARPNUM, so its folder names its region, and the folder's name is {rule}"
            )
        else:
            alike.setdefault(region_key(folder.name), []).append(folder)
    for same in (same for same in alike.values() if len(same) > 1):
        for folder in same:
            other = next(one for one in same if one != folder)
            reasons[folder] = (
                f"it has no HARPNUM or TARPNUM, so its folder names its region {folder.name!r}, and folder "
                f"{str(other)!r} has the same name; each region has one folder with a name of its own: rename one of "
                "them, or put the files of one region into one folder"
            )
    return reasons
