"""An annotator's minute in a real browser: five tabs, a blind random check, and an onset that is dragged and stored.

It runs after the other tests, because its answer starts a round. The project has 16 of the cubes, and its version is
that of the first round. Write-back, webhook and retrain check are made by the running workers.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from secrets import token_hex
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Response, expect

from helioloop.evaluation.audit_order import audit_order
from helioloop.labelstudio.tab_names import DISAGREEMENTS_FIRST
from helioloop.labelstudio.tasks import cube_tasks
from helioloop.records.instrument import MDI
from helioloop.records.labels import CurrentLabel, Label
from helioloop.records.scores import CubeScore
from helioloop.registry.label_snapshot import Snapshot
from helioloop.registry.project_profile import read_project_profile, write_project_profile
from helioloop.registry.random_checks import RandomChecks
from helioloop_worker.labelstudio.setup import set_up
from helioloop_worker.loop.media_names import MediaNames
from helioloop_worker.loop.screen_files import serve_screen
from helioloop_worker.media.folder import FolderMedia
from tests.e2e.conftest import Loop, sign_up, until
from tests.e2e.screen import (
    BLIND_FITS,
    FITS,
    FLUX_COLOUR,
    P_COLOUR,
    await_screen,
    check_fit,
    keep,
    log_in,
    open_screen,
    play_head,
    seek,
    shown_frame,
)

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

VERSION = "v0001"
CUBES = 16
BLIND = 3
UNCERTAIN = (0.35, 0.65)
MODEL_COLOURS = (P_COLOUR, "#e8a4ad", "#d9a400")
"""Colours of the masking curve, the spread of the members and the emergence interval."""
FRAME_PX = 16
"""Width of a frame on the timeline."""
ACCEPTED = "accepted non-emergence at 2 % risk, v0001"


@dataclass(frozen=True)
class Queue:
    """A project in which annotators work.

    Parameters
    ----------
    loop : Loop
        The running loop, with this project.
    email, password : str
        Login of a second annotator; the first one is the loop's.
    tasks : dict
        Cube -> id of its task.
    scores : dict
        Cube -> its score.
    agreement : dict
        Cube -> agreement of its score with its crude label.
    waiting : tuple of str
        Cubes that wait for an answer and have a prediction, lowest agreement first.
    blind : tuple of str
        Random checks, in audit order.
    tied, accepted : str
        A cube of which two annotators disagree, and one whose label is accepted.
    """

    loop: Loop
    email: str
    password: str
    tasks: dict[str, int]
    scores: dict[str, CubeScore]
    agreement: dict[str, float]
    waiting: tuple[str, ...]
    blind: tuple[str, ...]
    tied: str
    accepted: str

    def label(self, cube: str) -> CurrentLabel | None:
        """The label of a cube as helioloop last read it."""
        snapshot = Snapshot.read(self.loop.registry.root)
        return None if snapshot is None else snapshot.cubes.get(cube)

    def predictions(self, cube: str) -> int:
        """How many predictions a cube's task has."""
        return sum(row.task == self.tasks[cube] for row in self.loop.label_studio.predictions(self.loop.project))

    def status(self) -> dict[str, Any]:
        """What `helioloop status --json` prints."""
        done = subprocess.run(
            [sys.executable, "-m", "helioloop", "status", "--project", str(self.loop.project), "--json"],
            env={**os.environ, **self.loop.stack.environment}, check=True, capture_output=True, text=True,
        )  # fmt: skip
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def crude(self, cube: str) -> Label | None:
        """The crude label of a cube."""
        return crude_of(self.data(cube))

    def data(self, cube: str) -> dict[str, Any]:
        """The data of a cube's task."""
        found: dict[str, Any] = self.loop.tasks()[cube]["data"]  # type: ignore[assignment]
        return found


