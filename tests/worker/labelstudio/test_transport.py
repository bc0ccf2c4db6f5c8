"""Where Label Studio refuses, breaks, is slow or is somebody else: each is one plain sentence without a secret.

A small real server on loopback stands in for Label Studio; the client with its retries is the real one.
"""

import base64
import json
import math
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest
from label_studio_sdk.core import http_client

from helioloop.errors import LabelStudioError
from helioloop_worker.labelstudio.client import LabelStudioClient
from helioloop_worker.labelstudio.port import PredictionRow

TOKEN = "t0ken-of-the-team"
COOKIE = "sessionid=c00kie"
LOGIN_PAGE = b"\n<!DOCTYPE html><form><input name=csrf value=s3cret></form>"
PROJECT = {"id": 1, "title": "t", "label_config": "<View/>", "model_version": "v0001"}


@dataclass(frozen=True)
class Answer:
    """What the server says to one request; a slow one waits until the test is over."""

    status: int
    body: Any = None
    location: str | None = None
    slow: bool = False

    def raw(self) -> bytes:
        """Return the body as it goes over the wire."""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass
class Peer:
    """A server that gives its answers in order, the last one again and again, and notes what it was asked."""

    url: str
    answers: list[Answer] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    doors: dict[float, LabelStudioClient] = field(default_factory=dict)

    def gateway(self, *, timeout_seconds: float = 5.0) -> LabelStudioClient:
        """Return a door to this server; one for all tests, because each loads the certificates of the world."""
        if timeout_seconds not in self.doors:
            self.doors[timeout_seconds] = LabelStudioClient(self.url, api_key=TOKEN, timeout_seconds=timeout_seconds)
        return self.doors[timeout_seconds]


@pytest.fixture(scope="module")
def server() -> Iterator[Peer]:
    """Run the server on a free port."""

    class Handler(BaseHTTPRequestHandler):
        peer: ClassVar[Peer]

        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.peer.asked.append((self.command, self.path))
            given = self.peer.answers.pop(0) if len(self.peer.answers) > 1 else self.peer.answers[0]
            if given.slow:
                self.peer.over.wait(10)
                return
            self.send_response(given.status)
            self.send_header("Set-Cookie", COOKIE)
            self.send_header("Content-Type", "text/html" if isinstance(given.body, bytes) else "application/json")
            if given.location is not None:
                self.send_header("Location", given.location)
            self.end_headers()
            self.wfile.write(given.raw())

        do_GET = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815 - http.server's names

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        found = Handler.peer = Peer(url=f"http://127.0.0.1:{listening.server_port}")
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield found
        listening.shutdown()
        thread.join()


@pytest.fixture
def peer(server: Peer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Peer]:
    """Return the server, asked nothing yet; the client waits a moment between its tries instead of seconds."""
    monkeypatch.setattr(http_client, "INITIAL_RETRY_DELAY_SECONDS", 0.01)
    server.asked.clear()
    server.over.clear()
    yield server
    server.over.set()


CALLS: dict[str, Callable[[LabelStudioClient], Any]] = {
    "project": lambda door: door.project(1),
    "tasks": lambda door: door.tasks(1),
    "annotated_tasks": lambda door: door.annotated_tasks(1),
    "predictions": lambda door: door.predictions(1),
    "model_versions": lambda door: door.model_versions(1),
    "import_tasks": lambda door: door.import_tasks(1, [{"cube": "c0"}]),
    "import_predictions": lambda door: door.import_predictions(1, [{"task": 1, "result": [], "score": 0.5}]),
    "set_model_version": lambda door: door.set_model_version(1, "v0001"),
    "delete_version": lambda door: door.delete_version(1, "v0001"),
    "delete_predictions": lambda door: door.delete_predictions([PredictionRow(id=1, task=1, model_version="v0001")]),
    "rescore": lambda door: door.rescore(PredictionRow(id=1, task=1, model_version="v0001"), 0.5),
    "find_project": lambda door: door.find_project("t"),
    "create_project": lambda door: door.create_project(title="t", label_config="<View/>"),
    "update_project": lambda door: door.update_project(1, sampling="Uncertainty sampling"),
    "ensure_local_storage": lambda door: door.ensure_local_storage(1, "/media"),
    "ensure_backend": lambda door: door.ensure_backend(1, url="http://b:9090", user="u", password="hunter2"),
    "ensure_webhook": lambda door: door.ensure_webhook(1, url="http://b:9090/webhook", headers={"X": "hunter2"}),
    "ensure_tab": lambda door: door.ensure_tab(1, title="t"),
}
"""Everything that goes through the door."""
NOT_REPEATED = ("import_tasks", "import_predictions", "create_project")
"""Calls that would do their work twice."""


def refusal(call: Callable[[], Any]) -> str:
    """Return the sentence that a call is refused with; it is one line and tells no secret."""
    with pytest.raises(LabelStudioError) as caught:
        call()
    said = str(caught.value)
    assert "\n" not in said
    for secret in (TOKEN, "c00kie", "s3cret", "hunter2"):
        assert secret not in said
    return said


