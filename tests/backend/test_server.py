"""The backend as a process of its own, started by `helioloop backend`, over HTTP, on a real Redis."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
from click.testing import CliRunner
from pydantic import SecretStr

from helioloop.cli import CommandLine
from helioloop.errors import SettingsError
from helioloop.messaging.redis_retrain_state import RedisRetrainState
from helioloop.settings import Settings, load_settings
from helioloop_backend.commands import backend, check_address, commands

Serve = Callable[[Settings], tuple[str, subprocess.Popen[bytes]]]
EVENT = {"action": "ANNOTATION_CREATED", "project": {"id": 1}, "annotation": {"id": 1}}


def _call(url: str, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    try:
        data = None if body is None else json.dumps(body)
        connection.request(method, path, body=data, headers={"Content-Type": "application/json", **headers})
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if answer.headers["Content-Type"] == "application/json" else text
    finally:
        connection.close()


def test_calls_of_label_studio_over_http(serve: Serve, settings: Settings, made: Any) -> None:
    """All routes answer: health, setup, predict, webhook, versions and metrics."""
    made.publish(settings, 1, [made.score("A", 0.75)])
    url, _ = serve(settings)
    assert _call(url, "GET", "/health") == (200, {"status": "UP"})
    assert _call(url, "POST", "/setup", {"project": "1.1", "schema": made.config}) == (200, {"model_version": "v0001"})
    status, answer = _call(url, "POST", "/predict", made.predict([made.task("A"), {"data": {}}]))
    assert (status, [entry and entry["score"] for entry in answer["results"]]) == (200, [0.75, []])
    assert _call(url, "POST", "/webhook", EVENT) == (201, {"status": "noted", "waiting": 1})
    assert _call(url, "GET", "/versions") == (200, {"versions": ["v0001"]})
    status, text = _call(url, "GET", "/metrics")
    assert status == 200
    assert b"helioloop_events_total" in text


def test_credentials_and_limits_over_http(serve: Serve, settings: Settings) -> None:
    """The secret is accepted, bytes beyond ASCII are not; a chunked body without length is cut at the limit."""
    guarded = {
        "basic_auth_user": "label-studio",
        "basic_auth_password": SecretStr("passw0rd"),
        "webhook_secret": SecretStr("s3cret"),
        "max_request_mib": 1,
    }
    url, _ = serve(settings.model_copy(update=guarded))
    assert _call(url, "POST", "/webhook", EVENT)[0] == 401
    assert _call(url, "POST", "/webhook", EVENT, **{"X-Helioloop-Secret": "\xff\xfe"})[0] == 401
    assert _call(url, "POST", "/webhook", EVENT, **{"X-Helioloop-Secret": "s3cret"})[0] == 201
    assert _post_chunks(url, b'{"action": "x"}', times=1, secret="s3cret") == 201
    assert _post_chunks(url, b"x" * 100_000, times=20, secret="s3cret") == 413


def _post_chunks(url: str, chunk: bytes, *, times: int, secret: str) -> int:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    try:
        connection.request("POST", "/webhook", body=iter([chunk] * times), headers={"X-Helioloop-Secret": secret})
        return connection.getresponse().status
    finally:
        connection.close()


def test_a_restart_loses_nothing(serve: Serve, settings: Settings, made: Any, redis_connection: redis.Redis) -> None:
    """Stopped and started again, the backend continues counting and gives the same answers."""
    made.publish(settings, 1, [made.score("A", 0.75)])
    url, first = serve(settings)
    _call(url, "POST", "/webhook", EVENT)
    first.kill()
    first.wait(timeout=10)
    url, _ = serve(settings)
    assert _call(url, "POST", "/webhook", EVENT) == (201, {"status": "noted", "waiting": 2})
    assert _call(url, "POST", "/predict", made.predict([made.task("A")]))[1]["results"][0]["score"] == 0.75
    dirty = RedisRetrainState(redis_connection).pending_events(1)
    assert dirty is not None
    assert dirty.count == 2


def test_it_starts_and_is_healthy_while_redis_is_down(serve: Serve, settings: Settings, made: Any) -> None:
    """It answers from files, and names what it cannot store."""
    made.publish(settings, 1, [made.score("A", 0.75)])
    url, _ = serve(settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"}))
    assert _call(url, "GET", "/health")[0] == 200
    assert _call(url, "POST", "/predict", made.predict([made.task("A")]))[1]["results"][0]["score"] == 0.75
    assert _call(url, "POST", "/webhook", EVENT)[0] == 503


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("127.0.0.1", "address already in use"),
        ("no-such-host.invalid", "name|known"),
        ("203.0.113.5", "cannot assign"),
        ("a..b", "label"),
    ],
)
def test_an_address_that_it_cannot_listen_on_is_refused_at_once(settings: Settings, host: str, why: str) -> None:
    """A port that is taken, a host that nothing knows, an address of another machine, no name; with the settings."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = settings.model_copy(update={"backend_host": host, "backend_port": taken.getsockname()[1]})
        with pytest.raises(SettingsError, match=rf"cannot listen on {host}:\d+: .*({why}).*HELIOLOOP_BACKEND_PORT"):
            check_address(address)


