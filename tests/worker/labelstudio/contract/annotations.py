"""The contract of the port: annotations, and what their export says of a change."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from tests.worker.labelstudio.contract.empty_project import EmptyProject, data_of, prediction

from helioloop.labelstudio.annotations import current_label
from helioloop.labelstudio.config import parse_config
from helioloop_worker.labelstudio.port import Counts


def annotations_are_exported_with_the_fields_that_the_loop_reads(empty: EmptyProject) -> None:
    """Class, annotator, skip or not, and time of change; the short export leaves out tasks without annotations."""
    one, _ = empty.tasks(2)
    number = empty.annotate(one, "emergence")
    (found,) = empty.label_studio.annotated_tasks(empty.project)
    (annotation,) = found["annotations"]
    assert (found["id"], annotation["id"]) == (one, number)
    assert (annotation["was_cancelled"], annotation["ground_truth"]) == (False, False)
    assert annotation["updated_at"]
    assert annotation["completed_by"] is not None
    (item,) = [item for item in annotation["result"] if item["type"] == "choices"]
    assert (item["from_name"], item["value"]["choices"]) == ("class", ["emergence"])
    assert len(empty.label_studio.tasks(empty.project)) == 2


def a_skip_is_an_annotation_in_both_exports(empty: EmptyProject) -> None:
    """The short and the long export agree on it; otherwise reconciliation would always find a difference."""
    one, _ = empty.tasks(2)
    number = empty.skip(one)
    for exported in (empty.label_studio.annotated_tasks(empty.project), empty.label_studio.tasks(empty.project)):
        found = [entry for task in exported for entry in task["annotations"]]
        assert [(entry["id"], entry["was_cancelled"]) for entry in found] == [(number, True)]


def a_change_moves_the_stamp_and_a_deletion_removes_it(empty: EmptyProject) -> None:
    """Reconciliation compares the stamps."""
    one, two = empty.tasks(2)
    first, second = empty.annotate(one, "emergence"), empty.annotate(two, "emergence")
    before = empty.stamps()
    empty.revise(first, "non-emergence")
    after = empty.stamps()
    assert after[first] != before[first]
    assert after[second] == before[second]
    empty.delete_annotation(first)
    assert empty.stamps() == {second: before[second]}


def changed_tasks_are_read_as_they_are_exported(empty: EmptyProject) -> None:
    """Labels and stamps are the same by both ways, after each change of an annotation; other tasks are not read."""
    label_studio, project = empty.label_studio, empty.project
    controls = parse_config(
        label_studio.project(project).label_config, emergence="emergence", non_emergence="non-emergence"
    )
    assert label_studio.last_change(project) is None
    one, two, three, four = empty.tasks(4)
    empty.predict(prediction(two), prediction(three))
    label_studio.set_model_version(project, "v0001")

    def derived(exported: list[dict[str, Any]]) -> dict[int, object]:
        return {
            task["id"]: (
                task["data"],
                current_label(task, controls, n_frames=225),
                [(entry["id"], entry["updated_at"]) for entry in task["annotations"]],
            )
            for task in exported
        }

    def changed_by(act: Callable[[], object]) -> list[int]:
        since = label_studio.last_change(project)
        assert since is not None
        act()
        newest = label_studio.last_change(project)
        assert newest is not None
        assert datetime.fromisoformat(newest) > datetime.fromisoformat(since)
        changed = derived(label_studio.changed_tasks(project, since))
        every = derived(label_studio.tasks(project))
        assert changed == {task: every[task] for task in changed}
        later = datetime.fromisoformat(since) + timedelta(microseconds=1)
        return [task["id"] for task in label_studio.changed_tasks(project, later.isoformat())]

    assert {one, two, three, four} == {*derived(label_studio.changed_tasks(project, "2001-01-01T00:00:00Z"))}
    numbers: list[int] = []
    assert changed_by(lambda: numbers.append(empty.annotate(two, "emergence"))) == [two]
    assert changed_by(lambda: numbers.append(empty.annotate(one, "emergence"))) == [one]
    assert changed_by(lambda: empty.skip(four)) == [four]
    assert changed_by(lambda: empty.revise(numbers[0], "non-emergence")) == [two]
    assert changed_by(lambda: empty.copy_predictions([three])) == [three]
    assert label_studio.project(project).counts == Counts(tasks=4, annotations=3, skips=1)
    assert changed_by(lambda: empty.delete_annotation(numbers[0])) == [two]
    assert label_studio.project(project).counts == Counts(tasks=4, annotations=2, skips=1)


def some_tasks_are_read_with_their_predictions(empty: EmptyProject) -> None:
    """Also of several versions; tasks that are not in the project are left out, and none is no call for all."""
    first, second, _ = empty.tasks(3)
    empty.predict(prediction(first), prediction(first, "v0002"), prediction(second))
    found = empty.label_studio.tasks_now(empty.project, [second, first, 10**6])
    assert [task.id for task in found] == [first, second]
    rows = {row for task in found for row in task.predictions}
    assert rows == {*empty.label_studio.predictions(empty.project)}
    assert [task.data for task in found] == [data_of("c0"), data_of("c1")]
    assert empty.label_studio.tasks_now(empty.project, []) == []


def many_tasks_are_read_in_pages(empty: EmptyProject) -> None:
    """Each once, in order, though a page has a hundred."""
    ids = empty.tasks(203)
    assert [task["id"] for task in empty.label_studio.changed_tasks(empty.project, "2001-01-01T00:00:00Z")] == ids
    assert [task.id for task in empty.label_studio.tasks_now(empty.project, ids)] == ids


def annotations_copied_from_predictions_do_not_verify_a_label(empty: EmptyProject) -> None:
    """Before and after the prediction is deleted; the same class submitted by a human counts."""
    controls = parse_config(
        empty.label_studio.project(empty.project).label_config, emergence="emergence", non_emergence="non-emergence"
    )
    copied, submitted = empty.tasks(2)
    empty.predict(prediction(copied), prediction(submitted))
    empty.copy_predictions([copied])
    empty.annotate(submitted, "emergence")
    for _ in range(2):
        exported = {task["id"]: task for task in empty.label_studio.annotated_tasks(empty.project)}
        labels = {task: current_label(exported[task], controls, n_frames=225) for task in (copied, submitted)}
        assert not labels[copied].verified
        assert "a bulk action copied it from a prediction" in str(labels[copied].contradiction)
        assert (labels[submitted].verified, labels[submitted].contradiction) == (True, None)
        empty.label_studio.delete_predictions(empty.label_studio.predictions(empty.project))


def an_annotation_tells_whether_it_was_made_blind(empty: EmptyProject) -> None:
    """Without a prediction it is blind, also once one follows; with one it is not, also once that is deleted."""
    controls = parse_config(
        empty.label_studio.project(empty.project).label_config, emergence="emergence", non_emergence="non-emergence"
    )
    blind, visible = empty.tasks(2)
    empty.predict(prediction(visible))
    empty.label_studio.set_model_version(empty.project, "v0001")
    empty.annotate(blind, "emergence")
    empty.annotate(visible, "emergence")

    def found() -> dict[int, bool]:
        exported = {task["id"]: task for task in empty.label_studio.annotated_tasks(empty.project)}
        labels = {task: current_label(entry, controls, n_frames=225) for task, entry in exported.items()}
        assert all(label.verified for label in labels.values())
        return {task: label.blind is not None for task, label in labels.items()}

    assert found() == {blind: True, visible: False}
    empty.label_studio.delete_predictions(empty.label_studio.predictions(empty.project))
    empty.predict(prediction(blind))
    assert found() == {blind: True, visible: False}
