"""The contract of the port to Label Studio: checks that hold for the real one and for the in-memory fake."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from label_studio_sdk.core.api_error import ApiError

from helioloop.errors import LabelStudioError
from helioloop.labelstudio.annotations import current_label
from helioloop.labelstudio.config import parse_config
from helioloop.labelstudio.predictions import PredictionContent
from helioloop.settings import Settings
from helioloop_worker.labelstudio.own_instruction import own_instruction, place_pictures
from helioloop_worker.labelstudio.port import Counts
from helioloop_worker.labelstudio.setup_port import LabelStudioSetup
from helioloop_worker.labelstudio.tab import TABS
from helioloop_worker.labelstudio.tabs import update_tabs
from helioloop_worker.labelstudio.webhook import BACKEND_TITLE, WEBHOOK_ACTIONS


@dataclass(frozen=True, kw_only=True)
class BackendPlace:
    """A backend that Label Studio reaches, its credentials, and the media root that Label Studio serves.

    Parameters
    ----------
    url, user, password, secret : str
        Address and credentials.
    media_root : Path
        Folder whose subfolders can be storages.
    arrived : callable
        Return how many events of a changed project arrived with the secret, for a project.
    """

    url: str
    user: str
    password: str
    secret: str
    media_root: Path
    arrived: Callable[[int], int]


@dataclass(frozen=True, kw_only=True)
class EmptyProject:
    """An empty project, and the actions of annotators in it.

    Parameters
    ----------
    label_studio : LabelStudioSetup
        The implementation to check.
    project : int
        The project's id; it has helioloop's labelling configuration.
    annotate, skip : callable
        Submit a class on a task, or skip the task; return the annotation's id.
    revise : callable
        Change an annotation's class.
    delete_annotation : callable
        Delete an annotation.
    copy_predictions : callable
        Apply the bulk action "Create Annotations From Predictions" to some tasks.
    configure : callable
        Change the labelling configuration, as a human does in the settings of the project.
    configured : callable
        Create another project with a labelling configuration, and return its id.
    titled : callable
        Create another project with a title, and return its id.
    backend : BackendPlace
        Where a backend answers.
    """

    label_studio: LabelStudioSetup
    project: int
    annotate: Callable[[int, str], int]
    skip: Callable[[int], int]
    revise: Callable[[int, str], None]
    delete_annotation: Callable[[int], None]
    copy_predictions: Callable[[list[int]], None]
    configure: Callable[[str], None]
    configured: Callable[[str], int]
    titled: Callable[[str], int]
    backend: BackendPlace

    def tasks(self, count: int) -> list[int]:
        """Import tasks for cubes c0, c1, … and return their ids."""
        return self.label_studio.import_tasks(self.project, [data_of(f"c{k}") for k in range(count)])

    def predict(self, *entries: dict[str, Any]) -> None:
        """Import predictions."""
        self.label_studio.import_predictions(self.project, entries)

    def rows(self) -> list[tuple[int, str]]:
        """Task and version of each prediction row, oldest first."""
        rows = sorted(self.label_studio.predictions(self.project), key=lambda row: row.id)
        return [(row.task, row.model_version) for row in rows]

    def stamps(self) -> dict[int, str]:
        """Annotation id -> when it last changed."""
        exported = self.label_studio.annotated_tasks(self.project)
        return {entry["id"]: entry["updated_at"] for task in exported for entry in task["annotations"]}


def data_of(cube: str) -> dict[str, str]:
    """A task's data; Label Studio requires all values that the labelling configuration shows."""
    files = {field: f"/{cube}.{ending}" for field, ending in (("video", "mp4"), ("curve", "json"), ("reason", "txt"))}
    return {**files, "cube": cube, "start": "2001-02-03T00:00:00Z", "crude_label": "emergence"}


def prediction(task: int, version: str = "v0001", **changes: Any) -> dict[str, Any]:
    """An emergence from frame 41 on, with a score of 0.25."""
    choice = {
        "from_name": "class",
        "to_name": "video",
        "type": "choices",
        "value": {"choices": ["emergence"]},
        "score": 0.75,
    }
    onset = {
        "from_name": "onset",
        "to_name": "video",
        "type": "timelinelabels",
        "value": {"ranges": [{"start": 41, "end": 225}], "timelinelabels": ["emergence onset"]},
        "score": 0.75,
    }
    return {"task": task, "result": [choice, onset], "score": 0.25, "model_version": version, **changes}


