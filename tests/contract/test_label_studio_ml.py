"""The model class, called as label-studio-ml 1.0.9 (installed) and 2.x (by its sources) call it."""

import importlib.metadata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flask
import label_studio_ml.api
import label_studio_ml.model
import pytest
import redis

from helioloop.records.scores import CubeScore
from helioloop.registry.versions import Card, Registry
from helioloop.settings import Settings, load_settings
from helioloop_backend import services
from helioloop_backend.model import HelioloopModel, Manager
from helioloop_backend.wsgi import create_app

CONFIG = """<View><Video name="video" value="$video" framerate="25"/>
<Choices name="class" toName="video"><Choice value="emergence"/><Choice value="non-emergence"/></Choices></View>"""
DATA = {"video": "v", "cube": "A", "release": "r", "crude_label": "emergence", "sha256": "a" * 64}
TASK = {"id": 1, "project": 1, "data": DATA, "annotations": [], "predictions": []}


@pytest.fixture
def app(redis_url: str, redis_connection: redis.Redis, tmp_path: Path) -> Iterator[flask.Flask]:
    """Return an app whose project 1 has published v0001 with a score for cube A."""
    assert redis_connection.dbsize() == 0
    settings = Settings(redis_url=redis_url, model_root=tmp_path)
    registry = Registry(settings.model_dir(1))
    card = Card(
        version="",
        parent=None,
        created_at="2026-01-01T00:00:00+00:00",
        reason="test",
        fingerprint="0123abcd",
        label_fingerprint="4567cdef",
        code_version="0",
        recipe={},
        instrument={"n_frames": 225},
        labels={},
        members={},
    )
    registry.admit(registry.staging("0123abcd"), card)
    score = CubeScore(cube="A", sha256="a" * 64, p_emergence=0.75, p_spread=None, members=("f0s0",))
    registry.add_scores("v0001", [score])
    registry.publish("v0001", why="test")
    app = create_app(settings)
    yield app
    app.extensions["helioloop"].connection.close()


# -- 1.0.9, as published --------------------------------------------------------------------------


def test_the_installed_library_is_version_1_0_9() -> None:
    """These tests are for 1.0.9; check its calls before installing another version."""
    assert importlib.metadata.version("label-studio-ml") == "1.0.9"


def test_the_routes_of_the_library_call_the_manager(app: flask.Flask) -> None:
    """Its views are in the new app, without the wrapper that returns tracebacks and the log of bodies."""
    assert label_studio_ml.api._manager is Manager
    assert issubclass(Manager, label_studio_ml.model.LabelStudioMLManager)
    for endpoint in ("_setup", "_predict", "webhook"):
        view = app.view_functions[endpoint]
        assert view.__code__.co_filename == label_studio_ml.api.__file__
        assert view.__name__ == endpoint
    hooks = [hook.__name__ for hooks in app.before_request_funcs.values() for hook in hooks]
    assert "log_request_info" not in hooks


def test_1_0_9_manager_calls(app: flask.Flask) -> None:
    """The three calls from the routes of the library, with their arguments."""
    with app.app_context():
        model = Manager.fetch("1.1700000000", CONFIG, False, hostname="h", access_token="t", model_version=None)
        assert model.model_version == "v0001"
        predictions, model = Manager.predict([TASK], "1.1700000000", CONFIG, False, True, context=None)
        assert [entry["score"] for entry in predictions] == [0.75]
        assert model.model_version == "v0001"
        assert Manager.webhook("ANNOTATION_CREATED", {"project": {"id": 1}}) == {"status": "noted", "waiting": 1}


def test_1_0_9_model_calls(app: flask.Flask) -> None:
    """The manager of the library would construct and call the class like this."""
    assert issubclass(HelioloopModel, label_studio_ml.model.LabelStudioMLBase)
    with app.app_context():
        model = HelioloopModel(label_config=CONFIG, train_output={}, project_id="1.1700000000")
        assert model.predict([TASK], login="l", password="p", context=None)[0]["model_version"] == "v0001"
        data = {"action": "ANNOTATION_UPDATED", "project": {"id": 1}}
        result = model.fit((), event="ANNOTATION_UPDATED", data=data, job_id="1700000000", workdir="/nowhere")
        assert result == {"status": "noted", "waiting": 1}
        assert model.process_event("ANNOTATION_CREATED", data, "1700000000", {}) == {"status": "noted", "waiting": 2}


# -- 2.x, as its sources call it ------------------------------------------------------------------


@pytest.mark.parametrize("project_id", ["1", 1])
def test_2_x_predict(app: flask.Flask, project_id: Any) -> None:
    """There is one instance per request, made with keywords; predict gets a context and other keywords."""
    with app.app_context():
        model = HelioloopModel(project_id=project_id, label_config=CONFIG)
        assert model.setup() is None
        assert model.model_version == "v0001"
        results = model.predict([TASK, {"data": {}}], context=None, extra="x")
        assert [entry and entry["score"] for entry in results] == [0.75, []]


def test_2_x_positional(app: flask.Flask) -> None:
    """Project and configuration may be positional arguments of the constructor."""
    with app.app_context():
        assert HelioloopModel("1", CONFIG).predict([TASK])[0]["score"] == 0.75


@pytest.mark.parametrize(
    ("event", "answer"),
    [
        ("ANNOTATION_CREATED", {"status": "noted", "waiting": 1}),
        ("ANNOTATION_UPDATED", {"status": "noted", "waiting": 1}),
        ("ANNOTATION_DELETED", {"status": "noted", "waiting": 1}),
        ("START_TRAINING", {"status": "forced"}),
        ("PROJECT_UPDATED", {"status": "ignored"}),
    ],
)
def test_2_x_fit(app: flask.Flask, event: str, answer: dict[str, Any]) -> None:
    """`fit(event, data, **kwargs)` runs during the request of the webhook, so it must return at once."""
    with app.app_context():
        data = {"action": event, "project": {"id": 1}, "annotation": {"id": 4}}
        assert HelioloopModel(project_id="1", label_config=CONFIG).fit(event, data, extra="x") == answer


def test_a_model_without_an_app_uses_the_settings_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, redis_url: str, tmp_path: Path
) -> None:
    """The server of 2.x makes the app, not helioloop."""
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("HELIOLOOP_MODEL_ROOT", str(tmp_path))
    for cached in (load_settings, services._from_environment):
        cached.cache_clear()
    try:
        assert HelioloopModel(project_id="1", label_config=CONFIG).predict([TASK]) == [[]]
    finally:
        services.current().connection.close()
        for cached in (load_settings, services._from_environment):
            cached.cache_clear()
