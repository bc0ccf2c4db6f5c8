"""The contract of the port: predictions, and the version that a project shows."""

from dataclasses import replace

import pytest
from tests.worker.labelstudio.contract.empty_project import EmptyProject, choosing, prediction

from helioloop.errors import LabelStudioError
from helioloop.labelstudio.predictions import PredictionContent


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
