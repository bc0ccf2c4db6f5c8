"""Routes about the backend: /health and /ready for probes, /versions for Label Studio, /metrics for Prometheus.

/health uses neither Redis nor disk: after a second without answer, Label Studio shows the backend as disconnected.
"""

import time
from typing import Any

from flask import Blueprint, Response, jsonify, request
from prometheus_client import CONTENT_TYPE_LATEST

from helioloop import __version__
from helioloop.errors import RegistryError
from helioloop.registry.stamp import read_stamp
from helioloop.registry.version_names import number_of
from helioloop_backend import projects
from helioloop_backend.observed import observe
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
    answer: dict[str, Any] = {"versions": sorted(names, key=number_of)}
    if "about" in request.args:
        answer["helioloop"] = {"version": __version__, "stamp": read_stamp(services.settings.model_root)}
    return jsonify(answer)


def _versions(services: Services, project: int) -> list[str]:
    """Return the versions of a project; none where its model folder cannot be read."""
    try:
        return services.registry(project).versions()
    except (RegistryError, OSError):
        return []


@blueprint.get("/metrics")
def metrics() -> Response:
    """Return the metrics; those from Redis are absent while it does not answer."""
    services = current()
    observed = observe(services.settings, services.connection)
    return Response(services.metrics.render(observed, now=time.time()), content_type=CONTENT_TYPE_LATEST)


@blueprint.get("/ready")
def ready() -> tuple[Response, int]:
    """Answer whether events and predictions can be served now: Redis takes writes, and the model folders can be read.

    Everybody may ask, so it is looked up once per second at most.
    """
    reason = current().readiness.reason()
    if reason is None:
        return jsonify({"status": "READY"}), 200
    return jsonify({"status": "NOT READY", "detail": reason}), 503
