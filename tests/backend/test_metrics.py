"""What /metrics and /ready read, and that every metric that documents and examples name exists."""

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families
from rq.job import Job
from rq.worker_registration import WORKERS_BY_QUEUE_KEY

from helioloop.messaging import queues
from helioloop.messaging.job_failures import JobFailures
from helioloop.messaging.messages import QUEUE_SCORE, Reconcile, Score
from helioloop.messaging.redis_retrain_state import RedisRetrainState
from helioloop.messaging.work_figures import JOB_SECONDS, LAG_SECONDS, REFUSED_JOBS, REPAIRS, add_to_figure
from helioloop.records.cubes import CubeInfo
from helioloop.registry import staging
from helioloop.registry.label_snapshot import Snapshot
from helioloop.registry.staging import Staging
from helioloop.settings import Settings
from helioloop_backend import readiness, unreadable

DOCS = Path(__file__).parents[2] / "docs"
NAME = re.compile(r"\bhelioloop_[a-z0-9_]+")


def _samples(client: FlaskClient) -> dict[tuple[str, ...], float]:
    """Return each value of /metrics by name and labels."""
    families = text_string_to_metric_families(client.get("/metrics").text)
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value for family in families for sample in family.samples
    }


def test_queues_and_projects_are_read_for_each_scrape(
    client: FlaskClient, settings: Settings, redis_connection: redis.Redis, made: Any
) -> None:
    """A job that has waited for 90 seconds, a failed one, a worker; events, a round and a parked one of project 1."""
    made.publish(settings, 1, [made.score("A", 0.75)])
    Snapshot(read_at="2026-01-01T00:00:00+00:00").write(settings.model_dir(1))
    cube = CubeInfo(release="r", name="A", sha256="a" * 64)
    score = Score(project=1, version="v0001", cubes=(cube,))
    queues.send(redis_connection, score)
    redis_connection.hset(Job.key_for(score.job_id), "enqueued_at", _written(time.time() - 90))
    queues.send(redis_connection, Reconcile(project=1), delay_seconds=500)
    failed = queues.queue(redis_connection, QUEUE_SCORE).failed_job_registry
    redis_connection.zadd(failed.key, {"a-job": time.time() + 500})
    redis_connection.sadd(WORKERS_BY_QUEUE_KEY % QUEUE_SCORE, "rq:worker:a")
    redis_connection.hset("rq:worker:a", "birth", "now")
    state = RedisRetrainState(redis_connection)
    state.add_events(1, 3, now=time.time() - 40)
    state.begin(1, "0" * 64, now=time.time())
    rounds = Staging(settings.model_dir(1))
    rounds.create("1" * 64)
    for _ in range(staging.MAX_ATTEMPTS):
        rounds.count_attempt("1" * 64, ["a reason"])
    found = _samples(client)
    assert found["helioloop_queue_depth", "helioloop-score"] == 1
    assert found["helioloop_queue_depth", "helioloop-maintenance"] == 1
    assert found["helioloop_queue_oldest_seconds", "helioloop-score"] == pytest.approx(90, abs=10)
    assert found["helioloop_queue_oldest_seconds", "helioloop-maintenance"] == 0
    assert found["helioloop_failed_jobs", "helioloop-score"] == 1
    assert found["helioloop_workers", "helioloop-score"] == 1
    assert found["helioloop_workers", "helioloop-train"] == 0
    assert found["helioloop_pending_events", "1"] == 3
    assert found["helioloop_oldest_event_seconds", "1"] == pytest.approx(40, abs=10)
    assert found["helioloop_round_running", "1"] == 1
    assert found["helioloop_parked_rounds", "1"] == 1
    assert found["helioloop_published_version_info", "1", "v0001"] == 1
    for name in ("helioloop_published_timestamp_seconds", "helioloop_labels_read_timestamp_seconds"):
        assert found[name, "1"] == pytest.approx(time.time(), abs=60)


