"""The routes that Label Studio calls: /setup, /predict and /webhook."""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, jsonify
from werkzeug.exceptions import BadRequest

from helioloop_backend import events, projects, services
from helioloop_backend.project_model import UNTRAINED, ProjectModel
from helioloop_backend.received import current_request


def label_studio_routes(model_class: Callable[[], type[ProjectModel]]) -> Blueprint:
    """Return the routes.

    Of a request only the fields that are needed are read: never the user's access token, the host name, or the login
    for the host of the task data. Nothing is fetched from there.

    Parameters
    ----------
    model_class : callable
        Returns the class whose instances answer; a server of label-studio-ml may have a subclass.
    """
    routes = Blueprint("label_studio", __name__)

    @routes.post("/setup")
    def setup() -> Response:
        """Answer with the project's published version."""
        body = request_object()
        project = projects.from_uid(body.get("project"))
        schema = body.get("schema")
        model = model_class()(project_id=str(project), label_config=schema if isinstance(schema, str) else "")
        return jsonify({"model_version": model.published_version()})

    @routes.post("/predict")
    def predict() -> Response:
        """Answer with one prediction per task."""
        body = request_object()
        project = projects.from_uid(body.get("project"))
        tasks = body.get("tasks")
        if not isinstance(tasks, list):
            raise BadRequest('the field "tasks" must be a list of tasks')
        configuration = body.get("label_config") or ""
        if not isinstance(configuration, str):
            raise BadRequest('the field "label_config" must be the labelling configuration as text')
        model = model_class()(project_id=str(project), label_config=configuration)
        if type(model).predict is ProjectModel.predict:
            return Response(model.answer(tasks).body(untrained=UNTRAINED), mimetype="application/json")
        params = body.get("params")  # a subclass of a server of label-studio-ml predicts by itself
        context = params.get("context") if isinstance(params, dict) else None
        version = model.published_version()
        return jsonify({"results": model.predict(tasks, context=context), "model_version": version})

    @routes.post("/webhook")
    def webhook() -> tuple[Response, int]:
        """Take in an event."""
        return jsonify(take_in(model_class())), 201

    return routes


def take_in(model_class: type[ProjectModel]) -> dict[str, Any]:
    """Hand the event in the request's body to a model of its project, and return what became of it."""
    body = request_object()
    action = body.get("action")
    if not isinstance(action, str):
        raise BadRequest('the event has no "action"; Label Studio sends one in each webhook')
    services.current().metrics.event(action, known=action in events.COUNTED or action == events.START_TRAINING)
    project = body.get("project")
    number = project.get("id") if isinstance(project, dict) else None
    return model_class(number if isinstance(number, int) else None).fit(action, body)


def request_object() -> dict[str, Any]:
    """Return the body of the request, which was checked to be a JSON object before."""
    body: dict[str, Any] = current_request().get_json(force=True)
    return body
