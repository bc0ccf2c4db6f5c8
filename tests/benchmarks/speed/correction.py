"""From a correction to fresh predictions of a whole release, part by part, on real services.

Label Studio, Redis, the backend, a score worker and train workers run as in the demo, with the pace of a team (the
defaults). Ten labels are corrected through Label Studio's API; the clock runs from the last of these until every task
has the new version's prediction, is shown it, and has its curve. The first version, whose training is not timed, has
one epoch.
"""

import csv
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import FrameType
from typing import Any

import click
import redis
import requests
from label_studio_sdk import LabelStudio as SdkClient

from helioloop.errors import ServiceError
from helioloop.messaging import messages, queues
from helioloop.messaging.job_monitor import find_job, running
from helioloop.messaging.work_figures import LAG_SECONDS, work_figures
from helioloop.records.labels import Label
from helioloop.registry.label_snapshot import Snapshot
from helioloop.registry.random_checks import blind_cubes
from helioloop.registry.versions import Registry
from helioloop.settings import Settings
from helioloop.synthetic import make_release
from helioloop.words import count
from helioloop_worker.demo.progress import FirstPass
from helioloop_worker.demo.services import DemoServices, Programs
from helioloop_worker.labelstudio.client import LabelStudioClient
from helioloop_worker.labelstudio.setup import set_up
from tests.benchmarks.speed.correction_parts import (
    LoggedJob,
    Moments,
    Way,
    logged_events,
    logged_jobs,
    table,
    way,
)
from tests.benchmarks.speed.work import SEED
from tests.benchmarks.speed.writeback import label_studio_program

RELEASE = "synthetic"
CUBES, TRAIN_WORKERS = 600, 2
CORRECTIONS = 10
"""So many changed labels start a round without waiting for more."""
LOOK_SECONDS, ASK_SECONDS = 0.2, 0.5
"""Between two looks at the logs, and between two requests that ask for the new version."""
SHOW_SECONDS = 20.0
"""Between two lines about the progress of running jobs."""
LONGEST_SECONDS = 3600.0
"""After so long the benchmark gives up; on two busy cores it takes a quarter of an hour."""
ENVIRONMENT = {
    "HELIOLOOP_DEVICE": "cpu",
    "HELIOLOOP_RECIPE": "quick",
    "HELIOLOOP_LOG_FORMAT": "json",
    "HELIOLOOP_TRAINING_YIELDS": "false",  # what else runs would stop it otherwise
}


