"""Kills workers at named steps and at random times while corrections arrive, then checks what is left.

The checks read the files of the model folder and the annotations by themselves, with no code of helioloop.
"""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from multiprocessing.managers import BaseManager
from pathlib import Path
from typing import Any, Final

import redis
from safetensors.numpy import load_file
from werkzeug.test import Client

from helioloop.registry.project_profile import write_project_profile
from helioloop.settings import Settings
from helioloop_backend.wsgi import create_app
from helioloop_worker.labelstudio.fake import FakeLabelStudio
from helioloop_worker.labelstudio.project_template import labeling_configuration
from tests.worker.conftest import CUBES, PROFILE, emerges

POINTS: Final = tuple(
    (role, module, name, when)
    for role, module, name in (
        ("score", "helioloop_worker.loop.retrain_check", "decide"),
        ("score", "helioloop_worker.loop.retrain_check", "request_round"),
        ("train", "helioloop_worker.loop.planning", "make_plan"),
        ("train", "helioloop_worker.loop.rounds", "send_steps"),
        ("train", "helioloop_worker.loop.planning", "complete_check"),
        ("train", "helioloop_worker.loop.planning", "settle_requests"),
        ("train", "helioloop.model.ensemble", "train_member"),
        ("train", "helioloop.model.ensemble", "score_cubes"),
        ("train", "helioloop_worker.loop.round_steps", "locate_emergences"),
        ("train", "helioloop.workflows.rounds", "_replace_scores"),
        ("train", "helioloop.workflows.rounds", "compare_with_published"),
        ("train", "helioloop.registry.versions", "_write_card"),
        ("train", "helioloop.registry.versions", "Registry.admit"),
        ("train", "helioloop_worker.loop.round_steps", "_choose_random_checks"),
        ("train", "helioloop.registry.versions", "Registry._write_publication"),
        ("train", "helioloop_worker.loop.rounds", "end"),
        ("train", "helioloop_worker.loop.rounds", "send_follow_up"),
        ("score", "helioloop_worker.loop.writeback", "write_screens"),
        ("score", "remote", "import_predictions"),
        ("score", "helioloop_worker.loop.writeback", "_delete_duplicates"),
        ("score", "remote", "set_model_version"),
        ("score", "helioloop_worker.loop.writeback", "write_written"),
        ("score", "helioloop_worker.loop.rounds", "resume"),
    )
    for when in ("before", "after")
)
"""The named steps of checks, rounds, publications, write-backs and reconciliations: role, module, function, when."""
PROJECT_WORDS: Final = ("emergence", "non-emergence")


@dataclass
class FaultReport:
    """What happened: numbers of kills, of named steps that were reached, of corrections, and of faults found."""

    kill_points: int = 0
    reached: int = 0
    redis_emptied: int = 0
    corrections: int = 0
    lost: int = 0
    doubled: int = 0
    half_published: int = 0
    server_errors: int = 0
    versions: int = 0
    not_reached: list[str] = field(default_factory=list)

    @property
    def faults(self) -> int:
        """Number of broken promises."""
        return self.lost + self.doubled + self.half_published + self.server_errors


