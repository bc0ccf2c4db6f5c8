"""What an annotator sees, in a real headless browser: instruction, labelling screen with prediction, curve and reason,
and the sorted tab.

Runs before `test_loop` corrects anything: every task still opens on its prediction.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from helioloop.records.instrument import MDI
from helioloop.records.labels import Label
from helioloop_worker.labelstudio.setup import TAB
from tests.e2e.conftest import Loop

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def page(loop: Loop, browser: Browser) -> Iterator[Page]:
    """A page that is logged in to Label Studio."""
    screen = browser.new_page(viewport={"width": 1280, "height": 720})
    screen.goto(f"{loop.stack.label_studio_url}/user/login/")
    screen.fill("input[name=email]", loop.stack.login.email)
    screen.fill("input[name=password]", loop.stack.login.password)
    screen.click("button[type=submit]")
    screen.wait_for_url(lambda url: "login" not in url)
    yield screen
    screen.close()


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


FITS = {
    "video": ".lsf-video-canvas__view",
    "emergence": ".helioloop-question label:has-text('emergence') >> nth=0",
    "non-emergence": ".helioloop-question label:has-text('non-emergence')",
    "onset": ".helioloop-question span:has-text('emergence onset') >> nth=0",
    "play": ".lsf-timeline-controls",
    "timeline": ".lsf-timeline__view, .lsf-timeline-frames >> nth=0",
    "curve": ".htx-timeseries-multichannel path[stroke='#d1495b'] >> nth=0",
    "reason": ".helioloop-reason p",
    "facts": ".helioloop-reason tr >> nth=-1",
    "submit": "button:has-text('Submit')",
}
"""What an annotator needs to answer, and where it is on the screen."""


def open_screen(
    page: Page, loop: Loop, task: int | None, *, size: tuple[int, int] = (1280, 720), dark: bool = False
) -> None:
    """Open a task beside the list, or "Label All Tasks" for None, and close the instruction."""
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.evaluate(f"localStorage.setItem('preferred-color-scheme', '{'Dark' if dark else 'Light'}')")
    place = "labeling=1" if task is None else f"task={task}"
    page.goto(f"{loop.stack.label_studio_url}/projects/{loop.project}/data?{place}")
    page.wait_for_function("document.querySelector('video')?.readyState >= 2", timeout=60_000)
    page.locator(".htx-timeseries-multichannel svg").wait_for(timeout=60_000)
    page.locator(".helioloop-reason table").wait_for(timeout=60_000)
    page.wait_for_timeout(1500)
    title = page.get_by_text("Labeling Instructions")
    if title.is_visible():
        page.keyboard.press("Escape")
        title.wait_for(state="hidden", timeout=10_000)


def play_head(page: Page) -> float:
    """Return where the play head is in the plot: 0 at its start, 1 at its end."""
    head = page.locator(".helioloop-clock .overview-playhead line").bounding_box()
    plot = page.locator(".htx-timeseries-multichannel .new_brush .overlay").bounding_box()
    assert head is not None
    assert plot is not None
    assert head["y"] < plot["y"] + plot["height"] / 2 < head["y"] + head["height"], "the head crosses the plot"
    return (head["x"] + head["width"] / 2 - plot["x"]) / plot["width"]


def shown_frame(page: Page) -> int:
    """Return the frame (1-based) in Label Studio's counter."""
    return int(page.locator(".lsf-frames-control").inner_text().split()[0])


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
    seek(page, min(first + 40, MDI.n_frames - 25))
    keep(page, "labelling-list")
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
    boxes = {name: page.locator(place).first.bounding_box() for name, place in FITS.items()}
    bar = boxes["submit"]
    assert bar is not None
    for name, box in boxes.items():
        assert box is not None, name
        assert box["x"] >= 0, name
        assert box["y"] >= 48, name
        assert box["x"] + box["width"] <= size[0], name
        assert name == "submit" or box["y"] + box["height"] <= bar["y"], name
    video, curve = boxes["video"], boxes["curve"]
    assert video is not None
    assert curve is not None
    assert video["height"] >= 250
    assert curve["width"] >= 600
    for name in ("emergence", "non-emergence", "onset", "play", "reason", "facts", "submit"):
        place = FITS[name]
        assert page.locator(place).first.evaluate(
            """element => {
                const box = element.getBoundingClientRect();
                const top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
                return element.contains(top) || top.contains(element);
            }"""
        ), name
        assert contrast(page, place) >= 4.5 or name == "submit", name


def contrast(page: Page, place: str) -> float:
    """Return the contrast of an element's text by WCAG: 1 for equal colours, 21 for black on white."""
    ratio: float = page.locator(place).first.evaluate(
        """element => {
            const paint = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
            const rgb = (...colours) => {
                paint.clearRect(0, 0, 1, 1);
                for (const colour of colours) { paint.fillStyle = colour; paint.fillRect(0, 0, 1, 1); }
                return paint.getImageData(0, 0, 1, 1).data;
            };
            const light = colour => [...colour].slice(0, 3).map(value => value / 255)
                .map(value => value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
                .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
            const behind = [];
            for (let at = element; at; at = at.parentElement) behind.unshift(getComputedStyle(at).backgroundColor);
            const [ink, paper] = [light(rgb(...behind, getComputedStyle(element).color)), light(rgb(...behind))];
            return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
        }"""
    )
    return ratio


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
