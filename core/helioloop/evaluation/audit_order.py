"""The audit order of a release or project, and the audit sample it defines: cubes taken uniformly at random."""

import hashlib
import itertools
from collections.abc import Collection, Iterable

from helioloop.records.cubes import CubeInfo

SALT = "helioloop campaign"
"""Hashed with every cube's content. One salt for all uses: simulated campaigns, projects and the promotion check then
share one audit order. Another salt would reorder the cubes of every existing project."""


def audit_order(cubes: Iterable[CubeInfo]) -> list[str]:
    """Return the cube names in the order of a hash of their content, a fixed pseudo-random order.

    The order of two cubes depends on nothing else: cubes that join later leave it as it was.
    """
    return [cube.name for cube in sorted(cubes, key=lambda cube: (_digest(cube), cube.name))]


def sampled_prefix(order: Iterable[str], answered: Collection[str], *, skipped: Collection[str] = ()) -> set[str]:
    """Return the audit sample: the longest run of answered cubes from the start of the audit order.

    Annotators may label in any order. An answered cube beyond the run is not in the sample, because somebody may have
    chosen it; each cube of the run is in it with the one known probability ``len(run) / len(order)``.

    Parameters
    ----------
    order : iterable of str
        The audit order.
    answered : collection of str
        Cubes that humans answered, blind: without a prediction before them.
    skipped : collection of str
        Cubes that are left out of the order, so that they do not end the run.
    """
    return set(itertools.takewhile(answered.__contains__, (cube for cube in order if cube not in skipped)))


def _digest(cube: CubeInfo) -> bytes:
    return hashlib.sha256(f"{SALT}:{cube.sha256}".encode()).digest()