# -- refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize(
    ("answer", "remedy"),
    [
        (Answer(401, {"detail": "Invalid token."}), "set HELIOLOOP_LABEL_STUDIO_API_KEY to a valid one"),
        (Answer(403, {"detail": "You do not have permission."}), "use a token of a user who may change the project"),
        (Answer(404, {"detail": "Not found."}), "check the project id"),
        (Answer(429, {"detail": "Request was throttled."}), "try again in a minute"),
        (Answer(500, {"detail": "database is locked"}), "look at Label Studio's log"),
        (Answer(502, LOGIN_PAGE), "look at Label Studio's log"),
    ],
    ids=lambda value: str(value.status) if isinstance(value, Answer) else "",
)
def test_a_refusal_says_what_was_refused_and_the_remedy(
    peer: Peer, call: Callable[[LabelStudioClient], Any], answer: Answer, remedy: str
) -> None:
    """With Label Studio's own words where it has some, and never a page."""
    peer.answers = [answer]
    said = refusal(lambda: call(peer.gateway()))
    assert f"Label Studio at {peer.url} answered {answer.status}" in said
    assert said.endswith(remedy)
    if isinstance(answer.body, dict):
        assert answer.body["detail"] in said


def test_what_label_studio_finds_invalid_is_told(peer: Peer) -> None:
    """Its list of errors, cut at 300 characters."""
    peer.answers = [Answer(400, {"detail": "Validation error", "validation_errors": {"title": ["too long " * 99]}})]
    said = refusal(lambda: peer.gateway().update_project(1, title="x"))
    assert "answered 400 {'title': ['too long too long" in said
    assert len(said) < 450


# -- again, where that is safe --------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize(
    ("name", "fine", "found"),
    [
        ("project", PROJECT, None),
        ("tasks", [{"id": 1}], [{"id": 1}]),
        ("annotated_tasks", [{"id": 1}], [{"id": 1}]),
        ("model_versions", {"v0001": 3}, {"v0001": 3}),
        ("delete_version", {"deleted_predictions": 3}, None),
    ],
)
def test_a_moment_of_trouble_is_outlasted(peer: Peer, name: str, fine: Any, found: Any, status: int) -> None:
    """One failure and then an answer: nobody notices, also not in the middle of a judgement."""
    peer.answers = [Answer(status, {"detail": "database is locked"}), Answer(200, fine)]
    answer = CALLS[name](peer.gateway())
    assert found is None or answer == found
    assert len(peer.asked) == 2
    assert peer.asked[0] == peer.asked[1]


@pytest.mark.parametrize("name", NOT_REPEATED)
def test_what_is_not_safe_to_repeat_is_asked_once(peer: Peer, name: str) -> None:
    """Label Studio may have done the work before it failed."""
    peer.answers = [Answer(500, {"detail": "database is locked"}), Answer(201, {})]
    refusal(lambda: CALLS[name](peer.gateway()))
    assert len(peer.asked) == 1


def test_a_storage_is_not_made_twice(peer: Peer) -> None:
    """The list is read, then one creation is tried."""
    peer.answers = [Answer(200, []), Answer(500, {"detail": "database is locked"})]
    refusal(lambda: CALLS["ensure_local_storage"](peer.gateway()))
    assert [method for method, _ in peer.asked] == ["GET", "POST"]


def test_the_export_is_asked_for_as_the_client_asks(peer: Peer) -> None:
    """All tasks, or those with annotations only."""
    peer.answers = [Answer(200, [])]
    door = peer.gateway()
    assert (door.tasks(1), door.annotated_tasks(1)) == ([], [])
    ours = list(peer.asked)
    for all_tasks in (True, None):
        b"".join(
            door._transport.client.projects.exports.download_sync(1, export_type="JSON", download_all_tasks=all_tasks)
        )
    theirs = peer.asked[2:]
    assert [sorted(path.replace("?", "&").split("&")) for _, path in ours] == [
        sorted(path.replace("?", "&").split("&")) for _, path in theirs
    ]


# -- no answer ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["project", "tasks", "import_predictions", "delete_version"])
def test_a_slow_label_studio_is_not_waited_for_longer_than_the_setting(peer: Peer, name: str) -> None:
    """The sentence names the wait (0.1 s here) and the setting."""
    peer.answers = [Answer(200, slow=True)]
    said = refusal(lambda: CALLS[name](peer.gateway(timeout_seconds=0.1)))
    assert "did not answer within 0.1 s" in said
    assert said.endswith("raise HELIOLOOP_LABEL_STUDIO_TIMEOUT_SECONDS")
    assert len(peer.asked) == 1, "whoever is overloaded is not asked again at once"