def choosing(value: str, *, control: str = "class") -> list[dict[str, Any]]:
    """A result that chooses `value`."""
    return [{"from_name": control, "to_name": "video", "type": "choices", "value": {"choices": [value]}}]


# -- the checks -----------------------------------------------------------------------------------


def an_unknown_project_is_refused(empty: EmptyProject) -> None:
    """No project has this id."""
    with pytest.raises(LabelStudioError):
        empty.label_studio.project(987_654_321)


def a_new_project_is_empty_and_shows_no_version(empty: EmptyProject) -> None:
    """Its configuration is the one it was created with."""
    info = empty.label_studio.project(empty.project)
    assert info.model_version is None
    assert '<Choices name="class"' in info.label_config
    assert empty.label_studio.tasks(empty.project) == []
    assert empty.label_studio.predictions(empty.project) == []
    assert empty.label_studio.model_versions(empty.project) == {}


def projects_are_found_by_title(empty: EmptyProject) -> None:
    """Blanks at the ends of a title are removed, and several projects may have one; part of a title finds none."""
    studio, title = empty.label_studio, f"Release {empty.project}"
    assert studio.find_projects(title) == []
    found = [empty.titled(given) for given in (title, f"  {title} ", title)]
    empty.titled(f"{title} b")
    assert studio.find_projects(title) == found
    assert [studio.project(number).title for number in found] == [title] * 3


def titles_have_3_to_50_characters(empty: EmptyProject) -> None:
    """Without the blanks at their ends, or none at all; a setup refuses the others, and no title, before."""
    for refused in ("ab", " ab ", "x" * 51):
        with pytest.raises(LabelStudioError):
            empty.titled(refused)
    for taken in ("abc", f" {'é' * 50} ", "", "  "):
        assert empty.label_studio.project(empty.titled(taken)).title == taken.strip()


def helioloops_instruction_is_recognised_as_label_studio_keeps_it(empty: EmptyProject) -> None:
    """It writes entities and tables in another way; the pictures are placed once."""
    studio, number = empty.label_studio, empty.project
    settings = Settings(media_root=empty.backend.media_root)
    controls = parse_config(studio.project(number).label_config, emergence="emergence", non_emergence="non-emergence")
    studio.update_project(number, expert_instruction=own_instruction(controls))
    assert [place_pictures(studio, settings, studio.project(number), controls) for _ in range(2)] == [True, False]
    assert studio.project(number).instruction.count("<img ") == 6
    studio.update_project(number, expert_instruction="<p>Ours</p>")
    assert not place_pictures(studio, settings, studio.project(number), controls)
    assert studio.project(number).instruction == "<p>Ours</p>"


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


def tabs_are_stored_as_they_are_written(empty: EmptyProject) -> None:
    """Each of helioloop's tabs is recognised when it is read back; a change replaces one tab and no other."""
    ids = [empty.label_studio.create_tab(empty.project, tab.new()) for tab in TABS]
    there = {tab.id: tab.settings for tab in empty.label_studio.tabs(empty.project)}
    assert there.keys() == {*ids}
    for number, tab in zip(ids, TABS, strict=True):
        assert there[number]["title"] == tab.title
        assert [other.title for other in TABS if other.matches(there[number])] == [tab.title]
    empty.label_studio.change_tab(empty.project, ids[0], {**there[ids[0]], **TABS[1].kept(), "title": "mine"})
    after = {tab.id: tab.settings for tab in empty.label_studio.tabs(empty.project)}
    assert (after[ids[0]]["title"], TABS[1].matches(after[ids[0]])) == ("mine", True)
    assert {number: after[number] for number in ids[1:]} == {number: there[number] for number in ids[1:]}
    with pytest.raises(LabelStudioError):
        empty.label_studio.change_tab(empty.project, 987_654_321, TABS[0].new())


