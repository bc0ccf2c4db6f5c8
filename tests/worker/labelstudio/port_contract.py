"""What helioloop relies on in Label Studio: sentences that hold for the real one and for its twin in memory."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from helioloop.errors import LabelStudioError
from helioloop_worker.labelstudio.port import LabelStudio


@dataclass(frozen=True, kw_only=True)
class Room:
    """An empty project, and what people do in it.

    Parameters
    ----------
    door : LabelStudio
        What is held to the contract.
    project : int
        The project, with helioloop's labelling configuration.
    annotate, skip : callable
        Submit a class on a task, or skip it; the annotation's id.
    revise : callable
        Change an annotation's class.
    delete_annotation : callable
        Delete an annotation.
    """

    door: LabelStudio
    project: int
    annotate: Callable[[int, str], int]
    skip: Callable[[int], int]
    revise: Callable[[int, str], None]
    delete_annotation: Callable[[int], None]

    def tasks(self, count: int) -> list[int]:
        """Import tasks for cubes c0, c1, … and return their ids."""
        return self.door.import_tasks(self.project, [data_of(f"c{k}") for k in range(count)])

    def predict(self, *entries: dict[str, Any]) -> None:
        """Import predictions."""
        self.door.import_predictions(self.project, entries)

    def rows(self) -> list[tuple[int, str]]:
        """Task and version of each prediction row, oldest first."""
        rows = sorted(self.door.predictions(self.project), key=lambda row: row.id)
        return [(row.task, row.model_version) for row in rows]

    def stamps(self) -> dict[int, str]:
        """Annotation id -> when it last changed."""
        exported = self.door.annotated_tasks(self.project)
        return {entry["id"]: entry["updated_at"] for task in exported for entry in task["annotations"]}


def data_of(cube: str) -> dict[str, str]:
    """A task's data; Label Studio insists on all that the labelling configuration shows."""
    return {"video": f"/{cube}.mp4", "cube": cube, "start": "2001-02-03T00:00:00Z", "crude_label": "emergence"}


def prediction(task: int, version: str = "v0001", **changes: Any) -> dict[str, Any]:
    """An emergence from frame 41 on, with a score of 0.25."""
    choice = {"from_name": "class", "to_name": "video", "type": "choices", "value": {"choices": ["emergence"]}}
    onset = {
        "from_name": "onset",
        "to_name": "video",
        "type": "timelinelabels",
        "value": {"ranges": [{"start": 41, "end": 225}], "timelinelabels": ["emergence"]},
    }
    return {"task": task, "result": [choice, onset], "score": 0.25, "model_version": version, **changes}


def choosing(value: str, *, control: str = "class") -> list[dict[str, Any]]:
    """A result that chooses `value`."""
    return [{"from_name": control, "to_name": "video", "type": "choices", "value": {"choices": [value]}}]


# -- the sentences --------------------------------------------------------------------------------


def an_unknown_project_is_refused(room: Room) -> None:
    """No project has this id."""
    with pytest.raises(LabelStudioError):
        room.door.project(987_654_321)


def a_new_project_is_empty_and_shows_no_version(room: Room) -> None:
    """Its configuration is what it was made with."""
    info = room.door.project(room.project)
    assert info.model_version is None
    assert '<Choices name="class"' in info.label_config
    assert room.door.tasks(room.project) == []
    assert room.door.predictions(room.project) == []
    assert room.door.model_versions(room.project) == {}


def tasks_keep_order_and_data(room: Room) -> None:
    """The ids come back in the order of what was sent."""
    one, two, three = room.tasks(3)
    exported = {entry["id"]: entry["data"] for entry in room.door.tasks(room.project)}
    assert {task: data["cube"] for task, data in exported.items()} == {one: "c0", two: "c1", three: "c2"}
    assert exported[one] == data_of("c0")


def annotations_are_exported_with_what_the_loop_reads(room: Room) -> None:
    """Class, annotator, whether it is a skip, and when it changed; unannotated tasks are left out where asked."""
    one, _ = room.tasks(2)
    number = room.annotate(one, "emergence")
    (found,) = room.door.annotated_tasks(room.project)
    (annotation,) = found["annotations"]
    assert (found["id"], annotation["id"]) == (one, number)
    assert (annotation["was_cancelled"], annotation["ground_truth"]) == (False, False)
    assert annotation["updated_at"]
    assert annotation["completed_by"] is not None
    (item,) = [item for item in annotation["result"] if item["type"] == "choices"]
    assert (item["from_name"], item["value"]["choices"]) == ("class", ["emergence"])
    assert len(room.door.tasks(room.project)) == 2


def a_skip_is_an_annotation_in_both_exports(room: Room) -> None:
    """The short and the long export agree on it, or the sweep would find a difference for ever."""
    one, _ = room.tasks(2)
    number = room.skip(one)
    for exported in (room.door.annotated_tasks(room.project), room.door.tasks(room.project)):
        found = [entry for task in exported for entry in task["annotations"]]
        assert [(entry["id"], entry["was_cancelled"]) for entry in found] == [(number, True)]


