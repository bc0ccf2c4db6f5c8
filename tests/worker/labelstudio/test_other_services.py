"""Answers of other services: login pages, redirects and other JSON are never taken for those of Label Studio.

A small HTTP server on loopback answers; no token is sent to another one.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from tests.worker.labelstudio.answering import CALLS, LOGIN_PAGE, TOKEN, Answer, Server, refusal
from tests.worker.operating.endpoints import personal_access_token, serving

from helioloop_worker.labelstudio import setup_calls
from helioloop_worker.labelstudio.client import LabelStudioClient

PAGE = "http://page.example.org/label-studio"


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_login_page_is_never_taken_for_success(peer: Server, call: Callable[[LabelStudioClient], Any]) -> None:
    """Single sign-on and proxies answer with a page and status 200, also to calls whose answer is not used."""
    peer.answers = [Answer(200, LOGIN_PAGE)]
    said = refusal(lambda: call(peer.client()))
    assert f"{peer.url} answered a web page, which Label Studio never does" in said
    assert "that there is no login page or proxy in front of it" in said


def test_a_login_page_is_no_video(peer: Server) -> None:
    """A proxy with single sign-on answers with a page to a request for media too; any other status is returned."""
    peer.answers = [Answer(200, LOGIN_PAGE)]
    said = refusal(lambda: peer.client().fetch_media("/data/a.mp4", n_bytes=8, page=PAGE))
    assert "answered a web page" in said
    peer.answers = [Answer(403, {"detail": "no"})]
    assert peer.client().fetch_media("/data/a.mp4", n_bytes=8, page=PAGE).status == 403


def test_the_token_is_not_sent_to_another_server(peer: Server) -> None:
    """Media elsewhere is fetched without it."""
    peer.answers = [Answer(206, b"x")]
    client = LabelStudioClient("http://127.0.0.1:9", api_key=TOKEN, timeout_seconds=5.0)
    assert client.fetch_media(f"{peer.url}/a.mp4", n_bytes=8, page=PAGE).content == b"x"
    assert peer.tokens == [None]
    peer.client().fetch_media("/a.mp4", n_bytes=8, page=PAGE)
    assert peer.tokens == [None, f"Token {TOKEN}"]
    assert "no answer (ConnectError)" in refusal(
        lambda: client.fetch_media("http://127.0.0.1:9/a.mp4", n_bytes=8, page=PAGE)
    )


@pytest.mark.parametrize("chunk", [2**20, 1], ids=["huge", "slow"])
def test_a_file_elsewhere_that_never_ends_is_not_read_whole(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    """A server that sends the whole file without end, or a byte now and then: the first bytes are enough, or time is.

    A task may name any address, and whoever may edit tasks chooses it.
    """
    sent = 0

    class Endless(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            nonlocal sent
            self.send_response(200)
            self.end_headers()
            with suppress(OSError):
                while sent < 100 * 2**20:
                    self.wfile.write(b"x" * chunk)
                    sent += chunk
                    time.sleep(0.05 if chunk == 1 else 0.0)

        def log_message(self, *_: Any) -> None:
            """Log nothing."""

    monkeypatch.setattr(setup_calls, "MEDIA_SECONDS", 0.3)
    client = LabelStudioClient("http://127.0.0.1:9", api_key=TOKEN, timeout_seconds=5.0)
    with serving(Endless) as port:
        address = f"http://127.0.0.1:{port}/a.mp4"
        if chunk == 1:
            said = refusal(lambda: client.fetch_media(address, n_bytes=1024, page=PAGE))
            assert "bytes came within 0.3 s; check the server of that address" in said
        else:
            part = client.fetch_media(address, n_bytes=1024, page=PAGE)
            assert (part.status, part.content) == (200, b"x" * 1024)
    assert sent < 50 * 2**20


@pytest.mark.parametrize("name", ["set_model_version", "delete_version", "delete_predictions", "import_tasks"])
@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_change_does_not_follow_a_redirect_that_drops_it(peer: Server, name: str, status: int) -> None:
    """As from http to https: the change would arrive as a GET request, whose answer looks like success."""
    peer.answers = [Answer(status, location="/elsewhere"), Answer(200, {"v0001": 3})]
    said = refusal(lambda: CALLS[name](peer.client()))
    assert f"a redirect ({status}) that would drop the data to be written" in said
    assert "http or https?" in said
    assert len(peer.requests) == 1


@pytest.mark.parametrize("name", ["ensure_backend", "create_webhook", "create_project", "set_model_version"])
@pytest.mark.parametrize("status", [307, 308])
def test_a_change_is_not_sent_to_another_server(peer: Server, name: str, status: int) -> None:
    """Such a redirect keeps the data, which may contain the backend's password or the webhook's secret."""
    peer.answers = [Answer(status, location="http://localhost:1/elsewhere?next=s3cret"), Answer(200, [])]
    if name == "ensure_backend":
        peer.answers.insert(0, Answer(200, []))
    said = refusal(lambda: CALLS[name](peer.client()))
    assert f"a redirect ({status}) that would send the data to http://localhost:1, which Label" in said
    assert "s3cret" not in said


def test_a_personal_access_token_is_not_sent_to_another_server_where_it_is_renewed(peer: Server) -> None:
    peer.answers = [Answer(307, location="http://localhost:1/login")]
    own = LabelStudioClient(peer.url, api_key=personal_access_token(), timeout_seconds=5.0)
    assert "a redirect (307) that would send the data to http://localhost:1," in refusal(lambda: own.project(1))
    assert peer.requests == [("POST", "/api/token/refresh/")]


def test_a_change_follows_a_redirect_that_keeps_it_on_the_same_server(peer: Server) -> None:
    """As of a proxy that corrects a path."""
    peer.answers = [Answer(308, location="/elsewhere"), Answer(200, {})]
    peer.client().set_model_version(1, "v0001")
    assert peer.requests[1] == ("PATCH", "/elsewhere")


def test_reading_follows_a_redirect(peer: Server) -> None:
    """A GET request stays one."""
    peer.answers = [Answer(301, location="/elsewhere"), Answer(200, {"v0001": 3})]
    assert peer.client().model_versions(1) == {"v0001": 3}


@pytest.mark.parametrize("body", [None, "ok", [1], ["x"]], ids=repr)
@pytest.mark.parametrize(
    "name",
    ["project", "tasks_after", "predictions", "model_versions", "import_predictions", "delete_version", "find_projects",
     "create_project", "ensure_local_storage", "storages", "ensure_backend", "backends", "webhooks", "create_webhook",
     "tabs", "create_tab"],
)  # fmt: skip
def test_json_of_another_service_is_refused(peer: Server, name: str, body: Any) -> None:
    """Another service at the address answers in JSON of another form."""
    peer.answers = [Answer(200, body)]
    said = refusal(lambda: CALLS[name](peer.client()))
    assert "which Label Studio never does" in said or "Label Studio kept None of 1 predictions" in said