def helioloops_tabs_are_made_once_and_the_teams_stay(empty: EmptyProject, model_dir: Path) -> None:
    """Filters that somebody changed are restored, titles are not; a deleted one and a team's tab are left alone."""
    team = empty.label_studio.create_tab(empty.project, {**TABS[0].new(), "title": "Uncertain"})
    for _ in range(2):
        update_tabs(empty.label_studio, empty.project, model_dir)
    first = {tab.settings["title"]: tab for tab in empty.label_studio.tabs(empty.project)}
    ours = ["Disagreements first", "Uncertain (helioloop)", "Random checks", "Ties between annotators"]
    assert list(first) == ["Uncertain", *ours, "Accepted under guarantee"]
    changed = first["Random checks"]
    other = {**changed.settings, "title": "blind", "ordering": ["tasks:id"]}
    empty.label_studio.change_tab(empty.project, changed.id, other)
    update_tabs(empty.label_studio, empty.project, model_dir)
    after = {tab.id: tab.settings for tab in empty.label_studio.tabs(empty.project)}
    assert after[changed.id] == {**changed.settings, "title": "blind"}
    assert after[team] == first["Uncertain"].settings
    assert len(after) == 6


def predictions_are_counted_by_version(empty: EmptyProject) -> None:
    """Rows contain task and version."""
    one, two = empty.tasks(2)
    empty.predict(prediction(one), prediction(two))
    empty.predict(prediction(one, "v0002"))
    assert empty.rows() == [(one, "v0001"), (two, "v0001"), (one, "v0002")]
    assert empty.label_studio.model_versions(empty.project) == {"v0001": 2, "v0002": 1}


def the_same_prediction_twice_makes_two_rows(empty: EmptyProject) -> None:
    """Label Studio does not refuse duplicates; the younger row has the greater id."""
    (one,) = empty.tasks(1)
    empty.predict(prediction(one))
    first = empty.label_studio.predictions(empty.project)[0]
    empty.predict(prediction(one))
    assert empty.rows() == [(one, "v0001"), (one, "v0001")]
    younger = [row for row in empty.label_studio.predictions(empty.project) if row.id != first.id]
    assert all(row.id > first.id for row in younger)
    empty.label_studio.delete_predictions(younger)
    assert empty.label_studio.predictions(empty.project) == [first]
    with pytest.raises(LabelStudioError):
        empty.label_studio.delete_predictions(younger)


def a_score_changes_in_place(empty: EmptyProject) -> None:
    """The row keeps its id and its version; a deleted row is refused."""
    (one,) = empty.tasks(1)
    empty.predict(prediction(one))
    (before,) = empty.label_studio.predictions(empty.project)
    empty.label_studio.rescore(before, 0.75)
    assert empty.label_studio.predictions(empty.project) == [replace(before, score=0.75)]
    empty.label_studio.delete_predictions([before])
    with pytest.raises(LabelStudioError):
        empty.label_studio.rescore(before, 0.5)


def the_result_of_a_prediction_changes_in_place(empty: EmptyProject) -> None:
    """The row keeps its id and its version, and an answer has the new result as what was shown to the annotator."""
    (one,) = empty.tasks(1)
    empty.predict(prediction(one))
    empty.label_studio.set_model_version(empty.project, "v0001")
    (before,) = empty.label_studio.predictions(empty.project)
    result = choosing("non-emergence")
    empty.label_studio.rewrite(before, prediction(one, result=result, score=0.5))
    (after,) = empty.label_studio.predictions(empty.project)
    assert (after.id, after.model_version, after.score) == (before.id, before.model_version, 0.5)
    empty.annotate(one, "emergence")
    (task,) = empty.label_studio.annotated_tasks(empty.project)
    (shown,) = (entry["prediction"]["result"] for entry in task["annotations"])
    assert [item["value"] for item in shown] == [item["value"] for item in result]
    empty.label_studio.delete_predictions([before])
    with pytest.raises(LabelStudioError):
        empty.label_studio.rewrite(before, prediction(one))


def a_configuration_may_change_although_there_are_answers(empty: EmptyProject) -> None:
    """The words of the classes may change and what nobody has used may go; a control of answers may not.

    Predictions stay as they are.
    """
    (one,) = empty.tasks(1)
    empty.predict(prediction(one))
    empty.annotate(one, "emergence")
    config = empty.label_studio.project(empty.project).label_config
    with pytest.raises((LabelStudioError, ApiError)):
        empty.configure(config.replace('name="class"', 'name="kind"'))
    assert empty.label_studio.project(empty.project).label_config == config
    renamed = config.replace('"emergence"', '"bipole"').replace('name="onset"', 'name="when"')
    empty.configure(renamed)
    assert empty.label_studio.project(empty.project).label_config == renamed
    assert empty.rows() == [(one, "v0001")]


