"""The whole loop under faults: real Redis, real workers, real backends, and Label Studio's fake behind the real client.

Workers are killed or frozen at named steps, services fail, files are damaged, and humans go on all the while. What is
left is checked by `checks`, with no code of helioloop.
"""

import json
import math
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from helioloop.registry.project_profile import write_project_profile
from helioloop.settings import Settings
from helioloop_worker.labelstudio.project_template import labeling_configuration
from tests.faults import checks
from tests.faults.fault_report import FaultReport
from tests.faults.label_studio import ServedLabelStudio
from tests.faults.people import People
from tests.faults.proxy import Proxy
from tests.faults.redis_server import RedisServer
from tests.faults.time_passing import children, is_alive, left_behind, let_time_pass
from tests.faults.web import Backend
from tests.worker.conftest import CUBES, PROFILE

HURRIED: Final[dict[str, Any]] = {
    "retrain_events": 1, "retrain_quiet_seconds": 0.2, "retrain_max_wait_seconds": 1.0, "reconcile_seconds": 1.0,
    "retrain_pause_seconds": 0.0, "retrain_changed": 1, "random_checks": 0, "grace_seconds": 5.0,
    "label_studio_timeout_seconds": 2.0, "predict_wait_seconds": 0.5,
}  # fmt: skip
ORPHANING: Final = 0.2
"""Fraction of the kills that leave the processes of jobs running."""
MOST_PATIENCE: Final = 10.0
"""A machine on which more programs than its cores want to work is given as many times the time, up to this."""
RECOVERY_SECONDS: Final = 2.0
"""Time after an outage during which a backend may still answer 503."""


@dataclass(frozen=True, slots=True)
class Step:
    """A function of the loop before or after which a worker comes to harm."""

    role: str
    module: str
    name: str
    when: str

    def __str__(self) -> str:
        return f"{self.when} {self.module.rpartition('.')[2]}.{self.name}"


def patience() -> float:
    """Return how many programs want to work on each core now, 1 to `MOST_PATIENCE`."""
    return min(max(os.getloadavg()[0] / (os.cpu_count() or 1), 1.0), MOST_PATIENCE)


