"""What annotators see of the loop besides tasks, in a real browser: description, state page and report, both themes.

The pages are opened with a Label Studio login only; the backend's credentials are never used.
"""

from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser, BrowserContext

from helioloop.evaluation.audit_order import audit_order
from helioloop.labelstudio.tasks import cube_tasks
from helioloop.messaging import messages, queues, redis_client
from helioloop.messaging.redis_retrain_state import RedisRetrainState
from helioloop.progress import silent
from helioloop.registry.random_checks import RandomChecks
from helioloop_worker.context import Context
from helioloop_worker.loop.announcing import announce
from helioloop_worker.loop.writeback import write_back
from tests.e2e.conftest import Loop, until
from tests.e2e.screen import keep, log_in

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

OWN_TEXT = "Our own text, with <b>brackets</b> & ampersand."
SECTIONS = ("rounds", "work", "calibration", "labels", "times", "agreement", "versions", "gallery")
A4_PX = 703
"""Width of a page of paper without margins of 12 mm, at 96 pixels an inch."""
SAMPLED = 14
"""Random checks that are answered, so that the report has an estimate and a reliability diagram."""


@pytest.fixture(scope="module")
def report(loop: Loop) -> Path:
    """The report after random checks were answered blind, made by the worker; where Label Studio serves it."""
    tasks = cube_tasks(loop.label_studio.tasks(loop.project))
    sampled = audit_order(task.cube for task in tasks.values())[:SAMPLED]
    version = loop.published()
    assert version is not None
    for cube in sampled:  # other tests answered some of them with the prediction visible
        for annotation in tasks[cube].exported["annotations"]:
            loop.client.annotations.delete(id=annotation["id"])
    RandomChecks(version=version, cubes=tuple(sampled)).write(loop.registry.root)
    context = Context(loop.settings, open_label_studio=lambda _: loop.label_studio)
    write_back(context, loop.project, version, report=silent)  # takes their predictions away
    context.connection.close()
    for cube in sampled:
        start = 60 if loop.truth[cube] == "emergence" else None
        loop.annotate(tasks[cube].ids[0], loop.truth[cube], start=start)
    connection = redis_client.connect(loop.settings)
    queues.send(connection, messages.MakeReport(project=loop.project))
    connection.close()
    made = loop.settings.media_dir(loop.project) / "report.html"
    until(
        lambda: made.is_file() and "reliability-title" in made.read_text(), seconds=180
    )  # an earlier one has no sample
    return made


