"""The report: what it says for given labels, what it says while there is too little, and that nothing can run in it."""

import base64
import re
from datetime import UTC, datetime
from html import unescape
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.worker.conftest import CUBES, LoopProject, crude, emerges, score_of
from tests.worker.shell import run_one_of

from helioloop.errors import CubeError
from helioloop.evaluation.audit import RoundAudit
from helioloop.evaluation.audit_order import audit_order
from helioloop.evaluation.estimates import Estimate
from helioloop.evaluation.reliability import reliability_bins
from helioloop.progress import silent
from helioloop.records.labels import Label
from helioloop.registry.acceptances import Acceptance, write_acceptance
from helioloop.registry.random_checks import RandomChecks
from helioloop_worker.commands import report as command
from helioloop_worker.context import Context
from helioloop_worker.loop.announcing import withdraw_report, write_report
from helioloop_worker.reports import figures, svg
from helioloop_worker.reports.contact_strip import FRAME_PX, contact_strip
from helioloop_worker.reports.page import render_state
from helioloop_worker.reports.project_now import ProjectNow
from helioloop_worker.reports.report import make_report

Data = dict[str, dict[str, str]]
NOW = datetime(2026, 11, 26, 14, 3, tzinfo=UTC)
OTHER = {Label.EMERGENCE: Label.NON_EMERGENCE, Label.NON_EMERGENCE: Label.EMERGENCE}


def report(loop_project: LoopProject, **options: Any) -> str:
    """Return the report as HTML."""
    state = loop_project.read()
    load = options.get("load", loop_project.context.runtime(loop_project.id, silent).load)
    return make_report(state, loop_project.registry, load, report=options.get("report", silent), now=NOW)