def _written(at: float) -> str:
    """Return a time as rq writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + ".000000Z"


def test_refusals_are_counted_by_status(client: FlaskClient) -> None:
    for path in ("/none", "/nothing"):
        client.get(path)
    client.post("/webhook", json={})
    found = _samples(client)
    assert (found["helioloop_refused_total", "404"], found["helioloop_refused_total", "400"]) == (2, 1)


def test_a_damaged_project_leaves_the_others(client: FlaskClient, settings: Settings, made: Any) -> None:
    made.publish(settings, 1, [])
    made.publish(settings, 2, [])
    (settings.model_dir(1) / "published.json").write_text("<html>")
    found = _samples(client)
    assert ("helioloop_published_version_info", "2", "v0001") in found
    assert ("helioloop_parked_rounds", "1") not in found


@pytest.mark.parametrize("key", ["pending-events", "round"])
def test_what_others_write_into_redis_hides_no_other_metric(
    client: FlaskClient, settings: Settings, redis_connection: redis.Redis, made: Any, key: str
) -> None:
    """A field that is no number, a missing one, and a job id that is no text."""
    for project in (1, 2):
        made.publish(settings, project, [])
    redis_connection.rpush(f"rq:queue:{QUEUE_SCORE}", b"\xff")
    for values in ({"added": "x", "since": "x", "fingerprint": "f", "heartbeat_at": "x"}, {"other": b"\xff"}):
        redis_connection.delete(f"helioloop:{key}:1")
        redis_connection.hset(f"helioloop:{key}:1", mapping=values)
        found = _samples(client)
        assert found["helioloop_queue_depth", QUEUE_SCORE] == 1
        assert found["helioloop_published_version_info", "1", "v0001"] == 1
        assert found["helioloop_pending_events", "2"] == 0


def test_without_redis_its_metrics_are_absent(
    app_of: Callable[[Settings], Flask], settings: Settings, made: Any
) -> None:
    made.publish(settings, 1, [])
    found = _samples(app_of(settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})).test_client())
    assert found["helioloop_redis_up",] == 0
    assert not [
        key for key in found if key[0] in {"helioloop_workers", "helioloop_pending_events", "helioloop_parked_jobs"}
    ]
    assert not [key for key in found if key[0].startswith(("helioloop_job_seconds", "helioloop_refused_jobs"))]
    assert found["helioloop_parked_rounds", "1"] == 0


def test_documents_and_examples_name_existing_metrics(
    client: FlaskClient, settings: Settings, redis_connection: redis.Redis, made: Any
) -> None:
    """Every metric is in the document, and those in the board and in the alert rules exist, with their labels."""
    made.publish(settings, 1, [])
    Snapshot(read_at="2026-01-01T00:00:00+00:00").write(settings.model_dir(1))
    add_to_figure(redis_connection, REPAIRS, "1", "annotations")
    assert client.post("/webhook", json={"action": "ANNOTATION_CREATED", "project": {"id": 1}}).status_code == 201
    text = client.get("/metrics").text
    families = [family for family in text_string_to_metric_families(text) if not family.name.endswith("_created")]
    bases = {family.name for family in families}
    names = bases | {f"{base}{ending}" for base in bases for ending in ("_total", "_bucket", "_sum", "_count")}
    board = json.loads((DOCS / "examples" / "grafana-board.json").read_text())
    expressions = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    (group,) = yaml.safe_load((DOCS / "examples" / "prometheus-alerts.yml").read_text())["groups"]
    rules = [rule["expr"] for rule in group["rules"]]
    assert min(len(expressions), len(rules)) >= 9
    assert all({"alert", "expr", "annotations"} <= set(rule) for rule in group["rules"])
    for expression in (*expressions, *rules):
        assert set(NAME.findall(expression)) <= names, expression
    of_names = _labels_of_names(client)
    shown = {target["expr"]: target["legendFormat"] for panel in board["panels"] for target in panel["targets"]}
    shown |= {rule["expr"]: rule["annotations"]["summary"] for rule in group["rules"]}
    for expression, words in shown.items():
        labels = {"le", *(label for name in NAME.findall(expression) for label in of_names[name])}
        if "helioloop_" in expression:  # Prometheus's own `up` has its labels
            assert _labels_in(expression, words) <= labels, expression
    document = set(NAME.findall((DOCS / "metrics.md").read_text()))
    assert document <= names
    assert {name.removesuffix("_total") for name in document} == bases


def _labels_in(expression: str, words: str) -> set[str]:
    """Return the labels that an expression and its legend or summary name."""
    grouped = [label.strip() for group in re.findall(r"by \(([a-z_, ]+)\)", expression) for label in group.split(",")]
    return {*grouped, *re.findall(r"([a-z_]+)=", expression), *re.findall(r"{{ ?(?:\$labels\.)?([a-z_]+) ?}}", words)}


def _labels_of_names(client: FlaskClient) -> dict[str, set[str]]:
    """Return the labels of each name in /metrics."""
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(client.get("/metrics").text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def test_no_metric_has_a_label_that_prometheus_sets_itself(
    client: FlaskClient, redis_connection: redis.Redis, settings: Settings, made: Any
) -> None:
    """Prometheus renames such a label of ours, so that a sum by it adds up what is to be told apart."""
    made.publish(settings, 1, [])
    add_to_figure(redis_connection, REPAIRS, "1", "annotations")
    labels = {label for of_name in _labels_of_names(client).values() for label in of_name}
    assert {"kind", "project", "step"} <= labels
    assert not labels & {"job", "instance"}


def test_what_has_not_happened_yet_is_shown_as_0(client: FlaskClient, settings: Settings, made: Any) -> None:
    """Prometheus computes no increase from the first value of a counter, so an alert would miss it."""
    made.publish(settings, 1, [])
    found = _samples(client)
    assert found["helioloop_refused_jobs_total",] == 0
    assert found["helioloop_job_seconds_count", "failed", "write_back"] == 0
    assert found["helioloop_job_seconds_sum", "done", "train_member"] == 0
    assert found["helioloop_correction_lag_seconds_count", "1"] == 0
    for status in ("401", "500", "503"):
        assert found["helioloop_refused_total", status] == 0


def test_the_figures_of_workers_and_their_failing_jobs_are_shown(
    client: FlaskClient, settings: Settings, redis_connection: redis.Redis, made: Any
) -> None:
    """What two workers added up; one write-back is parked, and a report is tried again."""
    made.publish(settings, 1, [])
    for seconds in (1.5, 2.5):
        add_to_figure(redis_connection, JOB_SECONDS, "train_member", "done", value=seconds)
    add_to_figure(redis_connection, LAG_SECONDS, "1", value=90.0, times=3)
    add_to_figure(redis_connection, REPAIRS, "1", "annotations")
    add_to_figure(redis_connection, REFUSED_JOBS)
    failures = JobFailures(redis_connection)
    for key, times in (("write-back-1-v0001", 4), ("report-1", 1)):
        for _ in range(times):
            failures.fail(1, key, "no space", limit=4, may_pass=False, reconcile_seconds=300.0)
    redis_connection.hset(
        "helioloop:work-figures", mapping={"sum x": "y", "count [": 1, b"\xff": 2, 'sum ["job_seconds"]': 3}
    )
    found = _samples(client)
    assert found["helioloop_job_seconds_sum", "done", "train_member"] == 4.0
    assert found["helioloop_job_seconds_count", "done", "train_member"] == 2
    assert (
        found["helioloop_correction_lag_seconds_sum", "1"],
        found["helioloop_correction_lag_seconds_count", "1"],
    ) == (90, 3)
    assert found["helioloop_repairs_total", "1", "annotations"] == 1
    assert found["helioloop_refused_jobs_total",] == 1
    assert (found["helioloop_parked_jobs", "1"], found["helioloop_failing_jobs", "1"]) == (1, 1)
    redis_connection.flushall()
    assert found["helioloop_job_seconds_count", "done", "locate"] == 0
    assert _samples(client)["helioloop_job_seconds_count", "done", "train_member"] == 0


@pytest.mark.parametrize("path", ["/ready", "/health"])
def test_probes_are_answered_without_credentials(client: FlaskClient, settings: Settings, path: str) -> None:
    settings.model_root.mkdir()
    assert client.get(path).status_code == 200


def test_ready_tells_what_is_missing(
    app_of: Callable[[Settings], Flask], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model root, then Redis; /health does not change with them. No path and no address is in the answer."""
    monkeypatch.setattr(readiness, "KEPT_SECONDS", 0.0)
    client = app_of(settings).test_client()
    assert client.get("/ready").json == {"status": "NOT READY", "detail": unreadable.NO_FOLDER}
    settings.model_root.mkdir()
    assert client.get("/ready").json == {"status": "READY"}
    down = app_of(settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})).test_client()
    answer = down.get("/ready")
    assert (answer.status_code, answer.json["detail"]) == (503, readiness.NO_REDIS)
    assert down.get("/health").status_code == 200


