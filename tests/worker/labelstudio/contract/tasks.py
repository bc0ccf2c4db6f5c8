"""The contract of the port: tasks and their data."""

import pytest
from tests.worker.labelstudio.contract.empty_project import EmptyProject, data_of

from helioloop.errors import LabelStudioError


def tasks_keep_order_and_data(empty: EmptyProject) -> None:
    """The ids are in the order of the data."""
    one, two, three = empty.tasks(3)
    exported = {entry["id"]: entry["data"] for entry in empty.label_studio.tasks(empty.project)}
    assert {task: data["cube"] for task, data in exported.items()} == {one: "c0", two: "c1", three: "c2"}
    assert exported[one] == data_of("c0")


def tasks_without_a_value_that_the_screen_shows_are_refused(empty: EmptyProject) -> None:
    """Absent, or no text: then no task of the call is imported. Other fields may be absent, and the text be empty."""
    for name in ("video", "curve", "reason"):
        absent = {key: value for key, value in data_of("c1").items() if key != name}
        with pytest.raises(LabelStudioError, match=f"{name}.* key is expected in task data"):
            empty.label_studio.import_tasks(empty.project, [data_of("c0"), absent])
        with pytest.raises(LabelStudioError, match="is of type"):
            empty.label_studio.import_tasks(empty.project, [data_of("c0"), {**data_of("c1"), name: None}])
    assert empty.label_studio.tasks(empty.project) == []
    short = {"video": "/c0.mp4", "curve": "", "reason": ""}
    assert len(empty.label_studio.import_tasks(empty.project, [short])) == 1


def newer_tasks_are_read_by_id(empty: EmptyProject) -> None:
    """Those after a given one, in order, with their data; none after the newest, all after 0."""
    one, two, three = empty.tasks(3)
    newer = empty.label_studio.tasks_after(empty.project, one)
    assert [(entry["id"], entry["data"]["cube"]) for entry in newer] == [(two, "c1"), (three, "c2")]
    assert empty.label_studio.tasks_after(empty.project, three) == []
    assert [entry["id"] for entry in empty.label_studio.tasks_after(empty.project, 0)] == [one, two, three]


def newer_tasks_are_those_of_the_project(empty: EmptyProject) -> None:
    """An import that comes later has higher ids; an id that does not exist is a limit like any other."""
    (one,) = empty.tasks(1)
    assert empty.label_studio.tasks_after(empty.project, one + 1) == []
    (two,) = empty.tasks(1)
    assert two > one
    assert [entry["id"] for entry in empty.label_studio.tasks_after(empty.project, one)] == [two]


def a_field_of_the_data_is_set_in_place(empty: EmptyProject) -> None:
    """Only in the given tasks and only this field; tasks keep their ids and annotations, and it can be repeated."""
    one, two, three = empty.tasks(3)
    number = empty.annotate(one, "emergence")
    for _ in range(2):
        empty.label_studio.set_data_field(empty.project, [one, three], "crude_label", "non-emergence")
    empty.label_studio.set_data_field(empty.project, [three], "crude_label", "")
    empty.label_studio.set_data_field(empty.project, [], "crude_label", "nowhere")
    exported = {entry["id"]: entry for entry in empty.label_studio.tasks(empty.project)}
    assert exported[one]["data"] == {**data_of("c0"), "crude_label": "non-emergence"}
    assert exported[two]["data"] == data_of("c1")
    assert exported[three]["data"] == {**data_of("c2"), "crude_label": ""}
    assert [annotation["id"] for annotation in exported[one]["annotations"]] == [number]


def a_text_in_a_field_of_the_data_is_replaced(empty: EmptyProject) -> None:
    """In the given tasks, in all places, and again without effect; a field that a task lacks is not made."""
    one, two, three = empty.tasks(3)
    empty.label_studio.set_data_field(empty.project, [one, two], "triage", "random check <0><1>")
    for replaced, value in (("<0>", "4"), ("<1>", "2"), ("<1>", "2")):
        empty.label_studio.set_data_field(empty.project, [two, three], "triage", value, replaced=replaced)
    exported = {entry["id"]: entry["data"] for entry in empty.label_studio.tasks(empty.project)}
    assert exported[one]["triage"] == "random check <0><1>"
    assert exported[two]["triage"] == "random check 42"
    assert exported[three] == data_of("c2")


def setting_a_field_of_an_unknown_task_fails(empty: EmptyProject) -> None:
    """The others of the call are changed, and those of other projects never."""
    (one,) = empty.tasks(1)
    with pytest.raises(LabelStudioError, match="look whether tasks were deleted"):
        empty.label_studio.set_data_field(empty.project, [one, 987_654_321], "crude_label", "non-emergence")
    (exported,) = empty.label_studio.tasks(empty.project)
    assert exported["data"]["crude_label"] == "non-emergence"
    with pytest.raises(LabelStudioError):
        empty.label_studio.set_data_field(987_654_321, [one], "crude_label", "emergence")
    (exported,) = empty.label_studio.tasks(empty.project)
    assert exported["data"]["crude_label"] == "non-emergence"


def a_task_needs_the_field_of_its_video(empty: EmptyProject) -> None:
    """Whatever its name; results have the alias of a choice, and predictions with the choice itself are dropped."""
    project = empty.configured(OTHER_CONFIG)
    with pytest.raises(LabelStudioError, match="movie"):
        empty.label_studio.import_tasks(project, [{"video": "/a.mp4"}])
    (task,) = empty.label_studio.import_tasks(project, [{"movie": "/a.mp4"}])
    result = {"from_name": "kind", "to_name": "film", "type": "choices"}
    empty.label_studio.import_predictions(
        project, [{"task": task, "result": [{**result, "value": {"choices": ["J"]}}], "model_version": "v0001"}]
    )
    with pytest.raises(LabelStudioError, match="kept 0 of 1"):
        empty.label_studio.import_predictions(
            project, [{"task": task, "result": [{**result, "value": {"choices": ["ja"]}}], "model_version": "v0001"}]
        )


OTHER_CONFIG = """<View>
  <Video name="film" value="$movie" framerate="25"/>
  <Choices name="kind" toName="film"><Choice value="ja" alias="J"/><Choice value="nein"/></Choices>
</View>"""
