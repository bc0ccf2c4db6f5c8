"""What can be asked about the backend itself: /health for probes, /versions for Label Studio, /metrics for Prometheus.

/health touches neither Redis nor disk: Label Studio gives it a second and shows a backend as disconnected after that.
"""

from typing import Any

from flask import Blueprint, Response, jsonify, request
from prometheus_client import CONTENT_TYPE_LATEST

from helioloop.errors import RegistryError, ServiceError
from helioloop.messaging import queues
from helioloop_backend import projects
from helioloop_backend.services import Services, current

blueprint = Blueprint("health", __name__)


@blueprint.get("/")
@blueprint.get("/health")
def health() -> Response:
    """Say that the process answers; nothing else."""
    return jsonify({"status": "UP"})


@blueprint.route("/versions", methods=["GET", "POST"])
def versions() -> Response:
    """List the model versions of the project asked about; of all projects where none is named.

    Label Studio's GET names no project although it asks about one.
    """
    services = current()
    body: Any = request.get_json(silent=True) if request.method == "POST" else None
    uid = request.args.get("project") if body is None else body.get("project")
    asked = list(services.projects()) if uid is None else [projects.from_uid(uid)]
    names = {name for project in asked for name in services.registry(project).versions()}
    return jsonify({"versions": sorted(names, key=lambda name: int(name[1:]))})


@blueprint.get("/metrics")
def metrics() -> Response:
    """Return the counters; the queues' depth is left out while Redis is away."""
    services = current()
    try:
        with queues.plain_errors(services.settings):
            depth = queues.depth(services.connection)
    except ServiceError:
        depth = None
    text = services.metrics.render(depth=depth, published=_published(services))
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