def test_ready_tells_that_redis_takes_no_writes(
    app_of: Callable[[Settings], Flask],
    settings: Settings,
    redis_connection: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It answers pings; an event would be refused. Ready again as soon as it is mended, and nothing stays in Redis."""
    monkeypatch.setattr(readiness, "KEPT_SECONDS", 0.0)
    settings.model_root.mkdir()
    client = app_of(settings).test_client()
    redis_connection.config_set("maxmemory", "1")
    try:
        answer = client.get("/ready")
        assert (answer.status_code, answer.json["detail"]) == (503, readiness.NO_WRITES)
    finally:
        redis_connection.config_set("maxmemory", "0")
    assert client.get("/ready").status_code == 200
    assert not redis_connection.keys("helioloop:trial:*")


def test_many_probes_are_one_look(
    app_of: Callable[[Settings], Flask], settings: Settings, redis_connection: redis.Redis
) -> None:
    """Everybody may ask, so asking often costs nothing."""
    settings.model_root.mkdir()
    client = app_of(settings).test_client()
    before = redis_connection.info("commandstats").get("cmdstat_ping", {"calls": 0})["calls"]
    for _ in range(50):
        assert client.get("/ready").status_code == 200
    assert redis_connection.info("commandstats")["cmdstat_ping"]["calls"] - before <= 3
