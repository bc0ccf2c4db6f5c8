"""The server of 2.x: one Flask app of the module, which `init_app` returns, whatever the model class."""

import functools
import hmac
import logging
import os
import traceback
from collections.abc import Callable
from typing import Any

from flask import Flask, Response, jsonify, request

from label_studio_ml.model import LabelStudioMLBase

logger = logging.getLogger(__name__)

_server = Flask(__name__)
MODEL_CLASS: type[LabelStudioMLBase] = LabelStudioMLBase
BASIC_AUTH: tuple[str, str] | None = None
EVENTS = LabelStudioMLBase.TRAIN_EVENTS


def init_app(
    model_class: type[LabelStudioMLBase], basic_auth_user: str | None = None, basic_auth_pass: str | None = None
) -> Flask:
    global MODEL_CLASS, BASIC_AUTH  # noqa: PLW0603 - as the library does
    if not issubclass(model_class, LabelStudioMLBase):
        raise ValueError("no model class")  # noqa: TRY004
    MODEL_CLASS = model_class
    user = basic_auth_user or os.environ.get("BASIC_AUTH_USER")
    password = basic_auth_pass or os.environ.get("BASIC_AUTH_PASS")
    if user and password:
        BASIC_AUTH = (user, password)
    return _server


def _with_traceback(view: Callable[[], Any]) -> Callable[[], Any]:
    """Return a view that answers errors with a traceback."""

    @functools.wraps(view)
    def answer() -> Any:
        try:
            return view()
        except Exception as error:  # noqa: BLE001
            text = traceback.format_exc()
            logger.error(text)
            return jsonify(detail=f"{type(error).__name__}: {error}", result={"traceback": text}), 500

    return answer


@_server.post("/predict")
@_with_traceback
def _predict() -> Response:
    body = request.get_json()
    params = body.get("params", {})
    context = params.pop("context", {})
    project = str(body.get("project"))
    model = MODEL_CLASS(project_id=project.split(".", 1)[0], label_config=body.get("label_config"))
    entries = model.predict(body.get("tasks"), context=context, **params)
    return jsonify(results=[] if entries is None else entries)


@_server.post("/setup")
@_with_traceback
def _setup() -> Response:
    body = request.get_json()
    model = MODEL_CLASS(project_id=body["project"].split(".", 1)[0], label_config=body.get("schema"))
    if body.get("extra_params"):
        model.set_extra_params(body["extra_params"])
    return jsonify(model_version=model.get("model_version"))


@_server.post("/webhook")
def webhook() -> tuple[Response, int]:
    body = request.get_json()
    event = body.pop("action")
    if event not in EVENTS:
        return jsonify(status="Unknown event"), 200
    project = body["project"]
    model = MODEL_CLASS(str(project["id"]), label_config=project["label_config"])
    return jsonify(result=model.fit(event, body), status="ok"), 201


@_server.get("/health")
@_server.get("/")
@_with_traceback
def health() -> Response:
    return jsonify(status="UP", model_class=MODEL_CLASS.__name__)


@_server.get("/metrics")
@_with_traceback
def metrics() -> Response:
    return jsonify({})


@_server.errorhandler(FileNotFoundError)
def _not_found(error: FileNotFoundError) -> tuple[str, int]:
    return str(error), 404


@_server.before_request
def check_auth() -> Response | None:
    if BASIC_AUTH is None:
        return None
    given = request.authorization
    if given is not None and all(
        hmac.compare_digest(text, right)  # type: ignore[type-var]
        for text, right in zip((given.username, given.password), BASIC_AUTH, strict=True)
    ):
        return None
    return Response("Unauthorized", 401, {"WWW-Authenticate": 'Basic realm="Login required"'})


@_server.before_request
def log_request_info() -> None:
    logger.debug("Request body: %s", request.get_data())