def predictions_are_checked_against_the_configuration_of_now(empty: EmptyProject) -> None:
    """And not against that at the time of the task's import."""
    one, two = empty.tasks(2)
    empty.predict(prediction(one))
    empty.configure(empty.label_studio.project(empty.project).label_config.replace('"emergence"', '"bipole"'))
    with pytest.raises(LabelStudioError, match="kept 0 of 1"):
        empty.predict(prediction(two))
    empty.predict(prediction(two, result=choosing("bipole")))
    assert empty.rows() == [(one, "v0001"), (two, "v0001")]


def a_prediction_is_rewritten_in_place(empty: EmptyProject) -> None:
    """The row keeps its id and its version, and says class, probability and onset of the new entry; others do not.

    Label Studio does not check a changed result against the labelling configuration, so helioloop must.
    """
    one, two = empty.tasks(2)
    empty.predict(prediction(one), prediction(two))
    first, second = sorted(empty.label_studio.predictions(empty.project), key=lambda row: row.id)
    assert first.content == PredictionContent(
        choice="emergence", probability=0.75, first_frame=41, class_control="class", video="video",
        timeline="onset", timeline_label="emergence onset",
    )  # fmt: skip
    item = {**choosing("non-emergence")[0], "score": 0.1234567890123456}
    empty.label_studio.rewrite(first, prediction(one, result=[item], score=0.9))
    content = PredictionContent(
        choice="non-emergence", probability=0.1234567890123456, class_control="class", video="video"
    )
    rows = sorted(empty.label_studio.predictions(empty.project), key=lambda row: row.id)
    assert rows == [replace(first, score=0.9, content=content), second]
    (now,) = empty.label_studio.tasks_now(empty.project, [one])
    assert now.predictions == (rows[0],)


def invalid_predictions_are_dropped_and_raise_an_error(empty: EmptyProject) -> None:
    """A score above 1, an unknown class, an unknown control: the valid one of the batch stays."""
    one, two = empty.tasks(2)
    invalid = (
        prediction(one, score=1.01),
        prediction(one, result=choosing("sunspot")),
        prediction(one, result=choosing("emergence", control="kind")),
    )
    for entry in invalid:
        with pytest.raises(LabelStudioError, match="kept 1 of 2"):
            empty.predict(prediction(two), entry)
    assert empty.rows() == [(two, "v0001")] * 3


def predictions_of_an_unknown_task_are_refused_as_a_whole(empty: EmptyProject) -> None:
    """Nothing of the batch is written."""
    (one,) = empty.tasks(1)
    with pytest.raises(LabelStudioError):
        empty.predict(prediction(one), prediction(987_654_321))
    assert empty.rows() == []


def only_a_version_with_predictions_can_be_shown(empty: EmptyProject) -> None:
    """An unknown one is refused, and the one shown stays."""
    (one,) = empty.tasks(1)
    empty.predict(prediction(one))
    empty.label_studio.set_model_version(empty.project, "v0001")
    with pytest.raises(LabelStudioError):
        empty.label_studio.set_model_version(empty.project, "v0009")
    assert empty.label_studio.project(empty.project).model_version == "v0001"


def deleting_a_version_leaves_the_others(empty: EmptyProject) -> None:
    """The rows of one version are deleted, and the active version stays; a repetition changes nothing."""
    (one,) = empty.tasks(1)
    empty.predict(prediction(one), prediction(one, "v0002"))
    empty.label_studio.set_model_version(empty.project, "v0002")
    for _ in range(2):
        empty.label_studio.delete_version(empty.project, "v0001")
        assert empty.rows() == [(one, "v0002")]
        assert empty.label_studio.project(empty.project).model_version == "v0002"


def deleting_the_active_version_leaves_none_shown(empty: EmptyProject) -> None:
    """For this reason reconciliation never deletes it."""
    (one,) = empty.tasks(1)
    empty.predict(prediction(one))
    empty.label_studio.set_model_version(empty.project, "v0001")
    empty.label_studio.delete_version(empty.project, "v0001")
    assert empty.label_studio.project(empty.project).model_version is None


def the_active_version_is_counted_even_without_rows(empty: EmptyProject) -> None:
    """Its rows were deleted one by one."""
    (one,) = empty.tasks(1)
    empty.predict(prediction(one))
    empty.label_studio.set_model_version(empty.project, "v0001")
    empty.label_studio.delete_predictions(empty.label_studio.predictions(empty.project))
    assert empty.label_studio.model_versions(empty.project) == {"v0001": 0}


