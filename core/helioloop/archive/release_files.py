"""Reports on the FITS files in the folder of a release: its cubes, and files that are something else."""

from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from helioloop.archive.recognition import describe_image
from helioloop.data.cube_opening import why_not_opened
from helioloop.data.cube_report import CubeReport
from helioloop.data.cubes import companion_path, hash_cube, is_companion, is_cube_file
from helioloop.data.inspection import inspect_cube, is_video, refused
from helioloop.data.other_files import other_fits_files, why_not_a_cube
from helioloop.data.release import why_not_a_name
from helioloop.errors import CubeError
from helioloop.records.instrument import Instrument
from helioloop.records.profiles import Profile


def find_release_files(folder: Path) -> list[Path]:
    """Return all FITS files in a folder and its subfolders, sorted, without hidden files and companions of cubes.

    Whatever has the name of a cube is among them, such as a folder or a link that leads nowhere.
    """
    return sorted({*(path for path in folder.iterdir() if is_cube_file(path)), *other_fits_files(folder)})


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
        if reason is None:
            reason = _why_not_opened(folder, path)
        if path.is_file() and not is_companion(path) and not is_video(path):
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


def find_copies(folder: Path, paths: Iterable[Path]) -> dict[Path, Path]:
    """Return the cubes of a folder that have the content of an earlier one of `paths`, each with the earlier one.

    Only files of equal size are read. A file that cannot be read is a copy of none.
    """
    sizes: dict[tuple[int, ...], list[Path]] = defaultdict(list)
    for path in paths:
        if path.parent == folder and is_cube_file(path) and why_not_opened(path) is None:
            files = (file for file in (path, companion_path(path)) if file.exists())
            sizes[tuple(file.stat().st_size for file in files)].append(path)
    copies = {}
    for alike in (alike for alike in sizes.values() if len(alike) > 1):
        first: dict[str, Path] = {}
        for path in alike:
            with suppress(CubeError):
                other = first.setdefault(hash_cube(path), path)
                if other is not path:
                    copies[path] = other
    return copies


def _why_not_opened(folder: Path, path: Path) -> str | None:
    """Return why neither training nor ingestion opens a file with the name of a cube; None where they do."""
    found = why_not_opened(path, folder.resolve().parent)
    if found is not None:
        return f"{found.name} {found.reason}"
    return why_not_a_name(path.name.removesuffix(".fits"), what="cube")
