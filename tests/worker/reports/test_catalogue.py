"""The catalogue of a project: whose word counts, what stands on random checks alone, and when it was."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from tests.worker.conftest import CUBES, Desk, crude, emerges

from helioloop.data.release import ReleaseRoots
from helioloop.data.truth import read_truth
from helioloop.errors import CubeError, RegistryError
from helioloop.evaluation.audit_order import audit_order
from helioloop.progress import silent
from helioloop.records import Label
from helioloop_worker.reports.catalogue import COLUMNS, Catalogue, make_catalogue, write_catalogue, write_draw

Data = dict[str, dict[str, str]]


def catalogue(desk: Desk, *, roots: ReleaseRoots | None = None, **said: Any) -> Catalogue:
    """Put the desk's catalogue together."""

    def fails(_cube: str, error: CubeError) -> None:
        raise error

    runtime = desk.context.runtime(silent, on_excluded=said.get("on_excluded", fails))
    return make_catalogue(
        desk.view(), desk.registry, runtime, roots=roots or desk.context.roots, coverage=said.get("coverage", 0.9)
    )


def table(made: Catalogue, folder: Path) -> dict[str, dict[str, str]]:
    """Write a catalogue and read it back, by cube."""
    write_catalogue(folder / "catalogue.csv", made)
    with (folder / "catalogue.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    return {row["cube"]: row for row in rows}


def check_list(desk: Desk) -> list[str]:
    """All cubes in the order of the random checks."""
    return audit_order(task.cube for task in desk.view().tasks.values())


def annotate(desk: Desk, tasks: dict[str, int], cube: str, *, start: int | None = None) -> None:
    """Submit a cube's true class, with an onset (1-based) where one is given."""
    desk.label_studio.annotate(tasks[cube], crude(cube).value, start=start)


def test_without_a_published_version_there_is_no_catalogue(desk: Desk, task_data: Data) -> None:
    """A sentence says what to do."""
    desk.import_cubes(task_data)
    with pytest.raises(RegistryError, match="ingest a release first"):
        catalogue(desk)


def test_a_row_keeps_label_model_and_doubt_apart(desk: Desk, task_data: Data, tmp_path: Path) -> None:
    """A crude non-emergence that the version takes for an emergence, three quarters sure."""
    desk.import_cubes(task_data)
    version = desk.publish(p_emergence=0.75)
    row = table(catalogue(desk), tmp_path)["cube00"]
    assert (row["label"], row["label_source"], row["crude_label"]) == ("non-emergence", "crude", "non-emergence")
    assert (row["label_predicted"], row["p_emergence"], row["disagreement"]) == ("emergence", "0.750000", "0.750000")
    assert (row["p_spread"], row["p_calibrated"], row["model_version"]) == ("0.000000", "", version)
    assert (row["release"], row["region"]) == ("made", "region0")
    assert (row["emergence_frame"], row["emergence_frame_from"]) == ("12", "model, uncalibrated")
    assert row["emergence_time_utc"] == "2001-01-01T19:12:00"  # twelve frames of 96 minutes
    assert row["emergence_time_tai"] == "2001-01-01T19:12:32"


def test_a_human_s_frame_and_a_human_s_non_emergence_go_before_the_model(
    desk: Desk, task_data: Data, tmp_path: Path
) -> None:
    """The onset set on the timeline is the frame, its own interval; where a human saw none, none is given."""
    tasks = desk.import_cubes(task_data)
    desk.publish(p_emergence=0.75)
    annotate(desk, tasks, "cube01", start=10)
    annotate(desk, tasks, "cube02")
    rows = table(catalogue(desk), tmp_path)
    set_by_hand = [rows["cube01"][name] for name in COLUMNS if name.startswith("emergence_frame")]
    assert set_by_hand == ["9", "9", "9", "annotator"]
    assert rows["cube01"]["label_source"] == "majority"
    assert rows["cube02"]["label_predicted"] == "emergence"
    assert (rows["cube02"]["emergence_frame"], rows["cube02"]["emergence_time_utc"]) == ("", "")


def test_only_the_verified_start_of_the_check_list_is_a_random_draw(
    desk: Desk, task_data: Data, tmp_path: Path
) -> None:
    """Labels beyond the first gap were chosen for a reason; the table for triage holds the others alone."""
    tasks = desk.import_cubes(task_data)
    desk.publish()
    order = check_list(desk)
    for cube in [*order[:3], order[4]]:
        annotate(desk, tasks, cube, start=15 if emerges(cube) else None)
    made = catalogue(desk)
    write_draw(tmp_path / "drawn.csv", made.draw)
    drawn = read_truth(tmp_path / "drawn.csv")
    assert set(drawn) == set(order[:3])
    assert {cube: true.label for cube, true in drawn.items()} == {cube: crude(cube) for cube in drawn}
    assert {true.frame for true in drawn.values() if true.label is Label.EMERGENCE} <= {14}
    assert "4 of them verified, 3 of these drawn at random" in made.sentences()[0]
    assert any("label the next random checks" in sentence for sentence in made.sentences())


def test_random_checks_calibrate_the_intervals(desk: Desk, task_data: Data, tmp_path: Path) -> None:
    """The version says 12, humans 14: intervals reach to 14. One cube's frame stays open, and the model's is given."""
    tasks = desk.import_cubes(task_data)
    desk.publish(p_emergence=0.75)
    for cube in CUBES:
        annotate(desk, tasks, cube, start=15 if emerges(cube) and cube != "cube23" else None)
    made = catalogue(desk)
    row = table(made, tmp_path)["cube23"]
    assert row["emergence_frame_from"] == "model, calibrated 0.9"
    lo, frame, hi = (int(row[f"emergence_frame{end}"]) for end in ("_lo", "", "_hi"))
    assert lo < frame == 12
    assert hi >= 14
    assert any("calibrated on 11 verified frames" in sentence for sentence in made.sentences())
    assert any("Probabilities: uncalibrated" in sentence for sentence in made.sentences())


def test_a_frame_left_where_the_model_put_it_calibrates_nothing(desk: Desk, task_data: Data, tmp_path: Path) -> None:
    """Every emergence is submitted as it was filled in, at frame 12: right or not, nobody set it."""
    tasks = desk.import_cubes(task_data)
    desk.publish(p_emergence=0.75)
    for cube in CUBES:
        annotate(desk, tasks, cube, start=13 if emerges(cube) else None)
    made = catalogue(desk)
    assert made.intervals is None
    row = table(made, tmp_path)["cube23"]
    assert (row["emergence_frame"], row["emergence_frame_from"]) == ("12", "annotator, unmoved")
    write_draw(tmp_path / "drawn.csv", made.draw)
    assert {true.frame for true in read_truth(tmp_path / "drawn.csv").values()} == {None}


def test_a_frame_that_a_later_version_comes_to_by_itself_was_moved(desk: Desk, task_data: Data, tmp_path: Path) -> None:
    """Humans say 12, then a version is trained that says 12 too: it agrees, they were not led."""
    tasks = desk.import_cubes(task_data)
    for cube in CUBES:
        annotate(desk, tasks, cube, start=13 if emerges(cube) else None)
    card = desk.registry.folder(desk.publish(p_emergence=0.75)) / "card.json"
    card.write_text(json.dumps(json.loads(card.read_text()) | {"created_at": "2999-01-01T00:00:00+00:00"}))
    made = catalogue(desk)
    assert made.intervals is not None
    assert table(made, tmp_path)["cube23"]["emergence_frame_from"] == "annotator"


def test_a_cube_whose_file_is_gone_keeps_its_frame_and_loses_its_time(
    desk: Desk, task_data: Data, tmp_path: Path
) -> None:
    """It is told, once for each."""
    desk.import_cubes(task_data, ["cube01", "cube02", *CUBES[3:]])
    desk.publish(p_emergence=0.75)
    told: list[str] = []
    made = catalogue(
        desk, roots=ReleaseRoots([tmp_path]), on_excluded=lambda cube, _error: told.append(cube)
    )  # fmt: skip
    row = table(made, tmp_path)["cube01"]
    assert (row["emergence_frame"], row["emergence_time_utc"]) == ("12", "")
    assert told == ["cube01", "cube02", *CUBES[3:]]


def test_a_cube_that_was_not_scored_yet_is_in_the_catalogue(desk: Desk, task_data: Data, tmp_path: Path) -> None:
    """With its label; the version has nothing to say."""
    desk.import_cubes(task_data)
    desk.publish(without=["cube05"])
    made = catalogue(desk)
    row = table(made, tmp_path)["cube05"]
    assert (row["label"], row["p_emergence"], row["disagreement"], row["model_version"]) == ("emergence", "", "", "")
    assert "Of 1 cubes it has not spoken yet: the worker scores them." in made.sentences()
