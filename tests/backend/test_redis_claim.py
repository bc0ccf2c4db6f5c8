"""A backend whose Redis serves another model root refuses events and sends no job. On a real Redis."""

import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient
from tests.backend.conftest import Made

from helioloop.messaging import messages, queues
from helioloop.messaging.served_root import KEY, claim_redis, read_served_root
from helioloop.registry.root_identity import make_root_identity
from helioloop.settings import Settings
from helioloop_backend import redis_claim

THEIRS = "b" * 16
EVENT = {"action": "ANNOTATION_CREATED", "project": {"id": 1}}


@pytest.fixture
def own(settings: Settings, app_of: Callable[[Settings], Flask], monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    """A client of a backend with a model root that has an identity; it looks at the claim at each request."""
    monkeypatch.setattr(redis_claim, "KEPT_SECONDS", 0.0)
    settings.model_dir(1).mkdir(parents=True)
    make_root_identity(settings.model_root)
    return app_of(settings).test_client()


@pytest.fixture
def other(settings: Settings) -> Settings:
    """The settings of another deployment with the same Redis."""
    return settings.model_copy(update={"model_root": Path("/production/models")})


def test_events_are_refused_without_a_path_and_the_log_has_both_folders_once(
    own: FlaskClient, other: Settings, settings: Settings, redis_connection: redis.Redis,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    """Neither a correction nor “Start training” reaches the other's workers; /ready says why."""
    claim_redis(redis_connection, other, THEIRS)
    for body in (EVENT, {**EVENT, "action": "START_TRAINING"}):
        answer = own.post("/webhook", json=body)
        assert answer.status_code == 503
        assert "Redis serves another model folder" in answer.json["detail"]
        assert "/" not in answer.json["detail"].replace("REDIS_URL", "")
    ready = own.get("/ready")
    assert (ready.status_code, ready.json["detail"]) == (503, redis_claim.OTHER_ROOT)
    assert queues.queue_lengths(redis_connection) == dict.fromkeys(queues.QUEUES, 0)
    assert redis_connection.keys("helioloop:*") == [KEY.encode()]
    assert caplog.text.count("/production/models on") == 1
    assert str(settings.model_root) in caplog.text


def test_events_are_taken_once_the_other_one_has_given_redis_up(
    own: FlaskClient, other: Settings, redis_connection: redis.Redis
) -> None:
    """Without a restart of the backend, which then claims it itself."""
    claim_redis(redis_connection, other, THEIRS)
    assert own.post("/webhook", json=EVENT).status_code == 503
    redis_connection.flushdb()
    assert own.post("/webhook", json=EVENT).status_code == 201
    held = read_served_root(redis_connection)
    assert held is not None
    assert held.identity != THEIRS
    assert own.get("/ready").status_code == 200


def test_a_backend_whose_model_root_has_no_identity_serves_as_before(
    client: FlaskClient, other: Settings, settings: Settings, redis_connection: redis.Redis
) -> None:
    """As with a folder that only an earlier helioloop wrote to, mounted read-only; the backend makes no file in it."""
    settings.model_dir(1).mkdir(parents=True)
    claim_redis(redis_connection, other, THEIRS)
    assert client.post("/webhook", json=EVENT).status_code == 201
    assert [path.name for path in settings.model_root.iterdir()] == ["project-1"]


def test_missing_scores_are_not_requested_from_the_workers_of_another_model_root(
    own: FlaskClient, other: Settings, settings: Settings, redis_connection: redis.Redis, made: Made
) -> None:
    """Stored ones are answered all the same; the missing one gets no prediction."""
    claim_redis(redis_connection, other, THEIRS)
    made.publish(settings, 1, [made.score("a", 0.75)])
    answer = own.post("/predict", json=made.predict([made.task("a"), made.task("b", number=2)]))
    assert [bool(found) for found in answer.json["results"]] == [True, False]
    assert queues.queue_lengths(redis_connection)[messages.QUEUE_SCORE] == 0


def test_a_redis_that_is_silent_is_waited_for_once(
    settings: Settings, app_of: Callable[[Settings], Flask], made: Made
) -> None:
    """Half a second: Label Studio waits one for the answer to an event, and the claim took as long as the rest."""
    with tempfile.TemporaryDirectory(prefix="helioloop-silent-") as folder, socket.socket(socket.AF_UNIX) as silent:
        silent.bind(f"{folder}/redis.sock")
        silent.listen(64)
        settings.model_dir(1).mkdir(parents=True)
        make_root_identity(settings.model_root)
        made.publish(settings, 1, [made.score("a", 0.75)])
        client = app_of(settings.model_copy(update={"redis_url": f"unix://{folder}/redis.sock"})).test_client()
        requests: dict[str, dict[str, Any]] = {"/webhook": EVENT, "/predict": made.predict([made.task("b")])}
        for route, body in requests.items():
            begun = time.monotonic()
            status = client.post(route, json=body).status_code
            assert time.monotonic() - begun < 0.95, route
            assert status == (503 if route == "/webhook" else 200)
