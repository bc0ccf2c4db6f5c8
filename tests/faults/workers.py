"""Starts worker processes by forking, so that a worker that was killed is replaced within a fraction of a second.

    python -m tests.faults.workers SETTINGS ADDRESS

SETTINGS is a JSON file with helioloop's settings, ADDRESS the socket at which `driver` serves Label Studio's fake. Each
line on stdin, ``ROLE MODULE FUNCTION WHEN``, starts a worker, which kills itself and its jobs ``before`` or ``after``
it calls a function; ``- - -`` arms nothing. Its process id is printed. At the end of stdin the program ends.
"""

import importlib
import json
import logging
import os
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.managers import BaseManager
from pathlib import Path
from typing import Any

import torch

from helioloop.model.training import preload
from helioloop.settings import Settings
from helioloop_worker import worker
from helioloop_worker.context import Context
from helioloop_worker.loop import processes, rounds
from tests.worker.conftest import TINY

WORKER = 0
"""The process id of the worker in which this runs; its jobs run in this process or in one that it forks."""


class RemoteLabelStudio:
    """The fake of Label Studio that the driver serves; every method is one request."""

    def __init__(self, address: str) -> None:
        class Manager(BaseManager):
            pass

        Manager.register("served")
        manager = Manager(address=address, authkey=b"faults")
        manager.connect()
        self._served = manager.served()  # type: ignore[attr-defined]

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *args, **kwargs: self._served.call(name, args, kwargs)


def arm(module_name: str, name: str, when: str) -> None:
    """Have this worker killed before or after a function is called."""
    owner: Any = RemoteLabelStudio if module_name == "remote" else importlib.import_module(module_name)
    *parts, last = name.split(".")
    for part in parts:
        owner = getattr(owner, part)
    if module_name == "remote":
        setattr(owner, last, lambda self, *args, **kwargs: killed(lambda: self._served.call(last, args, kwargs), when))
        return
    whole = getattr(owner, last)
    setattr(owner, last, lambda *args, **kwargs: killed(lambda: whole(*args, **kwargs), when))


def killed(call: Callable[[], Any], when: str) -> None:
    """Kill the worker and the process of its job, before or after a call."""
    if when == "after":
        call()
    os.killpg(WORKER, signal.SIGKILL)  # a process of a job has a group of its own
    os.killpg(os.getpgrp(), signal.SIGKILL)


def run_worker(settings: Settings, address: str, line: str) -> None:
    """Run one worker until it is killed."""
    global WORKER  # noqa: PLW0603 - one per process
    WORKER = os.getpid()
    role, module_name, name, when = line.split()
    if module_name != "-":
        arm(module_name, name, when)
    context = Context(settings, open_label_studio=lambda _: RemoteLabelStudio(address), recipe_for=lambda *_: TINY)
    worker.run("train" if role == "train" else "score", context)


def main() -> None:
    """Start workers as asked on stdin."""
    settings = Settings(**json.loads(Path(sys.argv[1]).read_text()))
    rounds.SILENT_SECONDS = 1
    logging.basicConfig(level=logging.INFO)
    processes.ProcessPoolExecutor = lambda *_, **__: ThreadPoolExecutor(1)  # type: ignore[assignment, misc]
    torch.set_num_threads(1)
    preload()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        process = os.fork()
        if process == 0:
            os.setpgid(0, 0)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            sys.stdin = Path(os.devnull).open()  # noqa: SIM115 - until the process ends
            os.dup2(2, 1)
            try:
                run_worker(settings, sys.argv[2], line)
            finally:
                os._exit(1)
        print(process, flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