@pytest.fixture(scope="module")
def queue(loop: Loop) -> Iterator[Queue]:
    """The project after the write-back of its version: three random checks, a tie and an accepted label."""
    scores, known = {name: score for (name, _), score in loop.registry.scores(VERSION).items()}, loop.tasks()
    agreement = {
        name: scores[name].agreement(crude)
        for name, task in known.items()
        if name in scores and (crude := crude_of(task["data"])) is not None
    }
    chosen = choose(agreement, scores)
    blind = [
        cube
        for cube in audit_order(task.cube for task in cube_tasks([*known.values()]).values())
        if cube in chosen[-BLIND:]
    ]
    tied, accepted = chosen[-BLIND - 1], chosen[-BLIND - 2]
    waiting = chosen[: -BLIND - 2]

    project = set_up(loop.label_studio, loop.settings, title="Release 3", backend_url=loop.stack.backend_url)
    own = replace(loop, project=project)
    write_project_profile(own.registry.root, read_project_profile(loop.registry.root))
    RandomChecks(version=VERSION, cubes=tuple(blind)).write(own.registry.root)
    shutil.copytree(loop.registry.folder(VERSION), own.registry.root / "versions" / VERSION)
    own.registry.publish(VERSION, why="the version of another project")
    tasks = import_tasks(loop, own, [known[name]["data"] for name in chosen])
    loop.label_studio.set_data_field(project, [tasks[accepted]], "triage", ACCEPTED)
    email, password = f"annotator-{project}@example.org", token_hex(8)
    colleague = sign_up(loop, email, password)
    for annotator, choice in ((1, "emergence"), (colleague, "non-emergence")):
        result = [{"from_name": "class", "to_name": "video", "type": "choices", "value": {"choices": [choice]}}]
        loop.client.annotations.create(id=tasks[tied], result=result, lead_time=1.0, completed_by=annotator)
    until(lambda: is_ready(own, tied), seconds=120)
    yield Queue(own, email, password, tasks, scores, agreement, tuple(waiting), tuple(blind), tied, accepted)
    loop.client.projects.delete(id=project)


def is_ready(own: Loop, tied: str) -> bool:
    """True when the write-backs after the import and after the tie are done; reconciliation asks for the first."""
    if len(own.label_studio.predictions(own.project)) < CUBES - BLIND:
        return False
    return own.published() == VERSION and own.tasks()[tied]["data"]["triage"] == "tied"  # type: ignore[index]


def crude_of(data: dict[str, Any]) -> Label | None:
    """The crude label in a task's data."""
    return Label(data["crude_label"]) if data["crude_label"] else None


def choose(agreement: dict[str, float], scores: dict[str, CubeScore]) -> list[str]:
    """Return 16 cubes, lowest agreement first; the first one has an onset that can be dragged in both directions."""
    ranked = sorted(agreement, key=agreement.__getitem__)
    draggable = [
        name
        for name in ranked
        if scores[name].predicted is Label.EMERGENCE
        and (found := scores[name].emergence) is not None
        and 40 <= found.frame <= 180
    ]
    first = ranked.index(draggable[0])
    return ranked[first : first + CUBES - 6] + ranked[-6:]


def import_tasks(loop: Loop, own: Loop, found: list[dict[str, Any]]) -> dict[str, int]:
    """Give the project copies of the files and tasks of cubes, and return its tasks."""
    data = []
    for values in found:
        old, new = (
            MediaNames(
                media=each.settings.media_dir(each.project),
                release=values["release"],
                cube=values["cube"],
                sha256=values["sha256"],
                instrument=MDI,
            )
            for each in (loop, own)
        )
        new.video.parent.mkdir(exist_ok=True)
        for kind in ("video", "facts"):
            shutil.copy(getattr(old, kind), getattr(new, kind))
        data.append({**values, **serve_screen(new, FolderMedia(), video_field="video"), "triage": ""})
    numbers = own.label_studio.import_tasks(own.project, data)
    return dict(zip([values["cube"] for values in data], numbers, strict=True))


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    """A browser of a laptop that nobody has logged in with."""
    screen = browser.new_page(viewport={"width": 1280, "height": 720})
    yield screen
    screen.close()


def open_list(page: Page, queue: Queue) -> None:
    """Open the list of tasks."""
    page.goto(f"{queue.loop.stack.label_studio_url}/projects/{queue.loop.project}/data")
    await_list(page)


def open_list_through_login(page: Page, queue: Queue, email: str, password: str) -> None:
    """Open the list of tasks, and fill in the login to which that leads."""
    page.goto(f"{queue.loop.stack.label_studio_url}/projects/{queue.loop.project}/data")
    assert "/user/login/" in page.url
    log_in(page, email, password)
    await_list(page)


def await_list(page: Page) -> None:
    """Wait until the list of tasks is there."""
    page.get_by_text("Tasks:").wait_for(timeout=60_000)


def select_tab(page: Page, title: str, *, count: int) -> None:
    """Select a tab of the list, and expect it to count so many tasks."""
    page.locator(".lsf-tabs-dm__item", has_text=title).click()
    expect(page.locator(".lsf-tabs-dm__item_active")).to_have_text(title)
    expect(page.locator("[title='Filtered tasks']")).to_have_text(str(count), timeout=30_000)


