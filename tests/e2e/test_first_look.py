"""What an annotator sees, in a real headless browser: the labelling screen with a prediction, and the sorted tab.

Runs before `test_loop` corrects anything: every task still opens on its prediction.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

from helioloop.records.instrument import MDI
from helioloop.records.labels import Label
from helioloop_worker.labelstudio.setup import TAB
from tests.e2e.conftest import Loop

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

QUIET_CHROMIUM = (
    "--no-sandbox",  # Debian's build refuses to run as root otherwise
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="module")
def page(loop: Loop) -> Iterator[Page]:
    """A browser that is logged in to Label Studio; if it is missing, the test is skipped, and fails in CI."""
    chromium = shutil.which("chromium")
    if chromium is None:
        said = "chromium is not installed; `apt-get install chromium`"
        if os.environ.get("HELIOLOOP_REQUIRE_SERVICES") == "1":
            pytest.fail(said)
        pytest.skip(said)
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=list(QUIET_CHROMIUM))
        screen = browser.new_page(viewport={"width": 1440, "height": 1080})
        screen.goto(f"{loop.stack.label_studio_url}/user/login/")
        screen.fill("input[name=email]", loop.stack.login.email)
        screen.fill("input[name=password]", loop.stack.login.password)
        screen.click("button[type=submit]")
        screen.wait_for_url(lambda url: "login" not in url)
        yield screen
        browser.close()


def keep(page: Page, name: str) -> None:
    """Keep a screenshot where HELIOLOOP_SCREENSHOTS names a folder."""
    if folder := os.environ.get("HELIOLOOP_SCREENSHOTS"):
        page.screenshot(path=str(Path(folder) / f"{name}.png"))


def shown_task(loop: Loop) -> tuple[int, int]:
    """A task with a timeline prediction: its id and its first frame, 1-based."""
    version = str(loop.published())
    scores = loop.registry.scores(version)
    tasks = loop.tasks()
    for name in sorted(tasks):
        score = scores[name, tasks[name]["data"]["sha256"]]
        if score.predicted is Label.EMERGENCE and score.emergence is not None:
            return tasks[name]["id"], score.emergence.frame + 1
    pytest.fail("no task has a timeline prediction")


def test_the_labelling_screen_plays_the_video_and_shows_the_predicted_class_and_range(loop: Loop, page: Page) -> None:
    """The video decodes in the browser at its full length; the class is chosen; the range is on the timeline."""
    task, first = shown_task(loop)
    page.goto(f"{loop.stack.label_studio_url}/projects/{loop.project}/data?task={task}")
    page.wait_for_function("document.querySelector('video')?.readyState >= 2", timeout=60_000)
    assert page.evaluate("document.querySelector('video').duration") == pytest.approx(225 / 25, abs=0.02)
    page.get_by_text("model disagrees").first.wait_for(state="attached", timeout=60_000)
    page.locator("input[type=checkbox]:checked, input[type=radio]:checked").first.wait_for(
        state="attached", timeout=60_000
    )
    page.get_by_text(f"of {MDI.n_frames}").first.wait_for(timeout=60_000)
    seek(page, min(first + 40, MDI.n_frames - 25))
    keep(page, "labelling")


def seek(page: Page, frame: int) -> None:
    """Move the play head to a frame (1-based) as an annotator does: click the counter, type, press Enter."""
    page.get_by_text(f"of {MDI.n_frames}").first.click()
    counter = page.locator(".lsf-frames-control input")
    counter.fill(str(frame))
    counter.press("Enter")
    page.wait_for_timeout(2000)


def test_the_sorted_tab_lists_the_lowest_agreement_first(loop: Loop, page: Page) -> None:
    """The tab made by init: prediction scores ascending, visible beside the crude label."""
    views = loop.client.views.list(project=loop.project)
    tab = next(view.id for view in views if (view.data or {}).get("title") == TAB)
    page.goto(f"{loop.stack.label_studio_url}/projects/{loop.project}/data?tab={tab}")
    page.wait_for_selector("text=Prediction score", timeout=60_000)
    page.wait_for_timeout(2000)
    keep(page, "sorted-tab")
    listed = loop.label_studio._transport.call(
        "GET", "api/tasks", params={"project": loop.project, "view": tab, "page_size": 100}, what="listing the tab"
    )
    scores = [entry["predictions_score"] for entry in listed["tasks"]]
    assert len(scores) > 50
    assert scores == sorted(scores)