@pytest.mark.parametrize("name", ["project", "tasks", "import_predictions", "delete_version"])
def test_nobody_at_the_address_is_said(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A port on which nobody listens."""
    monkeypatch.setattr(http_client, "INITIAL_RETRY_DELAY_SECONDS", 0.01)
    with socket.socket() as taken:  # bound and not listening: refused, and nobody else gets it meanwhile
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        said = refusal(lambda: CALLS[name](LabelStudioClient(url, api_key=TOKEN, timeout_seconds=5.0)))
    assert f"Label Studio at {url} did not answer (ConnectError)" in said
    assert "HELIOLOOP_LABEL_STUDIO_URL names it as seen from here" in said


def test_the_password_in_an_address_is_not_told(peer: Peer) -> None:
    """Neither Label Studio's own nor the backend's."""
    peer.answers = [Answer(500)]
    door = LabelStudioClient(peer.url.replace("//", "//me:hunter2@"), api_key=TOKEN, timeout_seconds=5.0)
    assert peer.url in refusal(lambda: door.project(1))
    said = refusal(lambda: door.ensure_backend(1, url="http://me:hunter2@b:9090", user=None, password=None))
    assert "the backend http://b:9090" in said


# -- somebody else --------------------------------------------------------------------------------


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_login_page_is_never_taken_for_success(peer: Peer, call: Callable[[LabelStudioClient], Any]) -> None:
    """A page with status 200, as single sign-on and proxies give it: also where nothing is expected back."""
    peer.answers = [Answer(200, LOGIN_PAGE)]
    said = refusal(lambda: call(peer.gateway()))
    assert f"{peer.url} answered a web page, which is not Label Studio's" in said
    assert "no login page or proxy stands before it" in said


@pytest.mark.parametrize("name", ["set_model_version", "delete_version", "delete_predictions", "import_tasks"])
@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_change_is_not_sent_on_to_where_it_would_be_a_question(peer: Peer, name: str, status: int) -> None:
    """From http to https, say: the change would arrive as a GET, and what that answers looks like success."""
    peer.answers = [Answer(status, location="/elsewhere"), Answer(200, {"v0001": 3})]
    said = refusal(lambda: CALLS[name](peer.gateway()))
    assert f"a redirect ({status}) that would lose what is to be written" in said
    assert "http or https?" in said
    assert len(peer.asked) == 1


def test_a_question_is_sent_on(peer: Peer) -> None:
    """Reading loses nothing on a redirect."""
    peer.answers = [Answer(301, location="/elsewhere"), Answer(200, {"v0001": 3})]
    assert peer.gateway().model_versions(1) == {"v0001": 3}


@pytest.mark.parametrize("body", [None, "ok", [1], ["x"]], ids=repr)
@pytest.mark.parametrize(
    "name",
    ["project", "predictions", "model_versions", "import_predictions", "delete_version", "find_project",
     "create_project", "ensure_local_storage", "ensure_backend", "ensure_webhook", "ensure_tab"],
)  # fmt: skip
def test_json_of_somebody_else_is_said(peer: Peer, name: str, body: Any) -> None:
    """Another service at the address answers in JSON, but not in Label Studio's."""
    peer.answers = [Answer(200, body)]
    said = refusal(lambda: CALLS[name](peer.gateway()))
    assert "which is not Label Studio's" in said or "Label Studio kept None of 1 predictions" in said


# -- our own side ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("score", "fault"), [(math.nan, ValueError), (object(), Exception)], ids=["nan", "object"])
def test_a_mistake_of_our_own_is_not_blamed_on_label_studio(peer: Peer, score: Any, fault: type[Exception]) -> None:
    """What cannot be sent shows itself as what it is, and nothing is sent."""
    peer.answers = [Answer(200, {})]
    with pytest.raises(fault) as caught:
        peer.gateway().import_predictions(1, [{"task": 1, "result": [], "score": score}])
    assert not isinstance(caught.value, LabelStudioError)
    assert peer.asked == []


@pytest.mark.parametrize("token", ["t0ken-of-the-team\n", "t0ken-of-thé-team", "t0ken\x00"])
def test_a_token_that_cannot_be_one_is_said_and_not_shown(token: str) -> None:
    """A line break from a file, a letter from another keyboard."""
    said = refusal(lambda: LabelStudioClient("http://127.0.0.1:1", api_key=token, timeout_seconds=5.0))
    assert said.endswith("copy it again into HELIOLOOP_LABEL_STUDIO_API_KEY")
    assert "t0ken" not in said


def test_an_expired_personal_token_is_said_at_once() -> None:
    """The client reads that off the token itself, before anything is asked."""
    parts = [{"alg": "HS256", "typ": "JWT"}, {"exp": 1_000_000_000, "token_type": "refresh"}]
    token = ".".join(
        [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts] + ["c2ln"]
    )
    said = refusal(lambda: LabelStudioClient("http://127.0.0.1:1", api_key=token, timeout_seconds=5.0))
    assert "401 API key has expired" in said
    assert "HELIOLOOP_LABEL_STUDIO_API_KEY" in said
    assert token not in said


def test_an_address_that_is_none_is_said() -> None:
    """A bracket that does not close."""
    said = refusal(lambda: LabelStudioClient("http://[::1:8080", api_key=TOKEN, timeout_seconds=5.0))
    assert "write it as http://HOST:PORT" in said
