"""Any request to any route: no 5xx, no traceback, path or secret in the answer, and nothing without credentials."""

import base64
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as some
from pydantic import SecretStr

from helioloop.settings import Settings

RIGHT = "Basic " + base64.b64encode(b"label-studio:passw0rd").decode()
OPEN = {"/", "/health", "/ready", "/projects/1", "/projects/1/report"}
SHOWN_NEVER = ("Traceback", 'File "', "passw0rd", "s3cret", "t0ken")
PROJECTS = ["1", "1.1700000000", "../x", "1/../../etc", "0", "-1", "1.1.1", "９.1", "1e3", "9" * 40, "", "\x00", "7.1"]

_scalars = (
    some.none()
    | some.booleans()
    | some.integers()
    | some.floats(allow_nan=True, allow_infinity=True)
    | some.text(max_size=12)
    | some.sampled_from(PROJECTS)
)
_json = some.recursive(
    _scalars,
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
_event = some.fixed_dictionaries(
    {
        "action": some.sampled_from(["ANNOTATION_CREATED", "ANNOTATIONS_DELETED", "PROJECT_UPDATED", "START_TRAINING"])
        | _json,
        "project": some.fixed_dictionaries({"id": some.integers(-2, 3) | _json}) | _json,
        "annotation": _json,
        "annotations": _json,
    }
)
_tasks = some.lists(
    some.fixed_dictionaries(
        {
            "id": _json,
            "data": some.fixed_dictionaries(
                {
                    "cube": some.just("A") | _json,
                    "release": some.just("r") | _json,
                    "sha256": some.just("a" * 64) | _json,
                    "crude_label": some.just("emergence") | _json,
                    "start": _json,
                    "region": _json,
                }
            )
            | _json,
            "annotations": some.lists(
                some.fixed_dictionaries({"id": _json, "result": _json, "updated_at": _json, "completed_by": _json})
                | _json,
                max_size=2,
            )
            | _json,
        }
    )
    | _json,
    max_size=4,
)


CONFIGS = ["<View/>", "<", '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>']


def _call(config: str) -> some.SearchStrategy[dict[str, Any]]:
    return some.fixed_dictionaries(
        {
            "project": some.sampled_from(PROJECTS) | _json,
            "tasks": _tasks | _json,
            "label_config": some.sampled_from([config, *CONFIGS]) | _json,
            "schema": some.just(config) | _json,
            "access_token": some.just("t0ken"),
            "params": some.fixed_dictionaries({"context": _json}) | _json,
        }
    )


@pytest.fixture(scope="module")
def made_once() -> dict[str, FlaskClient]:
    """Return what keeps one client for all examples."""
    return {}


@pytest.fixture
def client_of(
    app_of: Callable[[Settings], Flask], settings: Settings, made: Any, made_once: dict[str, FlaskClient]
) -> Callable[[], FlaskClient]:
    """Return a function that gives a client of a backend with credentials and a version."""
    credentials = {
        "basic_auth_user": "label-studio",
        "basic_auth_password": SecretStr("passw0rd"),
        "webhook_secret": SecretStr("s3cret"),
        "predict_wait_seconds": 0.0,
    }
    given_settings = settings.model_copy(update=credentials)
    made.publish(given_settings, 1, [made.score("A", 0.75)])
    made_once["client"] = app_of(given_settings).test_client()
    return lambda: made_once["client"]


_methods = some.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE"])
_paths = some.sampled_from(
    ["/", "/health", "/ready", "/setup", "/predict", "/webhook", "/versions", "/metrics", "/projects/1",
     "/projects/1/report", "/projects/../x", "/projects/" + "9" * 40, "/static/x", "/train", "//",
     "/predict/", "/%2e%2e/x"]
)  # fmt: skip
_headers = some.dictionaries(
    some.sampled_from(["Authorization", "X-Helioloop-Secret", "Content-Type", "Accept", "Content-Encoding", "Host"]),
    some.sampled_from([RIGHT, "s3cre", "Basic \xff", "Bearer x", "", "application/json", "text/html; charset=utf-16",
                       "multipart/form-data; boundary=x", "gzip", "x" * 500]),
    max_size=3,
)  # fmt: skip
_query = some.sampled_from(["", "project=1.1", "project=../x", "project=", "about", "project=1&project=2", "%ff=%00"])
FEW = examples(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))


def _check(answer: Any, settings: Settings) -> None:
    text = answer.get_data(as_text=True)
    assert answer.status_code < 500, text
    assert str(settings.model_root) not in text
    assert not [word for word in SHOWN_NEVER if word in text], text
    if answer.status_code >= 400 and text:
        assert list(json.loads(text)) == ["detail"]


@FEW
@given(data=some.data())
def test_any_body_to_any_route(
    client_of: Callable[[], FlaskClient], settings: Settings, made: Any, data: some.DataObject
) -> None:
    """With credentials; the body is JSON of the expected form, other JSON, or bytes."""
    path = data.draw(some.sampled_from(["/setup", "/predict", "/webhook", "/versions"]))
    form = _event if path == "/webhook" else _call(made.config)
    body = data.draw(form.map(json.dumps) | _json.map(json.dumps) | some.binary(max_size=50))
    answer = client_of().post(path, data=body, headers={"Authorization": RIGHT}, content_type="application/json")
    _check(answer, settings)


_request = some.fixed_dictionaries(
    {"method": _methods, "path": _paths, "query_string": _query, "headers": _headers, "data": some.binary(max_size=30)}
)


@FEW
@given(request=_request, right=some.booleans())
def test_any_method_path_and_header(
    client_of: Callable[[], FlaskClient], settings: Settings, request: dict[str, Any], right: bool
) -> None:
    """Without the right credentials only the open routes answer."""
    sent = request["headers"] | ({"Authorization": RIGHT} if right else {})
    path = request["path"]
    answer = client_of().open(**request | {"headers": sent})
    _check(answer, settings)
    is_open = path in OPEN or re.fullmatch(r"/projects/[^/]+(/report)?", path)
    if sent.get("Authorization") != RIGHT and not is_open and answer.status_code < 400:
        assert answer.status_code in {301, 302, 308}
