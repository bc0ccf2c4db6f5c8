"""Renders the pages about a project: each one file with its style and figures, without script or outside resource.

Label Studio serves the pages on its own origin, so a script in them could act for the visitor. Names of cubes, regions
and projects are foreign text: everything is escaped except the figures, which contain no names. Should one get through
all the same, the page's Content-Security-Policy lets no script run.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from helioloop_worker.reports.project_now import ProjectNow

REPORT_PAGE: Final = "report.html"
STATE_PAGE: Final = "state.html"
REFRESH_SECONDS: Final = 20


def render_report(values: Mapping[str, Any]) -> str:
    """Return the report as HTML; `values` has what its template names."""
    return _environment().get_template(REPORT_PAGE).render(**values)


def render_state(now: ProjectNow, *, title: str, report_url: str | None) -> str:
    """Return the page with the state of a project, which loads itself again.

    Parameters
    ----------
    now : ProjectNow
        The state.
    title : str
        What the page is called.
    report_url : str or None
        Address of the report; None where there is none yet.
    """
    return (
        _environment()
        .get_template(STATE_PAGE)
        .render(now=now, title=title, report_url=report_url, refresh_seconds=REFRESH_SECONDS)
    )


def figure(svg: str) -> Markup:
    """Mark a figure of `figures` as HTML; its texts are escaped."""
    return Markup(svg)  # noqa: S704 - made by matplotlib from numbers


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("helioloop_worker.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
