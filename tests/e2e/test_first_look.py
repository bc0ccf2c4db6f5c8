"""What an annotator sees, in a real headless browser: instruction, labelling screen with prediction, curve and reason,
and the sorted tab.

Runs before `test_loop` corrects anything: every task still opens on its prediction.
"""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from playwright.sync_api import Browser, Page

from helioloop.files import atomic
from helioloop.records.instrument import MDI
from helioloop.records.labels import Label
from helioloop_worker.labelstudio.setup import TAB
from helioloop_worker.loop.media_names import MediaNames
from helioloop_worker.loop.reason import Judged, reason_html
from helioloop_worker.loop.screen_files import read_facts
from tests.e2e.conftest import Loop
from tests.e2e.screen import FITS, check_fit, keep, log_in, open_screen, play_head, seek, shown_frame

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def page(loop: Loop, browser: Browser) -> Iterator[Page]:
    """A page that is logged in to Label Studio."""
    screen = browser.new_page(viewport={"width": 1280, "height": 720})
    screen.goto(f"{loop.stack.label_studio_url}/user/login/")
    log_in(screen, loop.stack.login.email, loop.stack.login.password)
    screen.wait_for_url(lambda url: "login" not in url)
    yield screen
    screen.close()


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


def test_the_instruction_is_shown_before_the_first_task(loop: Loop, page: Page) -> None:
    """Its six stills are served and decoded."""
    page.goto(f"{loop.stack.label_studio_url}/projects/{loop.project}/data?labeling=1")
    page.get_by_text("Labeling Instructions").wait_for(timeout=60_000)
    pictures = page.locator(".lsf-modal-ls__body img")
    page.wait_for_function(
        "[...document.querySelectorAll('.lsf-modal-ls__body img')].every(picture => picture.naturalWidth === 90)"
    )
    assert pictures.count() == 6
    page.wait_for_timeout(1000)
    keep(page, "instruction")


def test_the_labelling_screen_plays_the_video_and_shows_the_predicted_class_and_range(loop: Loop, page: Page) -> None:
    """The video decodes in the browser at its full length; the class is chosen; the range is on the timeline."""
    task, first = shown_task(loop)
    open_screen(page, loop, task)
    assert page.evaluate("document.querySelector('video').duration") == pytest.approx(225 / 25, abs=0.02)
    page.locator("input[type=checkbox]:checked, input[type=radio]:checked").first.wait_for(
        state="attached", timeout=60_000
    )
    page.get_by_text(f"of {MDI.n_frames}").first.wait_for(timeout=60_000)
    assert page.locator(".helioloop-reason").inner_text().count("v0001") == 1
    open_screen(page, loop, None)
    seek(page, min(first + 40, MDI.n_frames - 25))
    keep(page, "labelling")
    open_screen(page, loop, None, dark=True)
    seek(page, min(first + 40, MDI.n_frames - 25))
    keep(page, "labelling-dark")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [(1280, 720), (1440, 900)], ids=["1280x720", "1440x900"])
@pytest.mark.parametrize("listed", [False, True], ids=["label all tasks", "beside the list"])
def test_everything_needed_to_answer_fits_without_scrolling(
    loop: Loop, page: Page, listed: bool, size: tuple[int, int], dark: bool
) -> None:
    """Each control is in the window, above the bar with Submit, and nothing covers its middle; text is readable."""
    open_screen(page, loop, shown_task(loop)[0] if listed else None, size=size, dark=dark)
    check_fit(page, FITS, size=size)


def test_all_facts_fit_beside_the_list(loop: Loop, page: Page) -> None:
    """With latitude, distance from the meridian and a region of 120 characters without a blank, which is cut."""
    task, _ = shown_task(loop)
    (data,) = [entry["data"] for entry in loop.tasks().values() if entry["id"] == task]
    names = MediaNames(
        media=loop.settings.media_dir(loop.project), release="made", cube=data["cube"], sha256=data["sha256"],
        instrument=MDI,
    )  # fmt: skip
    facts, kept = read_facts(names), names.reason.read_text()
    assert facts is not None
    known = replace(facts, region="NOAA" * 30, latitude_deg=-18.4, meridian_deg=(-42.0,) * facts.n_frames)
    score = replace(loop.registry.scores("v0001")[data["cube"], data["sha256"]], p_emergence=0.93)
    judged = Judged(version="v0001", score=score)
    words = {label: label.value for label in Label}
    atomic.write_text(
        names.reason,
        reason_html(known, crude=Label.NON_EMERGENCE, judged=judged, class_names=words, frozen_frames=3),
    )
    try:
        open_screen(page, loop, task)
        assert "18° S, " in page.locator(".helioloop-reason").inner_text()
        check_fit(page, FITS, size=(1280, 720))
    finally:
        atomic.write_text(names.reason, kept)


