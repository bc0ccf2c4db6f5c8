"""Cubes of a release whose tasks name another one: the folder was renamed, or cubes were copied or moved."""

from collections.abc import Collection, Mapping

from helioloop_worker.loop.crude_labels import with_others
from helioloop_worker.loop.known_cubes import KnownCubes


def other_releases(release: str, cubes: Collection[str], known: KnownCubes) -> dict[str, list[str]]:
    """Return the cubes of a release whose tasks have the name of another release, by that name."""
    found: dict[str, list[str]] = {}
    for cube in sorted(cubes):
        task = known.find(cube)
        if task is not None and task.release != release:
            found.setdefault(task.release, []).append(cube)
    return found


def release_doubts(release: str, others: Mapping[str, list[str]], missing: Collection[str]) -> list[str]:
    """Return what is read of cubes whose tasks have the name of another release, one sentence for each of these.

    Parameters
    ----------
    release : str
        The release that is ingested.
    others : mapping
        Release of the tasks -> cubes, from `other_releases`.
    missing : collection of str
        Those of them that are in none of the release roots any more.
    """
    return [
        f"cube {with_others(cubes)} of release {release} has its task under release {other}, which is in none of the "
        f"release roots any more: it is read from {release}, and keeps the name {other} in Label Studio and in reports"
        if other in missing
        else f"cube {with_others(cubes)} of release {release} has the content of that in release {other} and its task "
        "there: it counts once"
        for other, cubes in others.items()
    ]
