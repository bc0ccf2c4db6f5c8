"""Authentication, and secrets that are never answered or logged: tracebacks, paths, tokens."""

import base64
import logging
import socket
from collections.abc import Callable
from typing import Any

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient
from pydantic import SecretStr
from requests.auth import HTTPBasicAuth

from helioloop.errors import SettingsError
from helioloop.settings import Settings
from helioloop_backend.auth import Authenticator
from helioloop_backend.project_model import ProjectModel

EVENT = {"action": "START_TRAINING", "project": {"id": 1}}
CALLS = [
    ("POST", "/setup", {"project": "1.1"}),
    ("POST", "/predict", {"project": "1.1", "tasks": [], "label_config": ""}),
    ("POST", "/webhook", EVENT),
    ("GET", "/versions", None),
    ("POST", "/versions", {"project": "1.1"}),
    ("GET", "/metrics", None),
]


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.fixture
def closed(app_of: Callable[[Settings], Flask], settings: Settings) -> FlaskClient:
    """Return a client of a backend with basic auth and a webhook secret, both with letters beyond ASCII."""
    credentials = {
        "basic_auth_user": "label-studio",
        "basic_auth_password": SecretStr("pässwörd"),
        "webhook_secret": SecretStr("geheimniß"),
    }
    return app_of(settings.model_copy(update=credentials)).test_client()


WRONG = {
    "nothing": {},
    "wrong password": {"Authorization": _basic("label-studio", "password")},
    "wrong user": {"Authorization": _basic("admin", "pässwörd")},
    "empty": {"Authorization": _basic("", "")},
    "user alone": {"Authorization": "Basic " + base64.b64encode(b"label-studio").decode()},
    "no base64": {"Authorization": "Basic ????"},
    "no utf-8": {"Authorization": "Basic " + base64.b64encode(b"\xff\xfe:\xff").decode()},
    "non-ascii": {"Authorization": _basic("läbel", "π" * 1000)},
    "raw bytes": {"Authorization": "Basic \xff\xfe"},
    "bearer": {"Authorization": "Bearer pässwörd".encode().decode("latin-1")},
    "scheme alone": {"Authorization": "Basic"},
    "wrong secret": {"X-Helioloop-Secret": "geheimnis"},
    "empty secret": {"X-Helioloop-Secret": ""},
    "non-ascii secret": {"X-Helioloop-Secret": "\xff\xfe\xfd"},
}


