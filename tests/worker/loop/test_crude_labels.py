"""Crude labels in Label Studio follow a corrected label table, until a human has labelled the cube."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from tests.worker.conftest import LoopProject, crude, make_release, write_small

from helioloop.data.release import LabelRow, write_labels
from helioloop.errors import LabelStudioError
from helioloop.labelstudio.tasks import cube_tasks
from helioloop.progress import silent
from helioloop.records.labels import Label, LabelSource
from helioloop.registry.label_snapshot import Snapshot
from helioloop_worker import jobs
from helioloop_worker.loop.crude_labels import ChangedLabel
from helioloop_worker.loop.ingest import Ingested, ingest

E, N = Label.EMERGENCE, Label.NON_EMERGENCE
FOUR = tuple(f"cube{k:02d}" for k in range(4))  # odd numbers are emergences


@pytest.fixture
def release(loop_project: LoopProject) -> Path:
    """A release of four cubes that was ingested."""
    folder = make_release(loop_project.context.settings.release_roots[1] / "four", FOUR)
    assert again(loop_project).relabelled == ()
    return folder


def again(loop_project: LoopProject, release: str = "four") -> Ingested:
    """Ingest the release."""
    return ingest(loop_project.context, loop_project.id, release, report=silent)


def correct(release: Path, changes: Mapping[str, Label | None], *, without: Sequence[str] = ()) -> None:
    """Write the label table with some labels changed and some rows left out."""
    labels: dict[str, Label | None] = {cube: crude(cube) for cube in FOUR if cube not in without}
    rows = [LabelRow(cube=cube, label=label, verified=False) for cube, label in {**labels, **changes}.items()]
    write_labels(release / "labels.csv", rows)


def crude_labels(loop_project: LoopProject) -> dict[str, str]:
    """The crude label of each task, by cube."""
    tasks = loop_project.label_studio.tasks(loop_project.id)
    return {task["data"]["cube"]: task["data"]["crude_label"] for task in tasks}


def task_of(loop_project: LoopProject, cube: str) -> int:
    """The oldest task of a cube."""
    return cube_tasks(loop_project.label_studio.tasks(loop_project.id))[cube].ids[0]


def test_a_corrected_table_takes_effect(loop_project: LoopProject, release: Path) -> None:
    """Old and new label of each changed cube come back; other data and cubes stay; a repetition changes nothing."""
    before = loop_project.label_studio.tasks(loop_project.id)
    correct(release, {"cube00": E, "cube01": N, "cube02": None})
    outcome = again(loop_project)
    assert outcome.relabelled == (
        ChangedLabel(cube="cube00", old="non-emergence", new="emergence"),
        ChangedLabel(cube="cube01", old="emergence", new="non-emergence"),
        ChangedLabel(cube="cube02", old="non-emergence", new=""),
    )
    assert outcome.doubts == ()
    new = {"cube00": "emergence", "cube01": "non-emergence", "cube02": "", "cube03": "emergence"}
    after = loop_project.label_studio.tasks(loop_project.id)
    assert after == [{**task, "data": {**task["data"], "crude_label": new[task["data"]["cube"]]}} for task in before]
    assert again(loop_project).relabelled == ()


def test_the_label_snapshot_has_the_corrected_labels(loop_project: LoopProject, release: Path) -> None:
    """At once, because the backend and waiting scores read it."""
    correct(release, {"cube00": E})
    again(loop_project)
    snapshot = Snapshot.read(loop_project.model_dir)
    assert snapshot is not None
    assert (snapshot.cubes["cube00"].label, snapshot.cubes["cube00"].source) == (E, LabelSource.CRUDE)


def test_a_corrected_label_starts_a_round_and_changes_the_agreement(
    loop_project: LoopProject, task_data: dict[str, dict[str, str]]
) -> None:
    """The release is scored and published; afterwards one of its labels is corrected."""
    release = make_release(loop_project.context.settings.release_roots[1] / "copy")
    loop_project.import_cubes({cube: {**data, "release": "copy"} for cube, data in task_data.items()})
    version = loop_project.publish(p_emergence=0.75)
    jobs.write_back(loop_project.context, loop_project.id, version)
    task = task_of(loop_project, "cube00")
    (row,) = [row for row in loop_project.label_studio.predictions(loop_project.id) if row.task == task]
    assert row.score == pytest.approx(0.25)
    correct(release, {f"cube{k:02d}": crude(f"cube{k:02d}") for k in range(24)} | {"cube00": E})
    outcome = jobs.ingest(loop_project.context, loop_project.id, "copy")
    assert [change["cube"] for change in outcome["relabelled"]] == ["cube00"]
    assert loop_project.check() == f"round started: 1 label differs from those {version} was trained on"
    loop_project.clear_queues()
    jobs.write_back(loop_project.context, loop_project.id, version)
    (row,) = [row for row in loop_project.label_studio.predictions(loop_project.id) if row.task == task]
    assert row.score == pytest.approx(0.75)


def test_a_human_s_label_is_not_followed_by_the_table(loop_project: LoopProject, release: Path) -> None:
    """The crude label stays, because the audit compares it with the human's; a contradiction to the human is said."""
    loop_project.label_studio.annotate(task_of(loop_project, "cube00"), "emergence")
    loop_project.label_studio.annotate(task_of(loop_project, "cube02"), "non-emergence")
    correct(release, {"cube00": E, "cube02": E})
    outcome = again(loop_project)
    assert outcome.relabelled == ()
    assert crude_labels(loop_project) == {cube: crude(cube).value for cube in FOUR}
    assert outcome.doubts == (
        "labels.csv of release four has a label of cube cube02 that is not used: a human has given it another label in "
        "Label Studio, which counts",
    )


