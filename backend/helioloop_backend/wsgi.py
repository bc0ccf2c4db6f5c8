"""The web app: the views of label-studio-ml, with authentication and plain error sentences.

label-studio-ml 1.0.9 has one global Flask app that logs request bodies, which contain access tokens, and wraps its
views so that clients get tracebacks. So its views are taken out of that app, without the wrapper, into a new one.
"""

import logging
import time
from collections.abc import Callable
from typing import Any, Final

import label_studio_ml.api
from flask import Flask, Response, g, jsonify, request
from werkzeug.exceptions import BadRequest, HTTPException, RequestEntityTooLarge

from helioloop.errors import ConfigurationError, HelioloopError, ServiceError
from helioloop.logs import fields
from helioloop.settings import Settings, load_settings
from helioloop_backend import events, health, pages, projects, services
from helioloop_backend.auth import Authenticator
from helioloop_backend.model import HelioloopModel, Manager

logger = logging.getLogger(__name__)

LIBRARY_VIEWS: Final = {"/setup": "_setup", "/predict": "_predict", "/webhook": "webhook"}


def create_app(settings: Settings | None = None) -> Flask:
    """Return the app.

    Parameters
    ----------
    settings : Settings, optional
        Without them, those of the environment.

    Raises
    ------
    SettingsError
        Where the address needs credentials that are not set, or ``redis_url`` is not a Redis URL.
    """
    settings = settings or load_settings()
    authenticator = Authenticator(settings)
    app = Flask("helioloop_backend", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = settings.max_request_mib * 2**20
    app.extensions[services.EXTENSION] = services.build(settings)

    @app.before_request
    def check() -> None:
        g.started = time.perf_counter()
        authenticator.check(request)
        if request.method == "POST":
            _check_body(request.path, _json_object())

    @app.after_request
    def measure(response: Response) -> Response:
        seconds = time.perf_counter() - g.get("started", time.perf_counter())
        rule = request.url_rule.rule if request.url_rule is not None else None
        services.current().metrics.answered(rule, response.status_code, seconds=seconds)
        return response

    label_studio_ml.api._manager = Manager  # noqa: SLF001 - 1.0.9 has no other way to replace its manager
    library = label_studio_ml.api.init_app(HelioloopModel)
    for path, endpoint in LIBRARY_VIEWS.items():
        app.add_url_rule(path, endpoint, _bare(library.view_functions[endpoint]), methods=["POST"])
    app.register_blueprint(health.blueprint)
    app.register_blueprint(pages.blueprint)
    app.register_error_handler(Exception, _answer_error)
    return app


def _bare(view: Callable[..., Any]) -> Callable[..., Any]:
    """Return a view without label-studio-ml's wrapper, which sends tracebacks to clients."""
    inner = [cell.cell_contents for cell in view.__closure__ or ()]
    return next((found for found in inner if callable(found) and found is not view), view)


def _json_object() -> dict[str, Any]:
    """Return the body of the request; Flask keeps it for the views."""
    limit_mib = services.current().settings.max_request_mib
    try:
        read = len(request.get_data())
        if request.content_length is None and read >= limit_mib * 2**20:
            raise RequestEntityTooLarge  # noqa: TRY301 - werkzeug cuts a chunked body off silently
        body = request.get_json(force=True)
    except RequestEntityTooLarge:
        raise RequestEntityTooLarge(
            f"the request's body is larger than {limit_mib} MiB; set HELIOLOOP_MAX_REQUEST_MIB to allow more"
        ) from None
    except RecursionError:
        raise BadRequest("the request's body is nested too deep; Label Studio sends no such body") from None
    except BadRequest:
        raise BadRequest("the request's body is not JSON; Label Studio sends a JSON object") from None
    if not isinstance(body, dict):
        raise BadRequest(f"the request's body is a JSON {type(body).__name__}; Label Studio sends a JSON object")
    return body


def _check_body(path: str, body: dict[str, Any]) -> None:
    """Refuse bodies that would make the library's views fail, and remove secrets from the others."""
    if path == "/setup":
        projects.from_uid(body.get("project"))
        for name in body.keys() - {"project", "schema"}:
            del body[name]  # the creator's access token and a host name, which are not needed
    elif path == "/predict":
        projects.from_uid(body.get("project"))
        if not isinstance(body.get("tasks"), list):
            raise BadRequest('the field "tasks" must be a list of tasks')
        if not isinstance(body.get("label_config") or "", str):
            raise BadRequest('the field "label_config" must be the labelling configuration as text')
        params = body.get("params")
        # Login and password for the host of the task data are removed: nothing is fetched from there.
        body["params"] = {"context": params.get("context") if isinstance(params, dict) else None}
    elif path == "/webhook":
        action = body.get("action")
        if not isinstance(action, str):
            raise BadRequest('the event has no "action"; Label Studio sends one in each webhook')
        services.current().metrics.event(action, known=action in events.COUNTED or action == events.START_TRAINING)


def _answer_error(error: Exception) -> tuple[Response, int]:
    """Answer an error with one sentence; no traceback, path or token is in the answer or the log."""
    if isinstance(error, HTTPException):
        status = error.code or 500
        sentence = error.description or error.name
    elif isinstance(error, ServiceError):
        status, sentence = 503, str(error)
    elif isinstance(error, ConfigurationError):
        status, sentence = 400, str(error)
    elif isinstance(error, HelioloopError):
        status, sentence = (
            503,
            "the model folder of the project cannot be used; run `helioloop status --project ID` at the worker",
        )
    else:
        status, sentence = 500, "this is an error in the backend itself; its log names the place: please report it"
    route = str(request.url_rule or "no route")
    more = fields(status=status, route=route, client=request.remote_addr)
    if status >= 500:
        what = sentence if isinstance(error, ServiceError) else _place(error)
        logger.error("%s on %s: %s", status, route, what, extra=more)
    else:
        logger.warning("%s on %s: %s", status, route, sentence, extra=more)
    response = jsonify({"detail": sentence})
    if status == 401:
        response.headers["WWW-Authenticate"] = 'Basic realm="helioloop"'
    return response, status


def _place(error: Exception) -> str:
    """Return the type of an error and the module and line that raised it; no message and no path."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = "" if trace is None else f" at {trace.tb_frame.f_globals.get('__name__')}:{trace.tb_lineno}"
    return f"{type(error).__name__}{where}"
