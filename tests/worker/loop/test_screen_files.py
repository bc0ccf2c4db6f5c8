"""Curve and reason of a task: what they contain, that they follow the published version, and what blind tasks hide."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from click.testing import Result
from tests.worker.conftest import SMALL, LoopProject
from tests.worker.shell import run_one_of

from helioloop.data.cube_facts import CubeFacts
from helioloop.errors import ServiceError
from helioloop.files import atomic
from helioloop.messaging import messages
from helioloop.progress import silent
from helioloop.records.labels import Label
from helioloop.records.scores import CubeScore, Emergence
from helioloop.registry.pruning import remove_superseded
from helioloop.registry.random_checks import RandomChecks
from helioloop.registry.versions import Registry
from helioloop_worker.commands import report as command
from helioloop_worker.context import Context
from helioloop_worker.labelstudio.port import PredictionRow
from helioloop_worker.loop import announcing, screen_files
from helioloop_worker.loop.curve_file import WINDOW_SECONDS, curve_json
from helioloop_worker.loop.ingest import ingest
from helioloop_worker.loop.reason import Judged, reason_html
from helioloop_worker.loop.screen_files import write_screens
from helioloop_worker.loop.writeback import write_back
from helioloop_worker.loop.writeback_changes import write_back_changes

FACTS = CubeFacts(
    cube="a",
    region="NOAA <9300>",
    times=tuple(f"2001-01-01T{hour:02d}:00:00" for hour in range(4)),
    cadence_seconds=3600.0,
    latitude_deg=-18.4,
    meridian_deg=(-42.0, -41.0, -40.0, -39.0),
    meridian_uncertainty_deg=0.5,
    flux=(None, 1.5, 2.5, 3.5),
    off_disk=(True, False, False, False),
)
SCORE = CubeScore(
    cube="a",
    sha256="b" * 64,
    p_emergence=0.93,
    p_spread=0.04,
    members=("fold0-0", "fold0-1"),
    emergence=Emergence(frame=2, frame_lo=1, frame_hi=3),
    curve=(0.1, 0.2, 0.9, 0.95),
    curve_spread=(0.0, 0.3, 0.2, 0.05),
)
NAMES = {label: label.value for label in Label}
JUDGED = Judged(version="v0007", score=SCORE)


def columns(score: CubeScore | None, *, blind: bool = False) -> dict[str, list[float | None]]:
    """Return the columns of a curve file, all of which have the same length."""
    found: dict[str, list[float | None]] = json.loads(curve_json(FACTS, score, blind=blind))
    assert len({len(column) for column in found.values()}) == 1
    return found


def points(found: dict[str, list[float | None]], name: str) -> list[tuple[float, float]]:
    """Return the frames (0-based) and values of a column where it has any."""
    return [
        (round(t / WINDOW_SECONDS * FACTS.n_frames, 1), value)
        for t, value in zip(found["t"], found[name], strict=True)
        if t is not None and value is not None
    ]


def reason(crude: Label | None, judged: Judged | None, *, blind: bool = False) -> str:
    """Return the reason as plain text."""
    html = reason_html(FACTS, crude=crude, judged=judged, class_names=NAMES, frozen_frames=1, blind=blind)
    return re.sub(r"<[^>]*>", "|", html)


def test_the_curve_file_has_a_value_per_frame() -> None:
    """A frame without disk has no flux; places increase, and the play head ends where the video ends."""
    found = columns(SCORE)
    assert points(found, "p") == [(0.0, 0.1), (1.0, 0.2), (2.0, 0.9), (3.0, 0.95)]
    assert points(found, "flux") == [(1.0, 1.5), (2.0, 2.5), (3.0, 3.5)]
    assert found["t"] == sorted(set(found["t"]), key=float)  # type: ignore[arg-type]
    assert (found["t"][-1], found["clock"][-1]) == (WINDOW_SECONDS, 4 / 25)
    assert set(found["clock"][1:-1]) == {WINDOW_SECONDS}, "the window of the play head is that of the curves"
    assert found["clock"] == sorted(found["clock"], key=float)  # type: ignore[arg-type]
    assert [time for time in found["t"][:3] if time == 0.0] == [0.0], "Label Studio refuses two zeros at the start"


def test_the_spread_runs_between_mean_plus_and_minus_the_deviation() -> None:
    """At frame 2, 0.9 ± 0.2 is cut off at 1."""
    spread = points(columns(SCORE), "spread")
    edges = {frame: sorted({value for at, value in spread if abs(at - frame) < 0.2}) for frame in range(FACTS.n_frames)}
    assert edges == {0: [0.1], 1: [0.0, 0.5], 2: [0.7, 1.0], 3: [0.9, 1.0]}


def test_the_interval_is_a_rectangle() -> None:
    """Up at its first frame, down at its last one."""
    assert [value for _, value in points(columns(SCORE), "interval")] == [0.0, 1.0, 1.0, 0.0]
    frames = [frame for frame, _ in points(columns(SCORE), "interval")]
    assert frames == pytest.approx([1, 1, 3, 3], abs=0.2)


@pytest.mark.parametrize("score", [None, SCORE], ids=["no score", "blind"])
def test_without_a_score_and_in_a_blind_check_only_the_flux_is_there(score: CubeScore | None) -> None:
    """Nothing that depends on the model."""
    found = columns(score, blind=score is not None)
    assert points(found, "flux") == [(1.0, 1.5), (2.0, 2.5), (3.0, 3.5)]
    assert [points(found, name) for name in ("p", "spread", "interval")] == [[], [], []]


def test_a_score_of_an_older_version_shows_what_it_has() -> None:
    """Spread per frame is not in scores that were stored before it was kept."""
    found = columns(replace(SCORE, curve_spread=None, emergence=None))
    assert len(points(found, "p")) == 4
    assert points(found, "spread") == points(found, "interval") == []


@pytest.mark.parametrize(
    ("crude", "p", "said"),
    [
        (Label.NON_EMERGENCE, 0.93, "finds emergence likely (0.93); the crude label says non-emergence"),
        (Label.EMERGENCE, 0.07, "finds non-emergence likely (0.93); the crude label says emergence"),
        (Label.EMERGENCE, 0.93, "finds emergence likely (0.93), and the crude label says the same"),
        (Label.EMERGENCE, 0.52, "is unsure:| emergence has a probability of 0.52; the crude label says emergence"),
        (None, 0.93, "There is no crude label"),
    ],
)
def test_the_reason_is_a_sentence(crude: Label | None, p: float, said: str) -> None:
    """Whether model and crude label agree, with the probability of the class that is named."""
    assert said in reason(crude, Judged(version="v0007", score=replace(SCORE, p_emergence=p)))


def test_the_screen_says_why_no_onset_was_searched() -> None:
    """The crude label may be the one thing that says emergence: then the model takes it for wrong."""
    judged = Judged(version="v0007", score=replace(SCORE, p_emergence=0.01, curve=None, emergence=None))
    assert "Onset||not searched: the model takes the label for wrong|" in reason(Label.EMERGENCE, judged)
    for crude in (Label.NON_EMERGENCE, None):
        assert "Onset||not searched: model and label say otherwise|" in reason(crude, judged)


def test_probability_and_agreement_are_two_rows() -> None:
    """P(emergence) is 0.93, so a crude non-emergence agrees by 0.07; frames are counted from 1."""
    text = reason(Label.NON_EMERGENCE, JUDGED)
    assert "Probability||emergence 0.93 ± 0.04|" in text
    assert "Agreement||0.07 with the crude label|" in text
    assert "model: frame 3 |(2 to 4)|" in text
    assert "v0007" in text


def test_the_facts_are_there_and_escaped() -> None:
    """Region, place, time and cadence; a region's name is text, not HTML."""
    text = reason(Label.EMERGENCE, None)
    for said in (
        "NOAA &lt;9300&gt;",
        "18° S, 42° E of the central meridian",
        "2001-01-01 00:00 UTC",
        "60 min per frame",
    ):
        assert said in text


