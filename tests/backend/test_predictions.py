"""/predict, /setup and /versions: the stored scores of the published version, one entry per task."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient
from tests.backend.scoring_jobs import scoring_jobs

from helioloop import __version__
from helioloop.records.labels import CurrentLabel, Label, LabelSource
from helioloop.records.scores import Emergence
from helioloop.registry.label_snapshot import Snapshot
from helioloop.registry.random_checks import RandomChecks, random_checks_path
from helioloop.registry.stamp import write_stamp
from helioloop.registry.versions import Registry
from helioloop.settings import Settings


def _annotation(kind: str) -> dict[str, Any]:
    item = {"from_name": "kind", "to_name": "movie", "type": "choices", "value": {"choices": [kind]}}
    return {"id": 5, "completed_by": 3, "was_cancelled": False, "updated_at": "2026-01-01T00:00:00Z", "result": [item]}


def _answered(cube: str, label: Label = Label.EMERGENCE) -> CurrentLabel:
    return CurrentLabel(cube=cube, label=label, verified=True, source=LabelSource.MAJORITY)


# -- before the first version ---------------------------------------------------------------------


def test_an_untrained_project_has_no_predictions(client: FlaskClient, redis_connection: redis.Redis, made: Any) -> None:
    """Before the first version /setup answers "untrained" and /predict [] for each task; no job is sent."""
    body = {"project": "1.1700000000", "schema": made.config, "hostname": "http://ls", "access_token": "t0ken"}
    assert client.post("/setup", json=body).json == {"model_version": "untrained"}
    answer = client.post("/predict", json=made.predict([made.task("A"), made.task("B"), made.task("C")]))
    assert (answer.status_code, answer.json["results"]) == (200, [[], [], []])
    assert redis_connection.keys("*") == []


def test_predict_needs_no_setup_before_it(app_of: Callable[[Settings], Flask], settings: Settings, made: Any) -> None:
    """A restarted backend answers its first /predict without a /setup."""
    made.publish(settings, 1, [made.score("A", 0.75)])
    client = app_of(settings).test_client()
    (entry,) = client.post("/predict", json=made.predict([made.task("A")])).json["results"]
    assert entry["score"] == 0.75


# -- stored scores --------------------------------------------------------------------------------


def test_a_stored_score_becomes_a_prediction(client: FlaskClient, settings: Settings, made: Any) -> None:
    """With the names in the configuration, frames counted from 1, and the agreement as score."""
    made.publish(settings, 1, [made.score("A", 0.75, emergence=Emergence(frame=91, frame_lo=88, frame_hi=95))])
    answer = client.post("/predict", json=made.predict([made.task("A", crude_label="non-emergence")]))
    setup = client.post("/setup", json={"project": "1.1700000000", "schema": made.config})
    assert setup.json == {"model_version": "v0001"}
    assert answer.json["model_version"] == "v0001"
    assert answer.json["results"] == [
        {
            "model_version": "v0001",
            "score": 0.25,
            "result": [
                {
                    "from_name": "kind",
                    "to_name": "movie",
                    "type": "choices",
                    "value": {"choices": ["emergence"]},
                    "score": 0.75,
                },
                {
                    "from_name": "when",
                    "to_name": "movie",
                    "type": "timelinelabels",
                    "value": {"ranges": [{"start": 92, "end": 225}], "timelinelabels": ["emergence"]},
                    "score": 0.75,
                },
            ],
        }
    ]


def test_one_entry_per_task_in_order(client: FlaskClient, settings: Settings, made: Any) -> None:
    """Scored, missing, repeated and foreign tasks keep their places."""
    made.publish(settings, 1, [made.score("A", 0.75), made.score("B", 0.5)])
    tasks = [made.task("B"), {"data": {"text": "hello"}}, made.task("X"), made.task("A"), made.task("B"), None, 7]
    results = client.post("/predict", json=made.predict(tasks)).json["results"]
    assert [entry and entry["score"] for entry in results] == [0.5, [], [], 0.75, 0.5, [], []]


def _snapshot(settings: Settings, label: Label, **annotations: str) -> None:
    """Write a snapshot as a worker does: the label of cube A and the annotations that were read."""
    current = CurrentLabel(cube="A", label=label, verified=True, source=LabelSource.MAJORITY)
    known = {number.removeprefix("a"): at for number, at in annotations.items()}
    Snapshot(read_at="2026-01-01T00:00:00+00:00", annotations=known, cubes={"A": current}).write(settings.model_dir(1))


def _agreement(client: FlaskClient, made: Any, annotations: Any, *, number: int = 1) -> float:
    """Return the score in the answer for a task of cube A, whose crude label is emergence."""
    task = made.task("A", number=number) | {"annotations": annotations}
    (entry,) = client.post("/predict", json=made.predict([task])).json["results"]
    return float(entry["score"])


@pytest.mark.parametrize(
    ("annotations", "score"),
    [
        ([], 0.75),
        ("emergence", 0.75),
        ("non-emergence", 0.25),
        (None, 0.75),
        ([{"id": 1, "result": "text"}], 0.75),  # not the shape that Label Studio sends
        ([7], 0.75),
        ([{"id": 1, "result": [{"from_name": "kind", "value": "x"}]}], 0.75),
        ([{"id": 1, "result": [{"from_name": "kind", "value": {"choices": 5}}]}], 0.75),
        ({"a": 1}, 0.75),
    ],
    ids=repr,
)
def test_without_a_snapshot_the_annotations_sent_decide_else_the_crude_label(
    client: FlaskClient, settings: Settings, made: Any, annotations: Any, score: float
) -> None:
    """The score is the agreement with the current label: P(emergence) is 0.75."""
    made.publish(settings, 1, [made.score("A", 0.75)])
    sent = [_annotation(annotations)] if isinstance(annotations, str) else annotations
    assert _agreement(client, made, sent) == score


@pytest.mark.parametrize(
    "annotations",
    [
        [],
        None,
        [7],
        [{"id": 1, "result": "text"}],
        [{"id": 1, "result": [{"from_name": "kind", "value": {"choices": 5}}]}],
        {"a": 1},
    ],
    ids=repr,
)
def test_a_task_without_a_readable_annotation_has_the_label_of_its_cube(
    client: FlaskClient, settings: Settings, made: Any, annotations: Any
) -> None:
    """A duplicate task was annotated as non-emergence, so the crude label does not count."""
    made.publish(settings, 1, [made.score("A", 0.75)])
    _snapshot(settings, Label.NON_EMERGENCE, a9="2026-01-01T00:00:00Z")
    assert _agreement(client, made, annotations, number=2) == 0.25


def test_an_annotation_that_the_snapshot_has_does_not_outvote_duplicate_tasks(
    client: FlaskClient, settings: Settings, made: Any
) -> None:
    """This task has one annotation of emergence; two on a duplicate task made the cube a non-emergence."""
    made.publish(settings, 1, [made.score("A", 0.75)])
    known = {"a5": "2026-01-01T00:00:00Z", "a6": "2026-01-01T00:00:00Z", "a7": "2026-01-01T00:00:00Z"}
    _snapshot(settings, Label.NON_EMERGENCE, **known)
    assert _agreement(client, made, [_annotation("emergence")]) == 0.25


@pytest.mark.parametrize(
    "known",
    [{}, {"a4": "2026-01-01T00:00:00Z"}, {"a5": "2025-12-31T23:59:59.999999Z"}, {"a5": "2025-12-31T23:59:59+00:00"}],
    ids=["first", "another", "changed", "changed, other notation"],
)
def test_an_annotation_newer_than_the_snapshot_counts_at_once(
    client: FlaskClient, settings: Settings, made: Any, known: dict[str, str]
) -> None:
    """It was submitted or changed after the worker last read the project."""
    made.publish(settings, 1, [made.score("A", 0.75)])
    _snapshot(settings, Label.EMERGENCE, **known)
    assert _agreement(client, made, [_annotation("non-emergence")]) == 0.25


@pytest.mark.parametrize("at", ["2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z", "2026-01-01T00:00:00", "x"])
def test_an_annotation_that_is_not_newer_does_not_count(
    client: FlaskClient, settings: Settings, made: Any, at: str
) -> None:
    """The request was made before the worker read the project, or the times cannot be compared."""
    made.publish(settings, 1, [made.score("A", 0.75)])
    _snapshot(settings, Label.EMERGENCE, a5=at)
    assert _agreement(client, made, [_annotation("non-emergence")]) == 0.75


def test_a_deleted_annotation_counts_until_the_worker_has_read_the_project(
    client: FlaskClient, settings: Settings, made: Any
) -> None:
    """The request does not show whether it was deleted or is on a duplicate task; the next snapshot does."""
    made.publish(settings, 1, [made.score("A", 0.75)])
    _snapshot(settings, Label.NON_EMERGENCE, a5="2026-01-01T00:00:00Z")
    assert _agreement(client, made, []) == 0.25
    _snapshot(settings, Label.EMERGENCE)
    assert _agreement(client, made, []) == 0.75


@pytest.mark.parametrize("annotations", [{"a": 1}, "x", 7, True], ids=repr)
def test_annotations_that_are_not_a_list_do_not_count(
    client: FlaskClient, settings: Settings, made: Any, annotations: Any
) -> None:
    """Without a snapshot the crude label counts."""
    made.publish(settings, 1, [made.score("A", 0.75)])
    task = made.task("A") | {"annotations": annotations}
    (entry,) = client.post("/predict", json=made.predict([task])).json["results"]
    assert entry["score"] == 0.75


def test_a_new_snapshot_counts_at_once(client: FlaskClient, settings: Settings, made: Any) -> None:
    """It is read again after the worker has replaced it; a damaged one counts as none."""
    made.publish(settings, 1, [made.score("A", 0.75)])
    task = made.task("A")
    del task["annotations"]

    def score() -> float:
        return float(client.post("/predict", json=made.predict([task])).json["results"][0]["score"])

    assert score() == 0.75
    _snapshot(settings, Label.NON_EMERGENCE)
    assert score() == 0.25
    for damaged in ("<html>", "[]", '{"read_at": "", "annotations": {}, "cubes": []}'):
        (settings.model_dir(1) / "labels.json").write_text(damaged)
        assert score() == 0.75


def test_without_a_label_the_score_is_the_probability_of_the_predicted_class(
    client: FlaskClient, settings: Settings, made: Any
) -> None:
    """P(emergence) is 0.125, so the predicted class is non-emergence."""
    made.publish(settings, 1, [made.score("A", 0.125)])
    (entry,) = client.post("/predict", json=made.predict([made.task("A", crude_label="")])).json["results"]
    assert entry["score"] == 0.875


@pytest.mark.parametrize("crude", ["", "maybe", None, 7, [], {"a": 1}], ids=repr)
def test_another_value_than_a_class_is_not_a_crude_label(
    client: FlaskClient, settings: Settings, made: Any, crude: Any
) -> None:
    """The data of a task may contain anything."""
    made.publish(settings, 1, [made.score("A", 0.125)])
    (entry,) = client.post("/predict", json=made.predict([made.task("A", crude_label=crude)])).json["results"]
    assert entry["score"] == 0.875


def test_a_newly_published_version_answers_at_once(client: FlaskClient, settings: Settings, made: Any) -> None:
    """After a publication and after a rollback, /setup and /predict name the same version."""
    made.publish(settings, 1, [made.score("A", 0.75)], "00000001")
    made.publish(settings, 1, [made.score("A", 0.5)], "00000002")
    for version, score in (("v0002", 0.5), ("v0001", 0.75)):
        Registry(settings.model_dir(1)).publish(version, why="test")
        (entry,) = client.post("/predict", json=made.predict([made.task("A")])).json["results"]
        assert (entry["model_version"], entry["score"]) == (version, score)
        assert client.post("/setup", json={"project": "1.1"}).json == {"model_version": version}


def test_each_project_has_versions_and_scores_of_its_own(client: FlaskClient, settings: Settings, made: Any) -> None:
    made.publish(settings, 1, [made.score("A", 0.75)])
    made.publish(settings, 2, [made.score("A", 0.5)], "00000001")
    made.publish(settings, 2, [made.score("A", 0.25)], "00000002")
    for project, version, score in (("1.1", "v0001", 0.75), ("2.1", "v0002", 0.25)):
        (entry,) = client.post("/predict", json=made.predict([made.task("A")], project=project)).json["results"]
        assert (entry["model_version"], entry["score"]) == (version, score)


def test_answers_do_not_need_redis(
    client: FlaskClient,
    app_of: Callable[[Settings], Flask],
    settings: Settings,
    redis_connection: redis.Redis,
    made: Any,
) -> None:
    """It may be empty or down: stored scores come from files, other tasks are [] without a wait."""
    made.publish(settings, 1, [made.score("A", 0.75)])
    body = made.predict([made.task("A"), made.task("X")])
    before = client.post("/predict", json=body).json
    redis_connection.flushall()
    assert client.post("/predict", json=body).json == before
    down = settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0", "predict_wait_seconds": 30.0})
    assert app_of(down).test_client().post("/predict", json=body).json == before


# -- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize("route", ["/setup", "/predict", "/versions"])
@pytest.mark.parametrize(
    "project", ["../x", "1/../2", "", "x.1", "-1.1", "0.1", "1.x", "1.1.1", " 1.1", "1.1\n", "١.1", "1" * 19, 1, [], {}]
)
def test_a_malformed_project_id_is_refused(
    client: FlaskClient, settings: Settings, made: Any, route: str, project: Any
) -> None:
    """Only "<id>.<created>" is one; nothing else becomes part of a path."""
    answer = client.post(route, json={**made.predict([made.task("A")]), "project": project})
    assert answer.status_code == 400
    assert '"<id>.<created>"' in answer.json["detail"]
    assert not settings.model_root.exists()


@pytest.mark.parametrize("change", [{"tasks": None}, {"tasks": {}}, {"tasks": "x"}, {"label_config": 7}], ids=repr)
def test_a_malformed_predict_call_is_refused(client: FlaskClient, made: Any, change: dict[str, Any]) -> None:
    """The answer is a 400 with one sentence."""
    answer = client.post("/predict", json=made.predict([]) | change)
    assert answer.status_code == 400
    assert "must be" in answer.json["detail"]


@pytest.mark.parametrize(
    "config",
    [
        "",
        "<View/>",
        "<View>",
        '<!DOCTYPE v [<!ENTITY a "b">]><View/>',
        "<View>" * 5000,
        "x" * 1_000_001,
        "<View>\ud800</View>",
    ],
    ids=["empty", "bare", "cut", "doctype", "deep", "long", "half a character"],
)
def test_a_configuration_that_cannot_be_used_is_refused(
    client: FlaskClient, settings: Settings, made: Any, config: str
) -> None:
    """The answer names what the configuration needs."""
    made.publish(settings, 1, [made.score("A", 0.75)])
    answer = client.post("/predict", json=made.predict([made.task("A")]) | {"label_config": config})
    assert answer.status_code == 400
    assert "configuration" in answer.json["detail"]


@pytest.mark.parametrize(
    "file",
    ["format.json", "published.json", "versions/v0001/card.json", "versions/v0001/scores/9.jsonl", "versions/v0001"],
)
def test_a_damaged_model_folder_is_a_503(
    client: FlaskClient, settings: Settings, made: Any, caplog: pytest.LogCaptureFixture, file: str
) -> None:
    """For its project only, and without its path in the answer or the log."""
    for project in (1, 2):
        made.publish(settings, project, [made.score("A", 0.75)])
    damaged = settings.model_dir(1) / file
    if damaged.is_dir():
        damaged.rename(damaged.with_name("elsewhere"))
    else:
        damaged.write_text("<html>")
    answer = client.post("/predict", json=made.predict([made.task("A")]))
    assert answer.status_code == 503
    assert "model folder" in answer.json["detail"]
    assert str(settings.model_root) not in answer.text + caplog.text
    assert client.post("/predict", json=made.predict([made.task("A")], project="2.1")).status_code == 200


# -- versions -------------------------------------------------------------------------------------


def test_versions_are_listed(client: FlaskClient, settings: Settings, made: Any) -> None:
    """A request without a project lists the versions of all."""
    made.publish(settings, 1, [], "00000001")
    made.publish(settings, 1, [], "00000002")
    made.publish(settings, 2, [], "00000001")
    Path(settings.model_root / "project-x").mkdir()
    assert client.get("/versions").json == {"versions": ["v0001", "v0002"]}
    assert client.get("/versions?project=2.1").json == {"versions": ["v0001"]}
    assert client.post("/versions", json={"project": "2.1"}).json == {"versions": ["v0001"]}
    assert client.get("/versions?project=../x").status_code == 400
    about = client.get("/versions?about=1").json
    assert about == {"versions": ["v0001", "v0002"], "helioloop": {"version": __version__, "stamp": None}}
    stamp = write_stamp(settings.model_root)
    assert client.get("/versions?project=2.1&about=1").json["helioloop"]["stamp"] == stamp


@pytest.mark.parametrize("content", [None, '{"format": 2}', "<html>"], ids=["missing", "unknown", "damaged"])
def test_a_model_folder_of_another_format_is_refused(
    client: FlaskClient, settings: Settings, made: Any, content: str | None
) -> None:
    """Its project is a 503 on every route; other projects are not affected."""
    for project in (1, 2):
        made.publish(settings, project, [made.score("A", 0.75)])
    number = settings.model_dir(1) / "format.json"
    if content is None:
        number.unlink()
    else:
        number.write_text(content)
    for route in ("/setup", "/predict", "/versions"):
        answer = client.post(route, json=made.predict([made.task("A")]))
        assert answer.status_code == 503
        assert "helioloop status" in answer.json["detail"]
        assert client.post(route, json=made.predict([made.task("A")], project="2.1")).status_code == 200
    assert client.get("/versions").json == {"versions": ["v0001"]}
    assert 'helioloop_published_version_info{project="2",version="v0001"} 1.0' in client.get("/metrics").text


# -- random checks --------------------------------------------------------------------------------


def test_an_unanswered_random_check_has_no_prediction(
    client: FlaskClient, settings: Settings, redis_connection: redis.Redis, made: Any
) -> None:
    """Neither a stored one nor a requested one; the other tasks have theirs, and once it is answered it has, too."""
    made.publish(settings, 1, [made.score("A", 0.75), made.score("B", 0.75)])
    folder = settings.model_dir(1)
    RandomChecks(version="v0001", cubes=("A", "C")).write(folder)
    body = made.predict([made.task("A"), made.task("B"), made.task("C")])
    blind, shown, unscored = client.post("/predict", json=body).json["results"]
    assert (blind, unscored) == ([], [])
    assert shown["score"] == 0.75
    assert scoring_jobs(redis_connection) == []
    Snapshot(read_at="2026-01-01T00:00:00+00:00", cubes={"A": _answered("A")}).write(folder)
    answered, _, unanswered = client.post("/predict", json=body).json["results"]
    assert answered["score"] == 0.75
    assert unanswered == []
    metrics = client.get("/metrics").text
    assert 'helioloop_predict_tasks_total{outcome="blind"} 3.0' in metrics


@pytest.mark.parametrize("fault", ["damaged", "cannot be looked at"])
def test_no_predictions_are_answered_where_the_random_checks_cannot_be_read(
    client: FlaskClient, settings: Settings, made: Any, fault: str
) -> None:
    """Label Studio would store those of blind tasks; other projects are answered."""
    made.publish(settings, 1, [made.score("A", 0.75)])
    made.publish(settings, 2, [made.score("A", 0.75)])
    path = random_checks_path(settings.model_dir(1))
    if fault == "damaged":
        path.write_text("{")
    else:
        path.symlink_to(path.name)  # a loop
    assert client.post("/predict", json=made.predict([made.task("A")])).status_code == 503
    assert client.post("/predict", json=made.predict([made.task("A")], project="2.1")).status_code == 200


def test_a_skipped_random_check_stays_blind(client: FlaskClient, settings: Settings, made: Any) -> None:
    made.publish(settings, 1, [made.score("A", 0.75)])
    RandomChecks(version="v0001", cubes=("A",)).write(settings.model_dir(1))
    labels = {"A": CurrentLabel(cube="A", label=Label.EMERGENCE)}
    Snapshot(read_at="2026-01-01T00:00:00+00:00", cubes=labels).write(settings.model_dir(1))
    assert client.post("/predict", json=made.predict([made.task("A")])).json["results"] == [[]]