@pytest.mark.parametrize("headers", WRONG.values(), ids=WRONG.keys())
@pytest.mark.parametrize(("method", "path", "body"), CALLS, ids=lambda value: value if isinstance(value, str) else "")
def test_wrong_credentials_are_a_401(
    closed: FlaskClient, method: str, path: str, body: Any, headers: dict[str, str]
) -> None:
    """Missing, wrong and malformed credentials are a 401 on every route, never a 500."""
    answer = closed.open(path, method=method, json=body, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic")


@pytest.mark.parametrize(("method", "path", "body"), CALLS, ids=lambda value: value if isinstance(value, str) else "")
def test_basic_auth_is_accepted_on_every_route(closed: FlaskClient, method: str, path: str, body: Any) -> None:
    """Start training sends it to /webhook too."""
    headers = {"Authorization": _basic("label-studio", "pässwörd")}
    assert closed.open(path, method=method, json=body, headers=headers).status_code < 300


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_letters_beyond_ascii_are_accepted_in_both_encodings(closed: FlaskClient, encoding: str) -> None:
    """RFC 7617 names UTF-8; the client of Label Studio encodes in Latin-1."""
    encoded = base64.b64encode("label-studio:pässwörd".encode(encoding)).decode()
    for scheme in ("Basic", "basic"):
        assert closed.get("/versions", headers={"Authorization": f"{scheme} {encoded}"}).status_code == 200


def test_the_credentials_that_label_studio_s_client_sends_are_accepted(
    app_of: Callable[[Settings], Flask], settings: Settings
) -> None:
    """For each letter that the rules for settings accept, sent by the library that Label Studio uses."""
    letters = "".join(letter for letter in map(chr, range(0x21, 0x100)) if letter.isprintable())
    given = Settings(basic_auth_user=letters.replace(":", ""), basic_auth_password=SecretStr(letters))
    update = {name: getattr(given, name) for name in ("basic_auth_user", "basic_auth_password")}
    client = app_of(settings.model_copy(update=update)).test_client()
    request = requests.Request("GET", "http://x/versions", auth=HTTPBasicAuth(letters.replace(":", ""), letters))
    header = request.prepare().headers["Authorization"]
    assert client.get("/versions", headers={"Authorization": header}).status_code == 200


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_the_secret_is_accepted_on_webhook_only(closed: FlaskClient, encoding: str) -> None:
    """Label Studio sends it in Latin-1; other clients may send UTF-8."""
    headers = {"X-Helioloop-Secret": "geheimniß".encode(encoding).decode("latin-1")}
    assert closed.post("/webhook", json=EVENT, headers=headers).status_code == 201
    assert closed.get("/versions", headers=headers).status_code == 401


def test_credentials_are_checked_before_the_body_is_read(closed: FlaskClient) -> None:
    """A client without credentials gets no error about its body."""
    assert closed.post("/webhook", data=b"[" * 10_000, content_type="application/json").status_code == 401


@pytest.mark.parametrize("path", ["/health", "/"])
def test_health_needs_no_credentials(closed: FlaskClient, path: str) -> None:
    """Probes send none; wrong ones that are sent are a 401."""
    assert closed.get(path).json == {"status": "UP"}
    assert closed.get(path, headers={"Authorization": _basic("label-studio", "pässwörd")}).status_code == 200
    assert closed.get(path, headers={"Authorization": _basic("label-studio", "x")}).status_code == 401


def test_credentials_are_compared_in_constant_time(closed: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison of `hmac` alone decides, for basic auth and for the secret."""
    compared: list[bytes] = []

    def differs(given: bytes, right: bytes) -> bool:
        compared.append(given)
        assert given != b""
        assert right != b""
        return False

    right = {"Authorization": _basic("label-studio", "pässwörd"), "X-Helioloop-Secret": "geheimni\xdf"}
    assert closed.post("/webhook", json=EVENT, headers=right).status_code == 201
    monkeypatch.setattr("hmac.compare_digest", differs)
    assert closed.post("/webhook", json=EVENT, headers=right).status_code == 401
    assert set(compared) == {"label-studio:pässwörd".encode(), "geheimniß".encode("latin-1")}


def test_a_secret_without_basic_auth_is_refused(settings: Settings) -> None:
    """Label Studio's "Start training" sends basic auth only, and would always be refused."""
    with pytest.raises(SettingsError, match="Start training"):
        Authenticator(settings.model_copy(update={"webhook_secret": SecretStr("s3cret")}))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_needs_no_credentials(settings: Settings, host: str) -> None:
    """The backend starts without credentials there."""
    Authenticator(settings.model_copy(update={"backend_host": host}))


EVERYWHERE = "0.0.0.0"  # noqa: S104 - the address that has to be refused


@pytest.mark.parametrize("host", [EVERYWHERE, "::", "192.168.0.7", "example.org", ""])
@pytest.mark.parametrize("secret", [None, SecretStr("s3cret")], ids=["nothing", "secret"])
def test_beyond_loopback_basic_auth_is_needed(settings: Settings, host: str, secret: SecretStr | None) -> None:
    """On other addresses the backend does not start without it: the secret protects only one route."""
    with pytest.raises(SettingsError, match="HELIOLOOP_BASIC_AUTH_USER"):
        Authenticator(settings.model_copy(update={"backend_host": host, "webhook_secret": secret}))


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("127.0.0.1", 200),
        ("127.8.8.8", 200),
        ("::1", 200),
        ("::ffff:127.0.0.1", 200),
        ("192.168.0.7", 403),
        ("::ffff:192.168.0.7", 403),
        ("2001:db8::1", 403),
        ("", 200),
    ],
)
def test_without_credentials_only_this_machine_is_answered(client: FlaskClient, address: str, status: int) -> None:
    """A server of label-studio-ml may bind to any address. A Unix socket has none; /health is answered everywhere."""
    asked = {"environ_overrides": {"REMOTE_ADDR": address}}
    assert client.post("/setup", json={"project": "1.1"}, **asked).status_code == status
    assert client.get("/health", **asked).status_code == 200


