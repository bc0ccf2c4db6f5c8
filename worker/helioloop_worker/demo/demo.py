"""The demo: one command takes a data release through the whole loop on real services, and leaves it running.

Top of the worker, beside the command line. It calls what users call: the same set-up, ingestion and jobs.
"""

import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import redis
from rich.console import Console
from rich.progress import Progress

from helioloop.data.truth import read_truth
from helioloop.errors import ServiceError, WrongUsage
from helioloop.messaging import messages, queues
from helioloop.messaging.job_monitor import outcome_of, running
from helioloop.records import Label
from helioloop.registry.label_snapshot import Snapshot
from helioloop.registry.versions import Registry
from helioloop.settings import Settings
from helioloop.synthetic import make_release
from helioloop_worker.demo.services import DemoServices, Programs
from helioloop_worker.labelstudio.client import LabelStudioClient
from helioloop_worker.labelstudio.setup import TAB, set_up
from helioloop_worker.loop import rounds, writeback
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
"""Small numbers, so that one visitor sees the loop turn; the defaults are made for a team."""
TRAIN_WORKERS = 2
STALL_SECONDS = 120.0
"""Longest time without any job before the demo says that something is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """What the demo was asked for."""

    folder: Path
    n: int
    seed: int
    own: Path | None
    exit_when_ready: bool
    programs: Programs
    redis_url: str | None


class Clock:
    """How long each stage took, for the summary."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.stages: list[tuple[str, float]] = []

    @contextmanager
    def stage(self, name: str, console: Console) -> Iterator[None]:
        """Time a stage and say so."""
        console.print(f"[bold]{name}[/bold] …")
        start = time.monotonic()
        yield
        self.stages.append((name, time.monotonic() - start))

    @property
    def total(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.began


def run(demo: Demo) -> None:
    """Run the demo until Ctrl-C, or until ready where that was asked for."""
    if demo.own is not None and demo.own.resolve().name == RELEASE:
        raise WrongUsage(f"{demo.own} is called {RELEASE!r}, as the demo's own release is; rename the folder")
    console, clock = Console(stderr=True), Clock()
    releases = demo.folder.resolve() / "releases"
    truth = demo.folder.resolve() / "truth.csv"
    roots = [releases, *([demo.own.resolve().parent] if demo.own is not None else [])]
    stack = DemoServices(
        demo.folder, programs=demo.programs, release_roots=roots, environment=PACE, redis_url=demo.redis_url
    )
    ready = False
    with _terminable(), stack:
        try:
            with clock.stage("Starting Redis, Label Studio and the backend", console):
                stack.start_redis()
                stack.launch_label_studio()
                stack.start_backend()
            with clock.stage(f"Making a release of {demo.n} synthetic cubes", console), bars() as progress:
                _make_release(demo, releases / RELEASE, truth, progress)
            with clock.stage("Waiting for Label Studio", console):
                stack.await_label_studio()
            settings = stack.settings()
            project = set_up(
                LabelStudioClient.from_settings(settings), settings, title=TITLE, backend_url=stack.backend_url
            )
            stack.start_worker("score")
            for k in range(TRAIN_WORKERS):
                stack.start_worker("train", name=f"worker-train-{k + 1}")
            with clock.stage("Ingesting, training on the crude labels, publishing, writing back", console):
                _take_through(demo, settings, project)
            print_summary(Console(), stack, settings, project, truth=truth, clock=clock)
            ready = True
            if not demo.exit_when_ready:
                console.print("\nThe demo stays up. Ctrl-C stops it and everything it started.")
                signal.pause()
        except KeyboardInterrupt:
            console.print("\nStopping what was started …")
            if not ready:
                raise ServiceError("the demo was stopped before it was ready; run it again: it goes on") from None


def _make_release(demo: Demo, folder: Path, truth: Path, progress: Progress) -> None:
    bar = progress.add_task("making cubes", total=demo.n)

    def report(done: int, total: int, what: str) -> None:
        progress.update(bar, description=what, completed=done, total=total)

    folder.parent.mkdir(parents=True, exist_ok=True)
    make_release(folder, n=demo.n, seed=demo.seed, truth=truth, report=report)


def _take_through(demo: Demo, settings: Settings, project: int) -> None:
    """Have the releases ingested and wait until Label Studio shows predictions of all their cubes."""
    connection = queues.connect(settings)
    names = [RELEASE, *([demo.own.resolve().name] if demo.own is not None else [])]
    ingestions = [messages.Ingest(project=project, release=name) for name in names]
    for ingestion in ingestions:
        queues.send(connection, ingestion)
    watch = Watch(connection, settings, project, ingestions)
    with bars() as progress:
        follow_all(connection, progress, until=watch.ready)
    connection.close()


class Watch:
    """Looks whether the loop has come round once: all cubes ingested, a version published and shown."""

    def __init__(
        self, connection: redis.Redis, settings: Settings, project: int, ingestions: Sequence[messages.Ingest]
    ) -> None:
        self._connection = connection
        self._project = project
        self._ingestions = ingestions
        self._model_dir = settings.model_dir(project)
        self._gateway = LabelStudioClient.from_settings(settings)
        self._busy_at = time.monotonic()

    def ready(self) -> bool:
        """Tell whether every ingested cube has the published version's prediction.

        Raises
        ------
        ServiceError
            Where an ingestion failed, or nothing has run for long: the demo would wait for ever.
        """
        cubes = self._ingested()
        version = Registry(self._model_dir).published()
        shown = writeback.switches(self._model_dir)
        if cubes and version is not None and shown and shown[-1].version == version:
            unscorable = len(writeback.read_unscorable(self._model_dir, version))
            return self._gateway.model_versions(self._project).get(version, 0) >= cubes - unscorable
        if said := next(rounds.all_parked(Registry(self._model_dir)), None):
            raise ServiceError(said)
        if any(not job.startswith(("reconcile-", "retrain-check-")) for job in running(self._connection)):
            self._busy_at = time.monotonic()
        if time.monotonic() - self._busy_at > STALL_SECONDS:
            raise ServiceError(
                f"nothing has run for {STALL_SECONDS:.0f} s and no version is shown; `helioloop status --project "
                f"{self._project}` and the logs of the workers say why"
            )
        return False

    def _ingested(self) -> int:
        """Return how many cubes have a task; 0 while an ingestion goes on."""
        total = 0
        for ingestion in self._ingestions:
            outcome = outcome_of(self._connection, ingestion)
            if outcome is None:
                return 0
            total += int(outcome["imported"]) + int(outcome["present"])
        return total


# -- the summary ----------------------------------------------------------------------------------


def print_summary(
    console: Console, stack: DemoServices, settings: Settings, project: int, *, truth: Path, clock: Clock
) -> None:
    """Print the page that says what was done, where to look and what to try."""
    registry = Registry(settings.model_dir(project))
    snapshot = Snapshot.read(settings.model_dir(project))
    version = registry.published()
    if version is None or snapshot is None:
        raise ServiceError("no version is published; the workers' logs say why")
    card, scores = registry.card(version), registry.scores(version)
    labels = {cube: label.label for cube, label in snapshot.cubes.items()}
    ranked = sorted(
        (score.agreement(label), score.cube)
        for score in scores.values()
        if (label := labels.get(score.cube)) is not None
    )
    emergences = [score for score in scores.values() if score.predicted is Label.EMERGENCE]
    console.rule("helioloop demo")
    console.print(
        f"cubes in Label Studio   {len(snapshot.cubes)}\n"
        f"model version           {version}: {len(card.members)} members, recipe {card.recipe.get('name')}\n"
        f"predicted emergences    {len(emergences)}, {sum(s.emergence is not None for s in emergences)} with a frame\n"
        f"label and CNN disagree  {sum(agreement < 0.5 for agreement, _ in ranked)} cubes, listed first in Label Studio"
    )
    if found := _wrong_labels_found(truth, labels, [cube for _, cube in ranked]):
        console.print(found)
    for name, seconds in clock.stages:
        console.print(f"{seconds:6.0f} s  {name}", highlight=False)
    console.print(f"{clock.total:6.0f} s  in all", highlight=False)
    console.print(
        f"\n[bold]{stack.label_studio_url}/projects/{project}/data[/bold]\n"
        f"login     {stack.login.email}\n"
        f"password  {stack.login.password}\n\n"
        f"Try: open the tab “{TAB}”; the cubes on which label and CNN disagree come first.\n"
        f"     “Label All Tasks” offers them in that order. Play the video; the red range on the timeline starts\n"
        f"     where the CNN sees the region emerge. Correct five labels: a new version is trained, published, shown.\n"
        f"     Logs are in {stack.folder / 'logs'}.",
        highlight=False,
    )


def _wrong_labels_found(truth: Path, labels: Mapping[str, Label | None], ranked: Sequence[str]) -> str | None:
    """Say how many of the made-up wrong labels stand among as many lowest-ranked cubes; None without a truth table."""
    if not truth.exists():
        return None
    true = {cube: entry.label for cube, entry in read_truth(truth).items()}
    wrong = {cube for cube, label in labels.items() if cube in true and label is not None and true[cube] is not label}
    first = [cube for cube in ranked if cube in true][: len(wrong)]
    return (
        f"wrong crude labels      {len(wrong)} of {len(true)} by construction; "
        f"{len(wrong & set(first))} of them are among the first {len(first)} in the queue"
    )


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