def test_a_blind_reason_shows_nothing_of_the_model() -> None:
    """Neither probability, nor agreement, onset or version; it is the same whatever the model says."""
    shown = reason(Label.EMERGENCE, JUDGED, blind=True)
    assert shown == reason(Label.EMERGENCE, None, blind=True)
    for word in ("0.93", "Probability", "Agreement", "Onset", "v0007", "Crude label", "emergence"):
        assert word not in shown
    assert shown == reason(Label.NON_EMERGENCE, JUDGED, blind=True), "it does not depend on the crude label"


def test_without_a_prediction_the_reason_does_not_show_the_crude_label() -> None:
    """An answer given then counts as blind; the estimate of wrong labels must not come from who read the label."""
    assert reason(Label.EMERGENCE, None) == reason(Label.NON_EMERGENCE, None) == reason(None, None)
    assert "Crude label" not in reason(Label.EMERGENCE, None)


def test_a_long_name_of_a_region_is_cut() -> None:
    """Forty characters stay, the last one an ellipsis; it is escaped after the cut, so no escape is cut in two."""
    facts = replace(FACTS, region="x" * 38 + "<>&")
    shown = reason_html(facts, crude=None, judged=None, class_names=NAMES, frozen_frames=0)
    assert f"<td>{'x' * 38}&lt;…</td>" in shown
    shown = reason_html(replace(FACTS, region="x" * 40), crude=None, judged=None, class_names=NAMES, frozen_frames=0)
    assert f"<td>{'x' * 40}</td>" in shown


