"""The answer to /predict, made of texts that are kept, is that of the plain way: each prediction made anew."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as some

from helioloop.labelstudio.annotations import current_label
from helioloop.labelstudio.config import parse_config
from helioloop.labelstudio.predictions import prediction
from helioloop.labelstudio.tasks import cube_of
from helioloop.records.labels import CurrentLabel, Label, LabelSource
from helioloop.records.scores import CubeScore, Emergence
from helioloop.registry import score_store
from helioloop.registry.label_snapshot import Snapshot
from helioloop.registry.random_checks import RandomChecks
from helioloop.registry.versions import Registry
from helioloop.settings import Settings
from helioloop_backend.answers import Answer, Wording

AT = "2026-01-01T00:00:00Z"
CUBES = ["A", "B", "C", "unscored", "é", "blind"]


def _plain_answer(settings: Settings, body: dict[str, Any]) -> list[Any]:
    """Return the entries that the files in the model folder give, read anew for each request."""
    folder = settings.model_dir(1)
    registry, snapshot, checks = Registry(folder), Snapshot.read(folder), RandomChecks.read(folder)
    version = registry.published()
    assert version is not None
    scores = registry.scores(version)
    controls = parse_config(body["label_config"], emergence="emergence", non_emergence="non-emergence")
    known = {} if snapshot is None else snapshot.cubes
    stamps = {} if snapshot is None else snapshot.annotations
    blind = frozenset() if checks is None else checks.blind(known)
    entries: list[Any] = []
    for task in body["tasks"]:
        cube = cube_of(task.get("data")) if isinstance(task, dict) else None
        if cube is None or cube.key not in scores or cube.name in blind:
            entries.append([])
            continue
        requested = current_label(task, controls, n_frames=225)
        found = task.get("annotations")
        newer = isinstance(found, list) and any(
            isinstance(one, dict) and str(one.get("updated_at")) > stamps.get(str(one.get("id")), "") for one in found
        )
        if cube.name in known and not (newer and requested.source is not LabelSource.CRUDE):
            label = known[cube.name].label
        else:
            label = requested.label
        entries.append(prediction(scores[cube.key], label, controls, model_version=version, n_frames=225))
    return entries


def _annotation(number: int, kind: str, at: str) -> dict[str, Any]:
    item = {"from_name": "kind", "to_name": "movie", "type": "choices", "value": {"choices": [kind]}}
    return {"id": number, "completed_by": 3, "was_cancelled": False, "updated_at": at, "result": [item]}


_ANNOTATIONS = some.lists(
    some.builds(
        _annotation,
        some.integers(1, 4),
        some.sampled_from(["emergence", "non-emergence", "else"]),
        some.sampled_from([AT, "2026-01-02T00:00:00Z"]),
    ),
    max_size=2,
)
_ANYTHING = some.sampled_from([None, 7, True, "", "x", [], {}, ["A"], {"cube": "A"}])
_DATA = some.fixed_dictionaries(
    {
        "cube": some.sampled_from(CUBES) | _ANYTHING,
        "release": some.sampled_from(["r", "s"]) | some.sampled_from(["../r", ""]) | _ANYTHING,
        "sha256": some.sampled_from(["a" * 64, "a" * 64, "b" * 64, "A" * 64]) | _ANYTHING,
        "crude_label": some.sampled_from(["emergence", "non-emergence", "", None, []]),
    }
)
_TASKS = some.lists(
    some.fixed_dictionaries({"data": _DATA | _ANYTHING, "annotations": _ANNOTATIONS | _ANYTHING}) | _ANYTHING,
    max_size=8,
)


@pytest.fixture
def stored(settings: Settings, made: Any) -> Settings:
    """A version with scores, a snapshot with annotations 1 and 2, and an unanswered random check."""
    settings = settings.model_copy(update={"predict_wait_seconds": 0.0})
    located = {"emergence": Emergence(frame=9, frame_lo=5, frame_hi=12)}
    scores = [made.score("A", 0.75, **located), made.score("B", 0.125), made.score("C", 0.5), made.score("é", 1.0)]
    made.publish(settings, 1, [*scores, made.score("blind", 0.9)])
    labels = {
        "A": CurrentLabel(cube="A", label=Label.NON_EMERGENCE, verified=True, source=LabelSource.MAJORITY),
        "B": CurrentLabel(cube="B", label=None),
    }
    Snapshot(read_at=AT, annotations={"1": AT, "2": AT}, cubes=labels).write(settings.model_dir(1))
    RandomChecks(version="v0001", cubes=("blind",)).write(settings.model_dir(1))
    return settings


@examples(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tasks=_TASKS)
def test_any_tasks_get_what_the_plain_way_gives(
    stored: Settings, shared_client: Callable[[Settings], FlaskClient], made: Any, tasks: list[Any]
) -> None:
    """Tasks of all kinds, with scores, labels and annotations of all kinds."""
    body = made.predict(tasks)
    answer = shared_client(stored).post("/predict", json=body)
    assert answer.status_code == 200
    assert answer.json["results"] == _plain_answer(stored, body)


@pytest.fixture
def shared_client(app_of: Callable[[Settings], Flask]) -> Callable[[Settings], FlaskClient]:
    """Return a function that makes a client once, so that what it keeps is used by all examples."""
    made_clients: list[FlaskClient] = []

    def client(settings: Settings) -> FlaskClient:
        if not made_clients:
            made_clients.append(app_of(settings).test_client())
        return made_clients[0]

    return client


def test_what_is_kept_follows_every_change(stored: Settings, app_of: Callable[[Settings], Flask], made: Any) -> None:
    """Labels, scores, random checks, configuration and version change between two requests."""
    client = app_of(stored).test_client()
    registry = Registry(stored.model_dir(1))
    tasks = [made.task(cube) for cube in ("A", "B", "C", "blind")]
    renamed = made.config.replace('name="kind"', 'name="sort"')
    seen: list[str] = []

    def changed() -> bool:
        """Compare with the plain way, and return whether the answer differs from the one before."""
        body = made.predict(tasks) | {"label_config": renamed if len(seen) == 4 else made.config}
        answer = client.post("/predict", json=body).json
        assert answer["results"] == _plain_answer(stored, body)
        seen.append(json.dumps(answer))
        return seen[-1] not in seen[:-1]

    assert changed()
    assert not changed()
    label = CurrentLabel(cube="C", label=Label.NON_EMERGENCE, verified=True, source=LabelSource.MAJORITY)
    Snapshot(read_at=AT, cubes={"C": label}).write(stored.model_dir(1))
    assert changed()
    registry.add_scores("v0001", [made.score("A", 0.0625)])  # scored again: the later file counts
    assert changed()
    assert changed()  # another configuration
    RandomChecks(version="v0001", cubes=()).write(stored.model_dir(1))
    assert changed()
    made.publish(stored, 1, [made.score("A", 0.25)], "00000002")
    assert changed()
    registry.publish("v0001", why="rollback")
    assert not changed()


def test_scores_that_are_added_are_found_at_once(
    stored: Settings, app_of: Callable[[Settings], Flask], made: Any
) -> None:
    """The folder was listed long after its last change, so it is not listed again before it changes."""
    client = app_of(stored).test_client()
    folder = Registry(stored.model_dir(1)).folder("v0001") / "scores"
    hour_ago = folder.stat().st_mtime - 3600
    os.utime(folder, (hour_ago, hour_ago))

    def scores(*cubes: str) -> list[Any]:
        results = client.post("/predict", json=made.predict([made.task(cube) for cube in cubes])).json["results"]
        return [entry and entry["result"][0]["score"] for entry in results]

    assert scores("A", "unscored") == [0.75, []]
    assert scores("A") == [0.75]
    Registry(stored.model_dir(1)).add_scores("v0001", [made.score("unscored", 0.5), made.score("A", 1.0)])
    assert scores("A", "unscored") == [1.0, 0.5]
    # Two changes within one step of a file system's clock: the folder has the time of before.
    os.utime(folder, (hour_ago, hour_ago))
    score_store.write_scores(folder, [made.score("late", 0.5)])
    os.utime(folder, (hour_ago, hour_ago))
    assert scores("late") == [0.5]


def test_a_replaced_model_folder_is_read_anew(
    stored: Settings, app_of: Callable[[Settings], Flask], made: Any, tmp_path: Path
) -> None:
    """An operator moves the folder away and puts a backup in its place."""
    client = app_of(stored).test_client()
    body = made.predict([made.task("A")])
    before = client.post("/predict", json=body).json
    folder = stored.model_dir(1)
    folder.rename(tmp_path / "away")
    assert client.post("/predict", json=body).json == {"model_version": "untrained", "results": [[]]}
    made.publish(stored, 1, [made.score("A", 0.25)])
    assert client.post("/predict", json=body).json["results"][0]["score"] == 0.25
    folder.rename(tmp_path / "second")
    (tmp_path / "away").rename(folder)
    assert client.post("/predict", json=body).json == before


def test_a_replaced_model_folder_with_another_grid_is_read_anew(
    settings: Settings, app_of: Callable[[Settings], Flask], made: Any, tmp_path: Path
) -> None:
    """The onset ends with the last frame of the grid, and both folders call their version v0001."""
    client = app_of(settings).test_client()
    body = made.predict([made.task("A")])

    def last_frame() -> int:
        (prediction,) = client.post("/predict", json=body).json["results"]
        (onset,) = [item for item in prediction["result"] if item["type"] == "timelinelabels"]
        return int(onset["value"]["ranges"][0]["end"])

    score = made.score("A", 0.75, emergence=Emergence(frame=3, frame_lo=2, frame_hi=4))
    made.publish(settings, 1, [score])
    assert last_frame() == 225
    folder = settings.model_dir(1)
    folder.rename(tmp_path / "away")
    made.publish(settings, 1, [score])
    card = folder / "versions" / "v0001" / "card.json"
    card.write_text(card.read_text().replace("225", "48"))
    assert last_frame() == 48
    folder.rename(tmp_path / "second")
    (tmp_path / "away").rename(folder)
    assert last_frame() == 225


@pytest.mark.parametrize("name", ["kontroll„e", "\u2028", "\ud800", 'a"b\\c'])
def test_texts_are_plain_json(name: str) -> None:
    """Names with any letters are escaped, so that the text is ASCII and reads back the same."""
    config = """<View><Video name="v" value="$video" framerate="25"/><Choices name="c" toName="v">
    <Choice value="emergence"/><Choice value="non-emergence"/></Choices></View>"""
    controls = parse_config(config, emergence="emergence", non_emergence="non-emergence")
    wording = Wording(name, controls, 225)
    score = CubeScore(cube=name, sha256="a" * 64, p_emergence=0.25, p_spread=None, members=("m",))
    answer = Answer(
        found=[(score, None), None, (score, Label.EMERGENCE)],
        wording=wording,
        hits=2,
        misses=0,
        unscorable=0,
        foreign=1,
    )
    body = answer.body(untrained="untrained")
    assert body.isascii()
    assert json.loads(body) == {"model_version": name, "results": answer.entries()}
    assert [entry and entry["score"] for entry in answer.entries()] == [0.75, [], 0.25]
