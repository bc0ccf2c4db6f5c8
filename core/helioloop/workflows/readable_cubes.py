"""Reads the cubes of a release for training and scoring: those that cannot be read, and copies, are excluded."""

import logging
from collections.abc import Sequence

from helioloop.data.inspection import copied_content, most_frequent
from helioloop.data.other_instrument import other_instrument, release_doubt
from helioloop.data.release import LabelRow, Release
from helioloop.errors import CubeError, ReleaseError
from helioloop.model.runtime import Runtime
from helioloop.records.cubes import CubeInfo

log = logging.getLogger(__name__)


def readable_cubes(release: Release, runtime: Runtime) -> list[CubeInfo]:
    """Return the readable cubes of a release, in the order of its table; others are passed to ``runtime.on_excluded``.

    Each cube is read completely and stored in the cache, where the members find it when they are trained. Of files
    with the same content one counts: a verified one, else a labelled one, else the first. Cubes of another instrument
    than the profile's are returned, too, and a warning in the log names them.

    Raises
    ------
    ReleaseError
        If no cube is readable; the text has the most frequent reason.
    """
    readable: list[CubeInfo] = []
    reasons: dict[str, str] = {}
    of_others: dict[str, list[str]] = {}
    for done, row in enumerate(release.rows, start=1):
        try:
            cube, instrument = _read_and_cache(release.name, row, runtime)
        except CubeError as error:
            if runtime.on_excluded is None:
                raise
            runtime.on_excluded(row.cube, error)
            reasons[row.cube] = str(error)
        else:
            readable.append(cube)
            if instrument is not None:
                of_others.setdefault(instrument, []).append(cube.name)
        runtime.report(done, len(release.rows), "reading cubes")
    if reasons and not readable:
        raise ReleaseError(
            f"all {len(reasons)} cubes of release {release.name} were refused; {most_frequent(reasons)}; "
            "`helioloop check` lists all reasons"
        )
    for instrument, cubes in of_others.items():
        if runtime.profile is not None:
            log.warning("%s", release_doubt(release.name, cubes, instrument, runtime.profile))
    return _without_copies(readable, runtime)


def _without_copies(cubes: Sequence[CubeInfo], runtime: Runtime) -> list[CubeInfo]:
    """Return one cube of each content; the others are passed to ``runtime.on_excluded``.

    Otherwise a network that was trained on a copy could score the other one, and a video could have two labels.
    """
    counted: dict[str, CubeInfo] = {}
    for cube in sorted(cubes, key=lambda cube: (not cube.verified, cube.label is None)):  # the first of equals
        other = counted.setdefault(cube.sha256, cube)
        if other is cube:
            continue
        error = CubeError(_copy_sentence(cube, other))
        if runtime.on_excluded is None:
            raise error
        runtime.on_excluded(cube.name, error)
    return [cube for cube in cubes if counted[cube.sha256] is cube]


def _copy_sentence(cube: CubeInfo, other: CubeInfo) -> str:
    """Return that a cube is a copy of another one, and what follows; labels that differ are named."""
    labels = (
        ""
        if cube.label == other.label
        else f"; their labels differ: {cube.label or 'none'} of {cube.name} is not used, {other.label or 'none'} of "
        f"{other.name} is"
    )
    return copied_content(other.name) + labels


def _read_and_cache(release: str, row: LabelRow, runtime: Runtime) -> tuple[CubeInfo, str | None]:
    """Return the record of a cube, and its instrument if the profile is for another one.

    Raises
    ------
    CubeError
        Whatever its files do.
    """
    try:
        files = runtime.load.read_files(release, row.cube)
        cube, _ = runtime.load.parse(files, label=row.label, verified=row.verified)
        return cube, other_instrument(files, runtime.profile)
    except CubeError:
        raise
    except Exception as error:  # whatever one file does, the others are read
        raise CubeError(f"{row.cube} cannot be prepared ({type(error).__name__}: {error}); remove the cause") from error
