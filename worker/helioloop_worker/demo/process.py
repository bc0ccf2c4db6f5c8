"""A service as a process of its own: start it with a log, wait until it answers, stop it with all its children."""

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil
import redis

from helioloop.environment.names import is_of_helioloop
from helioloop.errors import ServiceError

HOST = "127.0.0.1"
QUICK_STOP_SECONDS = 5.0
"""How long a service may take to end after the first SIGTERM; then it gets a second one."""
STOP_SECONDS = 20.0
"""How long it may take after the second SIGTERM; then it is killed."""
POLL_SECONDS = 0.3


@dataclass(slots=True)
class Service:
    """A running process, in a process group of its own, with a log file."""

    name: str
    process: "subprocess.Popen[bytes]"
    log: Path

    @classmethod
    def start(
        cls, name: str, arguments: Sequence[str], *, environment: Mapping[str, str], folder: Path, log: Path
    ) -> Self:
        """Start a program in `folder`; of helioloop's variables it gets only those in `environment`."""
        inherited = {key: value for key, value in os.environ.items() if not is_of_helioloop(key)}
        with log.open("ab") as file:
            process = subprocess.Popen(  # noqa: S603 - programs of our own environments
                arguments,
                env={**inherited, **environment, "PYTHONUNBUFFERED": "1"},
                stdout=file,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                cwd=folder,
                start_new_session=True,  # Ctrl-C reaches only the demo, which then stops the services in order
            )
        return cls(name, process, log)

    def alive(self) -> bool:
        """Return True while the process runs."""
        return self.process.poll() is None

    def stop(self) -> None:
        """Stop the process and everything it started.

        A worker finishes its job after the first SIGTERM and drops it after the second. Its jobs run in process groups
        of their own, so the whole tree is listed beforehand, and what is left of it afterwards is killed.
        """
        tree = process_tree(self.process.pid)
        for patience in (QUICK_STOP_SECONDS, STOP_SECONDS):
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=patience)
                break
        for process in [*tree, *process_tree(self.process.pid)]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait(timeout=STOP_SECONDS)

    def tail(self, lines: int = 15) -> str:
        """Return the last lines of the log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def wait_until_ready(
    name: str, service: Service | None, ready: Callable[[], bool], *, patience_seconds: float, logs: Path
) -> None:
    """Wait until `ready` returns True; errors of the network and of Redis count as not ready.

    Parameters
    ----------
    name : str
        The service's name, for messages.
    service : Service or None
        The process, if it was started here.
    ready : callable
        Tells whether the service answers.
    patience_seconds : float
        Longest wait.
    logs : Path
        Folder of the logs, for messages.

    Raises
    ------
    ServiceError
        If the process ended, or did not answer in time.
    """
    deadline = time.monotonic() + patience_seconds
    while time.monotonic() < deadline:
        if service is not None and not service.alive():
            raise ServiceError(f"{name} ended while starting; the end of its log {service.log}:\n{service.tail()}")
        with suppress(OSError, redis.RedisError):
            if ready():
                return
        time.sleep(POLL_SECONDS)
    raise ServiceError(f"{name} did not answer within {patience_seconds:.0f} s; read its log in {logs}")


def answers(url: str) -> bool:
    """Return True if a service on this machine answers a request for `url` with status 200."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310, TID251 - loopback, no token
            return bool(answer.status == 200)
    except urllib.error.HTTPError:
        return False


def free_port(preferred: int = 0) -> int:
    """Return the preferred port if it is free on this machine, else any free one."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise ServiceError(f"no port is free on {HOST}; stop a program that listens there")


def process_tree(pid: int) -> list[psutil.Process]:
    """Return a process with all its descendants; an empty list if it has ended."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
