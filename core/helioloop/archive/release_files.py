"""Reports on the FITS files in the folder of a release: its cubes, and files that are something else."""

from pathlib import Path

from helioloop.archive.recognition import describe_image
from helioloop.data.cubes import COMPANION_SUFFIX, is_cube_file
from helioloop.data.inspection import CubeReport, inspect_cube, is_video, refused
from helioloop.data.other_files import other_fits_files
from helioloop.errors import CubeError
from helioloop.records.instrument import Instrument
from helioloop.records.profiles import Profile


def find_release_files(folder: Path) -> dict[Path, str | None]:
    """Return all FITS files of a release, sorted, and why they are not read as cubes; None for cubes."""
    files: dict[Path, str | None] = dict(other_fits_files(folder))
    files |= {path: None for path in folder.iterdir() if is_cube_file(path) and path.is_file()}
    return dict(sorted(files.items()))


def inspect_file(
    folder: Path, path: Path, not_a_cube: str | None, instrument: Instrument, profile: Profile | None = None
) -> CubeReport:
    """Return the report of one file; whatever is wrong with it becomes its reason.

    Parameters
    ----------
    folder : Path
        Folder of the release.
    path, not_a_cube : Path, str or None
        The file, and why it is not read as a cube; see `find_release_files`.
    instrument, profile : Instrument, Profile or None
        See `inspect_cube`.
    """
    try:
        is_cube = path.name.endswith(COMPANION_SUFFIX) or is_video(path)
        if is_cube and not_a_cube is None:
            return inspect_cube(path, instrument, profile)
        reason = not_a_cube if is_cube and not_a_cube is not None else describe_image(path)
    except CubeError as error:
        reason = str(error)
    except Exception as error:  # noqa: BLE001 - whatever one file does, the others are listed
        problem = str(error).split("\n", 1)[0] or type(error).__name__
        reason = f"it cannot be read ({problem}): make the file again"
    name = str(path.relative_to(folder))
    return refused(name.removesuffix(".fits") if path.parent == folder else name, reason)
