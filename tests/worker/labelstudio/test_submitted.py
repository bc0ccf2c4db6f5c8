"""Counting what was submitted: both kinds of token, and the cause where there is no answer."""

import json
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from pydantic import SecretStr
from tests.worker.operating.endpoints import serving

from helioloop.settings import Settings
from helioloop_worker.labelstudio import submitted
from helioloop_worker.labelstudio.submitted import Submitted, Uncounted, try_count

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
        self._answer(200 if known else 401, PROJECT if known and self.path == "/api/projects/7/" else {})

    def do_POST(self) -> None:
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        known = self.path == "/api/token/refresh/" and sent == {"refresh": "a.b.c"}
        self._answer(200 if known else 401, {"access": "short-lived"} if known else {})

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    with serving(_Handler) as port:
        yield f"http://127.0.0.1:{port}"


def count(url: str, key: str | None, *, project: int = 7) -> Submitted | str:
    """Return the counts, or why there are none."""
    secret = None if key is None else SecretStr(key)
    found = try_count(
        Settings(label_studio_api_key=secret, model_root=Path("unused")).model_copy(update={"label_studio_url": url}),
        project,
    )
    return found.why if isinstance(found, Uncounted) else found


@pytest.mark.parametrize("key", ["legacy", "a.b.c"])
def test_the_counts_are_those_of_label_studio(url: str, key: str) -> None:
    assert count(url, key) == Submitted(tasks=24, annotated=3, annotations=4, skips=2)
    assert count(f"{url}/", key) == Submitted(tasks=24, annotated=3, annotations=4, skips=2)


@pytest.mark.parametrize(
    ("key", "why"),
    [
        (None, "HELIOLOOP_LABEL_STUDIO_API_KEY is not set"),
        ("hunter2", "answered 401; set HELIOLOOP_LABEL_STUDIO_API_KEY to a valid token"),
        ("hunter2.y.z", "answered 401; set HELIOLOOP_LABEL_STUDIO_API_KEY to a valid token"),
    ],
)
def test_without_a_valid_token_the_reason_is_said(url: str, key: str | None, why: str) -> None:
    said = count(url, key)
    assert isinstance(said, str)
    assert why in said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("http://me:hunter2@127.0.0.1:1", "Label Studio at http://127.0.0.1:1 did not answer ([Errno 111]"),
        ("http://nowhere.invalid", "did not answer ([Errno -"),
        ("file:///etc/passwd", "did not answer as Label Studio does; check that HELIOLOOP_LABEL_STUDIO_URL"),
        ("http://a\x01b", "did not answer as Label Studio does"),
        ("", "did not answer as Label Studio does"),
    ],
)
def test_without_an_answer_the_cause_is_said(address: str, why: str) -> None:
    """A closed port, an unknown host, and addresses that are none."""
    said = count(address, "legacy")
    assert isinstance(said, str)
    assert why in said
    assert "hunter2" not in said


