"""The steps that are measured, in the order of a project's life. Each is done once on an archive."""

import os
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from helioloop.data.release import Release
from helioloop.model.plan import make_plan
from helioloop.records.cubes import CubeInfo
from helioloop.registry.score_store import StoredScores
from helioloop_worker import jobs
from helioloop_worker.labelstudio import kept_projects
from helioloop_worker.labelstudio.project import read_project
from helioloop_worker.loop import reconcile
from helioloop_worker.reports.status_facts import read_status
from tests.benchmarks.growth.archive import PROFILE, RECIPE, RELEASE, SMALL, Archive

ASKED = 100
"""Tasks in one request for predictions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a step cost.

    Parameters
    ----------
    own_seconds : float
        Time in helioloop, without the time of the fake.
    server_seconds : float
        Time that a real Label Studio would take for the calls.
    calls, rows : int
        Calls to Label Studio, and tasks or rows in them.
    """

    own_seconds: float
    server_seconds: float = 0.0
    calls: int = 0
    rows: int = 0


def cost_of(archive: Archive, step: Callable[[], object]) -> Cost:
    """Return what a step costs."""
    with archive.label_studio.counting() as traffic:
        begun = time.perf_counter()
        step()
        seconds = time.perf_counter() - begun
    return Cost(
        own_seconds=seconds - traffic.inside_seconds,
        server_seconds=traffic.server_seconds,
        calls=sum(traffic.calls.values()),
        rows=sum(traffic.rows.values()),
    )


def measure(archive: Archive, show: Callable[[str, Cost], None]) -> dict[str, Cost]:
    """Return the cost of each step, in order; `show` is called after each."""
    found: dict[str, Cost] = {}

    def timed(name: str, step: Callable[[], object]) -> None:
        found[name] = cost_of(archive, step)
        show(name, found[name])

    kept_projects.OVERLAP = timedelta(0)  # as where the tasks were imported more than two minutes ago
    archive.make_release()
    tasks = archive.import_tasks()
    context, project = archive.context, archive.project
    cubes: list[CubeInfo] = []

    def read() -> None:
        cubes.extend(read_project(context.label_studio, project, settings=context.settings).cubes())

    def plan() -> None:
        made = make_plan(
            cubes, recipe=RECIPE, instrument=SMALL, profile=PROFILE, seed=0, parent=None, reason="measured"
        )
        made.save(archive.folder)
        for cube in cubes:
            made.out_of_fold_members(cube)

    timed("opening a release", lambda: Release.open(archive.folder / "releases" / RELEASE))
    timed("reading annotations", read)
    timed("planning", plan)
    version = archive.publish()
    timed("write-back of a version", lambda: jobs.write_back(context, project, version))
    timed("retrain check, nothing changed", lambda: jobs.check_retraining(context, project))
    timed("reconciliation", lambda: reconcile.reconcile(context, project))
    timed("reconciliation again", lambda: reconcile.reconcile(context, project))
    fake = archive.label_studio.fake
    for name in ("first correction", "one correction"):
        fake.annotate(tasks[len(found)], "non-emergence")
        timed(f"{name}: check", lambda: jobs.check_retraining(context, project))
        timed(f"{name}: write-back", lambda: jobs.write_back(context, project, version))
    stored = StoredScores(lambda _, version: archive.registry.folder(version))
    asked = archive.cubes[:ASKED]
    timed("/predict, first request", lambda: stored.get(project, version, asked))
    timed("/predict, 100 tasks", lambda: stored.get(project, version, asked))
    timed("status", lambda: read_status(archive.registry, project=project))
    return found


def peak_megabytes() -> float:
    """Return the most memory that this process has used."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


def largest_folder(archive: Archive) -> tuple[str, int]:
    """Return the folder with the most files below the archive, and their number."""
    counts = {root: len(files) for root, _, files in os.walk(archive.folder)}
    name = max(counts, key=lambda root: counts[root])
    return os.path.relpath(name, archive.folder), counts[name]
