"""Label Studio gets the same answers from helioloop's server and from those of label-studio-ml, 1.0.9 and 2.x.

1.0.9 is the published package with the server that its command `init` makes. 2.x is not on the package index, so a
stand-in that was written from its repository takes its place (`label_studio_ml_2`), in processes of its own.
"""

import base64
import importlib.metadata
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from helioloop.messaging.messages import QUEUE_MAINTENANCE
from helioloop.messaging.redis_retrain_state import RedisRetrainState
from tests.contract.servers import BASIC, CONFIG, DOUBLE, SECRET, TASK, Server, environment, publish, start

SECRET_ALONE = {"X-Helioloop-Secret": SECRET}


@pytest.fixture(scope="module", params=["helioloop", "1.0.9", "2.x"])
def server(
    request: pytest.FixtureRequest, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """Return a running server with credentials, whose project 1 has published v0001 with a score for cube A."""
    running, process = start(request.param, tmp_path_factory.mktemp("server"), redis_url)
    yield running
    process.terminate()
    process.wait(timeout=15)


def test_the_installed_library_is_version_1_0_9() -> None:
    """These tests are for 1.0.9; check its calls before installing another version."""
    assert importlib.metadata.version("label-studio-ml") == "1.0.9"


# -- the routes, on each server ---------------------------------------------------------------------


def test_setup_answers_with_the_published_version(server: Server) -> None:
    """Label Studio sends the creator's access token too, which is neither used nor logged."""
    body = {"project": "1.1700000000", "schema": CONFIG, "hostname": "h", "access_token": "t0ken", "extra_params": None}
    assert server.call("POST", "/setup", body) == (200, {"model_version": "v0001"})
    assert server.call("POST", "/setup", body | {"project": "2.1"}) == (200, {"model_version": "untrained"})
    assert server.call("POST", "/setup", body | {"project": "../x"})[0] == 400
    assert "t0ken" not in server.log.read_text()


@pytest.mark.parametrize("params", [{"login": "l", "password": "hunter2", "context": None}, {}, None])
def test_predict_answers_one_entry_per_task(server: Server, params: Any) -> None:
    """Also where Label Studio sends no parameters."""
    body = {"tasks": [TASK, {"data": {}}, TASK], "project": "1.1", "label_config": CONFIG, "params": params}
    status, answer = server.call("POST", "/predict", body)
    assert (status, [entry and entry["score"] for entry in answer["results"]]) == (200, [0.75, [], 0.75])
    assert answer["results"][0]["model_version"] == "v0001"
    assert "hunter2" not in server.log.read_text()


def test_an_error_in_predict_is_one_sentence(server: Server) -> None:
    """No traceback is in the answer."""
    body = {"tasks": [TASK], "project": "1.1", "label_config": "<View", "params": {}}
    status, answer = server.call("POST", "/predict", body)
    assert (status, list(answer)) == (400, ["detail"])


COUNTED = [
    ("ANNOTATION_CREATED", {"annotation": {"id": 1}}, 1),
    ("ANNOTATION_UPDATED", {"annotation": {"id": 1}}, 1),
    ("ANNOTATION_DELETED", {"annotation": {"id": 1}}, 1),
    ("ANNOTATIONS_CREATED", {"annotation": [{"id": 1}, {"id": 2}, {"id": 3}]}, 3),
    ("ANNOTATIONS_DELETED", {"annotations": [{"id": 1}, {"id": 2}]}, 2),
    ("TASKS_CREATED", {"tasks": [{"id": 1}, {"id": 2}]}, 1),
    ("TASKS_DELETED", {"tasks": [{"id": 1}]}, 1),
]


@pytest.mark.parametrize(("action", "changed", "count"), COUNTED, ids=[action for action, _, _ in COUNTED])
def test_each_event_about_annotations_is_counted(
    server: Server, redis_connection: redis.Redis, action: str, changed: Any, count: int
) -> None:
    """Repeated events are counted too, whether they come with the secret header or with basic auth."""
    body = {"action": action, "project": {"id": 1, "label_config": CONFIG}, **changed}
    for times, headers in enumerate((SECRET_ALONE, BASIC), start=1):
        status, _ = server.call("POST", "/webhook", body, headers)
        pending = RedisRetrainState(redis_connection).pending_events(1)
        assert (status, pending and pending.count) == (201, count * times)


def test_start_training_requests_a_round(server: Server, redis_connection: redis.Redis) -> None:
    status, _ = server.call("POST", "/webhook", {"action": "START_TRAINING", "project": {"id": 1, "label_config": ""}})
    assert (status, redis_connection.lrange(f"rq:queue:{QUEUE_MAINTENANCE}", 0, -1)) == (
        201,
        [b"retrain-check-1-forced"],
    )


@pytest.mark.parametrize("action", ["PROJECT_UPDATED", "LABEL_LINK_CREATED", "TOMORROW"])
def test_other_events_change_nothing(server: Server, redis_connection: redis.Redis, action: str) -> None:
    """Changes of the project among them, which helioloop's own write-back causes; `init` counts those that arrive."""
    assert server.call("POST", "/webhook", {"action": action, "project": {"id": 1, "label_config": CONFIG}})[0] == 201
    counted = [b"helioloop:arrived-events:1"] if action == "PROJECT_UPDATED" else []
    assert redis_connection.keys() == counted


def test_an_event_without_payload_is_refused(server: Server) -> None:
    """Label Studio has a switch for this; the answer names it."""
    status, answer = server.call("POST", "/webhook", {"action": "ANNOTATION_CREATED"})
    assert (status, "Send payload" in answer["detail"]) == (400, True)


CALLS = [
    ("POST", "/setup", {"project": "1.1", "schema": CONFIG}),
    ("POST", "/predict", {"project": "1.1", "tasks": [], "label_config": CONFIG, "params": {}}),
    ("POST", "/webhook", {"action": "START_TRAINING", "project": {"id": 1, "label_config": CONFIG}}),
    ("GET", "/versions", None),
    ("GET", "/metrics", None),
]
WRONG = {
    "none": {},
    "wrong": {"Authorization": "Basic " + base64.b64encode(b"label-studio:x").decode()},
    "not ascii": {"Authorization": "Basic " + base64.b64encode("läbel:π".encode()).decode()},
    "bearer": {"Authorization": "Bearer x"},
    "wrong secret": {"X-Helioloop-Secret": "x"},
}


@pytest.mark.parametrize("headers", WRONG.values(), ids=WRONG.keys())
@pytest.mark.parametrize("call", CALLS, ids=[path for _, path, _ in CALLS])
def test_each_route_needs_helioloops_credentials(
    server: Server, redis_connection: redis.Redis, call: tuple[str, str, Any], headers: dict[str, str]
) -> None:
    """Wrong ones are a 401 and change nothing; right ones are answered."""
    method, path, body = call
    assert server.call(method, path, body, headers)[0] == 401
    assert redis_connection.dbsize() == 0
    assert server.call(method, path, body)[0] < 300


def test_the_other_routes_are_helioloops(server: Server) -> None:
    """Versions, metrics, the way to the pages; /health is open; the library's further routes do not exist."""
    assert server.call("GET", "/versions") == (200, {"versions": ["v0001"]})
    assert 'helioloop_published_version_info{project="1",version="v0001"} 1.0' in server.call("GET", "/metrics")[1]
    assert server.call("GET", "/projects/1", headers={})[0] == 302
    status, answer = server.call("GET", "/health", headers={})
    assert (status, answer["status"]) == (200, "UP")
    assert server.call("POST", "/train", {"annotations": []})[0] == 404


# -- the class, as each library constructs and calls it ---------------------------------------------


def _run(program: str, variables: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    lines = ["import label_studio_ml.api", "from tests.contract.servers import CONFIG, TASK", program]
    command = [sys.executable, "-c", "\n".join(lines)]
    paths = [variables.get("PYTHONPATH"), str(Path(__file__).parents[2])]
    variables = variables | {"PYTHONPATH": ":".join(path for path in paths if path)}
    return subprocess.run(command, env=variables, cwd=folder, capture_output=True, text=True, check=False)


CALLS_OF_2_X = f"""
assert label_studio_ml.__file__.startswith({str(DOUBLE)!r})
from helioloop_backend.model import HelioloopModel
from label_studio_ml.model import LabelStudioMLBase
from werkzeug.exceptions import ServiceUnavailable
assert issubclass(HelioloopModel, LabelStudioMLBase)
for model in (HelioloopModel("1", label_config=CONFIG), HelioloopModel(project_id="1", label_config=CONFIG)):
    assert model.get("model_version") == model.model_version == "v0001"
    assert model.get("label_config") == model.label_config == CONFIG
    assert model.parsed_label_config["class"]["labels"] == ["emergence", "non-emergence"]
    assert model.get_first_tag_occurence("Choices", "Video") == ("class", "video", "video")
    assert model.has("model_version") and not model.has("unheard of")
    assert model.predict([TASK], context=None, extra="x")[0]["score"] == 0.75
    assert model.fit("PROJECT_UPDATED", {{"project": {{"id": 1}}}}) == {{"status": "ignored"}}
assert model.process_event("ANNOTATION_CREATED", {{"project": {{"id": 1}}}}, "j", {{}})["status"] == "noted"
assert HelioloopModel(project_id="2").get("model_version") == "untrained"
model.set_extra_params('{{"a": 1}}')
assert HelioloopModel("1").extra_params == {{"a": 1}} and HelioloopModel("2").extra_params == {{}}
try:
    model.set("model_version", "0.0.2")
except ServiceUnavailable as error:
    assert "published" in error.description
else:
    raise AssertionError("the version was set")
"""


def test_2_x_constructs_and_calls_the_class(redis_url: str, redis_connection: redis.Redis, tmp_path: Path) -> None:
    """Constructor, properties, stored values, predict and fit, with no configuration written to the cache on disk."""
    assert redis_connection.dbsize() == 0
    publish(tmp_path / "models")
    done = _run(CALLS_OF_2_X, environment(tmp_path, redis_url, kind="2.x"), tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert b"<View>" not in (tmp_path / "cache.db").read_bytes()


CALLS_OF_1_0_9 = """
from helioloop_backend.model import HelioloopModel
from label_studio_ml.model import LabelStudioMLBase
assert issubclass(HelioloopModel, LabelStudioMLBase)
model = HelioloopModel(label_config=CONFIG, train_output={}, project_id="1.1700000000")
assert model.predict([TASK], login="l", password="p", context=None)[0]["model_version"] == "v0001"
data = {"action": "ANNOTATION_UPDATED", "project": {"id": 1}}
result = model.fit((), event="ANNOTATION_UPDATED", data=data, job_id="1700000000", workdir="/nowhere")
assert result == {"status": "noted", "waiting": 1}, result
assert model.process_event("ANNOTATION_CREATED", data, "1", {}) == {"status": "noted", "waiting": 2}
"""


def test_1_0_9_constructs_and_calls_the_class(redis_url: str, redis_connection: redis.Redis, tmp_path: Path) -> None:
    """The manager of the library would construct and call the class like this."""
    assert redis_connection.dbsize() == 0
    publish(tmp_path / "models")
    done = _run(CALLS_OF_1_0_9, environment(tmp_path, redis_url, kind="1.0.9"), tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


# -- credentials and refusals -----------------------------------------------------------------------

STATUSES = """
from helioloop_backend.model import HelioloopModel
client = label_studio_ml.api.init_app(HelioloopModel, **GIVEN).test_client()
def status(user=None, address="127.0.0.1"):
    body = {"action": "ANNOTATIONS_DELETED", "project": {"id": 1}}
    auth = None if user is None else (user, "p")
    answer = client.post("/webhook", json=body, auth=auth, environ_overrides={"REMOTE_ADDR": address})
    return answer.status_code
print(status(), status("u"), status("x"), status(address="192.168.0.7"), status("u", "192.168.0.7"))
"""


@pytest.mark.parametrize(
    ("variables", "given", "statuses"),
    [  # of the calls that STATUSES prints
        ({}, "{}", "201 201 201 403 403"),
        ({}, 'dict(basic_auth_user="u", basic_auth_pass="p")', "401 201 401 401 201"),
        ({"BASIC_AUTH_USER": "u", "BASIC_AUTH_PASS": "p"}, "{}", "401 201 401 401 201"),
        ({"HELIOLOOP_BASIC_AUTH_USER": "u", "HELIOLOOP_BASIC_AUTH_PASSWORD": "p"}, "{}", "401 201 401 401 201"),
        (
            {"HELIOLOOP_BASIC_AUTH_USER": "u", "HELIOLOOP_BASIC_AUTH_PASSWORD": "p"},
            'dict(basic_auth_user="other", basic_auth_pass="p")',
            "503 503 503 503 503",
        ),
    ],
    ids=["none", "arguments", "variables of 2.x", "settings", "two that differ"],
)
def test_credentials_of_2_x_count_as_helioloops(
    redis_url: str, tmp_path: Path, variables: dict[str, str], given: str, statuses: str
) -> None:
    """Without any, only this machine is answered, whatever address the server binds to."""
    program = f"GIVEN = {given}\n{STATUSES}"
    done = _run(program, environment(tmp_path, redis_url, kind="2.x") | variables, tmp_path)
    assert done.stdout.strip() == statuses, done.stderr


@pytest.mark.parametrize(
    ("before", "variables", "sentence"),
    [
        ("label_studio_ml.api.init_app = lambda model_class: None", {}, "does not support"),
        ("del label_studio_ml.api._server", {}, "does not support"),
        ("", {"HELIOLOOP_BACKEND_HOST": "0.0.0.0"}, "open to everybody"),  # noqa: S104
        ("", {"HELIOLOOP_BACKEND_PORT": "many"}, "HELIOLOOP_BACKEND_PORT"),
    ],
    ids=["another API", "no server", "open", "wrong setting"],
)
def test_a_server_that_cannot_be_made_safe_does_not_start(
    redis_url: str, tmp_path: Path, before: str, variables: dict[str, str], sentence: str
) -> None:
    """The last line of the error is one sentence."""
    program = f"{before}\nimport helioloop_backend.model"
    done = _run(program, environment(tmp_path, redis_url, kind="2.x") | variables, tmp_path)
    assert done.returncode == 1
    assert sentence in done.stderr.splitlines()[-1]


def test_without_the_library_the_class_is_refused_in_one_sentence(tmp_path: Path) -> None:
    """`helioloop backend` does not need it."""
    program = "import sys; sys.modules['label_studio_ml'] = None; import helioloop_backend.model"
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "`helioloop backend`" in done.stderr.splitlines()[-1]