@dataclass
class Campaign:
    """A project whose first version is written back, with its services running since `since` (Unix seconds)."""

    folder: Path
    services: DemoServices
    settings: Settings
    project: int
    connection: redis.Redis
    since: float
    reported: int = 0
    shown_at: float = 0.0

    @cached_property
    def label_studio(self) -> LabelStudioClient:
        """The client of the workers."""
        return LabelStudioClient.from_settings(self.settings)

    @cached_property
    def registry(self) -> Registry:
        """The project's versions."""
        return Registry(self.settings.model_dir(self.project))

    def jobs(self) -> list[LoggedJob]:
        """Return all jobs that have ended since the services were started.

        Raises
        ------
        ServiceError
            Where a program has ended or a job has failed; with the end of its log.
        """
        found: list[LoggedJob] = []
        for name, service in self.services.services.items():
            if not service.alive():
                raise ServiceError(f"{name} has ended; the end of its log:\n{service.tail()}")
            if name.startswith("worker"):
                logged = logged_jobs(service.log.read_text(errors="replace").splitlines())
                of_worker = [job for job in logged if job.ended > self.since]
                if failed := [job.name for job in of_worker if job.failed]:
                    raise ServiceError(f"the job {failed[0]} of {name} failed; the end of its log:\n{service.tail()}")
                found += of_worker
        return sorted(found, key=lambda job: job.ended)

    def report(self, jobs: list[LoggedJob]) -> None:
        """Print a line for each job that has ended since the last report, and now and then how far the others are."""
        for job in jobs[self.reported :]:
            click.echo(f"  {job.name} has ended after {job.ended - job.begun:.1f} s", err=True)
        self.reported = len(jobs)
        if time.monotonic() > self.shown_at + SHOW_SECONDS:
            self.shown_at = time.monotonic()
            found = [find_job(self.connection, name) for name in running(self.connection)]
            for progress in [job.meta.get("progress") for job in found if job is not None]:
                if progress:
                    click.echo("  … {what}: {done} of {total}".format(**progress), err=True)

    def correct(self, n: int) -> float:
        """Submit the true class of tasks with a wrong crude label, as annotators would.

        Where there are too few of them, the other class of further tasks is submitted.

        Returns
        -------
        float
            When the last one was sent, in Unix seconds.
        """
        version = str(self.registry.published())
        shown = {row.task for row in self.label_studio.predictions(self.project) if row.model_version == version}
        with (self.folder / "truth.csv").open() as file:
            truth = {row["cube"]: row["label"] for row in csv.DictReader(file)}
        tasks = [task for task in self.label_studio.tasks(self.project) if not task["annotations"]]
        data = {task["id"]: task["data"] for task in tasks if task["id"] in shown}
        wrong_first = sorted(data, key=lambda task: (truth[data[task]["cube"]] == data[task]["crude_label"], task))
        client = SdkClient(base_url=self.services.label_studio_url, api_key=self.services.login.token)
        sent = 0.0
        for task in wrong_first[:n]:
            other = data[task]["crude_label"] == Label.EMERGENCE.value
            label = Label.NON_EMERGENCE if other else Label.EMERGENCE
            item = {"from_name": "class", "to_name": "video", "type": "choices", "value": {"choices": [label.value]}}
            sent = time.time()
            client.annotations.create(task, result=[item])
        return sent

    def follow(self, submitted: float, request: dict[str, Any]) -> Way:
        """Return the parts of the way to the new version, when it is written back.

        Raises
        ------
        ServiceError
            Where a program ends, a job fails, the promotion check rejects the version, or it takes too long.
        """
        before = str(self.registry.published())
        predicted = switched = asked = 0.0
        while time.time() < submitted + LONGEST_SECONDS:
            jobs = self.jobs()
            self.report(jobs)
            version = str(self.registry.published())
            if version == before:
                latest = self.registry.latest()
                if latest is not None and latest.version != before and latest.rejected is not None:
                    raise ServiceError(f"{latest.version} was rejected ({latest.rejected}), so nothing becomes fresh")
            elif not predicted:
                predicted = time.time() if self._predicts(request) == version else 0.0
            elif not switched and time.time() > asked + ASK_SECONDS:
                asked = time.time()
                switched = time.time() if self.label_studio.project(self.project).model_version == version else 0.0
            if switched and any(job.name == "write_back" and job.version == version for job in jobs):
                self._check_all(version)
                moments = Moments(submitted=submitted, predicted=predicted, switched=switched, ended=time.time())
                quiet_seconds = self.settings.retrain_quiet_seconds
                return way(moments, version=version, jobs=jobs, events=self._events(), quiet_seconds=quiet_seconds)
            time.sleep(LOOK_SECONDS)
        left = ", ".join(running(self.connection)) or "no job"
        raise ServiceError(f"no version was written back within {LONGEST_SECONDS:.0f} s; {left} is running")

    def lag(self) -> tuple[float, float]:
        """Return how many lags helioloop has measured itself (the metric of /metrics), and their sum in seconds."""
        figures = [figure for figure in work_figures(self.connection) if figure.name == LAG_SECONDS]
        return sum(figure.count for figure in figures), sum(figure.total for figure in figures)

    def _check_all(self, version: str) -> None:
        """Raise a `ServiceError` where a task lacks the prediction of the version and is not an open random check."""
        snapshot = Snapshot.read(self.registry.root)
        blind = len(blind_cubes(self.registry.root, {} if snapshot is None else snapshot.cubes))
        n_tasks = len(self.label_studio.tasks(self.project))
        there = self.label_studio.model_versions(self.project).get(version, 0)
        if there != n_tasks - blind:
            raise ServiceError(f"{there} of {n_tasks - blind} predictions of {version} are in Label Studio")

    def _events(self) -> list[float]:
        return logged_events(self.services.services["backend"].log.read_text(errors="replace").splitlines())

    def prediction_request(self) -> dict[str, Any]:
        """Return a request of Label Studio for the prediction of a task.

        Raises
        ------
        ServiceError
            Where the backend does not answer it with the published version.
        """
        shown = {row.task for row in self.label_studio.predictions(self.project)}
        task = next(task for task in self.label_studio.tasks(self.project) if task["id"] in shown)
        configuration = self.label_studio.project(self.project).label_config
        request = {"tasks": [task], "project": f"{self.project}.0", "label_config": configuration, "params": {}}
        answered, published = self._predicts(request), self.registry.published()
        if answered != published:
            raise ServiceError(f"the backend answers /predict with {answered}, and {published} is published")
        return request

    def _predicts(self, request: dict[str, Any]) -> str | None:
        """Return the version of the backend's answer."""
        environment = self.services.environment
        answer = requests.post(
            f"{self.services.backend_url}/predict",
            json=request,
            auth=(environment["HELIOLOOP_BASIC_AUTH_USER"], environment["HELIOLOOP_BASIC_AUTH_PASSWORD"]),
            timeout=30,
        )
        if not answer.ok:
            raise ServiceError(f"/predict was answered with {answer.status_code}: {answer.text}")
        result = answer.json()["results"][0]
        return result.get("model_version") if isinstance(result, dict) else None


