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

from helioloop.data.release import Release
from helioloop.data.release_profile import read_release_profile
from helioloop.errors import ServiceError, WrongUsage
from helioloop.files.lease import holding
from helioloop.messaging import messages, queues
from helioloop.messaging.redis_retrain_state import RedisRetrainState
from helioloop.records.profiles import BUILT_IN, cube_values, differences
from helioloop.registry.versions import Registry
from helioloop.settings import Settings
from helioloop.synthetic import make_release
from helioloop_worker.demo.leftovers import stop_leftovers
from helioloop_worker.demo.progress import FirstPass
from helioloop_worker.demo.services import ENDING_SIGNALS, DemoServices, Programs
from helioloop_worker.demo.summary import Stopwatch, print_summary, print_what_to_try
from helioloop_worker.labelstudio.client import LabelStudioClient
from helioloop_worker.labelstudio.setup import set_up
from helioloop_worker.own_redis import claim_if_it_answers, open_redis
from helioloop_worker.reports.round_progress import read_round_progress
from helioloop_worker.terminal import bar_report, bars, follow_all

TITLE = "helioloop demo"
RELEASE = "synthetic"
PACE = {
    "HELIOLOOP_RETRAIN_EVENTS": "5",
    "HELIOLOOP_RETRAIN_QUIET_SECONDS": "15",
    "HELIOLOOP_RETRAIN_MAX_WAIT_SECONDS": "60",
    "HELIOLOOP_RETRAIN_VERIFIED": "10",
    "HELIOLOOP_RETRAIN_CHANGED": "1",
    "HELIOLOOP_RECONCILE_SECONDS": "30",
    "HELIOLOOP_GRACE_SECONDS": "600",
}
"""Small numbers, so that one visitor sees a retraining; the defaults are for a team."""
TRAIN_WORKERS = 2
LOOK_SECONDS = 2.0
"""Time between two looks whether all services still run."""
LOCK = ".demo.lock"


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
        If the user's release has the name of the demo's or another profile, or a demo runs in the folder already.
    ReleaseError
        If the user's release has no cube or no table that can be used.
    ServiceError
        If a service or a job fails, or the demo is stopped before it is ready.
    """
    if demo.own is not None:
        _check_own(demo.own)
    demo.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with holding(demo.folder / LOCK) as alone:
        if not alone:
            raise WrongUsage(
                f"a demo runs in {demo.folder} already; stop it with Ctrl-C in its terminal, or name another folder "
                "with --folder"
            )
        _run(demo)


def _check_own(folder: Path) -> None:
    """Refuse a release that could not be imported beside the synthetic one, before anything is started."""
    if folder.resolve().name == RELEASE:
        raise WrongUsage(f"{folder} has the name {RELEASE!r} of the demo's own release; rename the folder")
    Release.open(folder)
    given, synthetic = read_release_profile(folder), BUILT_IN["mdi"]
    if different := differences(*(cube_values(one.record(), one.instrument) for one in (given, synthetic))):
        raise WrongUsage(
            f"{folder} has the profile {given.name!r} ({different}) and the demo's release {synthetic.name!r}, but all "
            "cubes of a project have one profile; name a release of that profile, or run the demo without --release "
            "and follow docs/connect.md with yours"
        )


def _run(demo: Demo) -> None:
    console, stopwatch = Console(stderr=True), Stopwatch()
    if left := stop_leftovers(demo.folder):
        console.print(f"Stopped what a demo that was killed had left running: {', '.join(left)}", highlight=False)
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
                _claim_redis(services.settings())
                services.launch_label_studio()
                services.start_backend()
            with stopwatch.stage(f"Making a release of {demo.n} synthetic cubes", console), bars() as progress:
                _make_release(demo, releases / RELEASE, truth, progress)
            with stopwatch.stage("Waiting for Label Studio", console), _moving("the first time it makes a database"):
                services.await_label_studio()
            settings = services.settings()
            project = set_up(
                LabelStudioClient.from_settings(settings), settings, title=TITLE, backend_url=services.backend_url
            )
            console.print(f"The demo's settings are in {services.environment_file}", highlight=False, soft_wrap=True)
            services.start_worker("score")
            for k in range(TRAIN_WORKERS):
                services.start_worker("train", name=f"worker-train-{k + 1}")
            with stopwatch.stage(f"Starting {TRAIN_WORKERS + 1} workers", console), _moving("loading PyTorch"):
                services.await_workers()
            with stopwatch.stage("Importing, training on the crude labels, publishing, writing back", console):
                _take_through(demo, settings, project)
            print_summary(Console(), settings.model_dir(project), truth=truth, stopwatch=stopwatch)
            ready = True
            if demo.exit_when_ready:
                console.print(
                    "\nIt stops now. `make demo` starts it again from here, and prints the address and the login."
                )
            else:
                print_what_to_try(Console(), services, project)
                console.print("\nThe demo keeps running. Ctrl-C stops it and everything it started.")
                _watch_over(services, console)
        except KeyboardInterrupt:
            console.print("\nStopping everything that was started …")
            if not ready:
                raise ServiceError("the demo was stopped before it was ready; run it again to continue") from None


def _claim_redis(settings: Settings) -> None:
    """Claim Redis before anything is made: one that was given may serve another folder, or this one before it was lost.

    Raises
    ------
    ServiceError
        Where it does.
    """
    try:
        claim_if_it_answers(settings)
    except ServiceError as error:
        raise ServiceError(f"{error}; of a demo, REDIS_URL is what --redis-url gives") from None


@contextmanager
def _moving(what: str) -> Iterator[None]:
    """Show on a terminal that something is waited for, and since when."""
    with bars(transient=True) as progress:
        progress.add_task(what, total=None)
        yield


def _make_release(demo: Demo, folder: Path, truth: Path, progress: Progress) -> None:
    report = bar_report(progress, "making cubes", total=demo.n)
    folder.parent.mkdir(parents=True, exist_ok=True)
    make_release(folder, n=demo.n, seed=demo.seed, truth=truth, report=report)


def _take_through(demo: Demo, settings: Settings, project: int) -> None:
    """Ingest the releases and wait until Label Studio shows predictions of all their cubes."""
    connection = open_redis(settings)
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


def _watch_over(services: DemoServices, console: Console) -> None:
    """Wait for ever, and name each service that ends."""
    named: set[str] = set()
    while True:
        for service in services.ended():
            if service.name not in named:
                named.add(service.name)
                text = f"{service.name} has ended. Stop the demo and run it again; the end of its log {service.log}:"
                console.print(f"{text}\n{service.tail()}", highlight=False, markup=False, soft_wrap=True)
        time.sleep(LOOK_SECONDS)


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM and a terminal that is closed end the demo as Ctrl-C does, unless they are ignored (nohup)."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    heeded = [number for number in ENDING_SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = [(number, signal.signal(number, interrupt)) for number in heeded]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)