class Served:
    """Serves the fake to other processes, one call at a time."""

    def __init__(self, fake: FakeLabelStudio) -> None:
        self.fake, self.lock = fake, threading.RLock()

    def call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a method of the fake."""
        with self.lock:
            return getattr(self.fake, name)(*args, **kwargs)


class Driver:
    """One project, its Redis, its backend, and workers that are killed.

    Parameters
    ----------
    folder : Path
        For everything that is written.
    settings : Settings
        Of backend and workers.
    task_data : dict
        Data of a task for each cube.
    seed : int
        Of corrections and of kills at random times.
    """

    def __init__(self, folder: Path, settings: Settings, task_data: dict[str, dict[str, str]], *, seed: int) -> None:
        self.report, self.random, self.settings = FaultReport(), random.Random(seed), settings  # noqa: S311 - not for secrets
        self.connection = redis.Redis.from_url(settings.redis_url)
        self.served = Served(FakeLabelStudio())
        self.project = self.served.fake.create_project(title="faults", label_config=labeling_configuration())
        self.model_dir = settings.model_dir(self.project)
        write_project_profile(self.model_dir, PROFILE)
        self.tasks = self.served.fake.import_tasks(self.project, [task_data[cube] for cube in CUBES])
        self.cube_of = dict(zip(self.tasks, CUBES, strict=True))
        self.annotation: dict[int, int] = {}
        self.expected: dict[str, str] = {}
        self.backend = Client(create_app(settings))
        address = str(folder / "ls.sock")

        class Manager(BaseManager):
            pass

        Manager.register("served", callable=lambda: self.served, exposed=("call",))
        server = Manager(address=address, authkey=b"faults").get_server()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        values = json.loads(settings.model_dump_json())
        (folder / "settings.json").write_text(
            json.dumps({name: value for name, value in values.items() if value is not None})
        )
        self.log = (folder / "workers.log").open("w")
        self.starter = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.workers", str(folder / "settings.json"), address],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True,
        )  # fmt: skip
        self.running: list[int] = []

    # -- what humans do --------------------------------------------------------------------------

    def correct(self, count: int) -> None:
        """Answer, change or delete answers of random tasks; a fifth of the events is lost on the way."""
        for _ in range(count):
            task = self.random.choice(self.tasks)
            is_wrong = self.random.random() < 0.15  # else too few of a class might be left to train on
            word = PROJECT_WORDS[emerges(self.cube_of[task]) == is_wrong]
            number, action = self.annotation.get(task), "ANNOTATION_UPDATED"
            with self.served.lock:
                if number is None:
                    self.annotation[task] = self.served.fake.annotate(task, word)
                    self.expected[self.cube_of[task]], action = word, "ANNOTATION_CREATED"
                elif self.random.random() < 0.1:
                    self.served.fake.delete_annotation(number)
                    del self.annotation[task], self.expected[self.cube_of[task]]
                    action = "ANNOTATIONS_DELETED"
                else:
                    self.served.fake.revise(number, word)
                    self.expected[self.cube_of[task]] = word
            self.report.corrections += 1
            if self.random.random() < 0.8:
                self.event(action)

    def event(self, action: str) -> None:
        """Send an event to the backend; no answer may be an error of the server."""
        answer = self.backend.post("/webhook", json={"action": action, "project": {"id": self.project}})
        self.report.server_errors += answer.status_code >= 500

    # -- processes -------------------------------------------------------------------------------

    def start(self, role: str, point: tuple[str, str, str] = ("-", "-", "-")) -> int:
        """Start a worker, perhaps one that kills itself at a named step; return its process id."""
        assert self.starter.stdin is not None
        assert self.starter.stdout is not None
        self.starter.stdin.write(" ".join((role, *point)) + "\n")
        self.starter.stdin.flush()
        self.running.append(int(self.starter.stdout.readline()))
        return self.running[-1]

    def kill(self) -> None:
        """Kill all workers with their jobs, and let the time pass after which others notice it."""
        for process in self.running:
            with suppress(ProcessLookupError):
                os.killpg(process, signal.SIGKILL)
        while any(_is_alive(process) for process in self.running):
            time.sleep(0.01)
        self.running.clear()
        now = time.time()
        for key in self.connection.scan_iter("rq:wip:*"):
            self.connection.zadd(key, dict.fromkeys(self.connection.zrange(key, 0, -1), now - 1))
        for pattern in (
            "rq:execution:*",
            "rq:worker:*",
            "rq:scheduler-lock:*",
            "helioloop:writer:*",
            "helioloop:reconciling:*",
        ):
            for key in self.connection.scan_iter(pattern):
                self.connection.delete(key)
        self.report.half_published += self.is_half_published()

    def kill_at(self, point: tuple[str, str, str, str], *, wait_seconds: float) -> None:
        """Have corrections come in until a worker has killed itself at a named step, or for a time."""
        role, *step = point
        doomed = self.start(role, (step[0], step[1], step[2]))
        self.start("score" if role == "train" else "train")
        self.event("START_TRAINING")
        deadline = time.monotonic() + wait_seconds
        while _is_alive(doomed) and time.monotonic() < deadline:
            self.correct(1)
            time.sleep(0.2)
        self.report.kill_points += 1
        if _is_alive(doomed):
            self.report.not_reached.append(" ".join(point))
        else:
            self.report.reached += 1
        self.kill()

    def kill_at_random(self, *, longest_seconds: float, empty_redis: bool = False) -> None:
        """Kill both workers after a random time; perhaps Redis loses everything, too."""
        self.start("train")
        self.start("score")
        self.event("START_TRAINING")
        ends = time.monotonic() + self.random.uniform(0.2, longest_seconds)
        while time.monotonic() < ends:
            self.correct(1)
            time.sleep(0.2)
        self.report.kill_points += 1
        self.kill()
        if empty_redis:
            self.connection.flushall()
            self.report.redis_emptied += 1

    def settle(self, *, wait_seconds: float) -> None:
        """Let the workers run without faults until all is checked, published and written back, then compare."""
        self.start("train")
        self.start("score")
        deadline = time.monotonic() + wait_seconds
        while time.monotonic() < deadline and (self.differences() != (0, 0) or not self.is_shown()):
            time.sleep(0.5)
        for process in self.running:
            os.killpg(process, signal.SIGKILL)
        self.report.lost, self.report.doubled = self.differences()
        self.report.half_published += not self.is_shown()
        self.report.versions = len(list(self.model_dir.glob("versions/v*")))

    def close(self) -> None:
        """End all processes."""
        self.kill()
        if self.starter.stdin is not None:
            self.starter.stdin.close()
        self.starter.wait(timeout=20)
        if self.starter.stdout is not None:
            self.starter.stdout.close()
        self.log.close()
        self.connection.close()
        self.backend.application.extensions["helioloop"].connection.close()

    # -- checks, which read files and annotations by themselves ------------------------------------

    def differences(self) -> tuple[int, int]:
        """Return how many corrections the label snapshot lacks, and how many it has that are not there."""
        try:
            snapshot = json.loads((self.model_dir / "labels.json").read_text())
        except FileNotFoundError:
            return len(self.annotation), 0
        verified = {cube: entry["label"] for cube, entry in snapshot["cubes"].items() if entry.get("verified")}
        numbers, there = set(snapshot["annotations"]), {str(number) for number in self.annotation.values()}
        wrong = sum(verified.get(cube) != word for cube, word in self.expected.items())
        return wrong + len(there - numbers), len(numbers - there) + len(verified.keys() - self.expected.keys())

    def is_half_published(self) -> bool:
        """Return whether the published version lacks a part."""
        pointer = self.model_dir / "published.json"
        if not pointer.exists():
            return False
        folder = self.model_dir / "versions" / json.loads(pointer.read_text())["version"]
        try:
            card = json.loads((folder / "card.json").read_text())
            json.loads((folder / "plan.json").read_text())
            for member in card["members"].values():
                load_file(folder / member["file"])
            lines = [
                json.loads(line) for path in folder.glob("scores/*.jsonl") for line in path.read_text().splitlines()
            ]
        except (OSError, ValueError, KeyError) as error:
            print("half published:", folder, error, file=self.log)
            return True
        return {line["cube"] for line in lines} != set(CUBES)

    def is_shown(self) -> bool:
        """Return whether each task has one prediction of the published version, and Label Studio shows it."""
        pointer = self.model_dir / "published.json"
        if not pointer.exists():
            return False
        version = json.loads(pointer.read_text())["version"]
        with self.served.lock:
            rows = [row.task for row in self.served.fake.predictions(self.project) if row.model_version == version]
            return (
                sorted(rows) == sorted(self.tasks) and self.served.fake.project(self.project).model_version == version
            )

    def write(self, path: Path) -> None:
        """Write the report as JSON."""
        path.write_text(json.dumps(asdict(self.report), indent=1) + "\n")


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
