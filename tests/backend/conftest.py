"""A backend with a real Redis and real model folders, in this process or in one of its own."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient
from tests.cards import bare_card

from helioloop.records.scores import CubeScore
from helioloop.registry.versions import Registry
from helioloop.settings import Settings
from helioloop_backend.wsgi import create_app

CONFIG = """<View>
  <Video name="movie" value="$video" framerate="25"/>
  <Choices name="kind" toName="movie" choice="single">
    <Choice value="emergence"/><Choice value="non-emergence"/>
  </Choices>
  <TimelineLabels name="when" toName="movie"><Label value="emergence"/></TimelineLabels>
</View>"""


def _score(cube: str, p: float, **more: Any) -> CubeScore:
    return CubeScore(cube=cube, sha256="a" * 64, p_emergence=p, p_spread=None, members=("f0s0",), **more)


def _task(name: str, /, *, number: int = 1, **data: Any) -> dict[str, Any]:
    values = {
        "video": f"/data/local-files/?d=helioloop/1/{name}.mp4",
        "cube": name,
        "release": "r",
        "crude_label": "emergence",
        "region": "AR 1",
        "start": "1998-12-06T00:00:00",
        "sha256": "a" * 64,
    }
    return {"id": number, "project": 1, "data": values | data, "annotations": [], "predictions": []}


def _publish(settings: Settings, project: int, scores: list[CubeScore], fingerprint: str = "00000001") -> str:
    registry = Registry(settings.model_dir(project))
    version = registry.admit(registry.staging(fingerprint), bare_card(fingerprint=fingerprint)).version
    registry.add_scores(version, scores)
    registry.publish(version, why="test")
    return version


class Made:
    """Makes scores, tasks, published versions, and requests as Label Studio sends them."""

    config = CONFIG
    score = staticmethod(_score)
    task = staticmethod(_task)
    publish = staticmethod(_publish)

    def predict(self, tasks: list[Any], *, project: str = "1.1700000000") -> dict[str, Any]:
        """Return the body of /predict as Label Studio sends it."""
        params = {"login": "media-user", "password": "media-password", "context": None}
        return {"tasks": tasks, "project": project, "label_config": self.config, "params": params}


@pytest.fixture
def made() -> Made:
    """Return the makers."""
    return Made()


@pytest.fixture
def settings(redis_url: str, redis_connection: redis.Redis, tmp_path: Path) -> Settings:
    """Return settings of a backend without credentials, on an empty Redis and an empty model root."""
    assert redis_connection.dbsize() == 0
    return Settings(redis_url=redis_url, model_root=tmp_path / "models", predict_wait_seconds=0.3)


@pytest.fixture
def app_of() -> Iterator[Callable[[Settings], Flask]]:
    """Return a function that makes apps; their Redis connections are closed afterwards."""
    apps: list[Flask] = []

    def make(settings: Settings) -> Flask:
        apps.append(create_app(settings))
        return apps[-1]

    yield make
    for app in apps:
        app.extensions["helioloop"].connection.close()


@pytest.fixture
def client(app_of: Callable[[Settings], Flask], settings: Settings) -> FlaskClient:
    """Return a client of a backend without credentials."""
    return app_of(settings).test_client()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[Settings], tuple[str, subprocess.Popen[bytes]]]]:
    """Return a function that starts `helioloop backend` with its settings in the environment.

    HELIOLOOP_TEST_BACKEND_PYTHON names the interpreter of an environment that holds the extra [backend] only.
    """
    started: list[subprocess.Popen[bytes]] = []

    def start(settings: Settings) -> tuple[str, subprocess.Popen[bytes]]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        environment = {
            "PATH": os.environ["PATH"],
            "REDIS_URL": settings.redis_url,
            "HELIOLOOP_MODEL_ROOT": str(settings.model_root),
            "HELIOLOOP_BACKEND_THREADS": str(settings.backend_threads),
            "HELIOLOOP_PREDICT_WAIT_SECONDS": str(settings.predict_wait_seconds),
            "HELIOLOOP_MAX_REQUEST_MIB": str(settings.max_request_mib),
            "HELIOLOOP_LOG_LEVEL": settings.log_level,
            "HELIOLOOP_LOG_FORMAT": settings.log_format,
        }
        if settings.basic_auth_user is not None and settings.basic_auth_password is not None:
            environment["HELIOLOOP_BASIC_AUTH_USER"] = settings.basic_auth_user
            environment["HELIOLOOP_BASIC_AUTH_PASSWORD"] = settings.basic_auth_password.get_secret_value()
        if settings.webhook_secret is not None:
            environment["HELIOLOOP_WEBHOOK_SECRET"] = settings.webhook_secret.get_secret_value()
        python = os.environ.get("HELIOLOOP_TEST_BACKEND_PYTHON", sys.executable)
        program = "from helioloop.cli import main; main()"
        log = (tmp_path / "backend.log").open("ab")
        with log:
            server = subprocess.Popen(
                [python, "-c", program, "backend", "--port", str(port)], env=environment, stdout=log, stderr=log
            )
        started.append(server)
        url = f"http://127.0.0.1:{port}"
        _wait_until_healthy(url, server)
        return url, server

    yield start
    for server in started:
        server.terminate()
        server.wait(timeout=15)


def _wait_until_healthy(url: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=1):  # noqa: S310 - our own address
                return
        except (URLError, OSError):
            assert server.poll() is None, "the backend ended at once"
            assert time.monotonic() < deadline, "the backend does not answer"
            time.sleep(0.05)
