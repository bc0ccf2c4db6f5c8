"""Starts worker processes by forking, so that a worker that was killed is replaced within a fraction of a second.

    python -m tests.faults.workers FOLDER

FOLDER/settings.json has helioloop's settings. Each line on stdin is a JSON object. ``{"role": …}`` starts a worker.
Where it has ``action``, ``module``, ``name``, ``when`` and ``marker``, too, the worker comes to harm, once, ``before``
or ``after`` it calls a function:

    kill    the worker and the process of its job are killed
    job     only the process of its job is killed, if it has one of its own
    freeze  both are stopped, until the driver lets them go on

Before that the file ``marker`` is made. ``{"rollback": VERSION, "project": N}`` runs `helioloop rollback`. Each
line is answered with the process id. At the end of stdin the program ends.
"""

import importlib
import json
import logging
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final

import torch

from helioloop.files import lease
from helioloop.messaging import stored_jobs
from helioloop.model.training import preload
from helioloop.settings import Settings
from helioloop_worker import context as contexts
from helioloop_worker.commands.learning import rollback
from helioloop_worker.context import Context
from helioloop_worker.loop import processes, rounds
from helioloop_worker.reports import report as reporting
from helioloop_worker.serving import role_workers, worker_process
from tests.worker.conftest import TINY

log = logging.getLogger(__name__)

LEASE_SECONDS: Final = 3.0
"""In place of `lease.LEASE_SECONDS`: a frozen worker's lock is taken over after this long."""


def arm(order: dict[str, str], marker: Path) -> None:
    """Have this worker, or the process of its job, come to harm where it calls a function."""
    owner: Any = importlib.import_module(order["module"])
    *parts, last = order["name"].split(".")
    for part in parts:
        owner = getattr(owner, part)
    whole = getattr(owner, last)
    parent = os.getpid()

    def harmed(*args: Any, **kwargs: Any) -> Any:
        if order["when"] == "before":
            harm(order["action"], marker, parent)
            return whole(*args, **kwargs)
        result = whole(*args, **kwargs)
        harm(order["action"], marker, parent)
        return result

    setattr(owner, last, harmed)


def harm(action: str, marker: Path, parent: int) -> None:
    """Kill or stop this process, and perhaps its worker; nothing where that was done before."""
    try:
        marker.touch(exist_ok=False)
    except FileExistsError:
        return
    by = signal.SIGSTOP if action == "freeze" else signal.SIGKILL
    if action != "job" and parent != os.getpid():
        os.killpg(parent, by)
    os.killpg(os.getpgrp(), by)


def run_worker(settings: Settings, order: dict[str, str]) -> None:
    """Run one worker until it is killed."""
    if "action" in order:
        arm(order, Path(order["marker"]))
    worker_process.run("train" if order["role"] == "train" else "score", Context(settings, recipe_for=lambda *_: TINY))


def hurry() -> None:
    """Shorten the times after which lost workers and connections are noticed."""
    rounds.SILENT_SECONDS = 1
    lease.LEASE_SECONDS = LEASE_SECONDS  # type: ignore[misc]
    contexts.REDIS_SECONDS = worker_process.REDIS_SECONDS = 3.0
    worker_process.RETRY_SECONDS = 0.3
    worker_process.POLL_SECONDS = 2
    # Beside other programs a worker of low priority reaches no step in time.
    worker_process.lower_priority, role_workers.yielding = lambda: None, nullcontext  # type: ignore[attr-defined]
    stored_jobs.STRANDED_SECONDS = 3  # type: ignore[misc]
    reporting.make_report = lambda *_, **__: "<html>a report</html>"  # its figures take seconds
    processes.make_pool = lambda *_, **__: ThreadPoolExecutor(1)  # type: ignore[assignment, return-value]


def main() -> None:
    """Start workers as asked on stdin."""
    folder = Path(sys.argv[1])
    settings = Settings(**json.loads((folder / "settings.json").read_text()))
    hurry()
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s.%(msecs)03d %(process)d %(levelname)s %(name)s: %(message)s",
        datefmt="%H:%M:%S",
    )  # fmt: skip
    logging.getLogger("httpx").setLevel(logging.WARNING)
    torch.set_num_threads(1)
    preload()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        order = json.loads(line)
        process = os.fork()
        if process == 0:
            os.setpgid(0, 0)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            sys.stdin = Path(os.devnull).open()  # noqa: SIM115 - until the process ends
            os.dup2(2, 1)
            try:
                if "rollback" in order:
                    os.environ |= {"HELIOLOOP_MODEL_ROOT": str(settings.model_root), "REDIS_URL": settings.redis_url}
                    rollback.main([order["rollback"], "--project", str(order["project"])], standalone_mode=False)
                    os._exit(0)
                run_worker(settings, order)
            except Exception:
                log.exception("a worker ended because of an error")
            finally:
                os._exit(1)
        print(process, flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
