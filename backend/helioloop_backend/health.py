"""Routes about the backend: /health for probes, /versions for Label Studio, /metrics for Prometheus.

/health uses neither Redis nor disk: after a second without answer, Label Studio shows the backend as disconnected.
"""

from typing import Any

from flask import Blueprint, Response, jsonify, request
from prometheus_client import CONTENT_TYPE_LATEST

from helioloop import __version__
from helioloop.errors import RegistryError, ServiceError
from helioloop.messaging import queues, redis_client
from helioloop.registry.stamp import read_stamp
from helioloop_backend import projects
from helioloop_backend.services import Services, current

blueprint = Blueprint("health", __name__)


@blueprint.get("/")
@blueprint.get("/health")
def health() -> Response:
    """Answer that the process is running."""
    return jsonify({"status": "UP"})


@blueprint.route("/versions", methods=["GET", "POST"])
def versions() -> Response:
    """List the model versions of the project in the request.

    Without a project, which Label Studio's GET never has, list those of all projects whose model folder can be read.
    With ``?about``, which `helioloop doctor` sends, the field ``helioloop`` has the version of this backend and the
    stamp in the model root.
    """
    services = current()
    body: Any = request.get_json(silent=True) if request.method == "POST" else None
    uid = request.args.get("project") if body is None else body.get("project")
    if uid is None:
        names = {name for project in services.projects() for name in _versions(services, project)}
    else:
        names = set(services.registry(projects.from_uid(uid)).versions())
    answer: dict[str, Any] = {"versions": sorted(names, key=lambda name: int(name[1:]))}
    if "about" in request.args:
        answer["helioloop"] = {"version": __version__, "stamp": read_stamp(services.settings.model_root)}
    return jsonify(answer)


def _versions(services: Services, project: int) -> list[str]:
    """Return the versions of a project; none where its model folder cannot be read."""
    try:
        return services.registry(project).versions()
    except RegistryError:
        return []


@blueprint.get("/metrics")
def metrics() -> Response:
    """Return the counters; without the queue lengths while Redis does not answer."""
    services = current()
    try:
        with redis_client.plain_errors(services.settings):
            lengths = queues.queue_lengths(services.connection)
    except ServiceError:
        lengths = None
    text = services.metrics.render(queue_lengths=lengths, published=_published(services))
    return Response(text, content_type=CONTENT_TYPE_LATEST)


def _published(services: Services) -> dict[int, str]:
    found = {}
    for project in services.projects():
        try:
            version = services.registry(project).published()
        except RegistryError:
            continue
        if version is not None:
            found[project] = version
    return found