def a_change_moves_the_stamp_and_a_deletion_takes_it_away(room: Room) -> None:
    """What the sweep compares."""
    one, two = room.tasks(2)
    first, second = room.annotate(one, "emergence"), room.annotate(two, "emergence")
    before = room.stamps()
    room.revise(first, "non-emergence")
    after = room.stamps()
    assert after[first] != before[first]
    assert after[second] == before[second]
    room.delete_annotation(first)
    assert room.stamps() == {second: before[second]}


def predictions_are_counted_by_version(room: Room) -> None:
    """Rows tell task and version."""
    one, two = room.tasks(2)
    room.predict(prediction(one), prediction(two))
    room.predict(prediction(one, "v0002"))
    assert room.rows() == [(one, "v0001"), (two, "v0001"), (one, "v0002")]
    assert room.door.model_versions(room.project) == {"v0001": 2, "v0002": 1}


def the_same_prediction_twice_makes_two_rows(room: Room) -> None:
    """Label Studio does not tell doubles; the younger row has the greater id."""
    (one,) = room.tasks(1)
    room.predict(prediction(one))
    first = room.door.predictions(room.project)[0]
    room.predict(prediction(one))
    assert room.rows() == [(one, "v0001"), (one, "v0001")]
    younger = [row for row in room.door.predictions(room.project) if row.id != first.id]
    assert all(row.id > first.id for row in younger)
    room.door.delete_predictions(younger)
    assert room.door.predictions(room.project) == [first]
    with pytest.raises(LabelStudioError):
        room.door.delete_predictions(younger)


def a_score_changes_in_place(room: Room) -> None:
    """The row keeps its id, its version and what it says; a row that is gone is refused."""
    (one,) = room.tasks(1)
    room.predict(prediction(one))
    (before,) = room.door.predictions(room.project)
    room.door.rescore(before, 0.75)
    assert room.door.predictions(room.project) == [replace(before, score=0.75)]
    room.door.delete_predictions([before])
    with pytest.raises(LabelStudioError):
        room.door.rescore(before, 0.5)


def invalid_predictions_are_dropped_and_told(room: Room) -> None:
    """A score above 1, an unknown class, an unknown control: the valid one of the batch stays."""
    one, two = room.tasks(2)
    invalid = (
        prediction(one, score=1.01),
        prediction(one, result=choosing("sunspot")),
        prediction(one, result=choosing("emergence", control="kind")),
    )
    for entry in invalid:
        with pytest.raises(LabelStudioError, match="kept 1 of 2"):
            room.predict(prediction(two), entry)
    assert room.rows() == [(two, "v0001")] * 3


def predictions_of_an_unknown_task_are_refused_as_a_whole(room: Room) -> None:
    """Nothing of the batch is written."""
    (one,) = room.tasks(1)
    with pytest.raises(LabelStudioError):
        room.predict(prediction(one), prediction(987_654_321))
    assert room.rows() == []


def only_a_version_with_predictions_can_be_shown(room: Room) -> None:
    """An unknown one is refused, and the one shown stays."""
    (one,) = room.tasks(1)
    room.predict(prediction(one))
    room.door.set_model_version(room.project, "v0001")
    with pytest.raises(LabelStudioError):
        room.door.set_model_version(room.project, "v0009")
    assert room.door.project(room.project).model_version == "v0001"


def deleting_a_version_leaves_the_others(room: Room) -> None:
    """Superseded rows go, the active version stays shown; the same again changes nothing."""
    (one,) = room.tasks(1)
    room.predict(prediction(one), prediction(one, "v0002"))
    room.door.set_model_version(room.project, "v0002")
    for _ in range(2):
        room.door.delete_version(room.project, "v0001")
        assert room.rows() == [(one, "v0002")]
        assert room.door.project(room.project).model_version == "v0002"


def deleting_the_active_version_leaves_none_shown(room: Room) -> None:
    """Which is why the sweep never does."""
    (one,) = room.tasks(1)
    room.predict(prediction(one))
    room.door.set_model_version(room.project, "v0001")
    room.door.delete_version(room.project, "v0001")
    assert room.door.project(room.project).model_version is None


def the_active_version_is_counted_even_without_rows(room: Room) -> None:
    """Its rows were deleted one by one."""
    (one,) = room.tasks(1)
    room.predict(prediction(one))
    room.door.set_model_version(room.project, "v0001")
    room.door.delete_predictions(room.door.predictions(room.project))
    assert room.door.model_versions(room.project) == {"v0001": 0}


SENTENCES = (
    an_unknown_project_is_refused,
    a_new_project_is_empty_and_shows_no_version,
    tasks_keep_order_and_data,
    annotations_are_exported_with_what_the_loop_reads,
    a_skip_is_an_annotation_in_both_exports,
    a_change_moves_the_stamp_and_a_deletion_takes_it_away,
    predictions_are_counted_by_version,
    the_same_prediction_twice_makes_two_rows,
    a_score_changes_in_place,
    invalid_predictions_are_dropped_and_told,
    predictions_of_an_unknown_task_are_refused_as_a_whole,
    only_a_version_with_predictions_can_be_shown,
    deleting_a_version_leaves_the_others,
    deleting_the_active_version_leaves_none_shown,
    the_active_version_is_counted_even_without_rows,
)
