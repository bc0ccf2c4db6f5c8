"""The catalogue of a project: which label and frame count, what the audit sample calibrates, and frame times."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from tests.worker.conftest import CUBES, LoopProject, crude, emerges

from helioloop.data.release import ReleaseRoots
from helioloop.data.truth import read_truth
from helioloop.errors import CubeError, RegistryError
from helioloop.evaluation.audit_order import audit_order
from helioloop.progress import silent
from helioloop.records.labels import Label
from helioloop_worker.reports.catalogue import Catalogue, make_catalogue
from helioloop_worker.reports.catalogue_table import COLUMNS, write_catalogue, write_sample

Data = dict[str, dict[str, str]]


def catalogue(loop_project: LoopProject, *, roots: ReleaseRoots | None = None, **options: Any) -> Catalogue:
    """Return the project's catalogue."""

    def fails(_cube: str, error: CubeError) -> None:
        raise error

    runtime = loop_project.context.runtime(loop_project.id, silent, on_excluded=options.get("on_excluded", fails))
    return make_catalogue(
        loop_project.read(),
        loop_project.registry,
        runtime,
        roots=roots or loop_project.context.roots,
        coverage=options.get("coverage", 0.9),
    )


def table(made: Catalogue, folder: Path) -> dict[str, dict[str, str]]:
    """Write a catalogue and read it back, by cube."""
    write_catalogue(folder / "catalogue.csv", made.entries, version=made.version)
    with (folder / "catalogue.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    return {row["cube"]: row for row in rows}


def sampling_order(loop_project: LoopProject) -> list[str]:
    """All cubes in audit order."""
    return audit_order(task.cube for task in loop_project.read().tasks.values())


def annotate(loop_project: LoopProject, tasks: dict[str, int], cube: str, *, start: int | None = None) -> None:
    """Submit a cube's true class, with an onset (1-based) where one is given."""
    loop_project.label_studio.annotate(tasks[cube], crude(cube).value, start=start)


def test_without_a_published_version_there_is_no_catalogue(loop_project: LoopProject, task_data: Data) -> None:
    """The error gives the remedy."""
    loop_project.import_cubes(task_data)
    with pytest.raises(RegistryError, match="ingest a release first"):
        catalogue(loop_project)


def test_a_row_has_the_label_the_models_class_and_the_disagreement(
    loop_project: LoopProject, task_data: Data, tmp_path: Path
) -> None:
    """The crude label is non-emergence; the version gives emergence a probability of 0.75."""
    loop_project.import_cubes(task_data)
    version = loop_project.publish(p_emergence=0.75)
    row = table(catalogue(loop_project), tmp_path)["cube00"]
    assert (row["label"], row["label_source"], row["crude_label"]) == ("non-emergence", "crude", "non-emergence")
    assert (row["label_predicted"], row["p_emergence"], row["disagreement"]) == ("emergence", "0.750000", "0.750000")
    assert (row["p_spread"], row["p_calibrated"], row["model_version"]) == ("0.000000", "", version)
    assert (row["release"], row["region"]) == ("made", "region0")
    assert (row["emergence_frame"], row["emergence_frame_from"]) == ("12", "model, uncalibrated")
    assert row["emergence_time_utc"] == "2001-01-01T19:12:00"  # twelve frames of 96 minutes
    assert row["emergence_time_tai"] == "2001-01-01T19:12:32"


def test_a_humans_frame_and_a_humans_non_emergence_take_precedence_over_the_model(
    loop_project: LoopProject, task_data: Data, tmp_path: Path
) -> None:
    """An onset set on the timeline is the frame and its own interval; a verified non-emergence has no frame."""
    tasks = loop_project.import_cubes(task_data)
    loop_project.publish(p_emergence=0.75)
    annotate(loop_project, tasks, "cube01", start=10)
    annotate(loop_project, tasks, "cube02")
    rows = table(catalogue(loop_project), tmp_path)
    set_by_hand = [rows["cube01"][name] for name in COLUMNS if name.startswith("emergence_frame")]
    assert set_by_hand == ["9", "9", "9", "annotator"]
    assert rows["cube01"]["label_source"] == "majority"
    assert rows["cube02"]["label_predicted"] == "emergence"
    assert (rows["cube02"]["emergence_frame"], rows["cube02"]["emergence_time_utc"]) == ("", "")


def test_only_the_verified_start_of_the_audit_order_is_the_audit_sample(
    loop_project: LoopProject, task_data: Data, tmp_path: Path
) -> None:
    """Cubes verified after the first gap are not in the table for triage."""
    tasks = loop_project.import_cubes(task_data)
    loop_project.publish()
    order = sampling_order(loop_project)
    for cube in [*order[:3], order[4]]:
        annotate(loop_project, tasks, cube, start=15 if emerges(cube) else None)
    made = catalogue(loop_project)
    write_sample(tmp_path / "drawn.csv", made.sample)
    drawn = read_truth(tmp_path / "drawn.csv")
    assert set(drawn) == set(order[:3])
    assert {cube: true.label for cube, true in drawn.items()} == {cube: crude(cube) for cube in drawn}
    assert {true.frame for true in drawn.values() if true.label is Label.EMERGENCE} <= {14}
    assert "4 of them verified, 3 of these in the audit sample" in made.sentences()[0]
    assert any("label the next cubes of the audit sample" in sentence for sentence in made.sentences())


def test_the_audit_sample_calibrates_the_intervals(loop_project: LoopProject, task_data: Data, tmp_path: Path) -> None:
    """The model locates frame 12, humans 14: intervals reach to 14. One cube has no verified frame, so the model's."""
    tasks = loop_project.import_cubes(task_data)
    loop_project.publish(p_emergence=0.75)
    for cube in CUBES:
        annotate(loop_project, tasks, cube, start=15 if emerges(cube) and cube != "cube23" else None)
    made = catalogue(loop_project)
    row = table(made, tmp_path)["cube23"]
    assert row["emergence_frame_from"] == "model, calibrated 0.9"
    lo, frame, hi = (int(row[f"emergence_frame{end}"]) for end in ("_lo", "", "_hi"))
    assert lo < frame == 12
    assert hi >= 14
    assert any("calibrated on 11 verified frames" in sentence for sentence in made.sentences())
    assert any("Probabilities: uncalibrated" in sentence for sentence in made.sentences())


def test_a_frame_submitted_as_the_model_proposed_it_is_not_used_for_calibration(
    loop_project: LoopProject, task_data: Data, tmp_path: Path
) -> None:
    """Every emergence is submitted at frame 12, where the prediction was."""
    tasks = loop_project.import_cubes(task_data)
    loop_project.publish(p_emergence=0.75)
    for cube in CUBES:
        annotate(loop_project, tasks, cube, start=13 if emerges(cube) else None)
    made = catalogue(loop_project)
    assert made.calibration.intervals is None
    row = table(made, tmp_path)["cube23"]
    assert (row["emergence_frame"], row["emergence_frame_from"]) == ("12", "annotator, unmoved")
    write_sample(tmp_path / "drawn.csv", made.sample)
    assert {true.frame for true in read_truth(tmp_path / "drawn.csv").values()} == {None}


def test_a_frame_that_a_later_version_finds_too_counts_as_set_by_a_human(
    loop_project: LoopProject, task_data: Data, tmp_path: Path
) -> None:
    """Humans set frame 12 before the version was created that locates frame 12."""
    tasks = loop_project.import_cubes(task_data)
    for cube in CUBES:
        annotate(loop_project, tasks, cube, start=13 if emerges(cube) else None)
    card = loop_project.registry.folder(loop_project.publish(p_emergence=0.75)) / "card.json"
    card.write_text(json.dumps(json.loads(card.read_text()) | {"created_at": "2999-01-01T00:00:00+00:00"}))
    made = catalogue(loop_project)
    assert made.calibration.intervals is not None
    assert table(made, tmp_path)["cube23"]["emergence_frame_from"] == "annotator"


def test_a_cube_whose_file_is_gone_keeps_its_frame_without_a_time(
    loop_project: LoopProject, task_data: Data, tmp_path: Path
) -> None:
    """Each such cube is reported once."""
    loop_project.import_cubes(task_data, ["cube01", "cube02", *CUBES[3:]])
    loop_project.publish(p_emergence=0.75)
    reported: list[str] = []
    made = catalogue(
        loop_project, roots=ReleaseRoots([tmp_path]), on_excluded=lambda cube, _error: reported.append(cube)
    )  # fmt: skip
    row = table(made, tmp_path)["cube01"]
    assert (row["emergence_frame"], row["emergence_time_utc"]) == ("12", "")
    assert reported == ["cube01", "cube02", *CUBES[3:]]


def test_a_cube_without_a_score_is_in_the_catalogue(loop_project: LoopProject, task_data: Data, tmp_path: Path) -> None:
    """It has its label, and empty cells for the score."""
    loop_project.import_cubes(task_data)
    loop_project.publish(without=["cube05"])
    made = catalogue(loop_project)
    row = table(made, tmp_path)["cube05"]
    assert (row["label"], row["p_emergence"], row["disagreement"], row["model_version"]) == ("emergence", "", "", "")
    assert "1 cubes are not scored yet: the worker scores them." in made.sentences()