def test_with_credentials_every_address_is_answered(closed: FlaskClient) -> None:
    answer = closed.get("/versions", auth=("label-studio", "pässwörd"), environ_overrides={"REMOTE_ADDR": "192.0.2.1"})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        {"basic_auth_user": "me"},
        {"basic_auth_password": SecretStr("x")},
        {"basic_auth_user": "me", "basic_auth_password": SecretStr("")},
    ],
    ids=["user", "password", "empty password"],
)
def test_half_credentials_are_refused(settings: Settings, change: dict[str, Any]) -> None:
    """A user without password, or a password without user, does not switch authentication off."""
    with pytest.raises(SettingsError, match="only one of"):
        Authenticator(settings.model_copy(update=change))


def test_empty_credentials_count_as_not_set(settings: Settings) -> None:
    """A compose file passes variables without a value as empty text."""
    empty = {"basic_auth_user": "", "basic_auth_password": SecretStr(""), "webhook_secret": SecretStr("")}
    with pytest.raises(SettingsError, match="open to everybody"):
        Authenticator(settings.model_copy(update={**empty, "backend_host": EVERYWHERE}))


# -- secrets --------------------------------------------------------------------------------------


def test_tokens_are_neither_answered_nor_logged(
    app_of: Callable[[Settings], Flask],
    settings: Settings,
    made: Any,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The token in /setup and the media password in /predict, not even in a debug log."""
    caplog.set_level(logging.DEBUG)
    made.publish(settings, 1, [made.score("A", 0.75)])
    client = app_of(settings).test_client()
    setup = {"project": "1.1", "schema": made.config, "hostname": "http://169.254.169.254", "access_token": "t0ken"}
    answers = [
        client.post("/setup", json=setup, headers={"Authorization": _basic("me", "hunter2")}),
        client.post("/setup", json=setup | {"project": "../x"}),
        client.post("/predict", json=made.predict([made.task("A"), made.task("X")])),
        client.post("/predict", json=made.predict([made.task("A")]) | {"label_config": "<View/>"}),
    ]
    assert [answer.status_code for answer in answers] == [200, 400, 200, 400]
    printed = capfd.readouterr()
    shown = "".join(answer.text for answer in answers) + caplog.text + printed.out + printed.err
    for secret in ("t0ken", "media-password", "hunter2", "169.254"):
        assert secret not in shown


ADDRESSES = [
    "http://169.254.169.254/latest/meta-data", "http://[fd00:ec2::254]/", "http://metadata.google.internal/",
    "http://10.0.0.1/a.mp4", "http://192.0.2.1:8080", "https://example.org/a.mp4", "s3://bucket/a.mp4",
    "file:///etc/passwd", "/data/../../etc/passwd", "//example.org/a.mp4", "ftp://example.org/x", "http://0/", "gopher://x",
]  # fmt: skip


@pytest.mark.parametrize("address", ADDRESSES)
def test_the_backend_calls_no_address_of_a_request(
    app_of: Callable[[Settings], Flask],
    settings: Settings,
    made: Any,
    monkeypatch: pytest.MonkeyPatch,
    address: str,
) -> None:
    """Neither that of Label Studio in /setup, nor that of a video or release in a task: it connects to Redis alone."""
    called: list[Any] = []
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def connects(own: socket.socket, to: Any) -> None:
        called.append(to[0] if isinstance(to, tuple) else "unix")
        connect(own, to)

    def looks_up(host: Any, *more: Any, **other: Any) -> Any:
        called.append(host)
        return look_up(host, *more, **other)

    monkeypatch.setattr(socket.socket, "connect", connects)
    monkeypatch.setattr(socket, "getaddrinfo", looks_up)
    made.publish(settings, 1, [made.score("A", 0.75)])
    client = app_of(settings).test_client()
    setup = {"project": "1.1", "schema": made.config, "hostname": address, "access_token": "t0ken"}
    task = made.task("A")
    tasks = [{**task, "data": {**task["data"], field: address}} for field in ("video", "curve", "cube", "release")]
    calls: list[tuple[str, dict[str, Any]]] = [
        ("/setup", setup),
        ("/predict", made.predict(tasks)),
        ("/webhook", EVENT | {"annotation": {"id": 1}, "task": tasks[0], "hostname": address}),
    ]
    for path, body in calls:
        assert client.post(path, json=body).status_code < 300
    assert {"127.0.0.1", "unix", "localhost"} >= set(called)
    assert called, "Redis was called"


@pytest.mark.parametrize("path", ["/setup", "/predict", "/webhook"])
def test_an_error_in_the_backend_itself_shows_no_traceback(
    client: FlaskClient,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    path: str,
) -> None:
    """The answer is one sentence, and the log names the place without message or path."""

    def fault(*_args: Any, **_kwargs: Any) -> None:
        raise KeyError("/srv/models/secret t0ken")

    for name in ("__init__", "fit", "predict"):
        monkeypatch.setattr(ProjectModel, name, fault)
    body = {"project": "1.1", "tasks": [], "label_config": "", "action": "START_TRAINING"}
    answer = client.post(path, json=body)
    assert (answer.status_code, list(answer.json)) == (500, ["detail"])
    assert "KeyError at " in caplog.text
    printed = capfd.readouterr()
    for shown in (answer.text, caplog.text, printed.out, printed.err):
        for word in ("Traceback", "t0ken", "/srv"):
            assert word not in shown


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/../etc/passwd", 404),
        ("GET", "/static/x", 404),
        ("GET", "/predict", 405),
        ("DELETE", "/webhook", 405),
        ("POST", "/train", 404),
        ("POST", "/job_status", 404),
    ],
)
def test_other_routes_are_answered_with_one_sentence(client: FlaskClient, method: str, path: str, status: int) -> None:
    """The answer is a 4xx in JSON; the routes of label-studio-ml that are not needed do not exist."""
    answer = client.open(path, method=method, json={} if method == "POST" else None)
    assert answer.status_code == status
    assert list(answer.json) == ["detail"]


# -- metrics --------------------------------------------------------------------------------------


def _sample(text: str, line: str) -> float:
    (value,) = [row.rpartition(" ")[2] for row in text.splitlines() if row.startswith(line + " ")]
    return float(value)


def test_metrics_count_requests(client: FlaskClient, settings: Settings, made: Any) -> None:
    """Events by action, tasks by outcome, latencies, queue lengths and published versions."""
    made.publish(settings, 7, [made.score("A", 0.75)])
    client.post("/webhook", json={"action": "ANNOTATION_CREATED", "project": {"id": 7}})
    client.post("/webhook", json={"action": "X" * 1000, "project": {"id": 7}})
    tasks = [made.task(cube) for cube in ("A", "X", "Y")]
    client.post("/predict", json=made.predict([*tasks, None], project="7.1"))
    text = client.get("/metrics").text
    assert _sample(text, 'helioloop_events_total{action="ANNOTATION_CREATED"}') == 1
    assert _sample(text, 'helioloop_events_total{action="other"}') == 1
    assert _sample(text, 'helioloop_predict_tasks_total{outcome="hit"}') == 1
    assert _sample(text, 'helioloop_predict_tasks_total{outcome="miss"}') == 2
    assert _sample(text, 'helioloop_predict_tasks_total{outcome="foreign"}') == 1
    assert _sample(text, 'helioloop_request_seconds_count{route="/webhook",status="2xx"}') == 2
    assert _sample(text, 'helioloop_queue_depth{queue="helioloop-maintenance"}') == 1
    assert _sample(text, 'helioloop_queue_depth{queue="helioloop-score"}') == 1
    assert _sample(text, 'helioloop_published_version_info{project="7",version="v0001"}') == 1
    assert _sample(text, "helioloop_redis_up") == 1


def test_metrics_are_answered_while_redis_is_down(app_of: Callable[[Settings], Flask], settings: Settings) -> None:
    """They show that it is down."""
    client = app_of(settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})).test_client()
    text = client.get("/metrics").text
    assert _sample(text, "helioloop_redis_up") == 0
    assert "helioloop_queue_depth{" not in text