def test_a_label_follows_the_table_while_votes_are_tied_or_skipped(loop_project: LoopProject, release: Path) -> None:
    """Two annotators disagree on one cube, another one was skipped: the crude label of both is what counts."""
    loop_project.label_studio.annotate(task_of(loop_project, "cube00"), "emergence", annotator=1)
    loop_project.label_studio.annotate(task_of(loop_project, "cube00"), "non-emergence", annotator=2)
    loop_project.label_studio.annotate(task_of(loop_project, "cube02"), "emergence", skipped=True)
    correct(release, {"cube00": E, "cube02": E})
    outcome = again(loop_project)
    assert [change.cube for change in outcome.relabelled] == ["cube00", "cube02"]
    assert not any("is not used" in doubt for doubt in outcome.doubts)


def test_a_label_follows_again_when_the_annotation_is_deleted(loop_project: LoopProject, release: Path) -> None:
    """Then no human has labelled the cube."""
    number = loop_project.label_studio.annotate(task_of(loop_project, "cube00"), "non-emergence")
    correct(release, {"cube00": E})
    assert again(loop_project).relabelled == ()
    loop_project.label_studio.delete_annotation(number)
    assert [change.cube for change in again(loop_project).relabelled] == ["cube00"]


def test_a_removed_row_removes_no_label(loop_project: LoopProject, release: Path) -> None:
    """Perhaps the table has only corrections; this is said with the remedy."""
    correct(release, {"cube01": N}, without=["cube00", "cube02"])
    outcome = again(loop_project)
    assert [change.cube for change in outcome.relabelled] == ["cube01"]
    assert crude_labels(loop_project)["cube00"] == "non-emergence"
    (doubt,) = outcome.doubts
    assert doubt.startswith("labels.csv has no row for cube cube00 (and 1 more), which keeps the crude label")


def test_another_release_s_table_changes_nothing(loop_project: LoopProject, release: Path) -> None:
    """It has a copy of a cube, whose task belongs to the first release."""
    other = make_release(release.with_name("other"), ["cube00"])
    write_labels(other / "labels.csv", [LabelRow(cube="cube00", label=E, verified=False)])
    outcome = again(loop_project, "other")
    assert (outcome.present, outcome.relabelled) == (1, ())
    assert ["belongs to another release" in doubt for doubt in outcome.doubts] == [False, True]  # first: counts once


def test_all_tasks_of_a_cube_follow(loop_project: LoopProject, release: Path) -> None:
    """Somebody imported an exported task again."""
    (data,) = [
        task["data"] for task in loop_project.label_studio.tasks(loop_project.id) if task["data"]["cube"] == "cube00"
    ]
    loop_project.label_studio.import_tasks(loop_project.id, [data])
    correct(release, {"cube00": E})
    again(loop_project)
    assert [
        task["data"]["crude_label"]
        for task in loop_project.label_studio.tasks(loop_project.id)
        if task["data"]["cube"] == "cube00"
    ] == ["emergence", "emergence"]


def test_a_cube_that_is_excluded_keeps_its_label(loop_project: LoopProject, release: Path) -> None:
    """Its row is about a file that the task does not show."""
    write_small(release / "cube00.fits", emergence=True, seed=99)
    correct(release, {"cube00": E})
    outcome = again(loop_project)
    assert ([entry.cube for entry in outcome.excluded], outcome.relabelled) == (["cube00"], ())
    assert crude_labels(loop_project)["cube00"] == "non-emergence"


def test_verified_rows_are_crude_labels_and_this_is_said(loop_project: LoopProject, release: Path) -> None:
    """Only annotations are labels of humans in Label Studio."""
    rows = [LabelRow(cube=cube, label=N, verified=cube == "cube01") for cube in FOUR]
    write_labels(release / "labels.csv", rows)
    outcome = again(loop_project)
    assert [change.cube for change in outcome.relabelled] == ["cube01", "cube03"]
    assert not loop_project.read().label("cube01").verified
    (doubt,) = outcome.doubts
    assert doubt.startswith("labels.csv has verified 1 for cube cube01, which counts as a crude label in Label Studio")


def test_a_broken_correction_is_completed_by_the_next_ingestion(
    loop_project: LoopProject, release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Label Studio refuses the second of two calls: the first label is changed already."""
    correct(release, {"cube00": E, "cube01": N})
    whole = loop_project.label_studio.set_data_field

    def fails(project: int, tasks: Sequence[int], name: str, value: str) -> None:
        if value == "non-emergence":
            raise LabelStudioError("setting crude_label: no answer")
        whole(project, tasks, name, value)

    with monkeypatch.context() as broken:
        broken.setattr(loop_project.label_studio, "set_data_field", fails)
        with pytest.raises(LabelStudioError):
            again(loop_project)
    assert [change.cube for change in again(loop_project).relabelled] == ["cube01"]
    assert crude_labels(loop_project)["cube00"] == "emergence"
