"""Fixtures of the worker: a real Redis, a model folder, cubes of 24 small frames, and a fake Label Studio."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import redis
from rq import SimpleWorker
from rq.job import Job
from rq.registry import DeferredJobRegistry, ScheduledJobRegistry
from rq.serializers import JSONSerializer

from helioloop.data.cubes import CubeFiles, write_cube
from helioloop.data.loader import Loader
from helioloop.data.release import LabelRow, write_labels
from helioloop.data.release_profile import write_release_profile
from helioloop.labelstudio.tasks import cube_of
from helioloop.messaging import job_monitor, messages, queues
from helioloop.model import ensemble
from helioloop.model.device import choose_device
from helioloop.model.members import train_member
from helioloop.model.plan import Plan, make_plan
from helioloop.model.recipes import QUICK
from helioloop.model.runtime import Runtime
from helioloop.progress import silent
from helioloop.records.instrument import Instrument
from helioloop.records.labels import Label
from helioloop.records.profiles import BUILT_IN, Profile
from helioloop.records.scores import CubeScore, Emergence
from helioloop.registry.project_profile import write_project_profile
from helioloop.registry.versions import Registry
from helioloop.settings import Settings
from helioloop.workflows import rounds as rounding
from helioloop.workflows.fields import keep_trained_fields, measure_fields
from helioloop_worker.context import Context
from helioloop_worker.labelstudio.fake import FakeLabelStudio
from helioloop_worker.labelstudio.project import ProjectState, read_project
from helioloop_worker.labelstudio.project_template import labeling_configuration
from helioloop_worker.loop import processes
from helioloop_worker.loop.planning import plan_round
from helioloop_worker.loop.retrain_check import check_retraining
from helioloop_worker.loop.round_requests import requests
from helioloop_worker.serving.loop_job import job_class
from tests.whole import complete

SMALL = Instrument(name="small", cadence_seconds=5760.0, n_frames=24, size_px=24, clip_gauss=1000.0, frozen_frames=3)
PROFILE = replace(BUILT_IN["mdi"], name="small", instrument=SMALL)
TINY = replace(QUICK, epochs=1, min_steps=0, batch=8, folds=2, dropouts=(0.2,))
"""Two members of one epoch: fold0-0 and fold1-0."""
CUBES = tuple(f"cube{k:02d}" for k in range(24))
"""Twelve crude emergences (odd numbers) and twelve crude non-emergences (even numbers)."""
SETTLED = 10_000.0
"""Seconds after which every event is due and every round counts as silent."""


def emerges(cube: str) -> bool:
    """Tell whether a cube of `CUBES` shows a field from frame 12 on."""
    return int(cube.removeprefix("cube")) % 2 == 1


def crude(cube: str) -> Label:
    """Return a cube's crude label, which is correct."""
    return Label.EMERGENCE if emerges(cube) else Label.NON_EMERGENCE


def make_release(folder: Path, cubes: Sequence[str] = CUBES, profile: Profile = PROFILE) -> Path:
    """Write a release of cubes of a profile, each of a region of its own, one a month."""
    folder.mkdir(parents=True)
    for cube in cubes:
        seed = int(cube.removeprefix("cube"))
        write_small(folder / f"{cube}.fits", emergence=emerges(cube), seed=seed, instrument=profile.instrument)
    write_labels(folder / "labels.csv", [LabelRow(cube=cube, label=crude(cube), verified=False) for cube in cubes])
    write_release_profile(folder, profile)
    return folder


