"""Finds the cubes that a round can use: each is gridded into the cache, and those that cannot be read are excluded.

Only cubes that the cache lacks are loaded by other processes: starting these takes seconds.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from helioloop.data.loader import Loader
from helioloop.errors import CubeError
from helioloop.progress import Report
from helioloop.records.cubes import CubeInfo
from helioloop_worker.loop.processes import in_processes

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loading:
    """A cube to be loaded by another process."""

    cube: CubeInfo
    loader: Loader


def readable_cubes(cubes: Sequence[CubeInfo], loader: Loader, report: Report) -> list[CubeInfo]:
    """Return the cubes that can be read, in order; the others are logged with their reason.

    Parameters
    ----------
    cubes : sequence of CubeInfo
        Which cubes.
    loader : Loader
        Grids those that are not in the cache, in several processes.
    report : Report
        Called with the number of cubes done.
    """
    excluded = set()
    loadings = []
    for done, cube in enumerate(cubes):
        report(done, len(cubes), "finding prepared cubes")
        if not loader.is_kept(cube):
            loadings.append(_Loading(cube=cube, loader=loader))
    n_kept = len(cubes) - len(loadings)
    report(n_kept, len(cubes), "preparing cubes")
    for done, (loading, reason) in enumerate(in_processes(_load, loadings, died=_died), start=n_kept + 1):
        if reason is not None:
            log.warning("cube %s is excluded from the round: %s", loading.cube.name, reason)
            excluded.add(loading.cube.key)
        report(done, len(cubes), "preparing cubes")
    return [cube for cube in cubes if cube.key not in excluded]


def _load(loading: _Loading) -> str | None:
    """Load a cube, which grids it unless the cache has it, and return why it cannot be read."""
    try:
        loading.loader(loading.cube)
    except CubeError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - whatever happens to one cube, the round uses the others
        return f"it cannot be loaded ({type(error).__name__}: {str(error).partition(chr(10))[0]}); remove the cause"
    return None


def _died(_: _Loading) -> str:
    """Return why a cube cannot be used at which its process died."""
    return "the process that loaded it died, perhaps of lack of memory; make the file smaller or the memory larger"
