"""/predict where scores are missing: they are requested once, and the answer waits for a few."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient
from tests.backend.scoring_jobs import scoring_jobs

from helioloop.messaging import queues
from helioloop.records.cubes import CubeInfo
from helioloop.registry.unscorable import add_unscorable, clear_unscorable, unscorable_path
from helioloop.registry.versions import Registry
from helioloop.settings import Settings


def test_the_missing_scores_of_a_request_are_one_job(
    client: FlaskClient, settings: Settings, redis_connection: redis.Redis, made: Any
) -> None:
    """It has each cube once, and the published version."""
    made.publish(settings, 1, [made.score("A", 0.75)])
    tasks = [made.task(cube) for cube in ("A", "X", "Y", "X")]
    client.post("/predict", json=made.predict(tasks))
    assert scoring_jobs(redis_connection) == [
        {
            "project": 1,
            "version": "v0001",
            "cubes": [
                {
                    "release": "r",
                    "name": cube,
                    "sha256": "a" * 64,
                    "start": "1998-12-06T00:00:00",
                    "region": "AR 1",
                    "label": None,
                    "verified": False,
                }
                for cube in ("X", "Y")
            ],
            "format": 1,
        }
    ]


def test_many_missing_scores_are_several_jobs(
    client: FlaskClient, settings: Settings, redis_connection: redis.Redis, made: Any
) -> None:
    """250 cubes are requested in jobs of a hundred, so that a job that dies loses few of them."""
    made.publish(settings, 1, [])
    names = [f"X{number:03d}" for number in range(250)]
    client.post("/predict", json=made.predict([made.task(name) for name in names]))
    asked = [[cube["name"] for cube in job["cubes"]] for job in scoring_jobs(redis_connection)]
    assert asked == [names[:100], names[100:200], names[200:]]


def test_scores_that_redis_did_not_take_are_requested_again(
    client: FlaskClient, settings: Settings, redis_connection: redis.Redis, made: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis fails between two jobs: the next request sends only the cubes of the second one."""
    made.publish(settings, 1, [])
    names = [f"X{number:03d}" for number in range(150)]
    body = made.predict([made.task(name) for name in names])
    whole, takes = queues.send, iter(range(1))

    def goes_away(*message: Any) -> bool:
        if next(takes, None) is None:
            raise redis.ConnectionError
        return whole(*message)

    with monkeypatch.context() as broken:
        broken.setattr(queues, "send", goes_away)
        client.post("/predict", json=body)
    client.post("/predict", json=body)
    assert [[cube["name"] for cube in job["cubes"]] for job in scoring_jobs(redis_connection)] == [
        names[:100],
        names[100:],
    ]


def test_requested_scores_are_not_requested_again(
    client: FlaskClient, settings: Settings, redis_connection: redis.Redis, made: Any
) -> None:
    """A second request sends only the cubes that the first did not send."""
    made.publish(settings, 1, [])
    client.post("/predict", json=made.predict([made.task("X"), made.task("Y")]))
    client.post("/predict", json=made.predict([made.task("X"), made.task("Y")]))
    client.post("/predict", json=made.predict([made.task("Y"), made.task("Z")]))
    assert [[cube["name"] for cube in job["cubes"]] for job in scoring_jobs(redis_connection)] == [["X", "Y"], ["Z"]]


@pytest.mark.parametrize(
    "change",
    [
        {"sha256": "A" * 64},
        {"sha256": "a" * 63},
        {"sha256": None},
        {"cube": "../../etc/passwd"},
        {"cube": "a/b"},
        {"cube": "a\\b"},
        {"cube": ".hidden"},
        {"cube": ""},
        {"cube": "a\x00b"},
        {"cube": "x" * 201},
        {"cube": 7},
        {"cube": ["A"]},
        {"release": "/etc"},
        {"release": "file:///etc"},
        {"release": ".."},
        {"release": None},
    ],
    ids=repr,
)
def test_a_task_without_a_valid_cube_is_answered_without_a_job(
    client: FlaskClient, settings: Settings, redis_connection: redis.Redis, made: Any, change: dict[str, Any]
) -> None:
    """A path instead of a name, or a wrong hash, is answered [], and no worker opens it."""
    made.publish(settings, 1, [made.score("A", 0.75)])
    answer = client.post("/predict", json=made.predict([made.task("A", **change)]))
    assert (answer.status_code, answer.json["results"]) == (200, [[]])
    assert scoring_jobs(redis_connection) == []


def _score_soon(settings: Settings, made: Any, cubes: list[str]) -> threading.Thread:
    """Store the scores a moment later, as a worker does."""

    def work() -> None:
        time.sleep(0.2)
        Registry(settings.model_dir(1)).add_scores("v0001", [made.score(cube, 0.5) for cube in cubes])

    thread = threading.Thread(target=work)
    thread.start()
    return thread


