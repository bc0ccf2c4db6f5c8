"""Keeps annotators informed: the block in the project's description, and the page with the project's state.

Both tell the same and can be written at any time. A failure is logged and never stops the work that it follows.
"""

import logging
import re
import time
from collections.abc import Callable, Set
from html import unescape
from pathlib import Path

import redis

from helioloop.environment.stored_times import is_recent
from helioloop.errors import HelioloopError
from helioloop.files import atomic
from helioloop.labelstudio.description import with_block
from helioloop.messaging import messages, queues
from helioloop.registry.label_snapshot import Snapshot
from helioloop.registry.random_checks import blind_cubes
from helioloop_worker.context import Context
from helioloop_worker.labelstudio.port import ProjectInfo
from helioloop_worker.reports.page import REPORT_PAGE, STATE_PAGE, render_state
from helioloop_worker.reports.project_now import ProjectNow, read_project_now

log = logging.getLogger(__name__)

REPORT_SECONDS = 600.0
"""A report this old is made anew after corrections; it looks at all cubes, so it is not made after each of them."""
PAGE_SECONDS = 15.0
"""Shortest time between two pages that the progress of one job writes."""


def announce(context: Context, project: int) -> None:
    """Write the state of a project into its description and its page; failures are logged."""
    try:
        info = context.label_studio.project(project)
    except HelioloopError as error:
        log.warning("project %d: the description is not renewed: %s", project, error)
        info = None
    now = _write_page(context, project, title=_title(project, info))
    if now is None or info is None:
        return
    text = f"{now.short()} More: {context.settings.page_url(project, STATE_PAGE)}"
    if (wanted := with_block(info.description, text)) == info.description:
        return
    try:
        context.label_studio.set_description(project, wanted)
    except HelioloopError as error:
        log.warning("project %d: the description is not renewed: %s", project, error)


def page_progress(context: Context, project: int) -> Callable[[], None]:
    """Return a function that renews the page with the state, at most every `PAGE_SECONDS`."""
    written_at = time.monotonic()

    def renew() -> None:
        nonlocal written_at
        if time.monotonic() - written_at >= PAGE_SECONDS:
            written_at = time.monotonic()
            _write_page(context, project, title=_shown_title(context, project))

    return renew


def send_report(context: Context, project: int) -> None:
    """Have the report of a project made."""
    queues.send(context.connection, messages.MakeReport(project=project))


def has_recent_report(context: Context, project: int) -> bool:
    """Return whether the report of a project was made less than `REPORT_SECONDS` ago."""
    try:
        made_at = report_path(context, project).stat().st_mtime
    except FileNotFoundError:
        return False
    return is_recent(made_at, now=time.time(), seconds=REPORT_SECONDS)


def report_path(context: Context, project: int) -> Path:
    """Return the file of a project's report, among its videos, from where Label Studio serves it."""
    return context.settings.media_dir(project) / REPORT_PAGE


def write_report(context: Context, project: int, page: str) -> Path:
    """Write the report of a project where Label Studio serves it, and return its path.

    Random checks that were chosen while it was made have it withdrawn again: there is no file then.
    """
    path, model_dir = report_path(context, project), context.settings.model_dir(project)
    atomic.write_text(path, page)
    snapshot = Snapshot.read(model_dir)
    withdraw_report(context, project, blind_cubes(model_dir, {} if snapshot is None else snapshot.cubes))
    return path


def withdraw_report(context: Context, project: int, blind: Set[str]) -> None:
    """Delete the report of a project if its gallery shows one of these cubes, and have a new one made."""
    path = report_path(context, project)
    try:
        text = path.read_text()
    except FileNotFoundError:
        return
    if blind.isdisjoint(unescape(name) for name in re.findall(r"<h3>(.*?)</h3>", text)):
        return
    path.unlink(missing_ok=True)
    log.info("project %d: the report is made anew: it shows the model's answer to a random check", project)
    send_report(context, project)


def _title(project: int, info: ProjectInfo | None) -> str:
    """Return the title of a project, or its number where it has none, or Label Studio does not answer."""
    return (info.title if info is not None else "") or f"Project {project}"


def _shown_title(context: Context, project: int) -> str:
    """Return the title on the page, so that no job that computes waits for Label Studio to renew it."""
    try:
        found = re.search(r"<h1>(.*?)</h1>", (context.settings.media_dir(project) / STATE_PAGE).read_text())
    except (OSError, ValueError):
        found = None
    return _title(project, None) if found is None else unescape(found[1])


def _write_page(context: Context, project: int, *, title: str) -> ProjectNow | None:
    """Write the page with the state and return the state; None where that failed."""
    try:
        now = read_project_now(context.registry(project), context.state.running(project))
        has_report = report_path(context, project).exists()
        html = render_state(
            now,
            title=title,
            report_url=context.settings.page_url(project, REPORT_PAGE) if has_report else None,
        )
        atomic.write_text(context.settings.media_dir(project) / STATE_PAGE, html)
    except (HelioloopError, OSError, ValueError, TypeError, LookupError, redis.RedisError) as error:
        log.warning("project %d: the page with its state is not renewed: %s", project, error)
        return None
    return now
