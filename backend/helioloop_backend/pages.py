"""Routes for browsers: /projects/ID and /projects/ID/report lead to the pages about a project in Label Studio.

The worker writes the pages into the project's media folder, and Label Studio serves them to those who may see the
project. So the visitor's Label Studio login decides, and no credentials of the backend or of Label Studio pass through
here: the answer is the same redirect for every visitor and every id.
"""

from typing import Final
from urllib.parse import quote, urlsplit

from flask import Blueprint, redirect
from werkzeug.wrappers import Response

from helioloop_backend.services import current

blueprint = Blueprint("pages", __name__)

ENDPOINTS: Final = frozenset({"pages.state", "pages.report"})
"""The routes that need no credentials."""


@blueprint.get("/projects/<int:project>")
def state(project: int) -> Response:
    """Lead to the page with the state of a project."""
    return _to(project, "state.html")


@blueprint.get("/projects/<int:project>/report")
def report(project: int) -> Response:
    """Lead to the report of a project."""
    return _to(project, "report.html")


def _to(project: int, name: str) -> Response:
    """Redirect through Label Studio's login, which leads on to the page, at once for those who are logged in."""
    address = current().settings.page_url(project, name)
    parts = urlsplit(address)
    base = address[: address.index("/data/local-files/")]
    target = quote(f"{parts.path}?{parts.query}", safe="/")
    response = redirect(f"{base}/user/login/?next={target}", code=302)
    response.headers["Cache-Control"] = "no-store"
    return response