def words(html: str) -> str:
    """The text of a page without style, titles of figures and tags."""
    text = re.sub(r"<style>.*?</style>|<(title|desc)[ >].*?</\1>", " ", html, flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", text)))


class Elements(HTMLParser):
    """All elements of a page with their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def in_order(loop_project: LoopProject) -> list[str]:
    """All cubes in audit order."""
    return audit_order(task.cube for task in loop_project.read().tasks.values())


def verify(loop_project: LoopProject, tasks: dict[str, int], cubes: list[str], *, wrong: int = 0) -> None:
    """Submit a class for each cube, for the first `wrong` of them another one than the crude label."""
    for k, cube in enumerate(cubes):
        label = OTHER[crude(cube)] if k < wrong else crude(cube)
        start = 15 if label is Label.EMERGENCE else None
        loop_project.label_studio.annotate(tasks[cube], label.value, start=start)


# -- too little -----------------------------------------------------------------------------------


def test_an_empty_project_says_what_is_missing(loop_project: LoopProject) -> None:
    """One sentence for each figure, and no figure."""
    html = report(loop_project)
    for sentence in (
        "No round yet",
        "No annotator has answered yet.",
        "No version yet, so there are no probabilities.",
        "No cube with a crude label is verified yet.",
        "No version yet, so no emergence is located.",
        "No cube was answered by two annotators yet",
        "No version yet: the first round trains on the crude labels.",
        "No version yet, so nothing disagrees.",
        "0 of 0 no cubes yet",
    ):
        assert sentence in words(html), sentence
    assert "<svg" not in html


def test_a_version_without_verified_labels_shows_no_diagram(loop_project: LoopProject, task_data: Data) -> None:
    """Versions and gallery are there."""
    loop_project.import_cubes(task_data)
    loop_project.publish()
    html = report(loop_project)
    text = words(html)
    assert "Nothing is verified yet, so there is no figure." in text
    assert "A diagram needs 10 cubes in the audit sample." in text
    assert "Saved so far" not in text, "who has not begun has saved nothing"
    assert re.search(r"v0001 \(published\)", text)
    assert 'id="reliability-title"' not in html


def test_a_cube_whose_file_is_gone_is_shown_without_frames(loop_project: LoopProject, task_data: Data) -> None:
    """The report is made all the same."""
    loop_project.import_cubes(task_data)
    loop_project.publish()

    def load(_: Any) -> Any:
        raise CubeError("gone")

    html = report(loop_project, load=load)
    assert "Its frames cannot be read now" in html
    assert "data:image" not in html


# -- figures and sentences ------------------------------------------------------------------------


def test_the_numbers_of_a_verified_project(loop_project: LoopProject, task_data: Data) -> None:
    """Sixteen of 24 cubes are verified in audit order; four of these crude labels were wrong."""
    tasks = loop_project.import_cubes(task_data)
    loop_project.publish(p_emergence=0.75)
    verify(loop_project, tasks, in_order(loop_project)[:16], wrong=4)
    html = report(loop_project)
    text = words(html)
    assert "16 of 24 67% of the cubes" in text
    assert "16 cubes verified, 4 of their labels changed" in text
    assert "Saved so far against verifying all: 8 of 24 verifications (33%), about 10 s of work" in text
    assert "16 answers by 1 annotator for 16 cubes, 20 s in all." in text
    assert "In the audit sample, 4 of 16 crude labels were wrong: 25%" in text
    assert "The audit sample of v0001 has 16 cubes, answered blind in random order." in text
    assert {'id="rounds-title"', 'id="reliability-title"', 'id="times-title"', 'id="frames-title"'} <= set(
        re.findall(r'id="[a-z]+-title"', html)
    )
    assert "Report on project" in text
    assert "made 2026-11-26 14:03 UTC" in text


def test_cubes_without_a_label_are_named_where_the_numbers_of_cubes_differ(
    loop_project: LoopProject, task_data: Data
) -> None:
    """24 cubes are in the project and 22 in the audit, which compares with the crude label.

    One of the others has a verified label, so the next version is trained on it.
    """
    tasks = loop_project.import_cubes(
        task_data | {cube: task_data[cube] | {"crude_label": ""} for cube in ("cube00", "cube01")}
    )
    loop_project.publish()
    for cube in ("cube00", "cube02"):
        loop_project.label_studio.annotate(tasks[cube], "non-emergence")
    text = words(report(loop_project))
    assert "in all 1 of 22 cubes verified" in text
    assert "2 cubes of the project are not in the audit: no crude label, or no score." in text
    assert "A verified one is trained on all the same." in text
    assert loop_project.read().snapshot.cubes["cube00"].verified


def test_a_report_claims_nothing_about_cubes_without_a_prediction(loop_project: LoopProject, task_data: Data) -> None:
    """All 20 cubes of the first release are verified, and four more have no score yet."""
    tasks = loop_project.import_cubes(task_data, CUBES[:20])
    loop_project.publish()
    for cube in CUBES[:20]:
        loop_project.label_studio.annotate(tasks[cube], task_data[cube]["crude_label"])
    loop_project.import_cubes(task_data, CUBES[20:])
    text = words(report(loop_project))
    assert "Labels estimated wrong unknown 4 cubes without a prediction yet" in text
    assert re.search(r"4 of 24 verifications \(17%\).*; how many of their labels are wrong is not known yet", text)


def test_crude_against_verified_labels(loop_project: LoopProject, task_data: Data) -> None:
    """Two crude emergences were none, one crude non-emergence was one, three were right."""
    tasks = loop_project.import_cubes(task_data)
    answers = {"cube01": "non-emergence", "cube03": "non-emergence", "cube00": "emergence", "cube05": "emergence",
               "cube02": "non-emergence", "cube04": "non-emergence"}  # fmt: skip
    for cube, choice in answers.items():
        loop_project.label_studio.annotate(tasks[cube], choice)
    html = report(loop_project)
    cells = re.findall(r'<td class="(same|changed)">(\d+)</td>', html)
    assert cells == [("same", "1"), ("changed", "2"), ("changed", "1"), ("same", "2")]


def test_frames_that_nobody_moved_are_no_evidence(loop_project: LoopProject, task_data: Data) -> None:
    """The model located frame 13 (1-based) with an interval of one frame: one human agrees by moving, one copies it."""
    tasks = loop_project.import_cubes(task_data)
    loop_project.publish(p_emergence=0.75)
    for cube, start in (("cube01", 13), ("cube03", 14), ("cube05", 20)):
        loop_project.label_studio.annotate(tasks[cube], "emergence", start=start)
    text = words(report(loop_project))
    assert (
        "Of frames that a human set, 0 of 2 are inside the model's interval (0%); median distance in frames: 4." in text
    )
    assert "Submitted unchanged, as the model had proposed: 1 frame." in text


def test_the_gallery_leaves_out_cubes_that_wait_for_a_random_check(
    loop_project: LoopProject, task_data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next ones of the audit sample and the checks of accepted releases, until a human has answered."""
    monkeypatch.setattr("helioloop_worker.reports.report.BLIND_CHECKS", 2)
    tasks = loop_project.import_cubes(task_data)
    loop_project.publish(p_emergence=0.75)
    order = in_order(loop_project)
    write_acceptance(
        loop_project.model_dir,
        Acceptance(release="made", rate=0.1, confidence=0.9, random_checks=(order[9], order[10])),
    )
    verify(loop_project, tasks, [order[10]])
    shown = set(re.findall(r"<h3>(cube\d\d)</h3>", report(loop_project)))
    assert "Left out: 3 cubes for random checks" in words(report(loop_project))
    assert shown
    assert not shown & {order[0], order[1], order[9]}

    checks = RandomChecks(version="v0001", cubes=(order[0], min(shown)))
    page = write_report(loop_project.context, loop_project.id, report(loop_project))
    assert page.exists()
    checks.write(loop_project.model_dir)
    withdraw_report(loop_project.context, loop_project.id, {order[0], order[1]})
    assert page.exists()
    withdraw_report(loop_project.context, loop_project.id, {*checks.cubes})
    assert not page.exists()


def test_the_gallery_begins_with_the_cube_that_disagrees_most(loop_project: LoopProject, task_data: Data) -> None:
    """Crude non-emergences at 0.75 disagree more than crude emergences; twelve cubes at most."""
    loop_project.import_cubes(task_data)
    loop_project.publish(p_emergence=0.75)
    html = report(loop_project)
    shown = re.findall(r"<h3>(cube\d\d)</h3>", html)
    first_emergence = next((k for k, cube in enumerate(shown) if emerges(cube)), len(shown))
    assert first_emergence > 0
    assert not any(not emerges(cube) for cube in shown[first_emergence:])
    assert "disagreement 0.75" in words(html)
    assert html.count("data:image/jpeg;base64,") == len(shown) <= 12


def test_the_gallery_says_why_a_cube_has_no_masking_curve(loop_project: LoopProject, task_data: Data) -> None:
    """A cube is there because its crude label is emergence and the model disagrees: then the label did say so."""
    loop_project.import_cubes(task_data)
    loop_project.publish(p_emergence=0.01)
    articles = re.findall(r"<article.*?</article>", report(loop_project), flags=re.DOTALL)
    crude = [words(article) for article in articles if "label emergence (crude)" in words(article)]
    assert crude
    for text in crude:
        assert "No masking curve: the model takes the crude label for wrong" in text
        assert "neither the label" not in text


def test_progress_is_reported(loop_project: LoopProject, task_data: Data) -> None:
    """For each cube of the gallery."""
    loop_project.import_cubes(task_data)
    loop_project.publish()
    calls: list[tuple[int, int, str]] = []
    report(loop_project, report=lambda *call: calls.append(call))
    assert calls[0] == (0, 3, "reading the project")
    assert all(done <= total for done, total, _ in calls)
    assert {what for _, _, what in calls} == {"reading the project", "drawing cubes"}


# -- foreign text ---------------------------------------------------------------------------------

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>$\\frac{1}{2}$"


def test_foreign_text_is_text(loop_project: LoopProject, task_data: Data) -> None:
    """Titles, regions, start times and annotators are escaped; the page has no script and loads nothing."""
    data = {cube: {**values, "region": HOSTILE[:60] + cube} for cube, values in task_data.items()}
    project = loop_project.label_studio._project(loop_project.id)
    project.info = type(project.info)(
        id=project.info.id, title=HOSTILE, label_config=project.info.label_config, model_version=None
    )
    tasks = loop_project.import_cubes(data)
    loop_project.publish(p_emergence=0.75)
    for entry in project.tasks.values():
        entry["data"]["start"] = f"{HOSTILE}Z"
    for annotator in (HOSTILE, 2):
        loop_project.label_studio.annotate(tasks["cube01"], "emergence", annotator=annotator)  # type: ignore[arg-type]
    html = report(loop_project)
    assert HOSTILE in unescape(html)
    for page in (html, render_state(ProjectNow(at=NOW), title=HOSTILE, report_url="https://ls/report.html")):
        assert_harmless(page)


def assert_harmless(page: str) -> None:
    """No script, no handler, nothing from elsewhere; the policy forbids all of it in any case."""
    elements = Elements(page).found
    tags = {tag for tag, _ in elements}
    assert not tags & {"script", "iframe", "object", "embed", "form", "link", "base", "foreignobject", "animate", "set"}
    for tag, attributes in elements:
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        for name in ("src", "href", "xlink:href", "action", "srcset"):
            value = attributes.get(name)
            allowed = (
                value is None or value.startswith(("#", "data:image/jpeg;base64,")) or (tag == "a" and "ls/" in value)
            )
            assert allowed, (tag, name, value)
        assert "url(http" not in (attributes.get("style") or "")
    policy = next(a for tag, a in elements if tag == "meta" and a.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in str(policy["content"])
    assert "script-src" not in str(policy["content"])


def test_ids_are_unique_and_references_lead_to_them(loop_project: LoopProject, task_data: Data) -> None:
    """Several figures of matplotlib are in one page."""
    tasks = loop_project.import_cubes(task_data)
    loop_project.publish(p_emergence=0.75)
    verify(loop_project, tasks, in_order(loop_project)[:16], wrong=4)
    html = report(loop_project)
    ids = re.findall(r'\sid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    wanted = set(re.findall(r'(?:url\(#|href="#)([^")]+)', html))
    assert wanted <= set(ids)
    labelled = {name for value in re.findall(r'aria-labelledby="([^"]+)"', html) for name in value.split()}
    assert labelled
    assert labelled <= set(ids)


def test_figures_follow_the_colours_of_the_page() -> None:
    """No colour of matplotlib is left, so light, dark and print all work; text stays text."""
    bins = reliability_bins(np.array([0.1, 0.9]), np.array([False, True]))
    audit = RoundAudit(
        round=1, cubes=9, verified=5, verifications=5, flips=2, ranked=3, hits=2, hit_rate=None, sampled=2,
        sampled_wrong=0, wrong_left=Estimate(value=1.0, lo=0.0, hi=2.0), stop=None,
    )  # fmt: skip
    drawn = [
        figures.reliability_figure(bins),
        figures.rounds_figure(["v0001"], [audit]),
        figures.times_figure([1.0, 10.0, 9999.0]),
        figures.curve_figure(score_of("c", "0" * 64, 0.75), name="curve", verified_frame=3),
    ]
    for one in drawn:
        assert not re.search(r"#[0-9a-fA-F]{6}\b", re.sub(r"url\(#[^)]*\)|href=\"#[^\"]*\"", "", one)), one[:300]
        assert "currentColor" in one
        assert "<text" in one
        assert "font-family" not in one
    assert "P(emergence) by the model" in drawn[0]
    assert svg.TEXT not in "".join(drawn)


def test_the_axis_of_many_rounds_names_some_of_them() -> None:
    """Two hundred names would cover each other."""
    names = [f"v{number:04d}" for number in range(1, 201)]
    audit = RoundAudit(
        round=1, cubes=10, verified=1, verifications=1, flips=0, ranked=1, hits=0, hit_rate=None, sampled=0,
        sampled_wrong=0, wrong_left=None, stop=None,
    )  # fmt: skip
    drawn = figures.rounds_figure(names, [audit] * len(names))
    shown = [name for name in names if name in drawn]
    assert len(shown) == 29
    assert shown[:2] == ["v0001", "v0008"]


# -- frames ---------------------------------------------------------------------------------------


def test_a_contact_strip_has_north_up_and_off_disk_coloured() -> None:
    """A positive field in the south-west, off-disk in the north-east, eight frames of 225."""

    gridded = np.full((225, 10, 10), 0.5)
    gridded[:, :5, 5:] = 1.0  # row 0 is south, column 0 east
    gridded[:, 5:, :5] = np.nan
    strip = contact_strip(gridded)
    assert strip.frames == (0, 32, 64, 96, 128, 160, 192, 224)
    image = np.asarray(Image.open(BytesIO(base64.b64decode(strip.uri.partition(",")[2]))).convert("RGB")).astype(int)
    assert image.shape == (strip.height_px, strip.width_px, 3)
    third, two_thirds = FRAME_PX // 4, 3 * FRAME_PX // 4
    assert image[two_thirds, two_thirds].min() > 240  # south is at the bottom, west right
    assert abs(image[two_thirds, third] - 128).max() < 8  # 0 G is grey
    assert image[third, third, 2] > image[third, third, 0] + 15  # off-disk is bluish


def test_a_contact_strip_passes_over_frames_before_and_after_the_disk() -> None:
    """Half a disk counts; a gap in between stays, and a cube without disk shows all of nothing."""
    gridded = np.full((100, 4, 4), np.nan)
    gridded[20:91] = 0.5
    gridded[20, :, :2] = np.nan
    gridded[50:60] = np.nan
    assert contact_strip(gridded).frames == (20, 30, 40, 50, 60, 70, 80, 90)
    gridded[:] = np.nan
    assert contact_strip(gridded).frames == (0, 14, 28, 42, 57, 71, 85, 99)
    gridded[40] = 0.5
    assert contact_strip(gridded).frames == (40,)


def test_a_short_video_has_a_shorter_strip() -> None:
    """Each frame once."""
    assert contact_strip(np.full((3, 4, 4), 0.5)).frames == (0, 1, 2)


# -- the command ----------------------------------------------------------------------------------


def test_the_command_writes_where_label_studio_serves_it(
    loop_project: LoopProject, task_data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or into the file that --out names; the address is printed."""
    loop_project.import_cubes(task_data)
    loop_project.publish()
    monkeypatch.setattr(command, "load_settings", lambda: loop_project.context.settings)
    monkeypatch.setattr("helioloop_worker.commands.runtime.load_settings", lambda: loop_project.context.settings)
    monkeypatch.setattr(Context, "label_studio", loop_project.label_studio)
    result = run_one_of(command.commands(), "report", "--project", str(loop_project.id))
    page = loop_project.context.settings.media_dir(loop_project.id) / "report.html"
    assert result.exit_code == 0, result.output
    assert page.read_text().startswith("<!doctype html>")
    assert f"/data/local-files/?d=helioloop/project-{loop_project.id}/report.html" in result.output
    other = tmp_path / "out" / "r.html"
    assert run_one_of(command.commands(), "report", "--project", str(loop_project.id), "--out", other).exit_code == 0
    assert words(other.read_text()).split("made")[0] == words(page.read_text()).split("made")[0]


def test_the_command_shows_no_cube_that_became_a_random_check_while_the_page_was_made(
    loop_project: LoopProject, task_data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its gallery would show an annotator the model's answer; a worker makes another page."""
    loop_project.import_cubes(task_data)
    version = loop_project.publish()
    monkeypatch.setattr(command, "load_settings", lambda: loop_project.context.settings)
    monkeypatch.setattr("helioloop_worker.commands.runtime.load_settings", lambda: loop_project.context.settings)
    monkeypatch.setattr(Context, "label_studio", loop_project.label_studio)
    whole = make_report

    def overtaken(*given: Any, **options: Any) -> str:
        page = whole(*given, **options)
        RandomChecks(version=version, cubes=tuple(CUBES)).write(loop_project.model_dir)
        return page

    monkeypatch.setattr("helioloop_worker.reports.report.make_report", overtaken)
    result = run_one_of(command.commands(), "report", "--project", str(loop_project.id))
    assert result.exit_code == 0, result.output
    assert "is not shown: a cube in its gallery became a random check while it was made" in result.output
    assert not (loop_project.context.settings.media_dir(loop_project.id) / "report.html").exists()
