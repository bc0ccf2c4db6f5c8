"""The web app: the routes of Label Studio, probes and browsers, with authentication and plain error sentences."""

import logging
import time
from collections.abc import Callable
from typing import Any, Final

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import (
    BadRequest,
    ClientDisconnected,
    HTTPException,
    RequestEntityTooLarge,
    RequestTimeout,
)

from helioloop.errors import ConfigurationError, HelioloopError, ServiceError
from helioloop.logs import fields
from helioloop.settings import Settings, load_settings, plain_url
from helioloop_backend import health, pages, services
from helioloop_backend.auth import Authenticator
from helioloop_backend.project_model import ProjectModel
from helioloop_backend.readiness import SILENT_FOLDER
from helioloop_backend.received import Received, current_request
from helioloop_backend.routes import label_studio_routes
from helioloop_backend.unreadable import unreadable, without_paths

logger = logging.getLogger(__name__)

_WITHOUT_FOLDER: Final = frozenset({"/", "/health", "/ready"})
"""Routes that use no model folder, or find out by themselves that it does not answer."""


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
    app = assemble(model_class=lambda: ProjectModel, authenticator=lambda: authenticator)
    app.extensions[services.EXTENSION] = services.build(settings)
    return app


def assemble(*, model_class: Callable[[], type[ProjectModel]], authenticator: Callable[[], Authenticator]) -> Flask:
    """Return an app with all routes; its services are those of `services.current`.

    Parameters
    ----------
    model_class : callable
        Returns the class whose instances answer Label Studio.
    authenticator : callable
        Returns what checks each request.
    """
    app = Flask("helioloop_backend", static_folder=None)
    app.request_class = Received

    @app.before_request
    def check() -> None:
        received = current_request()
        received.started = time.perf_counter()
        limit_mib = services.current().settings.max_request_mib
        received.max_content_length = limit_mib * 2**20
        authenticator().check(received)
        if received.path not in _WITHOUT_FOLDER and services.current().readiness.has_silent_folder():
            raise ServiceError(SILENT_FOLDER)  # a thread that reads it might never be free again
        # Only routes that take a body read one: /health answers everybody, and must not wait for what they send.
        if received.method == "POST" and received.routing_exception is None:
            _check_json_object(received, limit_mib)

    @app.after_request
    def measure(response: Response) -> Response:
        answered = current_request()
        seconds = time.perf_counter() - answered.started
        rule = answered.url_rule.rule if answered.url_rule is not None else None
        services.current().metrics.answered(rule, response.status_code, seconds=seconds)
        return response

    app.register_blueprint(label_studio_routes(model_class))
    app.register_blueprint(health.blueprint)
    app.register_blueprint(pages.blueprint)
    app.register_error_handler(Exception, _answer_error)
    return app


def _check_json_object(received: Received, limit_mib: int) -> None:
    """Refuse a body that is not a JSON object; the request keeps what it read for the routes."""
    try:
        read = len(received.get_data())
        if received.content_length is None and read >= limit_mib * 2**20:
            raise RequestEntityTooLarge  # noqa: TRY301 - werkzeug cuts a chunked body off silently
        body: Any = received.get_json(force=True)
    except RequestEntityTooLarge:
        raise RequestEntityTooLarge(
            f"the request's body is larger than {limit_mib} MiB; set HELIOLOOP_MAX_REQUEST_MIB to allow more"
        ) from None
    except RecursionError:
        raise BadRequest("the request's body is nested too deep; Label Studio sends no such body") from None
    except ClientDisconnected:
        raise RequestTimeout(
            "the request's body arrived too slowly, or too many large ones at once; send it again"
        ) from None
    except BadRequest:
        raise BadRequest("the request's body is not JSON; Label Studio sends a JSON object") from None
    if not isinstance(body, dict):
        raise BadRequest(f"the request's body is a JSON {type(body).__name__}; Label Studio sends a JSON object")


def _answer_error(error: Exception) -> tuple[Response, int]:
    """Answer an error with one sentence; no traceback or token is in the answer or the log, and no path in the answer.

    The log has the path of a file that cannot be read.
    """
    closed = unreadable(error)
    if isinstance(error, HTTPException):
        status = error.code or 500
        sentence = error.description or error.name
    elif isinstance(error, ServiceError):
        status, sentence = 503, str(error)
    elif isinstance(error, ConfigurationError):
        status, sentence = 400, str(error)
    elif closed is not None:
        status, sentence = 503, without_paths(closed, services.current().settings.model_root)
    elif isinstance(error, HelioloopError):
        status, sentence = (
            503,
            "the model folder of the project cannot be used; run `helioloop status --project ID` at the worker",
        )
    else:
        status, sentence = 500, "this is an error in the backend itself; its log names the place: please report it"
    route = str(request.url_rule or "no route")
    services.current().metrics.refused(status)
    more = fields(status=status, route=route, client=request.remote_addr)
    if status >= 500:
        what = sentence if isinstance(error, ServiceError) else closed or _place(error)
        logger.error("%s on %s: %s", status, route, what, extra=more)
    else:
        logger.warning("%s on %s: %s", status, route, sentence, extra=more)
    response = jsonify({"detail": _without_address(sentence)})
    if status == 401:
        response.headers["WWW-Authenticate"] = 'Basic realm="helioloop"'
    return response, status


def _without_address(sentence: str) -> str:
    """Return a sentence about Redis without its address, which may be a path; the log has it."""
    return sentence.replace(f" at {plain_url(services.current().settings.redis_url)}", "")


def _place(error: Exception) -> str:
    """Return the type of an error and the module and line that raised it; no message and no path."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = "" if trace is None else f" at {trace.tb_frame.f_globals.get('__name__')}:{trace.tb_lineno}"
    return f"{type(error).__name__}{where}"