def write_small(path: Path, *, emergence: bool, seed: int, instrument: Instrument = SMALL) -> None:
    """Write one cube: noise of 20 G, and 600 G in a corner of the middle from the middle frame on."""
    n_frames, size = instrument.n_frames, instrument.size_px
    field = np.random.default_rng(seed).normal(0.0, 20.0, (n_frames, size, size))
    if emergence:
        field[n_frames // 2 :, 8:14, 8:16] += 600.0
    start = f"2001-{1 + seed % 12:02d}-01T00:00:00"
    seconds = np.arange(n_frames) * instrument.cadence_seconds
    write_cube(path, field, seconds, start=start, region=f"region{seed}", instrument=instrument)


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work on cubes in a thread: a process spends seconds on imports, and these tests are not about processes.

    One thread only: Python 3.11's parser, which reads the header of a cached cube, fails now and then in several.
    """
    monkeypatch.setattr(processes, "make_pool", lambda *_, **__: ThreadPoolExecutor(1))


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The release ``made``, written once and never changed, and its cubes preprocessed beside it."""
    return make_release(tmp_path_factory.mktemp("releases") / "made")


@pytest.fixture(scope="session")
def task_data(made: Path) -> dict[str, dict[str, str]]:
    """The data of a task for each cube of the release, as ingestion would import it."""
    data = {}
    loader = Loader(roots=(), cache=made.parent.parent / "cache", instrument=SMALL)
    for cube in CUBES:
        planned, _ = loader.parse(CubeFiles.read(made / f"{cube}.fits"))
        data[cube] = {
            "video": f"/{cube}.mp4",
            "curve": f"/{cube}.curve.json",
            "reason": f"/{cube}.reason.txt",
            "cube": cube,
            "release": planned.release,
            "region": planned.region or "",
            "start": f"{planned.start}Z",
            "sha256": planned.sha256,
            "crude_label": crude(cube).value,
        }
    return data


@pytest.fixture(scope="session")
def trained(made: Path, task_data: dict[str, dict[str, str]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with one published version, whose two members tell the classes of ``made`` apart."""
    registry = Registry(tmp_path_factory.mktemp("trained"))
    loader = Loader(roots=(made.parent,), cache=made.parent.parent / "cache", instrument=SMALL)
    runtime = Runtime(
        instrument=SMALL, load=loader, device=choose_device("cpu"), inputs=loader.cache / "inputs", report=silent
    )
    cubes = [replace(cube, label=crude(cube.name)) for data in task_data.values() if (cube := cube_of(data))]
    plan = make_plan(
        cubes,
        recipe=replace(TINY, epochs=16),
        instrument=SMALL,
        profile=PROFILE,
        seed=0,
        parent=None,
        reason="made by hand",
    )
    staging = registry.staging(plan.fingerprint)
    plan.save(staging)
    for member in plan.members:
        train_member(plan, member.name, staging, runtime)
    ensemble.keep_growth_odds(plan, staging, runtime)
    scores = ensemble.score_cubes(ensemble.Ensemble.open(staging, device=runtime.device), plan.cubes, runtime)
    keep_trained_fields(plan, staging, lambda cubes: measure_fields(cubes, runtime))
    version = rounding.close_round(plan, staging, registry, scores).version
    registry.publish(version, why="made by hand")
    write_project_profile(registry.root, PROFILE)
    return registry.root


@dataclass(frozen=True)
class LoopProject:
    """The worker's context, its Label Studio and one project in it."""

    context: Context
    label_studio: FakeLabelStudio
    id: int

    @property
    def registry(self) -> Registry:
        """The project's model folder."""
        return self.context.registry(self.id)

    @property
    def model_dir(self) -> Path:
        """The path of the model folder."""
        return self.registry.root

    def import_cubes(self, data: dict[str, dict[str, str]], cubes: Sequence[str] = CUBES) -> dict[str, int]:
        """Import tasks for cubes, without videos, and return their ids by cube."""
        ids = self.label_studio.import_tasks(self.id, [data[cube] for cube in cubes])
        return dict(zip(cubes, ids, strict=True))

    def read(self) -> ProjectState:
        """Read the project."""
        return read_project(self.label_studio, self.id, settings=self.context.settings)

    def plan(self, reason: str = "made by hand") -> Plan:
        """Plan a round on the current labels of all cubes."""
        state = self.read()
        return make_plan(
            state.cubes(),
            recipe=self.context.recipe,
            instrument=state.profile.instrument,
            profile=state.profile,
            seed=self.context.settings.seed,
            parent=self.registry.published(),
            reason=reason,
        )

    def check(self, *, forced: bool = False) -> str:
        """Check for a round, plan it if one is requested, and return the sentence of the last of the two jobs."""
        sentence = check_retraining(self.context, self.id, forced=forced)
        if not requests(self.context, self.id):
            return sentence
        planning = messages.PlanRound(project=self.id)
        if job_monitor.find_job(self.context.connection, planning.job_id) is not None:
            self.job(planning.job_id).delete()  # what the test does here, the job does in the loop
        return plan_round(self.context, self.id, report=silent)

    def admit(self, *, p_emergence: float = 0.75, without: Sequence[str] = ()) -> str:
        """Make the next version on the current labels, with constant scores and empty weights; unpublished."""
        plan = self.plan()
        staging = self.registry.staging(plan.fingerprint)
        plan.save(staging)
        scores = [score_of(cube.name, cube.sha256, p_emergence) for cube in plan.cubes]
        chosen = [score for score in scores if score.cube not in without]
        complete(staging, [member.file for member in plan.members])
        return rounding.close_round(plan, staging, self.registry, chosen).version

    def publish(self, *, p_emergence: float = 0.75, without: Sequence[str] = ()) -> str:
        """Make the next version and publish it."""
        version = self.admit(p_emergence=p_emergence, without=without)
        self.registry.publish(version, why="made by hand")
        return version

    def rows(self, version: str) -> list[int]:
        """Return the tasks of a version's prediction rows, duplicates included."""
        return sorted(row.task for row in self.label_studio.predictions(self.id) if row.model_version == version)

    def queued(self) -> list[str]:
        """Return the ids of the jobs that could run now."""
        return [
            job_id
            for name in queues.QUEUES
            for job_id in queues.queue(self.context.connection, name).get_job_ids()
        ]  # fmt: skip

    def scheduled(self) -> list[str]:
        """Return the ids of the jobs that wait for their time."""
        return [
            job_id
            for name in queues.QUEUES
            for job_id in ScheduledJobRegistry(queue=queues.queue(self.context.connection, name)).get_job_ids()
        ]

    def deferred(self) -> set[str]:
        """Return the ids of the jobs that wait for others."""
        return {
            job_id
            for name in queues.QUEUES
            for job_id in DeferredJobRegistry(queue=queues.queue(self.context.connection, name)).get_job_ids()
        }

    def job(self, job_id: str) -> Job:
        """Return a job by its id."""
        return Job.fetch(job_id, connection=self.context.connection, serializer=JSONSerializer)

    def clear_queues(self) -> None:
        """Delete all jobs, and nothing else in Redis."""
        for key in self.context.connection.scan_iter("rq:*"):
            self.context.connection.delete(key)


def score_of(cube: str, sha256: str, p_emergence: float, *, frame: int | None = None) -> CubeScore:
    """Return a score; an emergence is at frame 12."""
    found = 12 if frame is None and p_emergence >= 0.5 else frame
    return CubeScore(
        cube=cube, sha256=sha256, p_emergence=p_emergence, p_spread=0.0, members=("fold0-0",),
        emergence=None if found is None else Emergence(frame=found, frame_lo=found, frame_hi=found),
    )  # fmt: skip


@pytest.fixture
def settings(tmp_path: Path, made: Path, redis_url: str) -> Settings:
    """Settings with folders of the test only."""
    return Settings(
        redis_url=redis_url,
        model_root=tmp_path / "models",
        release_roots=[made.parent, tmp_path / "releases"],
        media_root=tmp_path / "media",
        cache_root=made.parent.parent / "cache",
        device="cpu",
        retrain_changed=1,
        random_checks=0,  # every task has a prediction, except in tests of random checks
    )


@pytest.fixture
def loop_project(settings: Settings, redis_connection: redis.Redis) -> LoopProject:
    """An empty project of the profile `PROFILE`; rounds train `TINY`."""
    label_studio = FakeLabelStudio()
    project = label_studio.create_project(title="loop project", label_config=labeling_configuration())
    context = Context(
        settings,
        open_redis=lambda _: redis_connection,
        open_label_studio=lambda _: label_studio,
        recipe_for=lambda *_: TINY,
    )
    write_project_profile(settings.model_dir(project), PROFILE)
    return LoopProject(context=context, label_studio=label_studio, id=project)


def work(loop_project: LoopProject, *names: str) -> None:
    """Run the jobs in these queues, by default all, in this process, until none is left."""
    connection = loop_project.context.connection
    worker = SimpleWorker(
        [queues.queue(connection, name) for name in names or queues.QUEUES],
        connection=connection,
        serializer=JSONSerializer,
        job_class=job_class(loop_project.context),
    )
    worker.work(burst=True, logging_level="CRITICAL")