def test_each_of_the_five_tabs_counts_its_tasks(queue: Queue, page: Page) -> None:
    """After the login in the form; in the order and with the numbers that the scores give."""
    open_list_through_login(page, queue, queue.loop.stack.login.email, queue.loop.stack.login.password)
    titles = [text.strip() for text in page.locator(".lsf-tabs-dm__item").all_inner_texts()]
    low, high = UNCERTAIN
    expected = {
        DISAGREEMENTS_FIRST: len(queue.waiting),
        "Uncertain": sum(low <= queue.agreement[cube] <= high for cube in queue.waiting),
        "Random checks": len(queue.blind),
        "Ties between annotators": 1,
        "Accepted under guarantee": 1,
    }
    assert titles == [*expected]
    for title in reversed(titles):
        select_tab(page, title, count=expected[title])
    page.mouse.move(640, 690)
    page.wait_for_timeout(500)
    keep(page, "sorted-tab")


def test_a_blind_check_shows_nothing_of_the_model(queue: Queue, page: Page) -> None:
    """Neither on the screen nor in any answer of Label Studio; what is needed to answer fits a laptop's screen."""
    open_list(page, queue)
    with receiving(page) as received:
        select_tab(page, "Random checks", count=BLIND)
        page.locator("button:right-of(:text('Label All Tasks'))").first.click()
        page.get_by_text("Label Tasks As Displayed").click()
        close_instruction(page)
        await_screen(page)
        expect_task(page, queue, queue.blind[0])
        page.wait_for_load_state("networkidle")
        texts = read(received)
    shown = page.locator(".helioloop-reason").inner_text()
    assert "Random check." in shown
    for word in (VERSION, "Probability", "Agreement", "Onset", "Crude label", "emergence"):
        assert word not in shown
    assert page.locator(".helioloop-question input:checked").count() == 0
    assert page.locator(".lsf-keypoints").count() == 0
    for colour in MODEL_COLOURS:
        assert drawn(page, colour) == ""
    assert len(drawn(page, FLUX_COLOUR)) > 20
    check_fit(page, BLIND_FITS, size=(1280, 720))
    assert revealed(queue, texts, queue.blind) == set()
    opened = [url for url, _ in texts]
    for part in ("api/dm/actions", "curve.json", "reason.txt"):
        assert any(part in url for url in opened), part
    seek(page, 100)
    keep(page, "labelling-blind")


def test_a_blind_answer_leaves_its_tab_and_counts_as_blind(queue: Queue, page: Page) -> None:
    """The next check opens. The class is that of the crude label, so that no round starts; the prediction follows."""
    cube = queue.blind[0]
    expect_task(page, queue, cube)
    page.keyboard.press("e" if queue.crude(cube) is Label.EMERGENCE else "n")
    page.locator(".helioloop-question input:checked").wait_for(state="attached")
    page.locator(FITS["submit"]).click()
    expect_task(page, queue, queue.blind[1])
    until(lambda: (label := queue.label(cube)) is not None and label.blind is not None, seconds=60)
    until(lambda: queue.predictions(cube) == 1, seconds=60)
    assert [queue.predictions(other) for other in queue.blind[1:]] == [0, 0]
    open_screen(page, queue.loop, queue.tasks[queue.blind[2]], dark=True)
    check_fit(page, BLIND_FITS, size=(1280, 720))
    open_list(page, queue)
    select_tab(page, "Random checks", count=BLIND - 1)