def test_an_answer_of_another_project_or_service_is_said(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is counted where the numbers are missing."""
    assert "did not answer as Label Studio does" in str(count(url, "legacy", project=8))
    monkeypatch.setattr(submitted, "TIMEOUT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        said = str(count(f"http://127.0.0.1:{silent.getsockname()[1]}", "legacy"))
    assert "did not answer in time; check that it runs" in said


@pytest.mark.parametrize(
    ("status", "body", "is_refused"),
    [
        (401, b'{"detail": "Invalid token."}', True),
        (403, b'{"detail": "You do not have permission to perform this action."}', True),
        (404, b'{"detail": "No Project matches the given query."}', True),
        (401, b"<html>Authorization required</html>", False),
        (404, b"default backend - 404", False),
        (404, b'["detail"]', False),
        (500, b'{"detail": "database is locked"}', False),
        (502, b"", False),
    ],
)
@pytest.mark.parametrize("key", ["legacy", "a.b.c"])
def test_only_what_label_studio_itself_refuses_is_a_refusal(
    status: int, body: bytes, is_refused: bool, key: str
) -> None:
    """A proxy answers in its place while it is away, which passes; so does an error of its own."""

    class Refusing(_Handler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - http.server's names

    with serving(Refusing) as port:
        settings = Settings(label_studio_api_key=SecretStr(key), model_root=Path("unused"))
        found = try_count(settings.model_copy(update={"label_studio_url": f"http://127.0.0.1:{port}"}), 7)
    assert isinstance(found, Uncounted)
    assert found.is_refused is is_refused


def test_no_token_and_no_answer_are_no_refusal() -> None:
    """As on a machine that only trains."""
    for key in (None, SecretStr("legacy")):
        settings = Settings(label_studio_api_key=key, model_root=Path("unused"))
        found = try_count(settings.model_copy(update={"label_studio_url": "http://127.0.0.1:1"}), 7)
        assert isinstance(found, Uncounted)
        assert not found.is_refused


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("key", ["legacy", "a.b.c"])
def test_the_token_follows_no_redirect(status: int, key: str) -> None:
    """As to a login page on another server; a personal access token is in the data of a POST, which 307 keeps."""
    arrived: list[str] = []

    class Login(_Handler):
        def do_GET(self) -> None:
            arrived.append(f"{self.headers['Authorization']}")
            self._answer(200, PROJECT)

        do_POST = do_GET  # noqa: N815 - http.server's names

    with serving(Login) as port:

        class Front(_Handler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.send_header("Location", f"http://localhost:{port}/login?next=hunter2")
                self.end_headers()

            do_POST = do_GET  # noqa: N815 - http.server's names

        with serving(Front) as front:
            said = str(count(f"http://127.0.0.1:{front}", key))
    assert arrived == []
    assert f"answered {status}, which leads to http://localhost:{port}/login; set HELIOLOOP_LABEL_STUDIO_URL to" in said
    assert "hunter2" not in said


@pytest.mark.parametrize("location", [None, "/label-studio/api/projects/7/", "file:///etc/passwd"])
def test_a_redirect_to_the_same_server_or_to_nowhere_is_said(location: str | None) -> None:
    class Front(_Handler):
        def do_GET(self) -> None:
            self.send_response(301)
            if location is not None:
                self.send_header("Location", location)
            self.end_headers()

    with serving(Front) as port:
        said = str(count(f"http://127.0.0.1:{port}", "legacy"))
    assert f"Label Studio at http://127.0.0.1:{port} answered 301" in said
    assert ("which leads to" in said) == (location is not None)


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("HTTP_PROXY", "  ", "HTTP_PROXY contains nothing but blanks"),
        ("http_proxy", "\t", "http_proxy contains nothing but blanks"),
        ("HTTP_PROXY", "http://me:hunter2@[::1", "HTTP_PROXY has a value that is not an address"),
        ("ALL_PROXY", "http://me:hunter2@127.0.0.1:99999", "ALL_PROXY has a value that is not an address"),
        ("HTTPS_PROXY", "http://me:hunter2@127.0.0.1:9\n", "HTTPS_PROXY has a blank or a line end around its value"),
        ("HTTP_PROXY", "http://me:hunter2@127.0.0.1:9", "through the proxy http://127.0.0.1:9 of HTTP_PROXY"),
    ],
)
def test_a_proxy_is_named_as_the_cause(
    url: str, monkeypatch: pytest.MonkeyPatch, name: str, value: str, rule: str
) -> None:
    """One that cannot be used, and one that does not run; its password is not shown, and an empty one is none."""
    for one in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(one, raising=False)
        monkeypatch.delenv(one.lower(), raising=False)
    monkeypatch.setenv(name, "")
    assert isinstance(count(url, "legacy"), Submitted)
    monkeypatch.setenv(name, value)
    said = str(count(url, "legacy"))
    assert rule in said
    assert "hunter2" not in said
