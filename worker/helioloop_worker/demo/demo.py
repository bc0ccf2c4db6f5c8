"""The demo: one command takes a release through the whole loop on real services, and keeps them running.

It calls what users call: the same set-up, ingestion and jobs.
"""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.progress import Progress

from helioloop.errors import ServiceError, WrongUsage
from helioloop.messaging import messages, queues, redis_client
from helioloop.messaging.redis_retrain_state import RedisRetrainState
from helioloop.registry.versions import Registry
from helioloop.settings import Settings
from helioloop.synthetic import make_release
from helioloop_worker.demo.progress import FirstPass
from helioloop_worker.demo.services import DemoServices, Programs
from helioloop_worker.demo.summary import Stopwatch, print_summary
from helioloop_worker.labelstudio.client import LabelStudioClient
from helioloop_worker.labelstudio.setup import set_up
from helioloop_worker.reports.round_progress import read_round_progress
from helioloop_worker.terminal import bars, follow_all

TITLE = "helioloop demo"
RELEASE = "synthetic"
PACE = {
    "HELIOLOOP_RETRAIN_EVENTS": "5",
    "HELIOLOOP_RETRAIN_QUIET_SECONDS": "15",
    "HELIOLOOP_RETRAIN_MAX_WAIT_SECONDS": "60",
    "HELIOLOOP_RETRAIN_VERIFIED": "10",
    "HELIOLOOP_SWEEP_SECONDS": "30",
    "HELIOLOOP_GRACE_SECONDS": "600",
}
"""Small numbers, so that one visitor sees a retraining; the defaults are for a team."""
TRAIN_WORKERS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """The options of the command ``helioloop demo``."""

    folder: Path
    n: int
    seed: int
    own: Path | None
    exit_when_ready: bool
    programs: Programs
    redis_url: str | None


def run(demo: Demo) -> None:
    """Run the demo until Ctrl-C, or with `exit_when_ready` until the first predictions are shown.

    Raises
    ------
    WrongUsage
        If the user's release has the name of the demo's.
    ServiceError
        If a service or a job fails, or the demo is stopped before it is ready.
    """
    if demo.own is not None and demo.own.resolve().name == RELEASE:
        raise WrongUsage(f"{demo.own} has the name {RELEASE!r} of the demo's own release; rename the folder")
    console, stopwatch = Console(stderr=True), Stopwatch()
    releases = demo.folder.resolve() / "releases"
    truth = demo.folder.resolve() / "truth.csv"
    roots = [releases, *([demo.own.resolve().parent] if demo.own is not None else [])]
    services = DemoServices(
        demo.folder, programs=demo.programs, release_roots=roots, environment=PACE, redis_url=demo.redis_url
    )
    ready = False
    with _terminable(), services:
        try:
            with stopwatch.stage("Starting Redis, Label Studio and the backend", console):
                services.start_redis()
                services.launch_label_studio()
                services.start_backend()
            with stopwatch.stage(f"Making a release of {demo.n} synthetic cubes", console), bars() as progress:
                _make_release(demo, releases / RELEASE, truth, progress)
            with stopwatch.stage("Waiting for Label Studio", console):
                services.await_label_studio()
            settings = services.settings()
            project = set_up(
                LabelStudioClient.from_settings(settings), settings, title=TITLE, backend_url=services.backend_url
            )
            console.print(f"Its settings are in {services.environment_file}", highlight=False, soft_wrap=True)
            services.start_worker("score")
            for k in range(TRAIN_WORKERS):
                services.start_worker("train", name=f"worker-train-{k + 1}")
            with stopwatch.stage("Importing, training on the crude labels, publishing, writing back", console):
                _take_through(demo, settings, project)
            print_summary(Console(), services, settings.model_dir(project), project, truth=truth, stopwatch=stopwatch)
            ready = True
            if not demo.exit_when_ready:
                console.print("\nThe demo keeps running. Ctrl-C stops it and everything it started.")
                signal.pause()
        except KeyboardInterrupt:
            console.print("\nStopping everything that was started …")
            if not ready:
                raise ServiceError("the demo was stopped before it was ready; run it again to continue") from None


def _make_release(demo: Demo, folder: Path, truth: Path, progress: Progress) -> None:
    bar = progress.add_task("making cubes", total=demo.n)

    def report(done: int, total: int, what: str) -> None:
        progress.update(bar, description=what, completed=done, total=total)

    folder.parent.mkdir(parents=True, exist_ok=True)
    make_release(folder, n=demo.n, seed=demo.seed, truth=truth, report=report)


def _take_through(demo: Demo, settings: Settings, project: int) -> None:
    """Ingest the releases and wait until Label Studio shows predictions of all their cubes."""
    connection = redis_client.connect(settings)
    names = [RELEASE, *([demo.own.resolve().name] if demo.own is not None else [])]
    ingestions = [messages.Ingest(project=project, release=name) for name in names]
    for ingestion in ingestions:
        queues.send(connection, ingestion)
    first_pass = FirstPass(connection, settings, project, ingestions)
    state, registry = RedisRetrainState(connection), Registry(settings.model_dir(project))
    with bars() as progress:
        bar = progress.add_task("first round", total=None, visible=False)

        def completed() -> bool:
            running = state.running(project)
            now = None if running is None else read_round_progress(registry, running, now=time.time())
            if now is not None:
                progress.update(bar, description=f"{now.short}, {now.left}", visible=True)
            return first_pass.completed()

        follow_all(connection, progress, until=completed)
    connection.close()


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM end the demo as Ctrl-C does."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
