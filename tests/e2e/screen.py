"""What annotators do on the labelling screen in a browser, and where its parts are."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from playwright.sync_api import Page

from helioloop.records.instrument import MDI
from tests.e2e.conftest import Loop

P_AXIS: Final = ".helioloop .yaxis text >> nth=0"
P_COLOUR: Final = "#d1495b"
FLUX_COLOUR: Final = "#5b93b5"
FITS: Final = {
    "video": ".lsf-video-canvas__view",
    "emergence": ".helioloop-question label:has-text('emergence') >> nth=0",
    "non-emergence": ".helioloop-question label:has-text('non-emergence')",
    "onset": ".helioloop-question span:has-text('emergence onset') >> nth=0",
    "play": ".lsf-timeline-controls",
    "timeline": ".lsf-timeline__view, .lsf-timeline-frames >> nth=0",
    "curve": f".htx-timeseries-multichannel path[stroke='{P_COLOUR}'] >> nth=0",
    "plot": ".htx-timeseries-multichannel .new_brush .overlay",
    "flux axis": ".helioloop .yaxis2 text >> nth=0",
    "reason": ".helioloop-reason p",
    "facts": ".helioloop-reason tr >> nth=-1",
    "submit": "button:has-text('Submit')",
}
"""What an annotator needs to answer, and where it is on the screen."""
BLIND_FITS: Final = FITS | {"curve": f".htx-timeseries-multichannel path[stroke='{FLUX_COLOUR}'] >> nth=0"}
"""The same for a random check that nobody has answered: of the curves only the flux is there."""


def log_in(page: Page, email: str, password: str) -> None:
    """Fill in Label Studio's login, on which the page is."""
    page.fill("input[name=email]", email)
    page.fill("input[name=password]", password)
    page.click("button[type=submit]")


def keep(page: Page, name: str) -> None:
    """Keep a screenshot where HELIOLOOP_SCREENSHOTS names a folder."""
    if folder := os.environ.get("HELIOLOOP_SCREENSHOTS"):
        page.screenshot(path=str(Path(folder) / f"{name}.png"))


def open_screen(
    page: Page, loop: Loop, task: int | None, *, size: tuple[int, int] = (1280, 720), dark: bool = False
) -> None:
    """Open a task beside the list, or "Label All Tasks" for None, and close the instruction."""
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.evaluate(f"localStorage.setItem('preferred-color-scheme', '{'Dark' if dark else 'Light'}')")
    place = "labeling=1" if task is None else f"task={task}"
    page.goto(f"{loop.stack.label_studio_url}/projects/{loop.project}/data?{place}")
    await_screen(page)
    title = page.get_by_text("Labeling Instructions")
    if title.is_visible():
        page.keyboard.press("Escape")
        title.wait_for(state="hidden", timeout=10_000)


def await_screen(page: Page) -> None:
    """Wait until video, curves and reason of a task are there."""
    page.wait_for_function("document.querySelector('video')?.readyState >= 2", timeout=60_000)
    page.locator(".htx-timeseries-multichannel svg").wait_for(timeout=60_000)
    page.locator(".helioloop-reason table").wait_for(timeout=60_000)
    page.wait_for_timeout(1500)


def seek(page: Page, frame: int) -> None:
    """Move the play head to a frame (1-based) as an annotator does: click the counter, type, press Enter."""
    page.get_by_text(f"of {MDI.n_frames}").first.click()
    counter = page.locator(".lsf-frames-control input")
    counter.fill(str(frame))
    counter.press("Enter")
    page.wait_for_timeout(2000)


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


def check_fit(page: Page, places: Mapping[str, str], *, size: tuple[int, int]) -> None:
    """Check that each part is in the window, above the bar with Submit, readable, and not covered in its middle."""
    boxes = {name: page.locator(place).first.bounding_box() for name, place in places.items()}
    bar = boxes["submit"]
    assert bar is not None
    for name, box in boxes.items():
        assert box is not None, name
        assert box["x"] >= 0, name
        assert box["y"] >= 48, name
        assert box["x"] + box["width"] <= size[0], name
        assert name == "submit" or box["y"] + box["height"] <= bar["y"], name
    # The curve of p has a value in every frame; that of the flux may lack frames.
    video, drawn = boxes["video"], boxes["curve" if places is FITS else "plot"]
    assert video is not None
    assert drawn is not None
    assert video["height"] >= 250
    assert drawn["width"] >= 600, f"{drawn}, curve {boxes['curve']}"
    facts = boxes["facts"]
    assert facts is not None
    assert facts["y"] + facts["height"] <= video["y"] + video["height"], "the facts are beside the video, not below it"
    assert facts["x"] + facts["width"] <= bar["x"] + bar["width"]
    for axis in (P_AXIS, places["flux axis"]):
        assert contrast(page, axis, of="fill") >= 4.5, axis
    for name in ("emergence", "non-emergence", "onset", "play", "reason", "facts", "submit"):
        place = places[name]
        assert page.locator(place).first.evaluate(
            """element => {
                const box = element.getBoundingClientRect();
                const top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
                return element.contains(top) || top.contains(element);
            }"""
        ), name
        assert contrast(page, place) >= 4.5 or name == "submit", name


def contrast(page: Page, place: str, *, of: str = "color") -> float:
    """Return the contrast of an element's text by WCAG: 1 for equal colours, 21 for black on white.

    The text has the colour of the style property `of`.
    """
    ratio: float = page.locator(place).first.evaluate(
        """(element, of) => {
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
            const [ink, paper] = [light(rgb(...behind, getComputedStyle(element)[of])), light(rgb(...behind))];
            return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
        }""",
        of,
    )
    return ratio