def visitor(loop: Loop, browser: Browser, *, scheme: str = "light", logged_in: bool = True) -> BrowserContext:
    """A visitor with a laptop's screen."""
    context = browser.new_context(
        viewport={"width": 1280, "height": 720},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    if logged_in:
        page = context.new_page()
        page.goto(f"{loop.stack.label_studio_url}/user/login/")
        log_in(page, loop.stack.login.email, loop.stack.login.password)
        page.wait_for_url(lambda url: "login" not in url)
        page.close()
    return context


def test_the_card_of_the_project_says_which_version_is_shown(loop: Loop, browser: Browser) -> None:
    """The team's own text stays, and writing the description counts as no event that a round could start from."""
    connection = redis_client.connect(loop.settings)
    before = RedisRetrainState(connection).pending_events(loop.project)
    loop.label_studio.set_description(loop.project, OWN_TEXT)
    context = Context(loop.settings, open_redis=lambda _: connection, open_label_studio=lambda _: loop.label_studio)
    announce(context, loop.project)
    description = loop.label_studio.project(loop.project).description
    assert description.startswith(f"[helioloop] {loop.published()} (")
    assert description.endswith(f"[end of helioloop]\n\n{OWN_TEXT}")
    assert RedisRetrainState(connection).pending_events(loop.project) == before
    connection.close()
    page = visitor(loop, browser).new_page()
    page.goto(f"{loop.stack.label_studio_url}/projects")
    page.get_by_text(f"[helioloop] {loop.published()} (").first.wait_for(timeout=60_000)
    keep(page, "project-card")
    page.context.close()


def test_the_backend_leads_through_label_studios_login_to_the_state(loop: Loop, browser: Browser, report: Path) -> None:
    """A visitor without a session logs in to Label Studio and sees the state; the report is one click away."""
    assert report.is_file()
    context = visitor(loop, browser, logged_in=False)
    page = context.new_page()
    page.goto(f"{loop.stack.backend_url}/projects/{loop.project}")
    assert "/user/login/" in page.url
    log_in(page, loop.stack.login.email, loop.stack.login.password)
    page.get_by_text("Model version shown").wait_for(timeout=60_000)
    assert page.get_by_text(f"{loop.published()}, made").is_visible()
    assert page.get_by_text("No round is running.").is_visible() or page.get_by_text("in the making").is_visible()
    keep(page, "state")
    page.get_by_role("link", name="Report with rounds").click()
    page.get_by_role("heading", name="Cubes that disagree most").wait_for(timeout=60_000)
    page.goto(f"{loop.stack.backend_url}/projects/{loop.project}/report")  # the session leads on at once
    page.get_by_role("heading", name="Cubes that disagree most").wait_for(timeout=60_000)
    context.close()


def test_nobody_else_sees_the_pages(loop: Loop, report: Path) -> None:
    """Not without a login, not a project that does not exist, and not with the backend's credentials."""
    user = loop.settings.basic_auth_user or ""
    password = loop.settings.basic_auth_password.get_secret_value() if loop.settings.basic_auth_password else ""
    page = loop.settings.page_url(loop.project, report.name)
    token = {"Authorization": f"Token {loop.stack.login.token}"}
    assert requests.get(page, headers=token, timeout=60).headers["Content-Type"] == "text/html"
    assert requests.get(page, timeout=60).status_code in {401, 403}
    assert requests.get(page, auth=(user, password), timeout=60).status_code in {401, 403}
    other = loop.settings.page_url(987_654, report.name)
    assert requests.get(other, headers=token, timeout=60).status_code == 404
    through_backend = requests.get(
        f"{loop.stack.backend_url}/projects/{loop.project}/report", auth=(user, password), timeout=60
    )
    assert "Rounds" not in through_backend.text
    assert "/user/login/" in through_backend.url


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_in_both_themes(loop: Loop, browser: Browser, report: Path, scheme: str) -> None:
    """All sections and figures, readable, within the width of a laptop; nothing is loaded and nothing is refused."""
    context = visitor(loop, browser, scheme=scheme)
    page = context.new_page()
    requested: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(loop.settings.page_url(loop.project, report.name))
    for section in SECTIONS:
        assert page.locator(f"section#{section} h2").is_visible(), section
    for figure in ("rounds", "reliability", "times"):
        box = page.locator(f"svg[aria-labelledby^={figure}-title]").bounding_box()
        assert box is not None, figure
        assert box["width"] > 300, figure
        assert box["x"] + box["width"] <= 1280, figure
    assert page.locator("article.cube img").count() >= 8
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    paper, ink = page.evaluate(
        """() => [getComputedStyle(document.querySelector('section')).backgroundColor,
                  getComputedStyle(document.querySelector('svg.figure text')).fill]"""
    )
    assert contrast(paper, ink) > 7
    assert (luminance(paper) < 0.2) is (scheme == "dark")
    assert [url for url in requested if not url.startswith("data:")] == [page.url]
    # Label Studio reports, for each page, what its own policy would forbid; the page's own policy must not be hurt.
    assert [text for text in complaints if "report-only" not in text.lower()] == []
    keep(page, f"report-{scheme}")
    context.close()


def test_the_report_on_paper(loop: Loop, browser: Browser, report: Path) -> None:
    """On A4 with margins no table is wider than the page, and the dark theme prints black on white."""
    context = visitor(loop, browser, scheme="dark")
    page = context.new_page()
    page.emulate_media(media="print", color_scheme="dark")
    page.set_viewport_size({"width": A4_PX, "height": 1000})
    page.goto(loop.settings.page_url(loop.project, report.name))
    assert page.evaluate("document.documentElement.scrollWidth") <= A4_PX
    right = page.evaluate("[...document.querySelectorAll('table')].map(one => one.getBoundingClientRect().right)")
    assert len(right) >= 4
    assert max(right) <= A4_PX
    paper, ink = page.evaluate(
        """() => [getComputedStyle(document.querySelector('section')).backgroundColor,
                  getComputedStyle(document.querySelector('svg.figure text')).fill]"""
    )
    assert luminance(paper) == 1.0
    assert contrast(paper, ink) > 7
    assert page.pdf(format="A4").startswith(b"%PDF")
    context.close()


def channels(color: str) -> list[float]:
    """Red, green and blue of ``rgb(…)``, from 0 to 1, linear."""
    numbers = [float(part) / 255 for part in color[color.index("(") + 1 : color.index(")")].split(",")[:3]]
    return [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in numbers]


def luminance(color: str) -> float:
    """Relative luminance, as the Web Content Accessibility Guidelines define it."""
    red, green, blue = channels(color)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours; 7 is the stricter of the guidelines' limits for text."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)
