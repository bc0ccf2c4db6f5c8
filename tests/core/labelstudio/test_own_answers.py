"""The model's own answers: how scores are written as predictions, and annotations that only copy them."""

from dataclasses import replace
from typing import Any

import pytest
from tests.core.labelstudio.annotated import CONTROLS, N_FRAMES, annotation, task

from helioloop.labelstudio.annotations import current_label
from helioloop.labelstudio.predictions import prediction
from helioloop.records.controls import Controls
from helioloop.records.labels import Label, VerifiedFrame
from helioloop.records.scores import CubeScore, Emergence


def score(p: float, frame: int | None = None) -> CubeScore:
    """The score of cube c1."""
    found = None if frame is None else Emergence(frame=frame, frame_lo=frame, frame_hi=frame)
    return CubeScore(cube="c1", sha256="0", p_emergence=p, p_spread=0.1, members=("m",), emergence=found)


# -- the model's own answers ----------------------------------------------------------------------


# Fields as Label Studio 1.23.2 exports them.
def predicted(frame: int = 29, **item: Any) -> list[dict[str, Any]]:
    """The items of a prediction with emergence at a 0-based frame, each with the fields in `item`."""
    written = prediction(score(0.9, frame), None, CONTROLS, model_version="v1", n_frames=N_FRAMES)
    return [{**entry, **item} for entry in written["result"]]


@pytest.mark.parametrize("parent", [12, None], ids=["the prediction exists", "the prediction was deleted"])
def test_an_annotation_that_a_bulk_action_copied_verifies_nothing(controls: Controls, parent: int | None) -> None:
    """It has neither a lead time nor an origin; it is listed, so that a human can look at the task."""
    copied = {"id": 1, "completed_by": 7, "lead_time": None, "parent_prediction": parent, "result": predicted()}
    found = current_label(task(copied), controls, n_frames=N_FRAMES)
    assert (found.label, found.verified, found.verified_frame) == (Label.NON_EMERGENCE, False, None)
    assert str(found.contradiction) == (
        "annotation 1 of annotator 7 does not count: a bulk action copied it from a prediction, and no human has "
        "looked at it; open the task, choose one class and submit"
    )


@pytest.mark.parametrize(
    "annotated",
    [
        {"lead_time": 8.2, "parent_prediction": 12, "result": predicted(origin="prediction")},
        {"lead_time": 10.6, "parent_prediction": None, "result": predicted(origin="manual")},
        {"lead_time": None, "parent_prediction": 12, "result": predicted(origin="prediction-changed")},
        {"lead_time": None, "parent_prediction": None, "result": annotation(1, "emergence", "t")["result"]},
    ],
    ids=["submitted unchanged", "a copy that a human updated", "without lead time", "imported"],
)
def test_an_annotation_of_a_human_verifies(controls: Controls, annotated: dict[str, Any]) -> None:
    """On the screen, or in another tool whose annotations were imported without scores."""
    entry = {"id": 1, "completed_by": 7, "updated_at": "t", **annotated}
    found = current_label(task(entry), controls, n_frames=N_FRAMES)
    assert (found.label, found.verified, found.contradiction) == (Label.EMERGENCE, True, None)


def test_a_range_left_behind_by_the_prediction_does_not_contradict_non_emergence(controls: Controls) -> None:
    """The annotator changed the class and left the predicted range from frame 30 on; a moved range does contradict."""
    shown = predicted(frame=29)
    kept = {"from_name": "kind", "value": {"choices": ["non-emergence"]}, "origin": "prediction-changed"}
    for start, contradicts in ((30, False), (31, True)):
        ranges = {"from_name": "when", "value": {"ranges": [{"start": start}], "timelinelabels": ["emergence"]}}
        entry = {"completed_by": 1, "lead_time": 9.5, "result": [kept, ranges], "prediction": {"result": shown}}
        found = current_label(task(entry), controls, n_frames=N_FRAMES)
        assert (found.label, found.verified) == (Label.NON_EMERGENCE, True)
        assert (found.contradiction is not None) is contradicts