class Driver:
    """One project with everything that serves it.

    Parameters
    ----------
    folder : Path
        For everything that is written.
    settings : Settings
        Folders of releases and cache.
    task_data : dict
        Data of a task for each cube.
    seed : int
        Of everything that is random.
    backends : int
        How many there are.
    rate_hz : float
        Corrections a second.
    """

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        task_data: dict[str, dict[str, str]],
        *,
        seed: int,
        backends: int = 2,
        rate_hz: float = 6.0,
    ) -> None:
        self._begun = time.monotonic()
        self.report, self.random = FaultReport(seed=seed), random.Random(seed)  # noqa: S311 - not for secrets
        self.folder = folder
        self.redis = RedisServer(folder / "redis")
        self.served = ServedLabelStudio(seed=seed)
        self.project = self.served.fake.create_project(title="faults", label_config=labeling_configuration())
        self.served.projects.append(self.project)
        settings = settings.model_copy(update=HURRIED)
        self.model_dir = settings.model_dir(self.project)
        write_project_profile(self.model_dir, PROFILE)
        tasks = self.served.fake.import_tasks(self.project, [task_data[cube] for cube in CUBES])
        self.cube_of = dict(zip(tasks, CUBES, strict=True))
        self.worker_redis = Proxy(self.redis.port, seed=seed)
        self.backend_redis = Proxy(self.redis.port, seed=seed + 1)
        self.label_studio = Proxy(self.served.port, seed=seed + 2)
        self._write_settings(settings)
        self._log = (folder / "workers.log").open("wb")
        self._starter = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.workers", str(folder)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        # Not a file of the workers: a limit on the size of their files stands for a full disk.
        self._copying = threading.Thread(target=self._copy_log, daemon=True)
        self._copying.start()
        environment = {f"HELIOLOOP_{name.upper()}": str(value) for name, value in HURRIED.items()}
        environment |= {
            "REDIS_URL": f"redis://127.0.0.1:{self.backend_redis.port}/0",
            "HELIOLOOP_MODEL_ROOT": str(settings.model_root),
        }
        self.backends = [Backend(folder, environment) for _ in range(backends)]
        for backend in self.backends:
            backend.wait()
        self.people = People(
            self.served,
            self.project,
            self.cube_of,
            self.backends,
            on_status=self._note_status,
            published=lambda: checks.published(self.model_dir),
            seed=seed,
            rate_hz=rate_hz,
        )
        self.running: list[int] = []
        self._orphans: set[int] = set()
        self._harms = 0
        self._held: dict[bytes, bytes] = {}
        self._passes_at = math.inf
        self._disturbed_until = 0.0
        self._disturbances = 0
        self._damaged: set[Path] = set()
        self._watched, self._looking, self._ends = checks.Watched(), threading.Lock(), threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def _write_settings(self, settings: Settings) -> None:
        values = json.loads(settings.model_dump_json(exclude_none=True))
        values |= {
            "redis_url": f"redis://127.0.0.1:{self.worker_redis.port}/0",
            "label_studio_url": f"http://127.0.0.1:{self.label_studio.port}",
            "label_studio_api_key": "a" * 40,
        }
        (self.folder / "settings.json").write_text(json.dumps(values))

    # -- processes -------------------------------------------------------------------------------

    def start(self, role: str, step: Step | None = None, action: str = "kill") -> int:
        """Start a worker, perhaps one that comes to harm at a step; return its process id."""
        order = {"role": role}
        if step is not None:
            order |= {"action": action, "module": step.module, "name": step.name, "when": step.when}
            order["marker"] = str(self._marker())
        self.running.append(self._order(order))
        return self.running[-1]

    def _order(self, order: dict[str, Any]) -> int:
        assert self._starter.stdin is not None
        assert self._starter.stdout is not None
        self._starter.stdin.write(json.dumps(order).encode() + b"\n")
        self._starter.stdin.flush()
        return int(self._starter.stdout.readline())

    def kill_all(self, *, time_passes: bool = True) -> None:
        """Kill all workers with their jobs, and perhaps let the time pass after which others notice it."""
        self._kill_workers(orphaning=self.random.random() < ORPHANING)
        self._held |= left_behind(self.redis.connection)
        if time_passes:
            self._let_time_pass()
        else:
            self._passes_at = time.monotonic() + self.random.uniform(1.0, 3.0)
        self._look_at_version()

    def _let_time_pass(self) -> None:
        let_time_pass(self.redis.connection, held=self._held)
        self._held.clear()
        self._passes_at = math.inf

    @staticmethod
    def pause(seconds: float) -> None:
        """Wait; nothing else is done, because Redis does not answer."""
        time.sleep(seconds)

    def sleep(self, seconds: float) -> None:
        """Wait, and have dead workers noticed when it is time for that."""
        ends = time.monotonic() + seconds
        while (now := time.monotonic()) < ends:
            if now >= self._passes_at:
                self._let_time_pass()
            time.sleep(0.02)

    def _kill_workers(self, *, orphaning: bool = False) -> None:
        """Kill all workers, and the processes of their jobs unless these are to go on as orphans."""
        jobs = set(self.with_jobs()) - {*self.running}
        self._orphans |= jobs if orphaning else set()
        self.report.orphans += len(jobs) if orphaning else 0
        for process in (*self.running, *(() if orphaning else jobs)):
            with suppress(ProcessLookupError):
                os.killpg(os.getpgid(process), signal.SIGKILL)
        gone = [*self.running, *(() if orphaning else jobs)]
        self._wait(lambda: not any(is_alive(process) for process in gone), 10)
        self.running.clear()

    def harm_at(self, step: Step, action: str, *, wait_seconds: float = 30.0) -> bool:
        """Have a worker killed or frozen at a named step while corrections come in; return whether it was."""
        marker = self._marker()
        doomed = self.start(step.role, step, action)
        self.start("score" if step.role == "train" else "train")
        self.people.work()
        begun = pressed = time.monotonic()
        self.people.press_start()
        while not marker.exists() and time.monotonic() - begun < wait_seconds * patience():
            self.sleep(0.02)
            if time.monotonic() - pressed > 4.0:
                pressed = time.monotonic()
                self.people.press_start()
        if reached := marker.exists():
            self.report.reached += 1
        else:
            self.report.not_reached.append(f"{action} {step}")
        if action == "freeze" and reached:
            self._freeze(doomed)
        else:
            self.report.kill_points += 1
            self.sleep(self.random.uniform(0.0, 1.0))  # the others go on
        self.kill_all(time_passes=self.random.random() < 0.6)
        self._harms += 1
        return reached

    def _marker(self) -> Path:
        """Return the file that appears when the present harm is done."""
        return self.folder / f"reached-{self._harms}"

    def _freeze(self, frozen: int) -> None:
        """Let other workers go on while one is frozen, then let that one go on, too."""
        self.report.frozen += 1
        others = [process for process in self.running if process != frozen]
        for process in others:
            os.killpg(process, signal.SIGKILL)
        self._wait(lambda: not any(is_alive(process) for process in others), 10)
        self.running = [frozen]
        let_time_pass(self.redis.connection, held=left_behind(self.redis.connection), frozen=[frozen])
        before = {*checks.versions(self.model_dir), None}
        self.start("train")
        self.start("score")
        self.people.press_start()
        self._wait(lambda: checks.published(self.model_dir) not in before, 12)
        time.sleep(self.random.uniform(0.0, 2.0))
        with self._looking:
            self._orphans |= {*self.with_jobs(frozen)}  # they finish what others have done meanwhile
        for process in self.with_jobs(frozen):
            with suppress(ProcessLookupError):
                os.killpg(os.getpgid(process), signal.SIGCONT)
        time.sleep(self.random.uniform(0.5, 2.0))

    def with_jobs(self, *workers: int) -> list[int]:
        """Return the process ids of workers, by default of all, and of the processes of their jobs."""
        chosen = workers or tuple(self.running)
        return [*chosen, *(child for worker in chosen for child in children(worker))]

    def kill_at_random(self, *, longest_seconds: float = 4.0, pairs: int = 1) -> None:
        """Kill all workers after a random time."""
        with self.working(pairs=pairs):
            self.sleep(self.random.uniform(0.1, longest_seconds))

    @contextmanager
    def working(self, *, pairs: int = 1) -> Iterator[None]:
        """Let workers and annotators work; the workers are killed at the end."""
        for _ in range(pairs):
            self.start("train")
            self.start("score")
        self.people.work()
        self.people.press_start()
        yield
        self.kill_all(time_passes=self.random.random() < 0.6)
        self.report.kill_points += 1

    @contextmanager
    def disturbed(self, kind: str) -> Iterator[None]:
        """Count an outage; while it lasts, and for a moment after it, a backend may answer 503."""
        self.report.outages[kind] = self.report.outages.get(kind, 0) + 1
        self._disturbances += 1
        try:
            yield
        finally:
            self._disturbances -= 1
            self._disturbed_until = time.monotonic() + RECOVERY_SECONDS

    def rollback(self) -> bool:
        """Have a human publish an earlier version; return whether there is one."""
        version = checks.published(self.model_dir)
        earlier = sorted(checks.versions(self.model_dir) - {version})
        if not earlier:
            return False
        chosen = self.random.choice(earlier[-4:])
        with self._looking:
            known = checks.versions(self.model_dir)
            process = self._order({"rollback": chosen, "project": self.project})
            self._wait(lambda: not is_alive(process), 20)
            if chosen in checks.history(self.model_dir)[-2:]:
                self._watched.by_hand(chosen, known)
                self.report.rollbacks += 1
        return True

    def configuration(self) -> str:
        """Return the labelling configuration."""
        with self.served.lock:
            return self.served.fake.project(self.project).label_config

    def configure(self, label_config: str) -> None:
        """Change the labelling configuration, as a human does in Label Studio."""
        with self.served.lock:
            self.served.fake.configure(self.project, label_config)

    def damage(self, path: Path) -> None:
        """Cut a file off, as a disk that fails does."""
        with self._looking, suppress(FileNotFoundError):
            size = path.stat().st_size
            with path.open("r+b") as file:
                file.truncate(self.random.randrange(size) if size else 0)
            self._damaged.add(path)
            self._watched.forget(path)

    # -- recovery --------------------------------------------------------------------------------

    def settle(self, *, wait_seconds: float = 60.0) -> None:
        """Let everything run without faults and corrections until all is as it should be, and report what is not.

        It may take `wait_seconds` on a machine with a core for each program.
        """
        self.people.pause()
        self._let_time_pass()
        self.start("train")
        self.start("score")
        begun = time.monotonic()
        calm = 0
        while time.monotonic() - begun < wait_seconds * patience() and calm < 2:
            calm = 0 if self._wrong() else calm + 1
            time.sleep(0.4)
        self._damaged.clear()
        if calm < 2:
            lost, doubled, others = self._findings()
            self.report.lost += len(lost)
            self.report.doubled += len(doubled)
            self.report.half_published += len(others)
            self._note([*lost, *doubled, *others])
        self.report.slowest_recovery_seconds = max(
            self.report.slowest_recovery_seconds, round(time.monotonic() - begun, 1)
        )
        self.report.recoveries += 1
        self.kill_all()

    def _findings(self) -> tuple[list[str], list[str], list[str]]:
        """Return lost and doubled corrections, and what is wrong with the version and its predictions."""
        with self.served.lock:
            tasks = self.served.fake.tasks(self.project)
            rows = [(row.task, row.model_version) for row in self.served.fake.predictions(self.project)]
            info, stored = self.served.fake.project(self.project), self.served.fake.stored(self.project)
        stamps = {str(one["id"]): one["updated_at"] for task in tasks for one in task["annotations"]}
        answers = {
            task["data"]["cube"]: one["result"][0]["value"]["choices"][0]
            for task in tasks
            for one in task["annotations"]
        }
        lost, doubled = checks.differences(self.model_dir, stamps, answers)
        version = checks.published(self.model_dir)
        others = checks.shown(rows, [*self.cube_of], version=version) + checks.halves(self.model_dir, CUBES)
        others += checks.unfitting([entry for entry in stored if entry["model_version"] == version], info.label_config)
        if info.model_version != version:
            others.append(f"Label Studio shows {info.model_version} and {version} is published")
        if checks.history(self.model_dir)[-1:] != [version]:
            others.append(f"{version} is published and is not the last in the history")
        return lost, doubled, others

    def _wrong(self) -> bool:
        return any(self._findings())

    def _look_at_version(self) -> None:
        """Report a published version that lacks a part."""
        if not self._damaged and (found := checks.halves(self.model_dir, CUBES)):
            self.report.half_published += 1
            self._note(found)

    def _watch(self) -> None:
        while not self._ends.wait(0.05):
            with self._looking:
                self._orphans = {process for process in self._orphans if is_alive(process)}
                self._watched.look(self.model_dir, has_orphans=bool(self._orphans))

    def _note(self, found: list[str]) -> None:
        at = time.strftime("%H:%M:%S")
        self.report.found += [f"{at} {phrase}" for phrase in found]

    def _note_status(self, status: int) -> None:
        self.report.answers += 1
        is_disturbed = self._disturbances > 0 or self._damaged or time.monotonic() < self._disturbed_until
        if status == 503:
            self.report.unavailable += not is_disturbed
        elif status >= 500:
            self.report.server_errors += 1
            self._note([f"a backend answered {status}"])

    # -- the end ---------------------------------------------------------------------------------

    def write(self, path: Path) -> None:
        """Write the report as JSON."""
        with self._looking:
            watched = self._watched
            self.report.trained_again = len(watched.trained_again)
            self.report.rollbacks_undone = len(watched.undone) + len(watched.older)
            more = [*watched.trained_again, *watched.undone, *watched.older]
        self.report.corrections, self.report.opened_tasks = self.people.corrections, self.people.opened
        self.report.versions = len(checks.versions(self.model_dir))
        self.report.seconds = round(time.monotonic() - self._begun)
        self.report.load = round(os.getloadavg()[2], 1)
        self.report.tracebacks = checks.failures(self.folder / "workers.log")
        values = asdict(self.report)
        values["found"] = values["found"] + more
        path.write_text(json.dumps(values, indent=1) + "\n")

    def close(self) -> None:
        """End all processes and threads."""
        self.people.close()
        self._ends.set()
        self._watcher.join()
        self._kill_workers()
        for process in filter(is_alive, self._orphans):
            os.kill(process, signal.SIGKILL)
        for backend in self.backends:
            backend.close()
        assert self._starter.stdin is not None
        self._starter.stdin.close()
        self._starter.wait(timeout=20)
        self._copying.join()
        for pipe in (self._starter.stdout, self._starter.stderr):
            assert pipe is not None
            pipe.close()
        for proxy in (self.worker_redis, self.backend_redis, self.label_studio):
            proxy.close()
        self.served.close()
        self.redis.kill()
        self.redis.connection.close()
        self._log.close()

    def _copy_log(self) -> None:
        assert self._starter.stderr is not None
        for line in self._starter.stderr:
            self._log.write(line)
            self._log.flush()

    @staticmethod
    def _wait(is_over: Callable[[], bool], longest_seconds: float) -> None:
        deadline = time.monotonic() + longest_seconds
        while not is_over() and time.monotonic() < deadline:
            time.sleep(0.02)