def test_a_full_minute_of_an_annotator(queue: Queue, browser: Browser) -> None:
    """Log in, read the instruction, see why, look, drag the onset, submit; the next task opens."""
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    cube, following = queue.waiting[:2]
    task = queue.tasks[cube]
    with receiving(page) as received:
        open_list_through_login(page, queue, queue.email, queue.password)
        page.get_by_role("button", name="Label All Tasks").click()
        close_instruction(page)
        await_screen(page)
        expect_task(page, queue, cube)
        assert revealed(queue, read(received), [cube]) == {"probability", "agreement", "curve", "prediction", "score"}
    assert "One of them is wrong" in page.locator(".helioloop-reason").inner_text()
    check_fit(page, FITS, size=(1280, 720))

    score = queue.scores[cube]
    assert score.emergence is not None
    first = score.emergence.frame + 1
    onset = page.locator(".lsf-keypoints")
    assert (onset.get_attribute("data-start"), onset.get_attribute("data-end")) == (str(first), str(MDI.n_frames))
    for frame in (first - 30, first + 20):
        seek(page, frame)
        assert shown_frame(page) == frame
        assert play_head(page) == pytest.approx((frame - 1) / MDI.n_frames, abs=0.005)
    drag_left_edge(page, frames=-10)
    assert onset.get_attribute("data-start") == str(first - 10)
    assert shown_frame(page) == first - 10, "the video follows the edge"
    assert play_head(page) == pytest.approx((first - 11) / MDI.n_frames, abs=0.005)
    (parent,) = [row for row in queue.loop.label_studio.predictions(queue.loop.project) if row.task == task]

    page.locator(FITS["submit"]).click()
    expect_task(page, queue, following)
    await_screen(page)
    assert not page.get_by_text("Labeling Instructions").is_visible(), "shown once"

    (annotation,) = queue.loop.tasks()[cube]["annotations"]
    items = {item["from_name"]: item for item in annotation["result"]}
    assert items["class"]["value"]["choices"] == ["emergence"]
    assert items["onset"]["value"]["ranges"] == [{"start": first - 10, "end": MDI.n_frames}]
    assert items["onset"]["value"]["timelinelabels"] == ["emergence onset"]
    assert {item["origin"] for item in items.values()} == {"prediction"}
    assert annotation["parent_prediction"] == parent.id
    assert 2.0 < annotation["lead_time"] < 120.0
    until(lambda: (label := queue.label(cube)) is not None and label.verified, seconds=60)
    label = queue.label(cube)
    assert label is not None
    assert (label.label, label.blind) == (Label.EMERGENCE, None)
    assert label.verified_frame is not None
    assert label.verified_frame.frame == first - 11
    assert queue.status()["labels"]["verified"] == 2

    open_list(page, queue)
    select_tab(page, DISAGREEMENTS_FIRST, count=len(queue.waiting) - 1)
    page.close()


def close_instruction(page: Page) -> None:
    """Close the instruction, which Label Studio shows before the first task."""
    title = page.get_by_text("Labeling Instructions")
    title.wait_for(timeout=60_000)
    page.keyboard.press("Escape")
    title.wait_for(state="hidden", timeout=10_000)


def expect_task(page: Page, queue: Queue, cube: str) -> None:
    """Expect that the screen shows the task of a cube: each is of another region."""
    expect(page.locator(".helioloop-reason")).to_contain_text(queue.data(cube)["region"], timeout=30_000)


def drag_left_edge(page: Page, *, frames: int) -> None:
    """Drag the left edge of the only range on the timeline."""
    box = page.locator(".lsf-keypoints__lifespan").bounding_box()
    assert box is not None
    x, y = box["x"] + 1, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + FRAME_PX * frames / 2, y, steps=5)
    page.mouse.move(x + FRAME_PX * frames, y, steps=5)
    page.mouse.up()
    page.wait_for_timeout(1000)


def drawn(page: Page, colour: str) -> str:
    """The line of a colour in the plot; empty where none is drawn."""
    lines = page.locator(f".htx-timeseries-multichannel path[stroke='{colour}']")
    return "".join(lines.nth(k).get_attribute("d") or "" for k in range(lines.count()))


@contextmanager
def receiving(page: Page) -> Iterator[list[Response]]:
    """Collect the answers that a page gets."""
    received: list[Response] = []

    def receive(answer: Response) -> None:
        received.append(answer)

    page.on("response", receive)
    yield received
    page.remove_listener("response", receive)


def read(received: list[Response]) -> list[tuple[str, str]]:
    """The addresses and texts of the answers that have data; pictures, videos and programs are left out."""
    return [(answer.url, answer.text()) for answer in received if is_text(answer)]


def revealed(queue: Queue, texts: list[tuple[str, str]], cubes: Sequence[str]) -> set[str]:
    """Return what answers of Label Studio contain of the model's estimates for some cubes."""
    found = set()
    for cube in cubes:
        numbers = {"probability": queue.scores[cube].p_emergence, "agreement": queue.agreement[cube]}
        found |= {name for name, number in numbers.items() if any(repr(number)[:7] in text for _, text in texts)}
    for columns in (json.loads(text) for url, text in texts if "curve.json" in url):
        if {*columns["p"], *columns["spread"], *columns["interval"]} != {None}:
            found.add("curve")
    tasks = {queue.tasks[cube] for cube in cubes}
    for record in (record for url, text in texts if "/api/" in url for record in records(json.loads(text))):
        if record.get("id") in tasks and "data" in record:
            found |= {"prediction"} if record.get("predictions") or record.get("predictions_results") else set()
            found |= {"score"} if record.get("predictions_score") is not None else set()
    return found


def is_text(answer: Response) -> bool:
    """Whether an answer is one of data, and not a picture, a video or a program."""
    kind = answer.headers.get("content-type", "")
    return answer.ok and ("json" in kind or "text/plain" in kind)


def records(value: Any) -> Iterator[dict[str, Any]]:
    """All tables in a JSON value, also those inside others."""
    if isinstance(value, dict):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from records(part)