@pytest.mark.parametrize(
    ("written", "origin", "lead_time", "contradicts"),
    [
        ("2026-01-01T00:00:50Z", "prediction", 30.0, False),  # written back 10 s before the submission
        ("2026-01-01T00:00:20Z", "prediction", 30.0, True),  # 10 s before the task was opened: the range was moved
        ("2026-01-01T00:00:50Z", "manual", 30.0, True),  # drawn by hand
        ("2026-01-01T00:00:50Z", "prediction", None, True),
        ("yesterday", "prediction", 30.0, True),
        (None, "prediction", 30.0, True),
    ],
)
def test_a_range_of_the_version_before_does_not_contradict_non_emergence(
    controls: Controls, written: object, origin: str, lead_time: float | None, contradicts: bool
) -> None:
    """Label Studio keeps a copy of the new version's prediction, whose onset is at frame 40, with the annotation."""
    proposed = prediction(score(0.9, 39), Label.EMERGENCE, controls, model_version="v2", n_frames=N_FRAMES)
    given = annotation(
        1, "non-emergence", "2026-01-01T00:01:00Z", starts=(31,), created_at="2026-01-01T00:01:00Z",
        lead_time=lead_time, prediction=proposed | {"created_at": written},
    )  # fmt: skip
    for item in given["result"]:
        item["origin"] = origin
    found = current_label(task(given), controls, n_frames=N_FRAMES)
    assert (found.contradiction is not None) is contradicts


@pytest.mark.parametrize(
    ("of_class", "of_ranges", "contradicts"),
    [
        ("prediction-changed", ("prediction",), False),  # the class was changed, and the range left behind
        ("manual", ("prediction",), False),
        ("prediction", ("manual",), True),
        ("prediction-changed", ("manual",), True),
        ("manual", ("prediction-changed",), True),  # moved
        ("prediction-changed", ("prediction-changed",), True),
        ("prediction-changed", ("prediction", "manual"), True),  # one left behind, one drawn
        ("prediction-changed", ("prediction", "prediction-changed"), True),
        ("prediction-changed", (None,), True),
    ],
)
def test_a_range_by_hand_contradicts_non_emergence_also_after_a_new_version(
    controls: Controls, of_class: str, of_ranges: tuple[str | None, ...], contradicts: bool
) -> None:
    """The origin of each range counts, not that of the class; the new version came 10 s before the submission."""
    given = annotation(
        1, "non-emergence", "2026-01-01T00:01:00Z", starts=tuple(31 for _ in of_ranges),
        created_at="2026-01-01T00:01:00Z", lead_time=30.0,
        prediction={"created_at": "2026-01-01T00:00:50Z", "result": predicted(frame=39)},
    )  # fmt: skip
    for item, origin in zip(given["result"], (of_class, *of_ranges), strict=True):
        item["origin"] = origin
    found = current_label(task(given), controls, n_frames=N_FRAMES)
    assert (found.contradiction is not None) is contradicts


def test_a_range_of_another_label_says_nothing_about_the_range_left_behind(controls: Controls) -> None:
    """A cosmic ray that was marked by hand is no onset."""
    given = annotation(
        1, "non-emergence", "2026-01-01T00:01:00Z", starts=(31, 7), created_at="2026-01-01T00:01:00Z", lead_time=30.0,
        prediction={"created_at": "2026-01-01T00:00:50Z", "result": predicted(frame=39)},
    )  # fmt: skip
    for item, origin in zip(given["result"], ("prediction-changed", "prediction", "manual"), strict=True):
        item["origin"] = origin
    given["result"][2]["value"]["timelinelabels"] = ["cosmic ray"]
    assert current_label(task(given), controls, n_frames=N_FRAMES).contradiction is None


