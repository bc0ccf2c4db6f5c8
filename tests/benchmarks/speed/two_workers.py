"""One round by two train workers against the same round by one, each a process on a core of its own.

Each worker has a cache of its own with all cubes and prepared inputs, as on a machine that has trained before. The
clock runs from sending the jobs of the round until its version is published: members, scoring, locating and closing.
Members are trained for few epochs, so that the row takes minutes; steps that only one worker can do weigh more then.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import redis
from rq import Worker

from helioloop.data.loader import Loader
from helioloop.model.architectures import find_architecture
from helioloop.model.input_cache import InputCache
from helioloop.model.plan import Plan, make_plan
from helioloop.model.recipes import QUICK
from helioloop.records.instrument import MDI
from helioloop.settings import Settings
from helioloop_worker.context import Context
from helioloop_worker.loop import rounds
from tests.benchmarks.speed.timing import Times
from tests.benchmarks.speed.work import Work
from tests.redis_server import BINARY

PROJECT = 1
EPOCHS = 30
"""With 60 cubes `quick` has 80."""
_START_SECONDS, _ROUND_SECONDS = 120.0, 1800.0
_PINNED = """if True:
    import os, sys
    os.sched_setaffinity(0, {int(sys.argv.pop(1))})
    from helioloop.cli import main
    main()
"""


def two_workers(work: Work) -> Times:
    """Return the time of a round by two workers as ours, and by one as the reference; a round is timed once each."""
    cores = sorted(os.sched_getaffinity(0))[:2]
    if len(cores) < 2:
        raise OSError("two workers need two cores: run this on a machine that has them")
    plan = make_plan(
        work.cubes, recipe=QUICK.in_epochs(EPOCHS), instrument=MDI, seed=0, parent=None, reason="a benchmark"
    )
    caches = [work.new_folder("cache") for _ in cores]
    for cache in caches:
        loader = Loader(roots=(work.folder,), cache=cache, instrument=MDI)
        architecture = find_architecture(QUICK.network)
        prepared = InputCache(architecture=architecture, instrument=MDI, load=loader, folder=cache / "inputs")
        for cube in plan.cubes:
            prepared(cube)
    both, of_members = _round_seconds(work, plan, dict(zip(cores, caches, strict=True)))
    one, of_members_of_one = _round_seconds(work, plan, {cores[0]: caches[0]})
    return Times(ours=both, reference=one, more={"members": of_members, "members_of_one": of_members_of_one})


def _round_seconds(work: Work, plan: Plan, workers: dict[int, Path]) -> tuple[float, float]:
    """Return the seconds that workers take for a round, and until its last member is trained.

    The workers are given as the cache of each by its core.
    """
    folder = work.new_folder("round")
    with ExitStack() as stack:
        socket = folder / "redis.sock"
        log = stack.enter_context((folder / "log").open("wb"))
        command = [BINARY, "--port", "0", "--unixsocket", socket, "--save", "", "--dir", folder]
        _start(stack, subprocess.Popen(command, stdout=log, stderr=log))
        settings = {
            "HELIOLOOP_REDIS_URL": f"unix://{socket}",
            "HELIOLOOP_MODEL_ROOT": str(folder / "models"),
            "HELIOLOOP_MEDIA_ROOT": str(folder / "media"),
            "HELIOLOOP_RELEASE_ROOTS": f'["{work.folder}"]',
            "HELIOLOOP_DEVICE": "cpu",
            "HELIOLOOP_RANDOM_CHECKS": "0",
            "HELIOLOOP_TRAINING_YIELDS": "false",  # what else runs would stop it otherwise
            "OMP_NUM_THREADS": "1",
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
        }
        context = Context(
            Settings(redis_url=settings["HELIOLOOP_REDIS_URL"], model_root=folder / "models", device="cpu")
        )
        _wait(lambda: socket.exists() and _answers(context.connection), _START_SECONDS, "Redis does not answer")
        for core, cache in workers.items():
            worker = [sys.executable, "-c", _PINNED, str(core), "worker", "--role", "train"]
            variables = {**settings, "HELIOLOOP_CACHE_ROOT": str(cache)}
            _start(stack, subprocess.Popen(worker, env=variables, stdout=log, stderr=log))
        n = len(workers)
        _wait(lambda: Worker.count(connection=context.connection) == n, _START_SECONDS, f"see {folder / 'log'}")
        registry = context.registry(PROJECT)
        begun, begun_at = time.perf_counter(), time.time()
        if not rounds.start(context, PROJECT, plan, forced=False):
            raise RuntimeError("the round was not started")
        _wait(lambda: registry.published() is not None, _ROUND_SECONDS, f"the round did not end: see {folder / 'log'}")
        seconds = time.perf_counter() - begun
        weights = [registry.folder(str(registry.published())) / member.file for member in plan.members]
        return seconds, max(file.stat().st_mtime for file in weights) - begun_at


def _start(stack: ExitStack, process: "subprocess.Popen[bytes]") -> None:
    stack.callback(process.wait, timeout=60)
    stack.callback(process.terminate)


def _answers(connection: redis.Redis) -> bool:
    try:
        return bool(connection.ping())
    except redis.ConnectionError:
        return False


def _wait(condition: Callable[[], bool], seconds: float, otherwise: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(otherwise)
        time.sleep(0.05)
