"""Finds cubes whose release was renamed, or that were moved to another release: by file name, and then by content.

Tasks, scores and cards keep the name of the release with which a cube was ingested.
"""

import glob
from collections.abc import Sequence
from pathlib import Path

from helioloop.data.release import ReleaseRoots
from helioloop.errors import CubeError, ReleaseError


def other_places(roots: Sequence[Path], release: str, cube: str) -> list[Path]:
    """Return the files of a cube's name in other releases of the roots; their content is to be compared.

    Parameters
    ----------
    roots : sequence of Path
        Folders of releases; no file outside them is returned.
    release, cube : str
        The release that is left out, and the name of the cube, both plain.
    """
    found: list[Path] = []
    for root in roots:
        names = {path.parent.name for path in root.glob(f"*/{glob.escape(cube)}.fits")}
        for name in sorted(names - {release}):
            try:
                found.append(ReleaseRoots((root,)).path(name, cube))
            except (CubeError, ReleaseError):  # a hidden folder, or a link out of the root
                continue
    return found


def missing_sentence(releases: Sequence[str]) -> str:
    """Return that releases are in none of the roots, and what follows."""
    names = ", ".join(releases)
    return (
        f"the folder of release {names} is in none of the release roots; its cubes are read from other releases that "
        "have files of the same names and content, and without such a file they are excluded: give the folder its name "
        "back, or name its parent folder in HELIOLOOP_RELEASE_ROOTS"
    )
