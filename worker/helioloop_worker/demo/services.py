"""The demo's services on one machine: Redis, Label Studio, backend and workers, all on 127.0.0.1.

The end-to-end tests use the same class. Only processes that were started here are stopped.
"""

import json
import os
import shlex
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

import redis
from rq import Worker

from helioloop.environment.names import is_of_helioloop
from helioloop.settings import Settings
from helioloop_worker.demo import leftovers
from helioloop_worker.demo.credentials import stored_login, stored_secret, write_private
from helioloop_worker.demo.process import HOST, Service, answers, free_port, wait_until_ready
from helioloop_worker.demo.redis_program import redis_program

LABEL_STUDIO_SECONDS = 300.0
"""Longest wait for Label Studio. Its first start migrates the database, in 35-46 s on two idle cores."""
WORKERS_SECONDS = 300.0
"""Longest wait for the workers. The first start compiles and loads PyTorch in three processes at once."""
START_SECONDS = 60.0
"""Longest wait for the other services."""
ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that end the demo: Ctrl-C, the one of service managers, and the one of a terminal that is closed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Programs:
    """The programs of the services' environments.

    Parameters
    ----------
    backend, worker : Path
        Python of the environments with the extras ``backend`` and ``worker``.
    label_studio : Path
        The program ``label-studio`` in its own environment.
    """

    backend: Path
    worker: Path
    label_studio: Path


