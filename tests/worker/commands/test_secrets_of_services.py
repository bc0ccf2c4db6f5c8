"""No secret is in what commands and services print, raw, percent-encoded or in base64, whatever fails.

Redis is real and has a password with every character that has a meaning in an address. What stands in for Label Studio
refuses each call and repeats the credentials in its answer, as a proxy with debugging pages does.
"""

import base64
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import httpx
import pytest
import redis
from click.testing import CliRunner
from redis.backoff import NoBackoff
from redis.retry import Retry
from tests.redis_server import BINARY
from tests.worker.operating.endpoints import serving

from helioloop.cli import helioloop, load_commands
from helioloop.settings import load_settings

API_KEY = "QXapikey0123456789abcdef0123456789abcdXQ"
BASIC = "QXbasic: pass/wordXQ"
WEBHOOK = "QXwebhook/#?[@:%secretXQ"
REDIS = "QXred/is#p?a[s@w:o%r dXQ"
S3_KEY, S3_ID = "QXs3/secret+keyXQ", "QXs3accessXQ"
SECRETS = (API_KEY, BASIC, WEBHOOK, REDIS, S3_KEY, S3_ID)


def free_port() -> int:
    """Return a port of this machine that nothing listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def forms(secret: str) -> set[str]:
    """The forms in which a secret may be printed: as it is, in an address, in a header of basic auth, quoted."""
    pair = base64.b64encode(f"label-studio:{secret}".encode()).decode()
    return {secret, quote(secret), quote(secret, safe=""), quote_plus(secret), pair, repr(secret)[1:-1]}


def assert_no_secret(text: str, where: str) -> None:
    """No secret is in a text, and no part of one: each begins and ends with letters that nothing else has."""
    found = [secret for secret in SECRETS if any(form in text for form in forms(secret))]
    assert not found, where
    assert "QX" not in text, where
    assert "XQ" not in text, where


@contextmanager
def telling_endpoint() -> Iterator[str]:
    """Yield the address of a server that refuses every call and repeats its headers in the answer."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            content = b'{"detail": "refused: %s"}' % str(self.headers.get("Authorization")).encode()
            self.send_response(401)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_DELETE = do_HEAD = answer  # noqa: N815 - http.server's names

        def log_message(self, *_: Any) -> None:
            """Log nothing."""

    with serving(Handler) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def variables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a deployment with all secrets, with a Redis that answers and a Label Studio that refuses."""
    folder = tmp_path_factory.mktemp("deployment")
    with telling_endpoint() as address:
        port = free_port()
        server = subprocess.Popen(
            [
                BINARY, "--port", str(port), "--bind", "127.0.0.1",
                "--save", "", "--dir", folder, "--requirepass", REDIS,
            ],
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            deadline = time.monotonic() + 30
            with redis.Redis(port=port, password=REDIS, retry=Retry(NoBackoff(), 0)) as client:
                while True:
                    with suppress(redis.ConnectionError):
                        client.ping()
                        break
                    assert server.poll() is None, "redis-server ended at once"
                    assert time.monotonic() < deadline, "redis-server does not answer"
                    time.sleep(0.05)
            models = folder / "models"
            (models / "project-1").mkdir(parents=True)
            (folder / "releases" / "r").mkdir(parents=True)
            yield {
                "HELIOLOOP_REDIS_URL": f"redis://:{quote(REDIS, safe='')}@127.0.0.1:{port}/0",
                "HELIOLOOP_LABEL_STUDIO_URL": address,
                "HELIOLOOP_LABEL_STUDIO_API_KEY": API_KEY,
                "HELIOLOOP_BASIC_AUTH_USER": "label-studio",
                "HELIOLOOP_BASIC_AUTH_PASSWORD": BASIC,
                "HELIOLOOP_WEBHOOK_SECRET": WEBHOOK,
                "HELIOLOOP_MEDIA_BUCKET": "s3://bucket/prefix",
                "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
                "AWS_DEFAULT_REGION": "x",
                "AWS_MAX_ATTEMPTS": "1",
                "AWS_ACCESS_KEY_ID": S3_ID,
                "AWS_SECRET_ACCESS_KEY": S3_KEY,
                "HELIOLOOP_MODEL_ROOT": str(models),
                "HELIOLOOP_MEDIA_ROOT": str(folder / "media"),
                "HELIOLOOP_CACHE_ROOT": str(folder / "cache"),
                "HELIOLOOP_RELEASE_ROOTS": json.dumps([str(folder / "releases")]),
                "HELIOLOOP_DEVICE": "cpu",
                "HELIOLOOP_LOG_LEVEL": "debug",
            }
        finally:
            server.terminate()
            server.wait(timeout=10)


COMMANDS = (
    ["init", "--title", "t"],
    ["init", "--project", "1", "--backend-url", f"http://me:{quote(BASIC, safe='')}@127.0.0.1:9"],
    ["status", "--project", "1"],
    ["status", "--project", "1", "--json"],
    ["doctor", "--project", "1"],
    ["ingest", "{releases}/r", "--project", "1"],
    ["report", "--project", "1"],
    ["catalogue", "--project", "1", "--out", "{releases}/catalogue.csv"],
    ["retry", "--project", "1"],
    ["prune", "--project", "1", "--yes"],
    ["settings", "--all"],
    ["worker", "--role", "score", "--check"],
)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command[:3]))
def test_no_command_prints_a_secret(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    """Each ends with a sentence, not with an exception that has the values of its variables."""
    if not helioloop.commands:
        load_commands(helioloop)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    load_settings.cache_clear()
    try:
        given = [word.format(releases=json.loads(variables["HELIOLOOP_RELEASE_ROOTS"])[0]) for word in command]
        found = CliRunner().invoke(helioloop, given)
    finally:
        load_settings.cache_clear()
    assert found.output
    assert "HELIOLOOP_RELEASE_ROOTS is" not in found.output  # the settings were read
    assert found.exception is None or isinstance(found.exception, SystemExit), repr(found.exception)
    assert_no_secret(found.output, " ".join(command))


@contextmanager
def running(variables: dict[str, str], log: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a service with these variables and write what it prints into a file."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HELIOLOOP", "AWS"))}
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "helioloop", *arguments], env={**kept, **variables}, stdout=out, stderr=out
        )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(timeout=30)


def request(address: str, user: str, password: str, **headers: str) -> int:
    """Send an event with these credentials, and return the status."""
    pair = base64.b64encode(f"{user}:{password}".encode()).decode()
    body = b'{"action": "ANNOTATION_CREATED", "project": {"id": 1}, "annotation": {"id": 1}}'
    sent = {"Authorization": f"Basic {pair}", "Content-Type": "application/json", **headers}
    answer = httpx.post(f"{address}/webhook", content=body, headers=sent, timeout=5.0)
    assert_no_secret(answer.text, "an answer of the backend")
    return answer.status_code


def test_no_service_logs_a_secret(variables: dict[str, str], tmp_path: Path) -> None:
    """At level debug: events with right and wrong credentials, and a retrain check that Label Studio refuses."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    rules = {"HELIOLOOP_RETRAIN_QUIET_SECONDS": "0", "HELIOLOOP_RECONCILE_SECONDS": "1"}
    backend_log, worker_log = tmp_path / "backend.log", tmp_path / "worker.log"
    with (
        running({**variables, **rules}, backend_log, "backend", "--port", str(port)),
        running({**variables, **rules}, worker_log, "worker", "--role", "score"),
    ):
        deadline = time.monotonic() + 180
        while True:
            with suppress(httpx.TransportError):
                assert request(address, "label-studio", BASIC) == 201
                break
            assert time.monotonic() < deadline, backend_log.read_text()
            time.sleep(0.2)
        assert request(address, "label-studio", API_KEY) == 401
        assert request(address, "", WEBHOOK, **{"X-Helioloop-Secret": f"{WEBHOOK}x"}) == 401
        while "failed once" not in worker_log.read_text():
            assert time.monotonic() < deadline, worker_log.read_text()
            time.sleep(0.2)
    for log in (backend_log, worker_log):
        assert_no_secret(log.read_text(errors="replace"), log.name)
