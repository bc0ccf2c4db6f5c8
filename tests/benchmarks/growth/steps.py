"""The steps that are measured, in the order of a project's life. Each is done once on an archive."""

import gc
import os
import resource
from collections.abc import Callable
from datetime import timedelta

from helioloop.data.release import Release
from helioloop.messaging.messages import SCORE_CHUNK
from helioloop.model.plan import Plan
from helioloop.progress import silent
from helioloop.registry.score_store import StoredScores
from helioloop_worker import jobs
from helioloop_worker.labelstudio import kept_projects
from helioloop_worker.labelstudio.project import read_project
from helioloop_worker.loop import reconcile, rounds
from helioloop_worker.loop.round_requests import request_round
from helioloop_worker.reports.catalogue import make_catalogue
from helioloop_worker.reports.catalogue_files import write_catalogue_file
from helioloop_worker.reports.status_reading import read_status
from tests.benchmarks.growth.archive import RELEASE, Archive
from tests.benchmarks.growth.cost import Cost, cost_of
from tests.benchmarks.growth.networks import no_networks
from tests.whole import complete

Timed = Callable[[str, Callable[[], object]], None]
"""Does a step, under its name."""

SCORING, LOCATING = "scoring a round, without networks", "locating a round, without networks"
CLOSING, WRITE_BACK = "closing a round", "write-back of a version"
ASKED = 100
"""Tasks in one request for predictions."""


def measure(archive: Archive, show: Callable[[str, Cost], None]) -> dict[str, Cost]:
    """Return the cost of each step, in order; `show` is called after each."""
    found: dict[str, Cost] = {}

    def timed(name: str, step: Callable[[], object]) -> None:
        gc.collect()  # so that no step pays for what the ones before it left
        found[name] = cost_of(archive.label_studio, step)
        show(name, found[name])

    kept_projects.OVERLAP = timedelta(0)  # as where the tasks were imported more than two minutes ago
    archive.make_release()
    tasks = archive.import_tasks()
    context, project = archive.context, archive.project
    timed("opening a release", lambda: Release.open(archive.folder / "releases" / RELEASE))
    _make_version(archive, timed)
    version = str(archive.registry.published())
    timed(WRITE_BACK, lambda: jobs.write_back(context, project, version))
    timed("retrain check, nothing changed", lambda: jobs.check_retraining(context, project))
    timed("reconciliation", lambda: reconcile.reconcile(context, project))
    timed("reconciliation again", lambda: reconcile.reconcile(context, project))
    fake = archive.label_studio.fake
    for number, name in enumerate(("first correction", "one correction"), start=1):
        fake.annotate(tasks[number], "non-emergence")
        timed(f"{name}: check", lambda: jobs.check_retraining(context, project))
        timed(f"{name}: write-back", lambda: jobs.write_back(context, project, version))
    stored = StoredScores(lambda _, version: archive.registry.folder(version))
    asked = archive.cubes[:ASKED]
    timed("/predict, first request", lambda: stored.get(project, version, asked))
    timed("/predict, 100 tasks", lambda: stored.get(project, version, asked))
    timed("status", lambda: read_status(archive.registry, project=project))
    _score_in_chunks(archive, timed)
    timed("catalogue", lambda: _make_catalogue(archive))
    return found


def _make_version(archive: Archive, timed: Timed) -> None:
    """Measure a round: reading, planning, scoring, locating in chunks, closing; the networks take no time."""
    context, project = archive.context, archive.project
    timed("reading annotations", lambda: read_project(context.label_studio, project, settings=context.settings))
    request_round(context, project, forced=True)
    timed("planning", lambda: jobs.plan_round(context, project))
    running = context.state.running(project)
    assert running is not None
    fingerprint, folder = running.fingerprint, archive.registry.staging(running.fingerprint)
    plan = Plan.read(folder)
    steps = rounds.steps_of(project, plan)
    complete(folder, [member.file for member in plan.members])
    timed("members of all cubes", lambda: [plan.out_of_fold_members(cube) for cube in plan.cubes])
    with no_networks(archive):
        timed(SCORING, lambda: jobs.score_round(context, project, fingerprint))
        timed(
            LOCATING,
            lambda: [jobs.locate(context, project, fingerprint, one.chunk, one.chunks) for one in steps.locating],
        )
    timed(CLOSING, lambda: jobs.close_round(context, project, fingerprint))


def _score_in_chunks(archive: Archive, timed: Timed) -> None:
    """Measure the jobs that score all cubes by a version that has no scores yet."""
    context, project, cubes = archive.context, archive.project, archive.cubes
    version = archive.publish(scored=False)

    def score() -> None:
        for start in range(0, len(cubes), SCORE_CHUNK):
            jobs.score(context, project, version, [cube.as_dict() for cube in cubes[start : start + SCORE_CHUNK]])

    with no_networks(archive):
        timed("scoring in chunks of 100, without networks", score)


def _make_catalogue(archive: Archive) -> None:
    context, project = archive.context, archive.project
    state = read_project(context.label_studio, project, settings=context.settings)
    made = make_catalogue(state, archive.registry, context.runtime(project, silent), roots=context.roots, coverage=0.9)
    write_catalogue_file(archive.folder / "catalogue.csv", made)


def peak_megabytes() -> float:
    """Return the most memory that this process has used."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


def largest_folder(archive: Archive) -> tuple[str, int]:
    """Return the folder with the most files below the archive, and their number."""
    counts = {root: len(files) for root, _, files in os.walk(archive.folder)}
    name = max(counts, key=lambda root: counts[root])
    return os.path.relpath(name, archive.folder), counts[name]