@contextmanager
def campaign(folder: Path, *, cubes: int, train_workers: int, epochs: int | None) -> Iterator[Campaign]:
    """Take a release through its first round, with real services in a folder; what an earlier run left there is used.

    Then the workers start anew with the recipe's number of epochs, or `epochs`, and have read the project once.
    """
    programs = Programs(backend=Path(sys.executable), worker=Path(sys.executable), label_studio=label_studio_program())
    environment = ENVIRONMENT | {"HELIOLOOP_EPOCHS": "1"}
    services = DemoServices(
        folder / "demo", programs=programs, release_roots=[folder / "releases"], environment=environment
    )
    since = time.time()
    with services:
        services.start_redis()
        services.launch_label_studio()
        services.start_backend()
        click.echo(f"starting Label Studio and making {cubes} cubes …", err=True)
        make_release(folder / "releases" / RELEASE, n=cubes, seed=SEED, truth=folder / "truth.csv", workers=2)
        services.await_label_studio()
        settings = services.settings()
        label_studio = LabelStudioClient.from_settings(settings)
        project = set_up(label_studio, settings, title="Corrections", backend_url=services.backend_url)
        workers = ["worker-score", *(f"worker-train-{k + 1}" for k in range(train_workers))]
        _start_workers(services, workers)
        with closing(redis.Redis.from_url(services.redis_url)) as connection:
            prepared = Campaign(folder, services, settings, project, connection, since)
            click.echo("ingesting, training a first version in one epoch, writing it back …", err=True)
            ingestion = messages.Ingest(project=project, release=RELEASE)
            queues.send(connection, ingestion)
            first = FirstPass(connection, settings, project, [ingestion])
            _wait(prepared, first.completed, "the first version was not written back")
            _wait(prepared, lambda: not running(connection), "jobs of the first version did not end")
            for name in workers:
                services.services.pop(name).stop()
            del services.environment["HELIOLOOP_EPOCHS"]
            if epochs is not None:
                services.environment["HELIOLOOP_EPOCHS"] = str(epochs)
            again = time.time()
            _start_workers(services, workers)
            queues.send(connection, messages.Reconcile(project=project))
            _wait(
                prepared,
                lambda: any(job.name == "reconcile" and job.begun > again for job in prepared.jobs()),
                "no reconciliation has run since the workers were started again",
            )
            _wait(prepared, lambda: not running(connection), "jobs of the reconciliation did not end")
            yield prepared


