"""From a correction to fresh predictions of a whole release, part by part, on real services.

Label Studio, Redis, the backend, a score worker and train workers run as in the demo, with the pace of a team (the
defaults). Ten crude labels are corrected through Label Studio's API; the clock runs from the last of these until Label
Studio has the new version's prediction of every task. What runs is looked up in Redis ten times a second.
"""

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import click
import redis
from label_studio_sdk import LabelStudio as SdkClient

from helioloop.messaging import messages, queues
from helioloop.messaging.job_monitor import running
from helioloop.records.labels import Label
from helioloop.registry.versions import Registry
from helioloop.settings import Settings
from helioloop.synthetic import make_release
from helioloop_worker.demo.progress import FirstPass
from helioloop_worker.demo.services import DemoServices, Programs
from helioloop_worker.labelstudio.client import LabelStudioClient
from helioloop_worker.labelstudio.setup import set_up
from tests.benchmarks.speed.writeback import label_studio_program

RELEASE, SEED = "synthetic", 31
CORRECTIONS = 10
"""So many changed labels start a round without waiting for more."""
LOOK_SECONDS = 0.1
PARTS = {
    "retrain-check": "the check reads what changed, and decides",
    "plan-round": "the round is planned",
    "member": "ten members are trained",
    "score_round": "all cubes are scored",
    "locate": "emergence frames are located",
    "close_round": "the version is checked and published",
    "write-back": "predictions, curves and reasons are written",
}
"""Begin of a job's name -> what it does."""


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """A project whose first version is written back."""

    folder: Path
    services: DemoServices
    settings: Settings
    project: int
    connection: redis.Redis

    @cached_property
    def label_studio(self) -> LabelStudioClient:
        """The client of the workers."""
        return LabelStudioClient.from_settings(self.settings)

    @cached_property
    def registry(self) -> Registry:
        """The project's versions."""
        return Registry(self.settings.model_dir(self.project))

    def correct(self, n: int) -> None:
        """Submit the other class for tasks whose prediction is shown, as annotators would."""
        version = str(self.registry.published())
        shown = {row.task for row in self.label_studio.predictions(self.project) if row.model_version == version}
        crude = {task["id"]: task["data"]["crude_label"] for task in self.label_studio.tasks(self.project)}
        client = SdkClient(base_url=self.services.label_studio_url, api_key=self.services.login.token)
        for task in sorted(shown & crude.keys())[:n]:
            label = Label.NON_EMERGENCE if crude[task] == Label.EMERGENCE.value else Label.EMERGENCE
            item = {"from_name": "class", "to_name": "video", "type": "choices", "value": {"choices": [label.value]}}
            client.annotations.create(task, result=[item])

    def follow(self) -> list[tuple[str, float, float]]:
        """Return the begin and the end of each part, until a new version is written back; seconds from now."""
        version, begun = self.registry.published(), time.perf_counter()
        spans: dict[str, tuple[float, float]] = {}
        finished = False
        while not finished:
            jobs, now = running(self.connection), time.perf_counter() - begun
            for part in {part for job in jobs for part in PARTS if job.startswith(part)}:
                spans[part] = (spans.get(part, (now, now))[0], now)
            finished = "write-back" in spans and self.registry.published() != version and not jobs
            time.sleep(LOOK_SECONDS)
        new = str(self.registry.published())
        written = self.label_studio.model_versions(self.project)[new]
        click.echo(f"{written} predictions of {new} are there", err=True)
        return [(what, *spans[part]) for part, what in PARTS.items()]


@contextmanager
def campaign(folder: Path, *, cubes: int, train_workers: int) -> Iterator[Campaign]:
    """Take a new release through its first round, with real services in a folder."""
    programs = Programs(backend=Path(sys.executable), worker=Path(sys.executable), label_studio=label_studio_program())
    click.echo(f"making {cubes} cubes …", err=True)
    make_release(folder / "releases" / RELEASE, n=cubes, seed=SEED, truth=folder / "truth.csv", workers=2)
    services = DemoServices(
        folder / "demo", programs=programs, release_roots=[folder / "releases"], environment={"HELIOLOOP_DEVICE": "cpu"}
    )
    with services:
        services.start_redis()
        services.launch_label_studio()
        services.start_backend()
        services.await_label_studio()
        settings = services.settings()
        label_studio = LabelStudioClient.from_settings(settings)
        project = set_up(label_studio, settings, title="Corrections", backend_url=services.backend_url)
        services.start_worker("score")
        for k in range(train_workers):
            services.start_worker("train", name=f"worker-train-{k + 1}")
        with closing(redis.Redis.from_url(services.redis_url)) as connection:
            click.echo("ingesting, training a first version, writing it back …", err=True)
            ingestion = messages.Ingest(project=project, release=RELEASE)
            queues.send(connection, ingestion)
            first = FirstPass(connection, settings, project, [ingestion])
            while not first.completed() or running(connection):
                time.sleep(1.0)
            yield Campaign(folder=folder, services=services, settings=settings, project=project, connection=connection)


@click.command()
@click.option("--cubes", default=600, show_default=True, help="Cubes of the release that is made for it.")
@click.option("--train-workers", default=2, show_default=True, help="Train workers; each trains a member at a time.")
def main(cubes: int, train_workers: int) -> None:
    """Time each part from a correction to fresh predictions of all tasks, with a real Label Studio."""
    with (
        tempfile.TemporaryDirectory(prefix="helioloop-correction-") as folder,
        campaign(Path(folder), cubes=cubes, train_workers=train_workers) as prepared,
    ):
        click.echo(f"correcting {CORRECTIONS} labels …", err=True)
        prepared.correct(CORRECTIONS)
        parts = prepared.follow()
    click.echo("| part | begins after | ends after |\n|---|---|---|")
    for what, begins, ends in parts:
        click.echo(f"| {what} | {begins:.1f} s | {ends:.1f} s |")


if __name__ == "__main__":
    main()
