"""Reports on the FITS files in the folder of a release: its cubes, and files that are something else."""

import re
from pathlib import Path

from helioloop.archive.recognition import describe_image, find_fits_files
from helioloop.data.cubes import COMPANION_SUFFIX, is_cube_file
from helioloop.data.inspection import CubeReport, inspect_cube, is_video, refused
from helioloop.errors import CubeError
from helioloop.records.instrument import Instrument
from helioloop.records.profiles import Profile


def find_release_files(folder: Path) -> list[Path]:
    """Return all FITS files in a folder and its subfolders, sorted, without hidden files and companions of cubes."""
    files = find_fits_files(folder)
    cubes = set(files)
    return [path for path in files if not _is_companion(path) or path.with_name(_cube_file(path)) not in cubes]


def is_cube_of(folder: Path, path: Path) -> bool:
    """Return True if, by its name, a file is one of the cubes of the release in `folder`."""
    return path.parent == folder and is_cube_file(path)


def inspect_file(folder: Path, path: Path, instrument: Instrument, profile: Profile | None = None) -> CubeReport:
    """Return the report of one file; whatever is wrong with it becomes its reason.

    Parameters
    ----------
    folder : Path
        Folder of the release.
    path : Path
        The file, from `find_release_files`.
    instrument, profile : Instrument, Profile or None
        See `inspect_cube`.
    """
    try:
        reason = _reason_not_a_cube(folder, path)
        if reason is None:
            return inspect_cube(path, instrument, profile)
    except CubeError as error:
        reason = str(error)
    except Exception as error:  # noqa: BLE001 - whatever one file does, the others are listed
        problem = str(error).split("\n", 1)[0] or type(error).__name__
        reason = f"it cannot be read ({problem}): make the file again"
    name = str(path.relative_to(folder))
    return refused(name.removesuffix(".fits") if path.parent == folder else name, reason)


def _reason_not_a_cube(folder: Path, path: Path) -> str | None:
    """Return why a file is not one of the release's cubes and what to do with it; None where it is one."""
    if _is_companion(path):
        return f"it has the times of a cube that is not beside it: add {_cube_file(path)}"
    if not is_video(path):
        return describe_image(path)
    if path.parent != folder:
        return "it is in a subfolder and cubes must be directly in the folder of a release: move it there"
    if not is_cube_file(path):
        return f"its name must end in .fits, as the names of all cubes do: rename it {_stem(path)}.fits"
    return None


def _is_companion(path: Path) -> bool:
    """Return True for a file with the times of a cube."""
    return path.name.endswith(COMPANION_SUFFIX)


def _cube_file(companion: Path) -> str:
    """Return the name of the cube to which a companion belongs."""
    return companion.name.removesuffix(COMPANION_SUFFIX) + ".fits"


def _stem(path: Path) -> str:
    """Return a file's name without the ending of FITS files."""
    return re.sub(r"(\.(fits|fts|fit))?(\.(gz|fz))?\Z", "", path.name, flags=re.IGNORECASE)