def a_description_is_replaced_and_nothing_else(empty: EmptyProject) -> None:
    """Line breaks, brackets and letters of all kinds stay; an empty one too."""
    before = empty.label_studio.project(empty.project)
    assert before.description == ""
    for text in ("[helioloop] v0001 – 3 of 4 <b>&amp;\n\nOur own text: Ärger, 活动区 [end]", ""):
        empty.label_studio.set_description(empty.project, text)
        assert empty.label_studio.project(empty.project) == replace(before, description=text)
    with pytest.raises(LabelStudioError):
        empty.label_studio.set_description(987_654_321, "x")


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


def a_new_backend_brings_a_webhook_without_headers(empty: EmptyProject) -> None:
    """For all events, unless one calls that address; the backend's own is renewed, and its deletion leaves it."""
    studio, place = empty.label_studio, empty.backend
    assert studio.backends(empty.project) == studio.webhooks(empty.project) == []
    connect = {"url": place.url, "user": place.user, "password": place.password}
    number = studio.ensure_backend(empty.project, **connect)
    assert [(one.id, one.url, one.title) for one in studio.backends(empty.project)] == [
        (number, place.url, BACKEND_TITLE)
    ]
    (hook,) = studio.webhooks(empty.project)
    assert (hook.url, hook.all_actions, dict(hook.headers)) == (f"{place.url}/webhook", True, {})
    assert studio.ensure_backend(empty.project, **{**connect, "url": f"{place.url}/"}) == number
    studio.delete_backend(number)
    assert studio.backends(empty.project) == []
    assert [one.id for one in studio.webhooks(empty.project)] == [hook.id]
    with pytest.raises(LabelStudioError):
        studio.delete_backend(number)


def a_backend_with_wrong_credentials_is_not_connected(empty: EmptyProject) -> None:
    """Label Studio asks it at once; a letter outside Latin-1 cannot be sent."""
    place = empty.backend
    for password in ("wrong", "密码"):
        with pytest.raises(LabelStudioError):
            empty.label_studio.ensure_backend(empty.project, url=place.url, user=place.user, password=password)
    assert empty.label_studio.backends(empty.project) == []


def the_events_of_a_webhook_are_replaced_and_nothing_else(empty: EmptyProject) -> None:
    """Its headers and its address stay."""
    studio = empty.label_studio
    headers = {"X-Helioloop-Secret": "geheimniß ü"}
    number = studio.create_webhook(
        empty.project, url="http://127.0.0.1:9/webhook", headers=headers, actions=[*WEBHOOK_ACTIONS, "PROJECT_UPDATED"]
    )
    (before,) = studio.webhooks(empty.project)
    assert (before.id, before.headers, before.actions) == (number, headers, {*WEBHOOK_ACTIONS, "PROJECT_UPDATED"})
    studio.set_webhook_actions(number, WEBHOOK_ACTIONS)
    assert studio.webhooks(empty.project) == [replace(before, actions=frozenset(WEBHOOK_ACTIONS))]
    studio.delete_webhook(number)
    assert studio.webhooks(empty.project) == []
    with pytest.raises(LabelStudioError):
        studio.delete_webhook(number)


def a_webhook_needs_a_name_with_a_dot(empty: EmptyProject) -> None:
    """Label Studio refuses the name of a container without one, so a setup refuses it before."""
    for url in ("http://backend:9090/webhook", "http://my_host.example/webhook"):
        with pytest.raises(LabelStudioError):
            empty.label_studio.create_webhook(empty.project, url=url, headers={}, actions=WEBHOOK_ACTIONS)
    assert empty.label_studio.webhooks(empty.project) == []


def a_change_without_values_sends_an_event_and_changes_nothing(empty: EmptyProject) -> None:
    """To webhooks that take it and have the right secret."""
    studio, secret = empty.label_studio, empty.backend.secret
    empty.tasks(1)
    before = (studio.project(empty.project), studio.tasks(empty.project))
    assert _arrived(empty, secret, "PROJECT_UPDATED") == 1
    assert _arrived(empty, secret, *WEBHOOK_ACTIONS) == 0
    assert _arrived(empty, "wrong", "PROJECT_UPDATED") == 0
    assert (studio.project(empty.project), studio.tasks(empty.project)) == before


