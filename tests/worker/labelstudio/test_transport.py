"""Failures of Label Studio, of the network and of the address: each is one plain sentence without a secret.

A small HTTP server on loopback answers in place of Label Studio; the client with its retries is the real one.
"""

import base64
import json
import math
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import redis
from label_studio_sdk.core import http_client
from tests.worker.labelstudio.answering import CALLS, LOGIN_PAGE, TOKEN, Answer, Server, refusal

from helioloop.errors import LabelStudioError, MissingInLabelStudio
from helioloop.messaging.job_failures import JobFailures
from helioloop.messaging.messages import MakeReport
from helioloop.settings import Settings
from helioloop_worker.labelstudio import task_calls
from helioloop_worker.labelstudio.client import LabelStudioClient
from helioloop_worker.loop.failing import counting

PROJECT = {"id": 1, "title": "t", "label_config": "<View/>", "model_version": "v0001"}

NOT_REPEATED = ("import_tasks", "import_predictions", "create_project", "create_tab")
"""Calls that must not be repeated."""


@pytest.mark.parametrize("name", ["tasks", "annotated_tasks"])
def test_an_export_that_was_cut_off_is_read_again(peer: Server, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Two equal exports at a time share a file in Label Studio, and one of them finds it half written."""
    monkeypatch.setattr(task_calls, "EXPORT_PAUSES_SECONDS", (0.0, 0.0))
    half = Answer(200, b'[{"id": 1, "da', is_json=True)
    peer.answers[:] = [half, Answer(200, b"", is_json=True), Answer(200, [{"id": 1, "data": {}}])]
    assert CALLS[name](peer.client()) == [{"id": 1, "data": {}}]
    assert len(peer.requests) == 3
    peer.answers[:] = [half]
    assert "something other than a list of tasks" in refusal(lambda: CALLS[name](peer.client()))


def test_a_login_page_in_place_of_an_export_is_not_asked_for_again(peer: Server) -> None:
    peer.answers[:] = [Answer(200, LOGIN_PAGE)]
    refusal(lambda: peer.client().tasks(1))
    assert len(peer.requests) == 1


# -- refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize(
    ("answer", "remedy"),
    [
        (Answer(401, {"detail": "Invalid token."}), "set HELIOLOOP_LABEL_STUDIO_API_KEY to a valid one"),
        (Answer(403, {"detail": "You do not have permission."}), "use a token of a user who may change the project"),
        (Answer(404, {"detail": "Not found."}), "check the project id, and use a token of a user of its organization"),
        (Answer(429, {"detail": "Request was throttled."}), "try again in a minute"),
        (Answer(500, {"detail": "database is locked"}), "read Label Studio's log"),
        (
            Answer(500, {"detail": "'NoneType' object has no attribute 'email'"}),
            "and calls no backend; `helioloop doctor` has the remedy",
        ),
        (Answer(502, LOGIN_PAGE), "read Label Studio's log"),
    ],
    ids=lambda value: str(value.status) if isinstance(value, Answer) else "",
)
def test_a_refusal_says_what_was_refused_and_the_remedy(
    peer: Server, call: Callable[[LabelStudioClient], Any], answer: Answer, remedy: str
) -> None:
    """With Label Studio's own words if it gives any, and without the text of a page."""
    peer.answers = [answer]
    said = refusal(lambda: call(peer.client()))
    assert f"Label Studio at {peer.url} answered {answer.status}" in said
    assert said.endswith(remedy)
    if isinstance(answer.body, dict):
        assert answer.body["detail"] in said


@pytest.mark.parametrize("detail", ["URL resolves to a reserved network address", "The provided URL was not allowed."])
def test_a_private_address_that_is_refused_is_not_blamed_on_the_token(peer: Server, detail: str) -> None:
    """The rights of the token's user have no effect on it; the remedy names Label Studio's two switches."""
    peer.answers = [Answer(200, []), Answer(403, {"detail": detail})]
    said = refusal(lambda: peer.client().ensure_backend(1, url="http://127.0.0.1:9090", user="", password=""))
    assert detail in said
    assert said.endswith("LABEL_STUDIO_ML_BLOCK_LOCAL_IP=false and LABEL_STUDIO_SSRF_PROTECTION_ENABLED=false")
    assert "use a token" not in said


def test_the_list_of_invalid_values_is_in_the_message(peer: Server) -> None:
    """It is cut at 300 characters."""
    peer.answers = [Answer(400, {"detail": "Validation error", "validation_errors": {"title": ["too long " * 99]}})]
    said = refusal(lambda: peer.client().update_project(1, title="x"))
    assert "answered 400 {'title': ['too long too long" in said
    assert len(said) < 450


@pytest.mark.parametrize(
    ("answer", "is_parked"),
    [
        (Answer(404, b"404 page not found"), False),
        (Answer(404, b"<html>default backend - 404</html>"), False),
        (Answer(404, {"message": "no route matched"}), False),
        (Answer(403, b"<html>Just a moment...</html>"), False),
        (Answer(405, b"<html>405 Not Allowed</html>"), False),
        (Answer(200, b"<html>We are back soon</html>"), False),
        (Answer(200, b"We are back soon"), False),
        (Answer(200, {"status": "maintenance"}), False),
        (Answer(302, location="/login"), False),
        (Answer(408, b"Request Time-out"), False),
        (Answer(429, {"detail": "Request was throttled."}), False),
        (Answer(502, b"Bad Gateway"), False),
        (Answer(503, {"detail": "upstream is away"}), False),
        (Answer(200, slow=True), False),
        (Answer(404, {"detail": "No Project matches the given query."}), True),
        (Answer(403, {"detail": "You do not have permission."}), True),
        (Answer(401, {"detail": "Invalid token."}), True),
        (Answer(400, b"<h1>Bad Request (400)</h1>"), True),
        (Answer(413, b"<html>413 Request Entity Too Large</html>"), True),
    ],
    ids=lambda value: f"{value.status} {str(value.body)[:25]}" if isinstance(value, Answer) else "",
)
def test_an_outage_parks_no_job(
    peer: Server, redis_connection: redis.Redis, tmp_path: Path, answer: Answer, is_parked: bool
) -> None:
    """Whatever a proxy answers while Label Studio is away; what Label Studio itself refuses parks the job."""
    message, settings = MakeReport(project=1), Settings(model_root=tmp_path)
    client = peer.client(timeout_seconds=0.1 if answer.slow else 5.0)
    for _ in range(message.attempts):
        peer.answers = [answer, answer] if answer.location is None else [answer, Answer(200, LOGIN_PAGE)]
        with suppress(LabelStudioError), counting(redis_connection, message, settings):
            client.create_webhook(1, url="http://b:9090/webhook", headers={}, actions=["TASKS_CREATED"])
            client.project(1)
    (known,) = JobFailures(redis_connection).failing(1)
    assert known.attempts == message.attempts
    assert known.is_parked == is_parked, known.reason


def test_a_project_is_missing_only_where_label_studio_says_so(peer: Server) -> None:
    """A model folder is not to be moved away because a proxy has no route to Label Studio."""
    peer.answers = [Answer(404, {"detail": "No Project matches the given query."})]
    with pytest.raises(MissingInLabelStudio):
        peer.client().project(1)
    peer.answers = [Answer(404, b"404 page not found")]
    said = refusal(lambda: peer.client().project(1))
    assert said.endswith("and that HELIOLOOP_LABEL_STUDIO_URL is its own address")
    with pytest.raises(LabelStudioError) as caught:
        peer.client().project(1)
    assert not isinstance(caught.value, MissingInLabelStudio)


# -- retries --------------------------------------------------------------------------------------


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
def test_a_single_failure_is_retried(peer: Server, name: str, fine: Any, found: Any, status: int) -> None:
    """One failure and then an answer: the caller gets the answer."""
    peer.answers = [Answer(status, {"detail": "database is locked"}), Answer(200, fine)]
    answer = CALLS[name](peer.client())
    assert found is None or answer == found
    assert len(peer.requests) == 2
    assert peer.requests[0] == peer.requests[1]


@pytest.mark.parametrize("name", NOT_REPEATED)
def test_a_call_that_must_not_be_repeated_is_made_once(peer: Server, name: str) -> None:
    """Label Studio may have made the change before it failed."""
    peer.answers = [Answer(500, {"detail": "database is locked"}), Answer(201, {})]
    refusal(lambda: CALLS[name](peer.client()))
    assert len(peer.requests) == 1


def test_a_storage_is_not_made_twice(peer: Server) -> None:
    """The list is read, then one creation is tried."""
    peer.answers = [Answer(200, []), Answer(500, {"detail": "database is locked"})]
    refusal(lambda: CALLS["ensure_local_storage"](peer.client()))
    assert [method for method, _ in peer.requests] == ["GET", "POST"]


def test_the_export_has_the_parameters_that_the_published_client_sends(peer: Server) -> None:
    """All tasks, or those with annotations only."""
    peer.answers = [Answer(200, [])]
    client = peer.client()
    assert (client.tasks(1), client.annotated_tasks(1)) == ([], [])
    ours = list(peer.requests)
    for all_tasks in (True, None):
        b"".join(
            client._transport.client.projects.exports.download_sync(1, export_type="JSON", download_all_tasks=all_tasks)
        )
    theirs = peer.requests[2:]
    assert [sorted(path.replace("?", "&").split("&")) for _, path in ours] == [
        sorted(path.replace("?", "&").split("&")) for _, path in theirs
    ]


def test_changed_tasks_are_asked_for_by_the_time_in_utc(peer: Server) -> None:
    """Label Studio reads times with microseconds and Z only."""
    peer.answers = [Answer(200, {"tasks": [], "total": 0})]
    assert CALLS["changed_tasks"](peer.client()) == []
    (query,) = [parse_qs(urlsplit(path).query) for _, path in peer.requests]
    filters = json.loads(query["query"][0])["filters"]
    assert [item["value"] for item in filters["items"]] == [0, "2026-01-02T02:04:05.000000Z"]
    assert filters["conjunction"] == "and"


def test_tasks_that_were_not_asked_for_are_refused(peer: Server) -> None:
    """A proxy, or a Label Studio that does not take the selection, would answer with all tasks."""
    peer.answers = [Answer(200, {"tasks": [{"id": 7}, {"id": 8}], "total": 2})]
    assert "tasks that were not requested" in refusal(lambda: CALLS["tasks_now"](peer.client()))
    peer.answers = [Answer(200, {"tasks": [{"id": 7}], "total": 1}), Answer(200, [{"id": 7}, {"id": 8}])]
    assert "tasks that were not requested" in refusal(lambda: CALLS["changed_tasks"](peer.client()))


def test_new_tasks_are_read_in_pages(peer: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each page begins after the last task of the page before; a page that is not full is the last one."""
    monkeypatch.setattr(task_calls, "PAGE_TASKS", 2)
    pages = [[8, 9], [11]]
    peer.answers = [
        Answer(200, {"tasks": [{"id": task, "data": {}, "other": 1} for task in page], "total": 3}) for page in pages
    ]
    assert peer.client().tasks_after(1, 7) == [{"id": task, "data": {}} for task in (8, 9, 11)]
    queries = [parse_qs(urlsplit(path).query) for _, path in peer.requests]
    assert [query["project"] for query in queries] == [["1"], ["1"]]
    assert [json.loads(query["query"][0])["filters"]["items"][0]["value"] for query in queries] == [7, 9]


@pytest.mark.parametrize("task", [{"id": 7}, {"data": {}}, {"id": "x"}], ids=repr)
def test_a_listing_of_other_tasks_is_refused(peer: Server, task: dict[str, Any]) -> None:
    """A server that ignores the filter would be read for ever."""
    peer.answers = [Answer(200, {"tasks": [task] * 100})]
    assert "answered tasks that were not requested" in refusal(lambda: peer.client().tasks_after(1, 7))


# -- no answer ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["project", "tasks", "import_predictions", "delete_version"])
def test_no_call_waits_longer_than_the_timeout(peer: Server, name: str) -> None:
    """The sentence names the wait (0.1 s here) and the setting."""
    peer.answers = [Answer(200, slow=True)]
    said = refusal(lambda: CALLS[name](peer.client(timeout_seconds=0.1)))
    assert "did not answer within 0.1 s" in said
    assert said.endswith("raise HELIOLOOP_LABEL_STUDIO_TIMEOUT_SECONDS")
    assert len(peer.requests) == 1, "an overloaded server gets no second request at once"


@pytest.mark.parametrize("name", ["project", "tasks", "import_predictions", "delete_version"])
def test_an_address_where_nothing_listens_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The sentence contains the address and the setting."""
    monkeypatch.setattr(http_client, "INITIAL_RETRY_DELAY_SECONDS", 0.01)
    with (
        socket.socket() as taken
    ):  # bound and not listening: connections are refused, and no other program gets the port
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        said = refusal(lambda: CALLS[name](LabelStudioClient(url, api_key=TOKEN, timeout_seconds=5.0)))
    assert f"Label Studio at {url} did not answer (ConnectError: it refuses the connection)" in said
    assert "HELIOLOOP_LABEL_STUDIO_URL names it as seen from here" in said


def test_the_password_in_an_address_is_not_shown(peer: Server) -> None:
    """Neither in the address of Label Studio nor in that of the backend."""
    peer.answers = [Answer(500)]
    client = LabelStudioClient(peer.url.replace("//", "//me:hunter2@"), api_key=TOKEN, timeout_seconds=5.0)
    assert peer.url in refusal(lambda: client.project(1))
    peer.answers = [Answer(200, []), Answer(500)]
    said = refusal(lambda: client.ensure_backend(1, url="http://me:hunter2@b:9090", user="", password=""))
    assert "the backend http://b:9090" in said


# -- our own mistakes -----------------------------------------------------------------------------


@pytest.mark.parametrize(("score", "fault"), [(math.nan, ValueError), (object(), Exception)], ids=["nan", "object"])
def test_a_mistake_of_our_own_is_not_blamed_on_label_studio(peer: Server, score: Any, fault: type[Exception]) -> None:
    """A value that cannot be sent raises its own error, and nothing is sent."""
    peer.answers = [Answer(200, {})]
    with pytest.raises(fault) as caught:
        peer.client().import_predictions(1, [{"task": 1, "result": [], "score": score}])
    assert not isinstance(caught.value, LabelStudioError)
    assert peer.requests == []


@pytest.mark.parametrize("token", ["t0ken-of-the-team\n", "t0ken-of-thé-team", "t0ken\x00"])
def test_a_malformed_token_is_refused_and_not_shown(token: str) -> None:
    """With a line break from a file, or a letter outside ASCII."""
    said = refusal(lambda: LabelStudioClient("http://127.0.0.1:1", api_key=token, timeout_seconds=5.0))
    assert said.endswith("copy it again into HELIOLOOP_LABEL_STUDIO_API_KEY")
    assert "t0ken" not in said


def test_an_expired_personal_token_is_refused_at_once() -> None:
    """The client reads the date in the token, before it sends anything."""
    parts = [{"alg": "HS256", "typ": "JWT"}, {"exp": 1_000_000_000, "token_type": "refresh"}]
    token = ".".join(
        [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts] + ["c2ln"]
    )
    said = refusal(lambda: LabelStudioClient("http://127.0.0.1:1", api_key=token, timeout_seconds=5.0))
    assert "401 API key has expired" in said
    assert "HELIOLOOP_LABEL_STUDIO_API_KEY" in said
    assert token not in said


def test_a_malformed_address_is_refused() -> None:
    """With a bracket that is not closed."""
    said = refusal(lambda: LabelStudioClient("http://[::1:8080", api_key=TOKEN, timeout_seconds=5.0))
    assert "write it as http://HOST:PORT" in said
