"""Write-back of a version into a real Label Studio, against one call for each prediction."""

import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import redis
from label_studio_sdk import LabelStudio

from helioloop.settings import Settings
from helioloop_worker import jobs
from helioloop_worker.demo.services import DemoServices, Programs
from helioloop_worker.labelstudio.client import LabelStudioClient
from helioloop_worker.loop.updating import CHUNK_PREDICTIONS, new_entries
from tests.benchmarks.growth.archive import Archive
from tests.benchmarks.growth.counted import CountedLabelStudio
from tests.benchmarks.speed.timing import Times
from tests.benchmarks.speed.work import Work

TASKS = 2222
"""A tenth are random checks, which get no prediction; the others are 2,000."""
SINGLE = 100
"""Predictions that the reference writes; its time is scaled to as many as ours writes."""
T = TypeVar("T")
PROGRAM = Path(__file__).parents[3] / ".venvs" / "label-studio" / "bin" / "label-studio"


@dataclass
class RealArchive(Archive):
    """An archive whose project is in a running Label Studio; nothing is labelled."""

    services: DemoServices

    @cached_property
    def settings(self) -> Settings:
        """Settings with folders of the archive only, and Label Studio's address."""
        running = self.services.settings()
        names = ("label_studio_url", "label_studio_api_key")
        return super().settings.model_copy(update={name: getattr(running, name) for name in names})

    @cached_property
    def label_studio(self) -> CountedLabelStudio:
        """The client, with its calls counted."""
        return CountedLabelStudio(LabelStudioClient.from_settings(self.settings))

    def import_tasks(self) -> list[int]:
        """Import a task for each cube, and return their ids."""
        return list(self.label_studio.fake.import_tasks(self.project, [self.data(cube) for cube in self.cubes]))


def writeback(work: Work) -> Times:
    """Return the time of a new version's write-back, and of as many predictions with a call for each.

    The first version is written back before, so tasks have marks and predictions, as in a project at work.
    """
    folder = work.new_folder("label-studio")
    programs = Programs(backend=Path(sys.executable), worker=Path(sys.executable), label_studio=label_studio_program())
    with DemoServices(folder, programs=programs, release_roots=[folder], environment={}) as services:
        services.launch_label_studio()
        services.start_redis()
        services.await_label_studio()
        with redis.Redis.from_url(services.redis_url) as connection:
            return _measure(RealArchive(folder / "archive", TASKS, connection, services))


def label_studio_program() -> Path:
    """Return the program of Label Studio in its own environment."""
    program = Path(os.environ.get("HELIOLOOP_TEST_LABEL_STUDIO", PROGRAM))
    if not program.exists():
        raise FileNotFoundError(f"{program} is missing; `make .venvs/label-studio/.done` makes it")
    return program


def _measure(archive: RealArchive) -> Times:
    archive.folder.mkdir()
    archive.make_release()
    archive.import_tasks()
    services, project = archive.services, archive.project
    client = LabelStudio(base_url=services.label_studio_url, api_key=services.login.token, timeout=120)

    def write_back() -> tuple[float, float, int]:
        """Return the time of a write-back of a new version, of it in Label Studio, and the number of predictions."""
        version = archive.publish()
        with archive.label_studio.counting() as traffic:
            seconds, written = _timed(lambda: jobs.write_back(archive.context, project, version))
        return seconds, traffic.inside_seconds, int(written["written"])

    def entries(version: str) -> list[dict[str, Any]]:
        state = archive.context.projects.read(project)
        scores = archive.registry.scores(str(archive.registry.published()), curves=False)
        return new_entries(state, scores, state.snapshot.cubes, version=version, without=set(), have=set())

    def one_by_one(some: Iterable[dict[str, Any]]) -> None:
        for entry in some:
            client.predictions.create(**entry)

    def in_bulk(some: Sequence[dict[str, Any]]) -> None:
        for start in range(0, len(some), CHUNK_PREDICTIONS):
            archive.label_studio.import_predictions(project, some[start : start + CHUNK_PREDICTIONS])

    with closing(client._client_wrapper.httpx_client.httpx_client):
        first, first_in_label_studio, _ = write_back()
        single = entries("one by one")[:SINGLE]
        before, _ = _timed(lambda: one_by_one(single[: SINGLE // 2]))
        ours, in_label_studio, n = write_back()
        after, _ = _timed(lambda: one_by_one(single[SINGLE // 2 :]))
        bulk, _ = _timed(lambda: in_bulk(entries("in bulk")[:n]))
    more = {
        "predictions": float(n),
        "in_label_studio": in_label_studio,
        "bulk_route": bulk,
        "first_version": first,
        "first_version_in_label_studio": first_in_label_studio,
    }
    return Times(ours=ours, reference=(before + after) / SINGLE * n, more=more)


def _timed(work: Callable[[], T]) -> tuple[float, T]:
    begun = time.perf_counter()
    result = work()
    return time.perf_counter() - begun, result