def an_event_whose_header_cannot_be_sent_is_dropped(empty: EmptyProject) -> None:
    """Without an error."""
    secret = empty.backend.secret
    for unsendable in ("密码", f" {secret}", f"{secret}\n"):
        assert _arrived(empty, unsendable, "PROJECT_UPDATED") == 0


def _arrived(empty: EmptyProject, secret: str, *actions: str) -> int:
    """Return how many events arrive at the backend when the project is changed without values."""
    studio, place = empty.label_studio, empty.backend
    number = studio.create_webhook(
        empty.project, url=f"{place.url}/webhook", headers={"X-Helioloop-Secret": secret}, actions=actions
    )
    already = place.arrived(empty.project)
    studio.update_project(empty.project)
    studio.delete_webhook(number)
    return place.arrived(empty.project) - already


PAGE = "http://labels.example.org/"


def media_of_a_storage_are_served_in_parts(empty: EmptyProject) -> None:
    """Files beside a storage are not served."""
    studio = empty.label_studio
    folder = empty.backend.media_root / "helioloop" / f"project-{empty.project}"
    folder.mkdir(parents=True)
    (folder / "a b.mp4").write_bytes(bytes(range(256)))
    address = f"/data/local-files/?d=helioloop/project-{empty.project}/a%20b.mp4"
    assert studio.fetch_media(address, n_bytes=10, page=PAGE).status == 404
    assert studio.storages(empty.project) == []
    for _ in range(2):
        studio.ensure_local_storage(empty.project, str(folder))
    assert studio.storages(empty.project) == [str(folder)]
    found = studio.fetch_media(address, n_bytes=10, page=PAGE)
    assert (found.status, found.content) == (206, bytes(range(10)))
    assert found.headers["content-range"] == "bytes 0-9/256"
    assert studio.fetch_media(address.replace("a%20b", "b"), n_bytes=10, page=PAGE).status == 404


OTHER_CONFIG = """<View>
  <Video name="film" value="$movie" framerate="25"/>
  <Choices name="kind" toName="film"><Choice value="ja" alias="J"/><Choice value="nein"/></Choices>
</View>"""

CONTRACT = (
    an_unknown_project_is_refused,
    a_new_project_is_empty_and_shows_no_version,
    projects_are_found_by_title,
    titles_have_3_to_50_characters,
    helioloops_instruction_is_recognised_as_label_studio_keeps_it,
    tasks_keep_order_and_data,
    tasks_without_a_value_that_the_screen_shows_are_refused,
    newer_tasks_are_read_by_id,
    newer_tasks_are_those_of_the_project,
    a_field_of_the_data_is_set_in_place,
    a_text_in_a_field_of_the_data_is_replaced,
    setting_a_field_of_an_unknown_task_fails,
    annotations_are_exported_with_the_fields_that_the_loop_reads,
    a_skip_is_an_annotation_in_both_exports,
    a_change_moves_the_stamp_and_a_deletion_removes_it,
    changed_tasks_are_read_as_they_are_exported,
    some_tasks_are_read_with_their_predictions,
    many_tasks_are_read_in_pages,
    annotations_copied_from_predictions_do_not_verify_a_label,
    an_annotation_tells_whether_it_was_made_blind,
    tabs_are_stored_as_they_are_written,
    predictions_are_counted_by_version,
    the_same_prediction_twice_makes_two_rows,
    a_score_changes_in_place,
    the_result_of_a_prediction_changes_in_place,
    a_configuration_may_change_although_there_are_answers,
    predictions_are_checked_against_the_configuration_of_now,
    a_prediction_is_rewritten_in_place,
    invalid_predictions_are_dropped_and_raise_an_error,
    predictions_of_an_unknown_task_are_refused_as_a_whole,
    only_a_version_with_predictions_can_be_shown,
    a_description_is_replaced_and_nothing_else,
    deleting_a_version_leaves_the_others,
    deleting_the_active_version_leaves_none_shown,
    the_active_version_is_counted_even_without_rows,
    a_task_needs_the_field_of_its_video,
    a_new_backend_brings_a_webhook_without_headers,
    a_backend_with_wrong_credentials_is_not_connected,
    the_events_of_a_webhook_are_replaced_and_nothing_else,
    a_webhook_needs_a_name_with_a_dot,
    a_change_without_values_sends_an_event_and_changes_nothing,
    an_event_whose_header_cannot_be_sent_is_dropped,
    media_of_a_storage_are_served_in_parts,
)