def test_the_curve_follows_the_video_and_leaves_it_alone(loop: Loop, page: Page) -> None:
    """The play head is at the frame that Label Studio shows; when playing ends, the video stays at its last frame."""
    open_screen(page, loop, shown_task(loop)[0])
    assert shown_frame(page) == 1
    assert page.evaluate("document.querySelector('video').currentTime") < 1 / 25, "the first frame is on the screen"
    for frame in (60, 150, 30):
        seek(page, frame)
        assert shown_frame(page) == frame
        assert play_head(page) == pytest.approx((frame - 1) / MDI.n_frames, abs=0.005)
    seek(page, 190)
    page.keyboard.press("Control+Alt+Space")
    page.wait_for_timeout(4000)
    assert shown_frame(page) >= MDI.n_frames - 1
    assert play_head(page) > 0.98
    seek(page, 100)
    page.wait_for_timeout(1500)
    assert shown_frame(page) == 100
    assert play_head(page) == pytest.approx(99 / MDI.n_frames, abs=0.005)


def test_the_screen_shows_the_stored_score(loop: Loop, page: Page) -> None:
    """Curve, spread, interval and flux are drawn; probability, agreement and onset are those of the version."""
    task, first = shown_task(loop)
    open_screen(page, loop, task)
    for colour in ("#d1495b", "#e8a4ad", "#d9a400", "#5b93b5"):
        line = page.locator(f".htx-timeseries-multichannel path[stroke='{colour}']").first.get_attribute("d")
        assert line is not None, colour
        assert len(line) > 20, colour
        assert "NaN" not in line, colour
    (data,) = [entry["data"] for entry in loop.tasks().values() if entry["id"] == task]
    score = loop.registry.scores("v0001")[data["cube"], data["sha256"]]
    shown = page.locator(".helioloop-reason").inner_text()
    assert f"emergence {score.p_emergence:.2f} ±" in shown
    assert f"model: frame {first}" in shown
    if data["crude_label"]:
        assert f"{score.agreement(Label(data['crude_label'])):.2f} with the crude label" in shown


def test_every_style_rule_has_an_effect(loop: Loop, page: Page) -> None:
    """Each selector of the configuration finds an element: class names of Label Studio change between releases."""
    open_screen(page, loop, shown_task(loop)[0])
    page.hover(".htx-timeseries-multichannel svg")
    unused = page.evaluate(
        """() => [...document.querySelectorAll('style')].flatMap(style => [...style.sheet.cssRules])
            .filter(rule => rule.selectorText?.includes('.helioloop'))
            .flatMap(rule => rule.selectorText.split(/,(?![^(]*\\))/))
            .filter(selector => !document.querySelector(selector.replace(':not(:hover)', '')))"""
    )
    assert unused == []


def test_the_sorted_tab_lists_the_lowest_agreement_first(loop: Loop, page: Page) -> None:
    """The tab made by init: prediction scores ascending, visible beside the crude label."""
    views = loop.client.views.list(project=loop.project)
    tab = next(view.id for view in views if (view.data or {}).get("title") == TAB)
    page.goto(f"{loop.stack.label_studio_url}/projects/{loop.project}/data?tab={tab}")
    page.wait_for_selector("text=Prediction score", timeout=60_000)
    page.wait_for_timeout(2000)
    listed = loop.label_studio._transport.call(
        "GET", "api/tasks", params={"project": loop.project, "view": tab, "page_size": 100}, what="listing the tab"
    )
    scores = [entry["predictions_score"] for entry in listed["tasks"]]
    assert len(scores) > 50
    assert scores == sorted(scores)