@pytest.mark.parametrize(("count", "answered"), [(5, True), (6, False)])
def test_an_answer_waits_for_a_few_missing_scores(
    app_of: Callable[[Settings], Flask],
    settings: Settings,
    made: Any,
    count: int,
    answered: bool,
) -> None:
    """Up to five are waited for; six are not."""
    client = app_of(settings.model_copy(update={"predict_wait_seconds": 2.0})).test_client()
    made.publish(settings, 1, [])
    cubes = [f"X{number}" for number in range(count)]
    worker = _score_soon(settings, made, cubes)
    started = time.perf_counter()
    results = client.post("/predict", json=made.predict([made.task(cube) for cube in cubes])).json["results"]
    seconds = time.perf_counter() - started
    worker.join()
    assert [bool(entry) for entry in results] == [answered] * count
    assert seconds < (1.5 if answered else 0.19)


def test_the_wait_ends(client: FlaskClient, settings: Settings, made: Any) -> None:
    """It is no longer than the setting, 0.3 s here."""
    made.publish(settings, 1, [])
    started = time.perf_counter()
    assert client.post("/predict", json=made.predict([made.task("X")])).json["results"] == [[]]
    assert 0.3 <= time.perf_counter() - started < 0.8


def test_cubes_that_cannot_be_scored_are_answered_at_once(
    app_of: Callable[[Settings], Flask], settings: Settings, redis_connection: redis.Redis, made: Any
) -> None:
    """They are neither waited for nor requested; other missing cubes in the same request are."""
    client = app_of(settings.model_copy(update={"predict_wait_seconds": 30.0})).test_client()
    made.publish(settings, 1, [])
    gone, late = made.task("X", sha256="b" * 64), made.task("Y")
    add_unscorable(settings.model_dir(1), "v0001", [CubeInfo(release="r", name="X", sha256="b" * 64)])
    started = time.perf_counter()
    assert client.post("/predict", json=made.predict([gone])).json["results"] == [[]]
    assert time.perf_counter() - started < 1
    assert redis_connection.keys("*") == []
    worker = _score_soon(settings, made, ["Y"])
    results = client.post("/predict", json=made.predict([gone, late])).json["results"]
    worker.join()
    assert [bool(entry) for entry in results] == [False, True]
    assert [[cube["name"] for cube in job["cubes"]] for job in scoring_jobs(redis_connection)] == [["Y"]]
    text = client.get("/metrics").text
    assert 'helioloop_predict_tasks_total{outcome="unscorable"} 2.0' in text
    assert 'helioloop_predict_tasks_total{outcome="miss"} 0.0' in text


def test_a_cube_that_turns_out_to_be_unscorable_ends_the_wait(
    app_of: Callable[[Settings], Flask], settings: Settings, made: Any
) -> None:
    """The worker writes the list while a request waits."""
    client = app_of(settings.model_copy(update={"predict_wait_seconds": 30.0})).test_client()
    made.publish(settings, 1, [])
    cube = CubeInfo(release="r", name="X", sha256="a" * 64)
    worker = threading.Timer(0.2, add_unscorable, (settings.model_dir(1), "v0001", [cube]))
    worker.start()
    started = time.perf_counter()
    assert client.post("/predict", json=made.predict([made.task("X")])).json["results"] == [[]]
    assert 0.2 <= time.perf_counter() - started < 2
    worker.join()


def test_cubes_are_tried_again_after_an_ingestion_and_by_another_version(
    client: FlaskClient, settings: Settings, redis_connection: redis.Redis, made: Any
) -> None:
    """An ingestion clears all lists; each version has its own; a damaged one counts as empty."""
    made.publish(settings, 1, [], "00000001")
    cubes = [CubeInfo(release="r", name=name, sha256=name.lower() * 64) for name in ("A", "B", "C")]
    tasks = {cube.name: made.predict([made.task(cube.name, sha256=cube.sha256)]) for cube in cubes}
    add_unscorable(settings.model_dir(1), "v0001", cubes)
    client.post("/predict", json=tasks["A"])
    assert scoring_jobs(redis_connection) == []
    unscorable_path(settings.model_dir(1), "v0001").write_text("<html>")
    client.post("/predict", json=tasks["A"])
    clear_unscorable(settings.model_dir(1))
    add_unscorable(settings.model_dir(1), "v0001", cubes)
    clear_unscorable(settings.model_dir(1))
    client.post("/predict", json=tasks["B"])
    add_unscorable(settings.model_dir(1), "v0001", cubes)
    made.publish(settings, 1, [], "00000002")
    client.post("/predict", json=tasks["C"])
    asked = [(job["version"], [cube["name"] for cube in job["cubes"]]) for job in scoring_jobs(redis_connection)]
    assert asked == [("v0001", ["A"]), ("v0001", ["B"]), ("v0002", ["C"])]