def ingested(loop_project: LoopProject) -> dict[str, Path]:
    """Ingest the release ``made`` and return the curve file of each cube."""
    ingest(loop_project.context, loop_project.id, "made", report=silent)
    root = loop_project.context.settings.media_root
    tasks = loop_project.label_studio.tasks(loop_project.id)
    return {task["data"]["cube"]: root / task["data"]["curve"].removeprefix("/data/local-files/?d=") for task in tasks}


def write(loop_project: LoopProject, blind: frozenset[str] = frozenset()) -> int:
    """Write the files for the published version and return how many cubes changed."""
    context, version = loop_project.context, loop_project.registry.published()
    assert version is not None
    return write_screens(
        loop_project.read(),
        loop_project.registry.scores(version),
        version=version,
        media=context.settings.media_dir(loop_project.id),
        blind=blind,
        served=context.media,
        report=silent,
    )


def test_the_files_follow_the_published_version(loop_project: LoopProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ingestion writes them without a model, a write-back with the version's scores, a second one writes nothing."""
    curves = ingested(loop_project)
    path = curves["cube01"]
    before = json.loads(path.read_text())
    assert len(before["flux"]) == SMALL.n_frames + 1
    assert not any(before["p"])
    first = {reason_of(curve).read_text() for curve in curves.values()}
    assert not [text for text in first if "Crude label" in text]
    version = loop_project.publish(p_emergence=0.75)
    write_back(loop_project.context, loop_project.id, version, report=silent)
    text = path.with_name(path.name.replace(".curve.json", ".reason.txt")).read_text()
    assert version in text
    assert "0.75" in text
    calls: list[Path] = []
    monkeypatch.setattr(screen_files, "atomic", Mock(replace_many=calls.extend))
    assert write(loop_project) == 0
    assert calls == []


def reason_of(curve: Path) -> Path:
    """Return the path of the reason beside a curve."""
    return curve.with_name(curve.name.replace(".curve.json", ".reason.txt"))


@pytest.mark.parametrize("way", ["all tasks", "what is new"])
def test_no_task_shows_the_model_before_it_has_its_prediction(
    loop_project: LoopProject, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """Until then an answer counts as blind: Label Studio stores it without a prediction."""
    curves, label_studio = ingested(loop_project), loop_project.label_studio
    version = loop_project.publish(p_emergence=0.75)
    if way == "what is new":
        with monkeypatch.context() as unscored:
            unscored.setattr(Registry, "scores", lambda *_, **__: {})
            unscored.setattr(Registry, "scores_of", lambda *_: {})
            assert write_back(loop_project.context, loop_project.id, version, report=silent).written == 0
        label_studio.annotate(loop_project.read().tasks["cube01"].ids[0], "emergence")
    seen: list[str] = []
    import_predictions = label_studio.import_predictions

    def imports(*words: Any) -> None:
        seen.extend(reason_of(curve).read_text() for curve in curves.values())
        import_predictions(*words)

    monkeypatch.setattr(label_studio, "import_predictions", imports)
    if way == "what is new":
        changed = write_back_changes(loop_project.context, loop_project.id, version, report=silent)
        assert changed is not None
        assert changed.written == 1
    else:
        write_back(loop_project.context, loop_project.id, version, report=silent)
    assert len(seen) >= len(curves)
    assert not [text for text in seen if version in text]
    assert version in reason_of(curves["cube01"]).read_text()


def shown(curve: Path) -> tuple[bytes, bytes]:
    """Return curve and reason as Label Studio serves them."""
    return curve.read_bytes(), curve.with_name(curve.name.replace(".curve.json", ".reason.txt")).read_bytes()


def test_what_was_shown_for_a_superseded_version_can_be_written_again(
    loop_project: LoopProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Byte by byte, after the next version has replaced the files, and after a correction by a human."""
    curves = ingested(loop_project)
    first = loop_project.publish(p_emergence=0.75)
    write_back(loop_project.context, loop_project.id, first, report=silent)
    before = {cube: shown(path) for cube, path in curves.items()}
    task = loop_project.label_studio.tasks(loop_project.id)[0]["id"]
    loop_project.label_studio.annotate(task, "emergence")
    write_back(loop_project.context, loop_project.id, loop_project.publish(p_emergence=0.25), report=silent)
    assert all(shown(path)[1] != before[cube][1] for cube, path in curves.items())

    monkeypatch.setattr(command, "load_settings", lambda: loop_project.context.settings)
    monkeypatch.setattr(Context, "label_studio", loop_project.label_studio)
    media, words = loop_project.context.settings.media_dir(loop_project.id), ("--project", str(loop_project.id))
    done = run_one_of(command.commands(), "screens", *words, "--version", first, "--out", tmp_path / "all")
    assert done.exit_code == 0, done.output
    assert "of 24 cubes showed for v0001" in done.output
    written = {cube: shown(tmp_path / "all" / path.relative_to(media)) for cube, path in curves.items()}
    assert written == before
    one = ("--version", first, "--out", tmp_path / "one", "--cube", "cube03")
    assert run_one_of(command.commands(), "screens", *words, *one).exit_code == 0
    assert len([*(tmp_path / "one").rglob("*.json")]) == 1
    for wrong, said in ((("--version", "v0009"), "its versions are: v0001, v0002"), (("--cube", "x"), "no cube 'x'")):
        refused = run_one_of(command.commands(), "screens", *words, *one[2:], *(*one[:2], *wrong))
        assert (refused.exit_code, said in refused.output) == (2, True), refused.output


@pytest.fixture
def screens(loop_project: LoopProject, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """The command ``helioloop screens`` for the project."""
    monkeypatch.setattr(command, "load_settings", lambda: loop_project.context.settings)
    monkeypatch.setattr(Context, "label_studio", loop_project.label_studio)

    def run(version: str, out: Path, *words: str) -> Result:
        return run_one_of(
            command.commands(), "screens", "--project", str(loop_project.id), "--version", version, "--out", out, *words
        )

    return run


def test_screens_are_not_written_where_the_curves_were_pruned(
    loop_project: LoopProject, screens: Callable[..., Result], tmp_path: Path
) -> None:
    """Without its curve a cube would read as if no onset had been searched."""
    ingested(loop_project)
    for _ in range(3):
        loop_project.publish()
    remove_superseded(loop_project.registry, keep=2)
    refused = screens("v0001", tmp_path / "out")
    assert refused.exit_code == 2
    assert "were removed by `helioloop prune`" in refused.output
    assert not (tmp_path / "out").exists()
    assert screens("v0002", tmp_path / "out").exit_code == 0


def test_screens_are_not_written_for_a_version_that_was_never_published(
    loop_project: LoopProject, screens: Callable[..., Result], tmp_path: Path
) -> None:
    ingested(loop_project)
    first = loop_project.publish()
    loop_project.publish()
    history = loop_project.registry.history()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Registry, "history", lambda _: history[:1])
        refused = screens("v0002", tmp_path / "out")
    assert refused.exit_code == 2
    said = " ".join(refused.output.split())
    assert f"v0002 was never published, so no screen showed it; choose one of: {first}" in said


@pytest.mark.parametrize("way", ["the project's", "the root", "a subfolder", "a link to it", "a link inside", "dots"])
def test_screens_are_not_written_into_the_media_folder(
    loop_project: LoopProject, screens: Callable[..., Result], tmp_path: Path, way: str
) -> None:
    """The files there have the same names: an old version would be shown everywhere, and random checks be answered."""
    curves = ingested(loop_project)
    version = loop_project.publish(p_emergence=0.75)
    settings = loop_project.context.settings
    media = settings.media_dir(loop_project.id)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(media)
    (tmp_path / "elsewhere" / "made").symlink_to(media / "made")
    out = {
        "the project's": media,
        "the root": settings.media_root,
        "a subfolder": media / "new" / "folder",
        "a link to it": tmp_path / "link",
        "a link inside": tmp_path / "elsewhere",
        "dots": media / "made" / ".." / "made",
    }[way]
    before = {path: path.read_bytes() for path in media.rglob("*") if path.is_file()}
    refused = screens(version, out)
    assert refused.exit_code == 2, refused.output
    assert "from where Label Studio gets the present screens" in " ".join(refused.output.split())
    assert {path: path.read_bytes() for path in media.rglob("*") if path.is_file()} == before
    assert curves["cube01"] in before


def test_for_one_cube_only_its_scores_are_read(
    loop_project: LoopProject, screens: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With curves, the scores of ten thousand cubes are large."""
    ingested(loop_project)
    version = loop_project.publish()
    monkeypatch.setattr(Registry, "scores", lambda *_, **__: pytest.fail("all scores are read"))
    done = screens(version, tmp_path / "out", "--cube", "cube03")
    assert (done.exit_code, "of 1 cube showed" in done.output) == (0, True), done.output


def test_a_blind_task_gets_files_without_the_model(loop_project: LoopProject) -> None:
    """Also after a write-back with its score; the others keep theirs."""
    curves = ingested(loop_project)
    version = loop_project.publish(p_emergence=0.75)
    assert write(loop_project) == len(curves)
    assert write(loop_project, blind=frozenset({"cube01"})) == 1
    hidden, shown = (
        curves[cube].with_name(curves[cube].name.replace(".curve.json", ".reason.txt")).read_text()
        for cube in ("cube01", "cube02")
    )
    assert "Random check" in hidden
    assert version not in hidden
    assert version in shown


@pytest.mark.parametrize("way", ["a new version chooses it", "its answer is deleted"])
def test_the_files_of_a_blind_task_show_nothing_when_its_prediction_is_deleted(
    loop_project: LoopProject, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """An answer given from then on counts as blind, so it must not be possible to read the model's curve first."""
    curves = ingested(loop_project)
    settings, label_studio = loop_project.context.settings, loop_project.label_studio
    tasks = {task["data"]["cube"]: task["id"] for task in label_studio.tasks(loop_project.id)}
    if way == "its answer is deleted":
        settings.random_checks = 4
    write_back(loop_project.context, loop_project.id, loop_project.publish(p_emergence=0.75), report=silent)
    if way == "its answer is deleted":
        checks = RandomChecks.read(loop_project.model_dir)
        assert checks is not None
        annotation = label_studio.annotate(tasks[checks.cubes[0]], "emergence")
        write_back(loop_project.context, loop_project.id, "v0001", report=silent)
        label_studio.delete_annotation(annotation)
    settings.random_checks = 4
    found: dict[int, str] = {}
    delete = label_studio.delete_predictions

    def seen(rows: Sequence[PredictionRow]) -> None:
        cubes = {number: cube for cube, number in tasks.items()}
        for row in rows:
            path = curves[cubes[row.task]]
            reason = path.with_name(path.name.replace(".curve.json", ".reason.txt"))
            found[row.task] = path.read_text() + reason.read_text()
            assert not report_page.exists(), "its gallery shows all cubes"
        delete(rows)

    report_page = announcing.report_path(loop_project.context, loop_project.id)
    atomic.write_text(report_page, "".join(f"<h3>{cube}</h3>" for cube in tasks))
    monkeypatch.setattr(label_studio, "delete_predictions", seen)
    if way == "its answer is deleted":
        assert write_back_changes(loop_project.context, loop_project.id, "v0001", report=silent) is not None
    else:
        write_back(loop_project.context, loop_project.id, loop_project.publish(p_emergence=0.75), report=silent)
    assert len(found) == (1 if way == "its answer is deleted" else 4)
    assert messages.MakeReport(project=loop_project.id).job_id in loop_project.queued()
    for text in found.values():
        assert "Random check" in text
        assert "v000" not in text
        assert "0.75" not in text


def test_tasks_of_before_have_no_files_and_damaged_facts_are_passed_over(
    loop_project: LoopProject, task_data: dict[str, dict[str, str]]
) -> None:
    """They have no address for a curve; nothing is written and nothing fails."""
    loop_project.import_cubes(task_data)
    loop_project.publish()
    assert write(loop_project) == 0


def test_a_full_disk_is_named(loop_project: LoopProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """The write-back fails with the file and the reason, and can be repeated."""
    curves = ingested(loop_project)
    loop_project.publish()

    full = Mock(replace_many=Mock(side_effect=OSError(28, "No space left on device")))
    with monkeypatch.context() as broken:
        broken.setattr(screen_files, "atomic", full)
        with pytest.raises(ServiceError, match="No space left on device"):
            write(loop_project)
    assert write(loop_project) == len(curves)