def measure(folder: Path, *, cubes: int = CUBES, train_workers: int = TRAIN_WORKERS, epochs: int | None = None) -> Way:
    """Return a correction's way to fresh predictions, measured in a folder; all that was started is stopped."""
    with (
        interruptible(),
        campaign(folder, cubes=cubes, train_workers=train_workers, epochs=epochs) as prepared,
    ):
        click.echo(f"correcting {CORRECTIONS} labels …", err=True)
        lags, lag_seconds = prepared.lag()
        load = os.getloadavg()[0]
        request = prepared.prediction_request()
        found = prepared.follow(prepared.correct(CORRECTIONS), request)
        load_after = os.getloadavg()[0]
        more_lags, more_seconds = prepared.lag()
        if more_lags > lags:
            mean = (more_seconds - lag_seconds) / (more_lags - lags)
            n = more_lags - lags
            click.echo(f"helioloop_correction_lag_seconds: {mean:.1f} s on average of {n:.0f} corrections", err=True)
        of_workers = count(train_workers, "train worker")
        recipe = "`quick`" if epochs is None else f"`quick` in {count(epochs, 'epoch')}"
        loads = f"load {load:.1f} before and {load_after:.1f} after"
        return replace(found, setup=f"{count(cubes, 'cube')}, {recipe}, {of_workers}, {loads}.")


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end the block as an exception, also in a background job of the shell."""

    def end(number: int, _: FrameType | None) -> None:
        raise KeyboardInterrupt(signal.Signals(number).name)

    before = [(number, signal.signal(number, end)) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def _start_workers(services: DemoServices, names: list[str]) -> None:
    for name in names:
        services.start_worker(name.split("-")[1], name=name)


def _wait(prepared: Campaign, condition: Any, otherwise: str) -> None:
    """Wait until a condition holds, and report jobs that end.

    Raises
    ------
    ServiceError
        Where a program ends, a job fails, or it takes longer than `LONGEST_SECONDS`.
    """
    deadline = time.monotonic() + LONGEST_SECONDS
    while True:
        prepared.report(prepared.jobs())
        if condition():
            return
        if time.monotonic() > deadline:
            raise ServiceError(f"{otherwise} within {LONGEST_SECONDS:.0f} s")
        time.sleep(1.0)


@click.command()
@click.option("--cubes", default=CUBES, show_default=True, help="Cubes of the release that is made for it.")
@click.option(
    "--train-workers", default=TRAIN_WORKERS, show_default=True, help="Train workers; each trains a member at a time."
)
@click.option("--epochs", type=click.IntRange(1), help="Epochs of the timed round; those of `quick` if not given.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    help="Work here and keep it: a later run with the same folder begins with the correction.",
)
@click.option("--prepare", is_flag=True, help="End when the first version is written back; needs --folder.")
def main(cubes: int, train_workers: int, epochs: int | None, folder: Path | None, prepare: bool) -> None:
    """Time each part from a correction to fresh predictions of all tasks, with a real Label Studio."""
    if prepare and folder is None:
        raise click.UsageError("--prepare needs --folder, where a later run finds what was prepared")
    with ExitStack() as stack:
        stack.enter_context(plain_errors())
        place = folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="helioloop-correction-")))
        place.mkdir(parents=True, exist_ok=True)
        if prepare:
            with interruptible(), campaign(place, cubes=cubes, train_workers=train_workers, epochs=epochs):
                return
        click.echo(table(measure(place, cubes=cubes, train_workers=train_workers, epochs=epochs)))


@contextmanager
def plain_errors() -> Iterator[None]:
    """Show an error of a service as a sentence."""
    try:
        yield
    except ServiceError as error:
        raise click.ClickException(str(error)) from None


if __name__ == "__main__":
    main()