class DemoServices:
    """The services of one folder; a context manager that stops them at its end.

    Parameters
    ----------
    folder : Path
        Holds databases, media, models, cache and logs. It is not deleted, so a later start continues with it.
    programs : Programs
        The services' programs.
    release_roots : sequence of Path
        Folders of releases.
    environment : mapping
        Settings (``HELIOLOOP_…``) that override those made here.
    redis_url : str, optional
        A Redis to use instead of starting one.
    """

    def __init__(
        self,
        folder: Path,
        *,
        programs: Programs,
        release_roots: Sequence[Path],
        environment: Mapping[str, str],
        redis_url: str | None = None,
    ) -> None:
        self.folder = folder.resolve()
        self.programs = programs
        self.services: dict[str, Service] = {}
        self._starts_redis = redis_url is None
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.label_studio_port = free_port(8080)
        self.backend_port = free_port(9090)
        self.login = stored_login(self.folder / "login.json")
        (self.folder / "media").mkdir(parents=True, exist_ok=True)
        (self.folder / "logs").mkdir(exist_ok=True)
        secret = stored_secret(self.folder / "secret.json")
        # with a password, because whoever can write to Redis can delete and queue jobs
        self._redis_port = free_port()
        self.redis_url = redis_url or f"redis://:{secret}@{HOST}:{self._redis_port}/0"
        self._redis_password = secret
        self.environment = {
            "REDIS_URL": self.redis_url,
            "HELIOLOOP_LABEL_STUDIO_URL": self.label_studio_url,
            "HELIOLOOP_LABEL_STUDIO_API_KEY": self.login.token,
            "HELIOLOOP_MODEL_ROOT": str(self.folder / "models"),
            "HELIOLOOP_MEDIA_ROOT": str(self.folder / "media"),
            "HELIOLOOP_CACHE_ROOT": str(self.folder / "cache"),
            "HELIOLOOP_RELEASE_ROOTS": json.dumps([str(root.resolve()) for root in release_roots]),
            "HELIOLOOP_BACKEND_HOST": HOST,
            "HELIOLOOP_BACKEND_PORT": str(self.backend_port),
            "HELIOLOOP_BASIC_AUTH_USER": "label-studio",
            "HELIOLOOP_BASIC_AUTH_PASSWORD": secret,
            "HELIOLOOP_WEBHOOK_SECRET": secret,
            **environment,
        }
        self.environment_file = self.folder / "helioloop.env"
        write_private(self.environment_file, shell_exports(self.environment, program=programs.worker))

    @property
    def label_studio_url(self) -> str:
        """Label Studio's address."""
        return f"http://{HOST}:{self.label_studio_port}"

    @property
    def backend_url(self) -> str:
        """The backend's address."""
        return f"http://{HOST}:{self.backend_port}"

    def settings(self) -> Settings:
        """Return the settings as the services read them."""
        before = dict(os.environ)
        for name in filter(is_of_helioloop, before):
            del os.environ[name]
        os.environ.update(self.environment)
        try:
            return Settings()
        finally:
            os.environ.clear()
            os.environ.update(before)

    # -- starting --------------------------------------------------------------------------------

    def start_redis(self) -> None:
        """Start a Redis server, unless another one is used, and wait for it."""
        if self._starts_redis:
            settings = {
                "port": self._redis_port, "bind": HOST, "dir": self.folder, "save": '""', "appendonly": "no",
                "requirepass": self._redis_password,
            }  # fmt: skip
            config = self.folder / "redis.conf"
            write_private(config, "".join(f"{name} {value}\n" for name, value in settings.items()))
            self._start("redis", [str(redis_program()), str(config)], {})
        connection = redis.Redis.from_url(self.redis_url)
        self._wait("redis", lambda: bool(connection.ping()), START_SECONDS)
        connection.close()

    def launch_label_studio(self) -> None:
        """Start Label Studio without waiting for it; `await_label_studio` waits."""
        data = self.folder / "label-studio"
        data.mkdir(exist_ok=True)
        arguments = [
            str(self.programs.label_studio), "start", "--no-browser", "--data-dir", str(data), "--internal-host", HOST,
            "--port", str(self.label_studio_port), "--log-level", "WARNING", "--enable-legacy-api-token",
        ]  # fmt: skip
        environment = _label_studio_environment(data, self.label_studio_url, self.folder)
        # not on the command line, which every user of the machine can read
        environment["LABEL_STUDIO_USERNAME"] = self.login.email
        environment["LABEL_STUDIO_PASSWORD"] = self.login.password
        environment["LABEL_STUDIO_USER_TOKEN"] = self.login.token
        self._start("label-studio", arguments, environment)

    def await_label_studio(self) -> None:
        """Wait until Label Studio answers."""
        self._wait("label-studio", lambda: answers(f"{self.label_studio_url}/health"), LABEL_STUDIO_SECONDS)

    def start_backend(self) -> None:
        """Start the ML backend and wait until it answers."""
        self._start("backend", [str(self.programs.backend), "-m", "helioloop", "backend"], self.environment)
        self._wait("backend", lambda: answers(f"{self.backend_url}/health"), START_SECONDS)

    def start_worker(self, role: str, *, name: str | None = None) -> None:
        """Start a worker of a role."""
        self._start(
            name or f"worker-{role}",
            [str(self.programs.worker), "-m", "helioloop", "worker", "--role", role],
            self.environment,
        )

    def await_workers(self) -> None:
        """Wait until all workers that were started take jobs."""
        connection = redis.Redis.from_url(self.redis_url)
        for name, service in self.services.items():
            if name.startswith("worker-"):
                self._wait(name, partial(_takes_jobs, connection, service.process.pid), WORKERS_SECONDS)
        connection.close()

    def _start(self, name: str, arguments: list[str], environment: Mapping[str, str]) -> None:
        self.services[name] = Service.start(
            name, arguments, environment=environment, folder=self.folder, log=self.folder / "logs" / f"{name}.log"
        )
        leftovers.note(self.folder, name, self.services[name].process.pid)

    def _wait(self, name: str, ready: Callable[[], bool], patience_seconds: float) -> None:
        wait_until_ready(
            name, self.services.get(name), ready, patience_seconds=patience_seconds, logs=self.folder / "logs"
        )

    def ended(self) -> list[Service]:
        """Return the services that were started and have ended by themselves."""
        return [service for service in self.services.values() if not service.alive()]

    # -- stopping --------------------------------------------------------------------------------

    def stop(self) -> None:
        """Stop all services that were started here, last first; a second Ctrl-C does not interrupt it."""
        before = [(number, signal.signal(number, signal.SIG_IGN)) for number in ENDING_SIGNALS]
        try:
            for name, service in self.services.items():
                if name != "redis":  # the others still write to it when they end
                    service.process.terminate()
            for name in reversed(list(self.services)):
                self.services[name].stop()
                del self.services[name]
            leftovers.forget(self.folder)
        finally:
            for number, handler in before:
                signal.signal(number, handler)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def shell_exports(environment: Mapping[str, str], *, program: Path) -> str:
    """Return lines for a shell that set the variables, and put the folder of `program` first in PATH."""
    lines = [f"export {name}={shlex.quote(value)}" for name, value in environment.items()]
    return "\n".join([*lines, f'export PATH={shlex.quote(str(program.parent))}:"$PATH"', ""])


def _takes_jobs(connection: redis.Redis, pid: int) -> bool:
    """Return True if a process of this machine is registered as a worker."""
    return any(worker.pid == pid for worker in Worker.all(connection=connection))


def _label_studio_environment(data: Path, url: str, folder: Path) -> dict[str, str]:
    return {
        "LABEL_STUDIO_BASE_DATA_DIR": str(data),
        "LABEL_STUDIO_HOST": url,
        "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
        "LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK": "true",
        "LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED": "true",
        "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT": str(folder / "media"),
        # A backend on a loopback address needs both; with the first alone, its webhook is silently not created.
        "LABEL_STUDIO_ML_BLOCK_LOCAL_IP": "false",
        "LABEL_STUDIO_SSRF_PROTECTION_ENABLED": "false",
        "LATEST_VERSION_CHECK": "false",
        "COLLECT_ANALYTICS": "false",
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
        "FEATURE_FLAGS_OFFLINE": "true",
    }
