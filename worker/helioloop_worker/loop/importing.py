"""Imports prepared cubes as tasks, each once: the ingestions of a project take turns."""

from collections.abc import Sequence
from typing import Final

from helioloop.data.cube_report import CubeReport
from helioloop.records.profiles import Profile
from helioloop_worker.context import Context
from helioloop_worker.loop.crude_labels import FIELD, crude_text
from helioloop_worker.loop.known_cubes import KnownCubes
from helioloop_worker.loop.locks import exclusive
from helioloop_worker.loop.preparation import copied_content, other_content
from helioloop_worker.loop.project_profiles import set_profile

IMPORT_SECONDS: Final = 600
"""An ingestion waits this long for another one that imports; the lock of one that died is free after this long."""


def import_cubes(
    context: Context, project: int, ready: Sequence[dict[str, str]], known: KnownCubes, profile: Profile
) -> tuple[int, int, list[CubeReport]]:
    """Import the cubes that have no task yet; return their number, that of those present, and the refused cubes.

    Refused are cubes whose name has a task of other content, or whose content has a task of another name. Of several
    cubes with one content the first in `ready` gets the task.
    """
    with exclusive(
        context.connection,
        f"helioloop:importing:{project}",
        held_seconds=IMPORT_SECONDS,
        wait_seconds=IMPORT_SECONDS,
        busy=f"another ingestion has been importing into project {project} for over {IMPORT_SECONDS} s; one imports at "
        "a time: ingest again later, nothing is imported twice",
        lost=f"project {project}: the lock on importing was lost, because Redis was emptied or Label Studio took over "
        f"{IMPORT_SECONDS} s to answer; ingest again, nothing is imported twice",
    ) as lock:
        known.update()
        fresh: dict[str, dict[str, str]] = {}
        others = []
        for data in ready:
            cube, sha256 = data["cube"], data["sha256"]
            first = fresh.get(sha256)
            copied = known.name_of(sha256) if first is None else first["cube"]
            if known.sha256(cube) not in {None, sha256}:
                others.append(other_content(cube))
            elif copied is None:
                fresh[sha256] = data
            elif copied != cube:
                task = known.find(copied)
                label = first[FIELD] if first is not None else crude_text(None if task is None else task.crude)
                others.append(copied_content(cube, copied, label=data[FIELD], other_label=label))
        if fresh:
            release = next(iter(fresh.values()))["release"]
            set_profile(context, project, release, profile, has_cubes=not known.empty)
            lock.reacquire()
            context.label_studio.import_tasks(project, list(fresh.values()))
    return len(fresh), len(ready) - len(fresh) - len(others), others
