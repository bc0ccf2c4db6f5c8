"""What the backend logs: events and what became of them, predictions, refusals, requests; never a secret."""

import base64
import http.client
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from helioloop.settings import Settings

Serve = Callable[[Settings], tuple[str, subprocess.Popen[bytes]]]

USER, PASSWORD, SECRET, TOKEN = "label-studio", "passw0rd-1", "webhook-s3cret", "t0ken-of-the-creator"
BASIC = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
SECRETS = (PASSWORD, SECRET, TOKEN, BASIC.removeprefix("Basic "), "media-password", "query-t0ken", "wr0ng", "payl0ad")


def call(url: str, method: str, path: str, body: Any = None, **headers: str) -> int:
    """Return the status of the answer; the headers are those of Label Studio unless others are given."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    try:
        sent = {"Content-Type": "application/json", "Authorization": BASIC, **headers}
        connection.request(method, path, body=None if body is None else json.dumps(body), headers=sent)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


def use(url: str, made: Any) -> list[int]:
    """Call the backend in all ways that are logged, and return the statuses."""

    def event(action: str, **more: Any) -> dict[str, Any]:
        return {"action": action, "project": {"id": 7}, "annotation": {"result": "payl0ad"}, **more}

    header = {"X-Helioloop-Secret": SECRET}
    setup = {"project": "7.1", "schema": made.config, "hostname": "http://x", "access_token": TOKEN}
    tasks = [made.task("A"), made.task("B"), {"data": {"text": "payl0ad"}}]
    return [
        call(url, "POST", "/setup?token=query-t0ken", setup),
        call(url, "POST", "/webhook", event("ANNOTATION_CREATED"), **header),
        call(url, "POST", "/webhook", event("ANNOTATION_UPDATED"), **header),
        call(url, "POST", "/webhook", event("PROJECT_UPDATED"), **header),
        call(url, "POST", "/webhook", event("START_TRAINING")),
        call(url, "POST", "/webhook", event("START_TRAINING")),
        call(url, "POST", "/webhook", event("FORGED\n2026-01-01 00:00:00,000 INFO helioloop: payl0ad" + "x" * 100)),
        call(url, "POST", "/predict", made.predict(tasks, project="7.1")),
        call(url, "POST", "/predict", made.predict(tasks, project="8.1")),
        call(url, "GET", "/versions", Authorization="Basic " + base64.b64encode(b"x:wr0ng").decode()),
        call(
            url, "POST", "/webhook", event("ANNOTATION_CREATED"), **{"X-Helioloop-Secret": "wr0ng", "Authorization": ""}
        ),
        call(url, "POST", "/webhook", {"action": "ANNOTATION_CREATED"}),
        call(url, "GET", "/none?token=query-t0ken"),
        call(url, "GET", "/health"),
    ]


STATUSES = [200, 201, 201, 201, 201, 201, 201, 200, 200, 401, 401, 400, 404, 200]


@pytest.fixture
def guarded(settings: Settings, made: Any) -> Settings:
    """Return settings with all credentials, and publish a version of project 7 with a score of one cube."""
    credentials = {
        "basic_auth_user": USER,
        "basic_auth_password": SecretStr(PASSWORD),
        "webhook_secret": SecretStr(SECRET),
        "predict_wait_seconds": 0.0,
    }
    given = settings.model_copy(update=credentials)
    made.publish(given, 7, [made.score("A", 0.75)])
    return given


def test_json_lines_say_what_became_of_each_request(serve: Serve, guarded: Settings, made: Any, tmp_path: Path) -> None:
    """Each line of stderr is one JSON object, those of gunicorn too, from the start to the end of the process."""
    url, server = serve(guarded.model_copy(update={"log_format": "json"}))
    assert use(url, made) == STATUSES
    server.terminate()
    server.wait(timeout=15)
    lines = [json.loads(line) for line in (tmp_path / "backend.log").read_text().splitlines()]
    assert all({"time", "level", "logger", "message"} <= set(line) for line in lines)

    # Lines are written after the answer by several threads, so neighbours may change places.
    order = ["ANNOTATION_CREATED", "ANNOTATION_UPDATED", "PROJECT_UPDATED", "START_TRAINING", "FORGED\n2026-01-01 "]
    events = sorted((line for line in lines if "action" in line), key=lambda line: order.index(line["action"][:18]))
    assert [(line["action"][:18], line["outcome"]) for line in events] == [
        ("ANNOTATION_CREATED", "queued"),
        ("ANNOTATION_UPDATED", "joined"),
        ("PROJECT_UPDATED", "ignored"),
        ("START_TRAINING", "forced"),
        ("START_TRAINING", "forced"),
        ("FORGED\n2026-01-01 ", "ignored"),
    ]
    assert all(line["project"] == 7 for line in events)
    assert events[1]["job"] == events[0]["job"]
    assert events[1]["waiting"] == 2
    assert "joined the retrain check that waits" in events[1]["message"]

    known, unknown = sorted((line for line in lines if "tasks" in line), key=lambda line: str(line["project"]))
    assert {name: known[name] for name in ("project", "version", "tasks", "hits", "misses", "foreign")} == {
        "project": 7, "version": "v0001", "tasks": 3, "hits": 1, "misses": 1, "foreign": 1,
    }  # fmt: skip
    assert unknown["project"] == 8
    assert "no version is published" in unknown["message"]

    routes = ["/versions", "/webhook", "no route"]
    refused = [line for line in lines if line["level"] == "warning"]
    refused.sort(key=lambda line: (routes.index(line["route"]), -line["status"]))
    assert [(line["status"], line["route"]) for line in refused] == [
        (401, "/versions"),
        (401, "/webhook"),
        (400, "/webhook"),
        (404, "no route"),
    ]
    assert "Send payload" in refused[2]["message"]
    assert {line["client"] for line in refused} == {"127.0.0.1"}

    requests = [line for line in lines if line["logger"] == "gunicorn.access"]
    # A thread writes its line after its answer was sent, so the lines of two requests may change places.
    assert sorted(line["status"] for line in requests) == sorted(STATUSES[:-1])  # without the probe
    assert [line["status"] for line in requests if line["path"] == "/setup"] == [200]
    assert all(line["milliseconds"] >= 0 for line in requests)


def test_no_line_contains_a_secret_or_a_payload(serve: Serve, guarded: Settings, made: Any, tmp_path: Path) -> None:
    """As text, at level debug, where each event is one line whatever its action is called."""
    url, _ = serve(guarded.model_copy(update={"log_level": "debug"}))
    assert use(url, made) == STATUSES
    text = (tmp_path / "backend.log").read_text()
    assert "GET /health: 200" in text
    assert "project 7: ANNOTATION_CREATED: a retrain check is queued, due in 60 s; events waiting: 1" in text
    assert not [line for line in text.splitlines() if line.startswith("2026-01-01")]
    for secret in SECRETS:
        assert secret not in text.replace("helioloop: payl0ad", ""), secret


def test_at_level_warning_only_refusals_and_errors_are_logged(
    serve: Serve, guarded: Settings, made: Any, tmp_path: Path
) -> None:
    """While Redis is down, an event is an error with the remedy."""
    down = {"log_level": "warning", "redis_url": "redis://:passw0rd-1@127.0.0.1:1/0"}
    url, _ = serve(guarded.model_copy(update=down))
    use(url, made)
    lines = (tmp_path / "backend.log").read_text().splitlines()
    assert {line.split()[2] for line in lines} == {"WARNING", "ERROR"}
    errors = [line for line in lines if " ERROR " in line and "503 on /webhook" in line]
    assert "Redis at redis://127.0.0.1:1/0 cannot be reached" in errors[0]
    assert "nothing is lost" in errors[0]
    assert PASSWORD not in "".join(lines)
