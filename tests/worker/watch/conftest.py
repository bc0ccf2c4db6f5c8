"""A site with nobody present: Redis, worker processes and a watch, all real, and a fake Label Studio they share."""

import hashlib
import multiprocessing
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.managers import BaseManager
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
import redis
from tests.worker.conftest import TINY

from helioloop.files.lease import holding
from helioloop.messaging import messages, queues
from helioloop.registry.watched import WatchedFolder, read_watched
from helioloop.settings import Settings
from helioloop_worker.commands.watch import ending_cleanly
from helioloop_worker.context import Context
from helioloop_worker.labelstudio.fake import FakeLabelStudio
from helioloop_worker.labelstudio.project_template import labeling_configuration
from helioloop_worker.serving.worker_process import run
from helioloop_worker.watch.watching import Watch

FORK = multiprocessing.get_context("fork")


class _Shared(BaseManager):
    """Keeps one fake Label Studio in a process of its own."""

    label_studio: Callable[[], FakeLabelStudio]


def write_checksums(folder: Path) -> None:
    """Write SHA256SUMS as `sha256sum` does."""
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in sorted(folder.iterdir())
        if path.name != "SHA256SUMS" and path.is_file()
    ]
    (folder / "SHA256SUMS").write_text("".join(lines))


@dataclass
class Site:
    """A project, its release root, and the processes that serve it."""

    context: Context
    label_studio: FakeLabelStudio
    project: int
    root: Path
    log: Path
    processes: list[BaseProcess] = field(default_factory=list)

    def start_workers(self) -> None:
        """Start one worker of each role, as `helioloop worker` does, and wait until both are there."""
        for role in ("train", "score"):
            self._start(run, role, self.context)
        with redis.Redis.from_url(self.context.settings.redis_url) as connection:
            wait_for(
                lambda: all(queues.has_worker(connection, name) for name in (messages.QUEUE_TRAIN, messages.QUEUE_BULK))
            )

    def watch(self, *, once: bool = False, quiet_seconds: float = 1000.0, rate: float = 0.02) -> BaseProcess:
        """Start a watch; its lines are in `lines`."""
        return self._start(self._watch, once, quiet_seconds, rate)

    def watch_once(self, *, quiet_seconds: float = 1000.0, rate: float = 0.02) -> None:
        """Run a watch that ends by itself."""
        process = self.watch(once=True, quiet_seconds=quiet_seconds, rate=rate)
        process.join(60)
        assert process.exitcode == 0, self.lines()

    def lines(self) -> list[str]:
        """The lines that all watches said."""
        return self.log.read_text().splitlines() if self.log.exists() else []

    def says(self, text: str) -> bool:
        """Tell whether a line contains a text."""
        return any(text in line for line in self.lines())

    def row(self, name: str) -> WatchedFolder:
        """The row of a folder in the table of the watch."""
        rows = read_watched(self.context.settings.model_dir(self.project))
        return next(row for row in rows.values() if Path(row.folder).name == name)

    def cubes(self) -> list[str]:
        """The cubes that have tasks, duplicates included."""
        return sorted(task["data"]["cube"] for task in self.label_studio.tasks(self.project))

    def predicted(self) -> list[str]:
        """The cubes whose tasks have predictions, once for each prediction."""
        names = {task["id"]: task["data"]["cube"] for task in self.label_studio.tasks(self.project)}
        return sorted(names[row.task] for row in self.label_studio.predictions(self.project))

    def stop(self) -> None:
        """End all processes that this site started."""
        for process in self.processes:
            with suppress(ProcessLookupError):
                os.killpg(process.pid or 0, signal.SIGKILL)
            process.join(10)

    def _start(self, target: Callable[..., object], *words: object) -> BaseProcess:
        process = FORK.Process(target=_in_own_group, args=(target, *words))
        process.start()
        self.processes.append(process)
        return process

    def _watch(self, once: bool, quiet_seconds: float, rate: float) -> None:
        def say(line: str) -> None:
            with self.log.open("a") as log:
                log.write(line + "\n")

        with ending_cleanly(), holding(self.context.settings.model_dir(self.project) / ".watch.lock") as is_alone:
            assert is_alone
            watched = Watch(
                context=self.context,
                project=self.project,
                folder=self.root,
                quiet_seconds=quiet_seconds,
                rate=rate,
                say=say,
                processes=1,
            )
            if once:
                watched.run_once()
            else:
                watched.run(every_seconds=0.1)


def _in_own_group(target: Callable[..., object], *words: object) -> None:
    """Run something with the processes that it starts in a group, so that all can be ended together."""
    os.setpgrp()
    target(*words)


def wait_for(condition: Callable[[], object], *, seconds: float = 30.0) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


@pytest.fixture
def site(settings: Settings, redis_connection: redis.Redis, trained: Path, tmp_path: Path) -> Iterator[Site]:
    """A project with a published version and no task; no process runs yet."""
    assert redis_connection.ping()
    fake = FakeLabelStudio()
    _Shared.register("label_studio", callable=lambda: fake)
    manager = _Shared(ctx=FORK)
    manager.start()
    label_studio = manager.label_studio()
    project = label_studio.create_project(title="site", label_config=labeling_configuration())
    root = tmp_path / "releases"
    root.mkdir()
    own = settings.model_copy(update={"release_roots": [root], "reconcile_seconds": 2.0, "retrain_verified": 1000})
    shutil.copytree(trained, own.model_dir(project))
    context = Context(own, open_label_studio=lambda _: manager.label_studio(), recipe_for=lambda *_: TINY)
    made = Site(
        context=context, label_studio=label_studio, project=project, root=root.resolve(), log=tmp_path / "watch.log"
    )
    try:
        yield made
    finally:
        made.stop()
        manager.shutdown()


@pytest.fixture
def running_site(site: Site) -> Site:
    """The same with a worker of each role."""
    site.start_workers()
    return site
