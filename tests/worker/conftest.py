"""A worker at its desk: a real Redis, a model folder, cubes of 24 small frames, and a Label Studio in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

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
from helioloop.instrument import Instrument
from helioloop.messaging import queues
from helioloop.model.recipes import QUICK
from helioloop.records import CubeScore, Emergence, Label
from helioloop.registry.versions import Registry
from helioloop.settings import Settings
from helioloop.workflows import rounds as rounding
from helioloop_worker.context import Context
from helioloop_worker.labelstudio.fake import FakeLabelStudio
from helioloop_worker.labelstudio.project import ProjectState, read_project
from helioloop_worker.labelstudio.setup import labeling_configuration
from helioloop_worker.loop import rounds
from helioloop_worker.loop.retrain_policy import Decision
from helioloop_worker.worker import job_class

SMALL = Instrument(name="small", cadence_seconds=5760.0, n_frames=24, size_px=24, clip_gauss=1000.0, frozen_frames=3)
TINY = replace(QUICK, epochs=1, min_steps=0, batch=8, folds=2, dropouts=(0.2,))
"""Two members of one epoch: fold0-0 and fold1-0."""
CUBES = tuple(f"cube{k:02d}" for k in range(24))
"""Twelve crude emergences (odd numbers) and twelve non-emergences (even ones)."""
SETTLED = 10_000.0
"""Seconds after which no event waits any longer and every round is silent."""


def emerges(cube: str) -> bool:
    """Tell whether a cube of `CUBES` shows a field from frame 12 on."""
    return int(cube.removeprefix("cube")) % 2 == 1


def crude(cube: str) -> Label:
    """Return a cube's crude label, which is right."""
    return Label.EMERGENCE if emerges(cube) else Label.NON_EMERGENCE


def make_release(folder: Path, cubes: Sequence[str] = CUBES) -> Path:
    """Write a release of small cubes, each of a region of its own, one a month."""
    folder.mkdir(parents=True)
    for cube in cubes:
        write_small(folder / f"{cube}.fits", emergence=emerges(cube), seed=int(cube.removeprefix("cube")))
    write_labels(folder / "labels.csv", [LabelRow(cube=cube, label=crude(cube), verified=False) for cube in cubes])
    return folder


def write_small(path: Path, *, emergence: bool, seed: int) -> None:
    """Write one cube: noise of 20 G, and 600 G in a corner of the middle from frame 12 on."""
    field = np.random.default_rng(seed).normal(0.0, 20.0, (24, 24, 24))
    if emergence:
        field[12:, 8:14, 8:16] += 600.0
    start = f"2001-{1 + seed % 12:02d}-01T00:00:00"
    write_cube(path, field, np.arange(24) * 5760.0, start=start, region=f"region{seed}", instrument=SMALL)


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
            "cube": cube,
            "release": planned.release,
            "region": planned.region or "",
            "start": f"{planned.start}Z",
            "sha256": planned.sha256,
            "crude_label": crude(cube).value,
        }
    return data


@dataclass(frozen=True)
class Desk:
    """The worker's context, its Label Studio and one project in it."""

    context: Context
    label_studio: FakeLabelStudio
    project: int

    @property
    def registry(self) -> Registry:
        """The project's model folder."""
        return self.context.registry(self.project)

    @property
    def model_dir(self) -> Path:
        """Where that is."""
        return self.registry.root

    def import_cubes(self, data: dict[str, dict[str, str]], cubes: Sequence[str] = CUBES) -> dict[str, int]:
        """Import tasks for cubes, without videos, and return their ids by cube."""
        ids = self.label_studio.import_tasks(self.project, [data[cube] for cube in cubes])
        return dict(zip(cubes, ids, strict=True))

    def view(self) -> ProjectState:
        """Read the project."""
        return read_project(
            self.label_studio, self.project, settings=self.context.settings, instrument=self.context.instrument
        )

    def plan(self, reason: str = "made by hand") -> Any:
        """Plan a round on the labels as they are."""
        return rounds.plan_round(self.context, self.view(), Decision(start=True, reason=reason))

    def admit(self, *, p_emergence: float = 0.75, without: Sequence[str] = ()) -> str:
        """Make the next version on the labels as they are: a whole plan, scores by hand, no weights. Unpublished."""
        plan = self.plan()
        staging = self.registry.staging(plan.fingerprint)
        plan.save(staging)
        scores = [score_of(cube.name, cube.sha256, p_emergence) for cube in plan.cubes]
        kept = [score for score in scores if score.cube not in without]
        return rounding.close_round(plan, staging, self.registry, kept).version

    def publish(self, *, p_emergence: float = 0.75, without: Sequence[str] = ()) -> str:
        """Do the same, and publish it."""
        version = self.admit(p_emergence=p_emergence, without=without)
        self.registry.publish(version, why="made by hand")
        return version

    def rows(self, version: str) -> list[int]:
        """Return the tasks of a version's prediction rows, doubles included."""
        return sorted(row.task for row in self.label_studio.predictions(self.project) if row.model_version == version)

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
        """Forget all jobs, and nothing else that Redis holds."""
        for key in self.context.connection.scan_iter("rq:*"):
            self.context.connection.delete(key)


def score_of(cube: str, sha256: str, p_emergence: float, *, frame: int | None = None) -> CubeScore:
    """A score written by hand; an emergence is found at frame 12."""
    found = 12 if frame is None and p_emergence >= 0.5 else frame
    return CubeScore(
        cube=cube, sha256=sha256, p_emergence=p_emergence, p_spread=0.0, members=("fold0-0",),
        emergence=None if found is None else Emergence(frame=found, frame_lo=found, frame_hi=found),
    )  # fmt: skip


@pytest.fixture
def settings(tmp_path: Path, made: Path, redis_url: str) -> Settings:
    """Settings that look nowhere outside the test's folders."""
    return Settings(
        redis_url=redis_url,
        model_root=tmp_path / "models",
        release_roots=[made.parent, tmp_path / "releases"],
        media_root=tmp_path / "media",
        cache_root=made.parent.parent / "cache",
        device="cpu",
    )


@pytest.fixture
def desk(settings: Settings, redis_connection: redis.Redis) -> Desk:
    """An empty project; rounds train `TINY`."""
    label_studio = FakeLabelStudio()
    project = label_studio.create_project(title="desk", label_config=labeling_configuration())
    context = Context(
        settings,
        instrument=SMALL,
        open_redis=lambda _: redis_connection,
        open_label_studio=lambda _: label_studio,
        recipe_for=lambda *_: TINY,
    )
    return Desk(context=context, label_studio=label_studio, project=project)


def work(desk: Desk, *names: str) -> None:
    """Run what waits in these queues, by default all, in this process, until nothing is left."""
    connection = desk.context.connection
    worker = SimpleWorker(
        [queues.queue(connection, name) for name in names or queues.QUEUES],
        connection=connection,
        serializer=JSONSerializer,
        job_class=job_class(desk.context),
    )
    worker.work(burst=True, logging_level="CRITICAL")