def test_the_program_names_a_port_that_is_taken(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one sentence, without a claim that it listens."""
    monkeypatch.setenv("HELIOLOOP_MODEL_ROOT", str(settings.model_root))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-m", "helioloop", "backend", "--port", port],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode != 0
    assert f"cannot listen on 127.0.0.1:{port}: address already in use" in done.stderr
    assert "the backend listens" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_running_request_ends_after_sigterm(serve: Serve, settings: Settings, made: Any) -> None:
    """It waits for scores; the process ends with status 0 after the answer."""
    made.publish(settings, 1, [])
    url, server = serve(settings.model_copy(update={"predict_wait_seconds": 1.5}))
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(_call, url, "POST", "/predict", made.predict([made.task("X")]))
        time.sleep(0.5)
        server.send_signal(signal.SIGTERM)
        assert running.result(timeout=10) == (200, {"model_version": "v0001", "results": [[]]})
    assert server.wait(timeout=10) == 0


def test_health_and_webhook_are_answered_during_many_predict_calls(serve: Serve, settings: Settings, made: Any) -> None:
    """More requests wait than there are threads, and some are large; both routes take less than a second."""
    cubes = [f"BARD{number:04d}" for number in range(500)]
    made.publish(settings, 1, [made.score(cube, 0.75) for cube in cubes])
    url, _ = serve(settings.model_copy(update={"predict_wait_seconds": 2.0, "backend_threads": 4}))
    large = made.predict([made.task(cube) for cube in cubes])
    stop = threading.Event()

    def ask(body: Any) -> None:
        while not stop.is_set():
            assert _call(url, "POST", "/predict", body)[0] == 200

    seconds: list[float] = []
    with ThreadPoolExecutor(10) as pool:
        asking = [pool.submit(ask, made.predict([made.task(f"X{number}")])) for number in range(8)]
        asking.append(pool.submit(ask, large))
        for _ in range(20):
            for method, path, body in (("GET", "/health", None), ("POST", "/webhook", EVENT)):
                started = time.perf_counter()
                assert _call(url, method, path, body)[0] < 300
                seconds.append(time.perf_counter() - started)
            time.sleep(0.02)
        stop.set()
        for future in asking:
            future.result(timeout=20)
    assert max(seconds) < 1


# -- the command ----------------------------------------------------------------------------------


def test_help_shows_how_to_start_and_check_the_backend() -> None:
    """It also names the settings with credentials."""
    result = CliRunner().invoke(backend, ["--help"])
    assert result.exit_code == 0
    for words in ("curl http://127.0.0.1:9090/health", "HELIOLOOP_BASIC_AUTH_USER", "--port", "SIGTERM"):
        assert words in result.output
    assert [command.name for command in commands()] == ["backend"]


def test_wrong_settings_are_refused_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """On another address than loopback, without credentials, it ends with status 1 and names what to set."""
    monkeypatch.delenv("HELIOLOOP_BASIC_AUTH_USER", raising=False)
    load_settings.cache_clear()
    group = CommandLine(commands={"backend": backend})
    result = CliRunner().invoke(group, ["backend", "--host", "192.0.2.1"])
    assert result.exit_code == 1
    assert "open to everybody on 192.0.2.1" in result.output
    assert "Traceback" not in result.output


def test_without_a_temporary_folder_the_backend_ends_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As in a container with a read-only root; it was the traceback of gunicorn."""
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: ["/proc"])
    result = CliRunner().invoke(backend)
    assert result.exit_code == 1
    assert "CRITICAL helioloop.cli: no folder for temporary files can be written, of ['/proc']" in result.output
    assert "Traceback" not in result.output


def test_wrong_options_are_wrong_usage() -> None:
    """An impossible port is status 2."""
    assert CliRunner().invoke(backend, ["--port", "70000"]).exit_code == 2


def test_it_runs_without_the_learning_packages() -> None:
    """It starts without torch, astropy, scipy, PyAV and the Label Studio client."""
    program = (
        "import sys\n"
        "for name in ('torch', 'astropy', 'scipy', 'av', 'label_studio_sdk', 'safetensors', 'fsspec', 'rich'):\n"
        "    sys.modules[name] = None\n"
        "from helioloop.settings import Settings\n"
        "from helioloop_backend.wsgi import create_app\n"
        "print(create_app(Settings()).test_client().get('/health').json)\n"
    )
    python = os.environ.get("HELIOLOOP_TEST_BACKEND_PYTHON", sys.executable)
    done = subprocess.run([python, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "{'status': 'UP'}\n", "")
