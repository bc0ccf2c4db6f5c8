"""Reports on the FITS files in the folder of a release: its cubes, and files that are something else."""

from pathlib import Path

from helioloop.archive.recognition import describe_image
from helioloop.data.cube_report import CubeReport
from helioloop.data.cubes import is_companion, is_cube_file
from helioloop.data.inspection import inspect_cube, is_video, refused
from helioloop.data.other_files import other_fits_files, why_not_a_cube
from helioloop.errors import CubeError
from helioloop.records.instrument import Instrument
from helioloop.records.profiles import Profile


def find_release_files(folder: Path) -> list[Path]:
    """Return all FITS files in a folder and its subfolders, sorted, without hidden files and companions of cubes."""
    cubes = (path for path in folder.iterdir() if is_cube_file(path) and path.is_file())
    return sorted([*cubes, *other_fits_files(folder)])


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
        reason = why_not_a_cube(folder, path)
        if not is_companion(path) and not is_video(path):
            reason = describe_image(path)
        if reason is None:
            return inspect_cube(path, instrument, profile)
    except CubeError as error:
        reason = str(error)
    except Exception as error:  # noqa: BLE001 - whatever one file does, the others are listed
        problem = str(error).split("\n", 1)[0] or type(error).__name__
        reason = f"it cannot be read ({problem}): make the file again"
    name = str(path.relative_to(folder))
    return refused(name.removesuffix(".fits") if path.parent == folder else name, reason)