def test_a_readable_class_counts_beside_an_unreadable_one(controls: Controls) -> None:
    found = annotation(7, "emergence", "2026-01-01T00:00:01Z")
    found["result"].insert(0, {"from_name": "kind", "value": "x"})
    read = current_label(task(found), controls, n_frames=N_FRAMES)
    assert (read.label, read.verified, read.contradiction) == (Label.EMERGENCE, True, None)


@pytest.mark.parametrize("value", ["x", {"timelinelabels": 5}, {"timelinelabels": ["emergence"], "ranges": 5}])
def test_an_unreadable_timeline_range_is_reported(controls: Controls, value: Any) -> None:
    found = annotation(7, "emergence", "2026-01-01T00:00:01Z")
    found["result"].append({"from_name": "when", "value": value})
    assert "timeline range cannot be read" in str(current_label(task(found), controls, n_frames=N_FRAMES).contradiction)


def test_what_is_reported_is_one_short_line(controls: Controls) -> None:
    """A start of 401 digits and a text of 10,000 lines are shortened."""
    for start in (10**400, "line\n" * 10_000, [[[[[[[[["deep"] * 99]]]]]]]] * 99):
        found = current_label(
            task(annotation(7, "emergence", "2026-01-01T00:00:01Z", starts=(start,))), controls, n_frames=N_FRAMES
        )
        text = str(found.contradiction)
        assert "not a frame in 1..225" in text
        assert len(text) < 250
        assert "\n" not in text


def test_a_configuration_without_timeline_reads_no_frame(controls: Controls) -> None:
    """Not from an item without the name of a control either."""
    bare = replace(controls, timeline=None, timeline_label=None)
    nameless = annotation(7, "emergence", "2026-01-01T00:00:01Z")
    nameless["result"].append({"value": {"timelinelabels": [None], "ranges": [{"start": 30, "end": 40}]}})
    found = current_label(task(nameless), bare, n_frames=N_FRAMES)
    assert (found.label, found.verified_frame, found.contradiction) == (Label.EMERGENCE, None, None)


# -- predictions ----------------------------------------------------------------------------------


def test_an_emergence_is_written_with_a_range_from_its_frame_to_the_last(controls: Controls) -> None:
    """Grid frame 93 becomes the range 94 to 225; the score is the agreement with the current label."""
    found = prediction(score(0.8, 93), Label.NON_EMERGENCE, controls, model_version="v0001", n_frames=N_FRAMES)
    kind, when = found["result"]
    assert (kind["value"], kind["score"]) == ({"choices": ["emergence"]}, 0.8)
    assert when["value"] == {"ranges": [{"start": 94, "end": 225}], "timelinelabels": ["emergence"]}
    assert found["score"] == pytest.approx(0.2)
    assert found["model_version"] == "v0001"


def test_a_non_emergence_is_written_without_a_range(controls: Controls) -> None:
    """Even where a frame was located, because the current label is emergence."""
    found = prediction(score(0.25, 93), Label.EMERGENCE, controls, model_version="v1", n_frames=N_FRAMES)
    assert [item["value"] for item in found["result"]] == [{"choices": ["non-emergence"]}]
    assert found["result"][0]["score"] == 0.75
    assert found["score"] == 0.25


def test_without_a_label_the_score_is_the_probability_of_the_predicted_class(controls: Controls) -> None:
    """The least certain cubes then come first in Label Studio."""
    assert prediction(score(0.3), None, controls, model_version="v1", n_frames=N_FRAMES)["score"] == 0.7


def test_a_prediction_submitted_unchanged_is_read_as_the_same_class_and_frame(controls: Controls) -> None:
    """For the first and the last frame too."""
    for frame in (0, 1, 93, 224):
        written = prediction(score(0.9, frame), None, controls, model_version="v1", n_frames=N_FRAMES)
        entry = {"completed_by": 1, "updated_at": "t", "lead_time": 8.2, "result": written["result"]}
        found = current_label(task(entry), controls, n_frames=N_FRAMES)
        assert (found.label, found.verified_frame) == (
            Label.EMERGENCE, VerifiedFrame(frame=frame, annotator="1", at="t")
        )  # fmt: skip
