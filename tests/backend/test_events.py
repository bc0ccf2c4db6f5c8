"""Label Studio's events on /webhook are counted and schedule one retrain check."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer

from helioloop.messaging import event_intake
from helioloop.messaging.arrived_events import arrived_events
from helioloop.messaging.job_failures import JobFailures
from helioloop.messaging.messages import QUEUE_MAINTENANCE, RetrainCheck
from helioloop.messaging.redis_retrain_state import RedisRetrainState
from helioloop.settings import Settings

SCHEDULE = f"rq:scheduled:{QUEUE_MAINTENANCE}"


def _event(action: str, project: int = 1, **more: Any) -> dict[str, Any]:
    return {"action": action, "project": {"id": project, "title": "Bipoles"}, **more}


def _waiting(connection: redis.Redis) -> list[str]:
    return [name.decode() for name in connection.lrange(f"rq:queue:{QUEUE_MAINTENANCE}", 0, -1)]


def _due_in(connection: redis.Redis, job_id: str) -> float:
    at = connection.zscore(SCHEDULE, job_id)
    assert at is not None
    return float(at) - time.time()


def _count(connection: redis.Redis, project: int = 1) -> int:
    pending = RedisRetrainState(connection).pending_events(project)
    return 0 if pending is None else pending.count


@pytest.mark.parametrize(
    ("event", "count"),
    [
        (_event("ANNOTATION_CREATED", annotation={"id": 1}, task={"id": 9}), 1),
        (_event("ANNOTATION_CREATED", annotation={"id": 1, "was_cancelled": True}), 1),
        (_event("ANNOTATION_UPDATED", annotation={"id": 1}), 1),
        (_event("ANNOTATIONS_CREATED", annotation=[{"id": 1}, {"id": 2}, {"id": 3}]), 3),
        (_event("ANNOTATIONS_DELETED", annotations=[{"id": 1}, {"id": 2}]), 2),
        (_event("ANNOTATIONS_DELETED"), 1),
        (_event("ANNOTATION_DELETED", annotation={"id": 1}), 1),
        (_event("TASKS_CREATED", tasks=[{"id": number} for number in range(500)]), 1),
        (_event("TASKS_DELETED", tasks=[{"id": 1}]), 1),
    ],
    ids=lambda value: value["action"] if isinstance(value, dict) else str(value),
)
def test_annotation_events_are_counted(
    client: FlaskClient, redis_connection: redis.Redis, event: dict[str, Any], count: int
) -> None:
    """Created, updated, skipped, deleted, several at once, imported: each schedules a retrain check."""
    answer = client.post("/webhook", json=event)
    assert (answer.status_code, answer.json) == (201, {"status": "noted", "waiting": count})
    assert _count(redis_connection) == count
    assert _due_in(redis_connection, "retrain-check-1") == pytest.approx(60, abs=2)


@pytest.mark.parametrize(
    "action", ["PROJECT_UPDATED", "PROJECT_CREATED", "LABEL_LINK_CREATED", "SOMETHING_NEW", "", "START_TRAINING "]
)
def test_other_events_are_ignored(client: FlaskClient, redis_connection: redis.Redis, action: str) -> None:
    """Changes of the project, which the write-back causes, and unknown actions start nothing."""
    answer = client.post("/webhook", json=_event(action))
    assert (answer.status_code, answer.json) == (201, {"status": "ignored"})
    assert _count(redis_connection) == 0
    assert _waiting(redis_connection) == []
    assert redis_connection.zcard(SCHEDULE) == 0


def test_start_training_is_checked_at_once(client: FlaskClient, redis_connection: redis.Redis) -> None:
    """No annotation is needed: one forced retrain check is enqueued."""
    for _ in range(3):
        answer = client.post("/webhook", json=_event("START_TRAINING"))
        assert (answer.status_code, answer.json) == (201, {"status": "forced"})
    assert _waiting(redis_connection) == ["retrain-check-1-forced"]
    job = Job.fetch("retrain-check-1-forced", connection=redis_connection, serializer=JSONSerializer)
    assert (job.func_name, job.kwargs) == (
        "helioloop_worker.jobs.check_retraining",
        {"project": 1, "forced": True, "format": 1},
    )


def test_each_event_moves_the_scheduled_check(client: FlaskClient, redis_connection: redis.Redis) -> None:
    """It moves to a later time, but not beyond the longest wait after the first event."""
    client.post("/webhook", json=_event("ANNOTATION_CREATED"))
    state = RedisRetrainState(redis_connection)
    redis_connection.hset("helioloop:pending-events:1", "first_at", repr(time.time() - 570))
    client.post("/webhook", json=_event("ANNOTATION_CREATED"))
    assert _due_in(redis_connection, "retrain-check-1") == pytest.approx(30, abs=2)
    assert state.pending_events(1) is not None
    assert redis_connection.zcard(SCHEDULE) == 1


def test_enough_events_are_checked_at_once(client: FlaskClient, redis_connection: redis.Redis) -> None:
    """The twentieth event moves the scheduled check to now."""
    for _ in range(19):
        client.post("/webhook", json=_event("ANNOTATION_CREATED"))
    assert _due_in(redis_connection, "retrain-check-1") > 50
    client.post("/webhook", json=_event("ANNOTATION_CREATED"))
    assert _due_in(redis_connection, "retrain-check-1") <= 1


def test_one_event_of_twenty_annotations_is_checked_at_once(client: FlaskClient, redis_connection: redis.Redis) -> None:
    """The check is enqueued, not scheduled."""
    client.post("/webhook", json=_event("ANNOTATIONS_CREATED", annotation=[{"id": number} for number in range(20)]))
    assert _waiting(redis_connection) == ["retrain-check-1"]


def test_a_burst_of_events_makes_one_check(client: FlaskClient, redis_connection: redis.Redis) -> None:
    """Five hundred events, each sent twice and out of order, are all counted."""
    for number in [*range(500), *reversed(range(500))]:
        client.post("/webhook", json=_event("ANNOTATION_UPDATED", annotation={"id": number}))
    assert _count(redis_connection) == 1000
    assert len(_waiting(redis_connection)) + redis_connection.zcard(SCHEDULE) == 1


def test_an_event_during_a_check_enqueues_another_one(client: FlaskClient, redis_connection: redis.Redis) -> None:
    """The running check may have read the annotations already."""
    client.post("/webhook", json=_event("START_TRAINING"))
    redis_connection.delete(f"rq:queue:{QUEUE_MAINTENANCE}")
    redis_connection.hset(Job.key_for("retrain-check-1-forced"), "status", JobStatus.STARTED.value)
    client.post("/webhook", json=_event("START_TRAINING"))
    assert _waiting(redis_connection) == ["retrain-check-1-forced-2"]


def test_events_of_two_projects_are_counted_and_checked_separately(
    client: FlaskClient, redis_connection: redis.Redis
) -> None:
    client.post("/webhook", json=_event("ANNOTATION_CREATED", project=1))
    client.post("/webhook", json=_event("ANNOTATION_CREATED", project=12))
    assert (_count(redis_connection, 1), _count(redis_connection, 12)) == (1, 1)
    assert redis_connection.zcard(SCHEDULE) == 2


def test_an_event_says_that_the_check_is_parked(
    client: FlaskClient, redis_connection: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """With reason and remedy; the event is counted, and somebody who presses "Start training" puts the check back."""
    caplog.set_level("INFO", logger="helioloop_backend")
    check = RetrainCheck(project=1)
    for _ in range(4):
        JobFailures(redis_connection).fail(
            1, check.failure_key, "the token may not", limit=4, may_pass=False, reconcile_seconds=300.0, message=check
        )
    for count in (1, 2):
        answer = client.post("/webhook", json=_event("ANNOTATION_CREATED"))
        answer.close()
        assert (answer.status_code, answer.json) == (201, {"status": "noted", "waiting": count})
    assert (_waiting(redis_connection), redis_connection.zcard(SCHEDULE)) == ([], 0)
    parked = [record for record in caplog.records if "is parked: the token may not" in record.message]
    assert len(parked) == 2
    assert "run `helioloop retry --project 1`" in parked[0].message
    assert "joined" not in caplog.text
    client.post("/webhook", json=_event("ANNOTATION_CREATED", project=2)).close()
    client.post("/webhook", json=_event("START_TRAINING")).close()
    assert _waiting(redis_connection) == ["retrain-check-1-forced"]
    client.post("/webhook", json=_event("ANNOTATION_CREATED")).close()
    assert caplog.text.count("is parked") == 2
    assert caplog.text.count("a retrain check is queued, due") == 2


@pytest.mark.parametrize("action", ["ANNOTATION_CREATED", "ANNOTATIONS_DELETED", "TASKS_CREATED", "START_TRAINING"])
@pytest.mark.parametrize(
    "project",
    [None, 1, "1", [], {}, {"id": None}, {"id": "1"}, {"id": True}, {"id": 0}, {"id": -1}, {"id": 1.0}, {"id": 10**30}],
    ids=repr,
)
def test_an_event_without_its_project_is_refused(client: FlaskClient, action: str, project: Any) -> None:
    """Payload sending is switched off, or the project is not one; the answer names what to switch on."""
    body = {"action": action} if project is None else {"action": action, "project": project}
    answer = client.post("/webhook", json=body)
    assert answer.status_code == 400
    assert 'switch on "Send payload"' in answer.json["detail"]


@pytest.mark.parametrize("route", ["/webhook", "/predict", "/setup", "/versions"])
@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not JSON"),
        (b"<html>", "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (b'{"action": ', "not JSON"),
        (b'{"action": ' + b"9" * 5000 + b"}", "not JSON"),
        (b"[" * 10_000 + b"]" * 10_000, "nested too deep"),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "nested too deep"),
        (b"[]", "JSON list"),
        (b'"text"', "JSON str"),
        (b"null", "JSON NoneType"),
        (b"1", "JSON int"),
    ],
    ids=["empty", "html", "binary", "cut", "long int", "deep list", "deep object", "list", "text", "null", "number"],
)
def test_a_body_that_is_not_a_json_object_is_refused(client: FlaskClient, route: str, body: bytes, words: str) -> None:
    """The answer is a 400 with one sentence."""
    answer = client.post(route, data=body, content_type="application/json")
    assert answer.status_code == 400
    assert words in answer.json["detail"]


@pytest.mark.parametrize("body", [{}, {"action": None}, {"action": 1}, {"action": ["START_TRAINING"]}, {"project": 1}])
def test_an_event_without_its_action_is_refused(client: FlaskClient, body: dict[str, Any]) -> None:
    answer = client.post("/webhook", json=body)
    assert answer.status_code == 400
    assert 'no "action"' in answer.json["detail"]


@pytest.mark.parametrize("route", ["/webhook", "/predict", "/setup"])
def test_a_body_over_the_limit_is_refused(app_of: Callable[[Settings], Flask], settings: Settings, route: str) -> None:
    """It is larger than the setting and is not read."""
    client = app_of(settings.model_copy(update={"max_request_mib": 1})).test_client()
    body = json.dumps({"action": "ANNOTATION_CREATED", "padding": "x" * 2**20}).encode()
    answer = client.post(route, data=body, content_type="application/json")
    assert answer.status_code == 413
    assert "MAX_REQUEST_MIB" in answer.json["detail"]


@pytest.mark.parametrize(
    ("action", "remedy"),
    [
        ("ANNOTATION_CREATED", "nothing is lost: reconciliation will find the change"),
        ("START_TRAINING", "press Start training again"),
    ],
)
def test_the_answer_names_a_redis_that_is_down(
    app_of: Callable[[Settings], Flask], settings: Settings, action: str, remedy: str
) -> None:
    """It is a 503 within the second that Label Studio waits, and says what happens with the event."""
    client = app_of(settings.model_copy(update={"redis_url": "redis://me:hunter2@127.0.0.1:1/0"})).test_client()
    started = time.perf_counter()
    answer = client.post("/webhook", json=_event(action))
    assert time.perf_counter() - started < 1
    assert answer.status_code == 503
    assert "cannot be reached" in answer.json["detail"]
    assert remedy in answer.json["detail"]
    assert "hunter2" not in answer.text
    assert "127.0.0.1" not in answer.text


def test_the_answer_has_no_path_of_a_redis_that_is_down(
    app_of: Callable[[Settings], Flask], settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """The address of a Redis with a Unix socket is a path; the log has it."""
    client = app_of(settings.model_copy(update={"redis_url": "unix:///run/private/redis.sock"})).test_client()
    answer = client.post("/webhook", json=_event("ANNOTATION_CREATED"))
    assert answer.json["detail"].startswith("Redis cannot be reached")
    assert "/run/private/redis.sock" in caplog.text


@pytest.mark.parametrize("status", [b"\xff", b"bogus", b""])
@pytest.mark.parametrize("action", ["ANNOTATION_CREATED", "START_TRAINING"])
def test_a_job_with_a_status_that_rq_does_not_have_is_sent_again(
    client: FlaskClient, redis_connection: redis.Redis, action: str, status: bytes
) -> None:
    """Somebody else wrote it, or another version of rq; each event was answered with 500."""
    key = Job.key_for(RetrainCheck(project=1).job_id)
    redis_connection.hset(key, "status", status)
    redis_connection.hset(Job.key_for(RetrainCheck(project=1, forced=True).job_id), "status", status)
    assert client.post("/webhook", json=_event(action)).status_code == 201
    if action == "ANNOTATION_CREATED":
        assert redis_connection.hget(key, "status") == b"scheduled"


def test_a_redis_that_does_not_answer_does_not_delay_label_studio(
    app_of: Callable[[Settings], Flask], settings: Settings, redis_connection: redis.Redis
) -> None:
    """Redis accepts the connection and does not answer; Label Studio waits one second."""
    client = app_of(settings).test_client()
    redis_connection.execute_command("CLIENT", "PAUSE", 1500, "ALL")
    started = time.perf_counter()
    answer = client.post("/webhook", json=_event("ANNOTATION_CREATED"))
    assert time.perf_counter() - started < 1
    assert answer.status_code == 503
    assert "does not answer in time" in answer.json["detail"]


def test_counting_starts_anew_after_redis_was_emptied(client: FlaskClient, redis_connection: redis.Redis) -> None:
    """Scripts and jobs are gone too; the next event is the first one."""
    client.post("/webhook", json=_event("ANNOTATION_CREATED"))
    redis_connection.flushall()
    redis_connection.script_flush()
    answer = client.post("/webhook", json=_event("ANNOTATION_CREATED"))
    assert (answer.status_code, answer.json) == (201, {"status": "noted", "waiting": 1})
    assert redis_connection.zcard(SCHEDULE) == 1


def test_a_change_of_the_project_is_counted_for_init_and_schedules_nothing(
    client: FlaskClient, redis_connection: redis.Redis
) -> None:
    """Our own write-back changes the project too, so it must not start a retrain check."""
    for number in (1, 2):
        assert client.post("/webhook", json=_event("PROJECT_UPDATED")).json == {"status": "ignored"}
        assert arrived_events(redis_connection, 1) == {"PROJECT_UPDATED": number}
    assert (_count(redis_connection), arrived_events(redis_connection, 2)) == (0, {})
    assert client.post("/webhook", json={"action": "PROJECT_UPDATED"}).json == {"status": "ignored"}
    assert client.post("/webhook", json=_event("LABEL_LINK_CREATED")).json == {"status": "ignored"}
    assert arrived_events(redis_connection, 1) == {"PROJECT_UPDATED": 2}


def test_a_change_of_the_project_is_no_error_without_redis(
    app_of: Callable[[Settings], Flask], settings: Settings
) -> None:
    """Label Studio's own webhooks send it whenever somebody edits the project."""
    alone = app_of(settings.model_copy(update={"redis_url": "redis://127.0.0.1:9/0"})).test_client()
    assert alone.post("/webhook", json=_event("PROJECT_UPDATED")).json == {"status": "ignored"}


def test_events_of_ever_more_unknown_projects_do_not_fill_redis(
    client: FlaskClient, settings: Settings, redis_connection: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A project with a model folder is always counted; of the others only so many are, for a day."""
    monkeypatch.setattr(event_intake, "UNKNOWN_PROJECTS", 3)
    settings.model_dir(9).mkdir(parents=True)
    for action in ("ANNOTATION_CREATED", "START_TRAINING", "PROJECT_UPDATED"):
        for project in range(1, 8):
            client.post("/webhook", json=_event(action, project=project))
    keys = redis_connection.dbsize()
    for project in range(100, 200):
        answer = client.post("/webhook", json=_event("ANNOTATION_CREATED", project=project))
        assert answer.status_code == 404
        assert f"helioloop init --project {project}" in answer.json["detail"]
        assert client.post("/webhook", json=_event("PROJECT_UPDATED", project=project)).json == {"status": "ignored"}
    assert redis_connection.dbsize() == keys
    assert client.post("/webhook", json=_event("ANNOTATION_CREATED", project=9)).status_code == 201
    assert redis_connection.ttl("helioloop:pending-events:1") > 0
    assert redis_connection.ttl("helioloop:pending-events:9") == -1
