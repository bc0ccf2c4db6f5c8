"""Counting what was submitted: both kinds of token, and no answer is no error."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from pydantic import SecretStr

from helioloop.settings import Settings
from helioloop_worker.labelstudio.submitted import Submitted, count_submitted

PROJECT = {
    "task_number": 24, "num_tasks_with_annotations": 3, "total_annotations_number": 4, "skipped_annotations_number": 2,
}  # fmt: skip


class _Handler(BaseHTTPRequestHandler):
    """Answers about project 7, to the legacy token ``legacy`` and to the access token of ``a.b.c``."""

    def _answer(self, status: int, body: object) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def do_GET(self) -> None:
        known = self.headers["Authorization"] in {"Token legacy", "Bearer short-lived"}
        self._answer(200 if known else 401, PROJECT if known and self.path == "/api/projects/7" else {})

    def do_POST(self) -> None:
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        known = self.path == "/api/token/refresh" and sent == {"refresh": "a.b.c"}
        self._answer(200 if known else 401, {"access": "short-lived"} if known else {})

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def count(url: str, key: str | None, *, project: int = 7) -> Submitted | None:
    secret = None if key is None else SecretStr(key)
    return count_submitted(
        Settings(label_studio_api_key=secret, model_root=Path("unused")).model_copy(update={"label_studio_url": url}),
        project,
    )


@pytest.mark.parametrize("key", ["legacy", "a.b.c"])
def test_the_counts_are_those_of_label_studio(url: str, key: str) -> None:
    assert count(url, key) == Submitted(tasks=24, annotated=3, annotations=4, skips=2)
    assert count(f"{url}/", key) == Submitted(tasks=24, annotated=3, annotations=4, skips=2)


@pytest.mark.parametrize("key", [None, "wrong", "x.y.z"])
def test_without_a_valid_token_there_are_none(url: str, key: str | None) -> None:
    assert count(url, key) is None


def test_without_a_usable_answer_there_are_none(url: str) -> None:
    """Another project, a closed port, and an address that is none."""
    assert count(url, "legacy", project=8) is None
    assert count("http://127.0.0.1:1", "legacy") is None
    assert count("file:///etc/passwd", "legacy") is None
