"""Who may ask, and what never leaves the backend: tracebacks, paths, tokens."""

import base64
import logging
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pydantic import SecretStr

from helioloop.errors import SettingsError
from helioloop.settings import Settings
from helioloop_backend.auth import Authenticator
from helioloop_backend.model import HelioloopModel

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
def test_basic_auth_opens_every_route(closed: FlaskClient, method: str, path: str, body: Any) -> None:
    """Right basic credentials open every route; Start training comes to /webhook with them."""
    headers = {"Authorization": _basic("label-studio", "pässwörd")}
    assert closed.open(path, method=method, json=body, headers=headers).status_code < 300


def test_the_secret_opens_the_webhook_only(closed: FlaskClient) -> None:
    """The webhook's header opens /webhook and no other route."""
    headers = {"X-Helioloop-Secret": "geheimniß".encode().decode("latin-1")}
    assert closed.post("/webhook", json=EVENT, headers=headers).status_code == 201
    assert closed.get("/versions", headers=headers).status_code == 401


def test_credentials_are_asked_before_the_body_is_read(closed: FlaskClient) -> None:
    """A stranger learns nothing about what a body should look like."""
    assert closed.post("/webhook", data=b"[" * 10_000, content_type="application/json").status_code == 401


@pytest.mark.parametrize("path", ["/health", "/"])
def test_health_is_open_and_says_nothing(closed: FlaskClient, path: str) -> None:
    """Probes need no credentials and learn that the process answers; wrong ones that are shown are a 401."""
    assert closed.get(path).json == {"status": "UP"}
    assert closed.get(path, headers={"Authorization": _basic("label-studio", "pässwörd")}).status_code == 200
    assert closed.get(path, headers={"Authorization": _basic("label-studio", "x")}).status_code == 401


def test_a_secret_without_basic_auth_is_refused(settings: Settings) -> None:
    """Label Studio's "Start training" shows basic auth only: with a secret alone it could never get in."""
    with pytest.raises(SettingsError, match="Start training"):
        Authenticator(settings.model_copy(update={"webhook_secret": SecretStr("s3cret")}))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_needs_no_credentials(settings: Settings, host: str) -> None:
    """At a desk the backend starts without credentials."""
    Authenticator(settings.model_copy(update={"backend_host": host}))


EVERYWHERE = "0.0.0.0"  # noqa: S104 - what has to be refused


@pytest.mark.parametrize("host", [EVERYWHERE, "::", "192.168.0.7", "example.org", ""])
@pytest.mark.parametrize("secret", [None, SecretStr("s3cret")], ids=["nothing", "secret"])
def test_beyond_loopback_basic_auth_is_needed(settings: Settings, host: str, secret: SecretStr | None) -> None:
    """Bound for others, the backend refuses to start without basic auth: the secret guards only one route."""
    with pytest.raises(SettingsError, match="HELIOLOOP_BASIC_AUTH_USER"):
        Authenticator(settings.model_copy(update={"backend_host": host, "webhook_secret": secret}))


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
    """A user without password, or the other way round, is a mistake and no open door."""
    with pytest.raises(SettingsError, match="only one of"):
        Authenticator(settings.model_copy(update=change))


def test_empty_credentials_open_nothing(settings: Settings) -> None:
    """Empty values, as a compose file passes them, count as not set."""
    empty = {"basic_auth_user": "", "basic_auth_password": SecretStr(""), "webhook_secret": SecretStr("")}
    with pytest.raises(SettingsError, match="open to everybody"):
        Authenticator(settings.model_copy(update={**empty, "backend_host": EVERYWHERE}))


# -- what never leaves ----------------------------------------------------------------------------


def test_tokens_are_neither_answered_nor_logged(
    app_of: Callable[[Settings], Flask],
    settings: Settings,
    made: Any,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The creator's token in /setup and the media password in /predict appear nowhere, not even in a debug log."""
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
    told = "".join(answer.text for answer in answers) + caplog.text + printed.out + printed.err
    for secret in ("t0ken", "media-password", "hunter2", "169.254"):
        assert secret not in told


@pytest.mark.parametrize("path", ["/setup", "/predict", "/webhook"])
def test_a_fault_shows_no_traceback(
    client: FlaskClient,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    path: str,
) -> None:
    """Where our own code fails, the answer is one sentence, and the log names the place without message or path."""

    def fault(*_args: Any, **_kwargs: Any) -> None:
        raise KeyError("/srv/models/secret t0ken")

    for name in ("__init__", "fit", "predict"):
        monkeypatch.setattr(HelioloopModel, name, fault)
    body = {"project": "1.1", "tasks": [], "label_config": "", "action": "START_TRAINING"}
    answer = client.post(path, json=body)
    assert (answer.status_code, list(answer.json)) == (500, ["detail"])
    assert "KeyError at " in caplog.text
    printed = capfd.readouterr()
    for told in (answer.text, caplog.text, printed.out, printed.err):
        for word in ("Traceback", "t0ken", "/srv"):
            assert word not in told


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
def test_other_routes_are_refused_in_a_sentence(client: FlaskClient, method: str, path: str, status: int) -> None:
    """What the backend does not do is a 4xx in JSON; the library's old routes are not there."""
    answer = client.open(path, method=method, json={} if method == "POST" else None)
    assert answer.status_code == status
    assert list(answer.json) == ["detail"]


# -- metrics --------------------------------------------------------------------------------------


def _sample(text: str, line: str) -> float:
    (value,) = [row.rpartition(" ")[2] for row in text.splitlines() if row.startswith(line + " ")]
    return float(value)


def test_metrics_tell_what_happened(client: FlaskClient, settings: Settings, made: Any) -> None:
    """Events by action, tasks by outcome, latencies, queue depth and published versions are counted."""
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


def test_metrics_answer_while_redis_is_down(app_of: Callable[[Settings], Flask], settings: Settings) -> None:
    """A scrape works without Redis and says so."""
    client = app_of(settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})).test_client()
    text = client.get("/metrics").text
    assert _sample(text, "helioloop_redis_up") == 0
    assert "helioloop_queue_depth{" not in text
