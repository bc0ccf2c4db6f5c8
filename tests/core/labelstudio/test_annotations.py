"""Annotations in Label Studio's JSON resolved to a current label, and scores written as predictions."""

import math
from dataclasses import replace
from typing import Any

import pytest

from helioloop.labelstudio.annotations import current_label
from helioloop.labelstudio.config import parse_config
from helioloop.labelstudio.predictions import prediction
from helioloop.records.controls import Controls
from helioloop.records.labels import BlindAnswer, CurrentLabel, Label, LabelSource, VerifiedFrame
from helioloop.records.scores import CubeScore, Emergence

CONFIG = """
<View>
  <Video name="film" value="$video" framerate="25"/>
  <Choices name="kind" toName="film"><Choice value="emergence"/><Choice value="non-emergence"/></Choices>
  <TimelineLabels name="when" toName="film"><Label value="emergence"/><Label value="cosmic ray"/></TimelineLabels>
</View>
"""
N_FRAMES = 225
CONTROLS = parse_config(CONFIG, emergence="emergence", non_emergence="non-emergence")


@pytest.fixture
def controls() -> Controls:
    return CONTROLS


def annotation(who: int, choice: str, at: str, *, starts: tuple[Any, ...] = (), **more: Any) -> dict[str, Any]:
    """One submitted annotation."""
    result: list[dict[str, Any]] = [{"from_name": "kind", "value": {"choices": [choice]}}]
    result += [
        {"from_name": "when", "value": {"ranges": [{"start": start, "end": 225}], "timelinelabels": ["emergence"]}}
        for start in starts
    ]
    return {"completed_by": who, "updated_at": at, "result": result, "was_cancelled": False, **more}


def task(*annotations: dict[str, Any], crude: str = "non-emergence") -> dict[str, Any]:
    """A task of cube c1."""
    return {"data": {"cube": "c1", "crude_label": crude}, "annotations": list(annotations)}


def score(p: float, frame: int | None = None) -> CubeScore:
    """The score of cube c1."""
    found = None if frame is None else Emergence(frame=frame, frame_lo=frame, frame_hi=frame)
    return CubeScore(cube="c1", sha256="0", p_emergence=p, p_spread=0.1, members=("m",), emergence=found)


NO_PREDICTION: dict[str, Any] = {"prediction": {}}
VISIBLE: dict[str, Any] = {"prediction": {"id": 7, "result": []}}


# -- current labels -------------------------------------------------------------------------------


def test_without_annotations_the_crude_label_counts(controls: Controls) -> None:
    """Without a crude label it is None."""
    assert current_label(task(), controls, n_frames=N_FRAMES).label is Label.NON_EMERGENCE
    assert current_label(task(crude=""), controls, n_frames=N_FRAMES).label is None
    assert not current_label(task(), controls, n_frames=N_FRAMES).verified


@pytest.mark.parametrize("word", ["emergence", "non-emergence"])
def test_the_crude_label_is_kept_beside_the_current_one(controls: Controls, word: str) -> None:
    """Whether a human changed it can be seen afterwards."""
    for annotations in ((), (annotation(1, word, "2026-01-01T00:00:01Z"),)):
        assert current_label(task(*annotations), controls, n_frames=N_FRAMES).crude is Label.NON_EMERGENCE
    assert current_label(task(*annotations, crude=""), controls, n_frames=N_FRAMES).crude is None


def test_the_majority_of_the_latest_annotations_counts(controls: Controls) -> None:
    """Annotator 1 has two: the first no longer counts, so emergence has two annotations and non-emergence one."""
    found = current_label(
        task(
            annotation(1, "non-emergence", "2026-01-01T00:00:01Z"),
            annotation(2, "emergence", "2026-01-01T00:00:02Z"),
            annotation(3, "non-emergence", "2026-01-01T00:00:03Z"),
            annotation(1, "emergence", "2026-01-01T00:00:04Z"),
        ),
        controls,
        n_frames=N_FRAMES,
    )
    assert (found.label, found.verified, found.source) == (Label.EMERGENCE, True, LabelSource.MAJORITY)


def test_a_tie_leaves_the_crude_label(controls: Controls) -> None:
    """One annotation of each class; the source of the label is the tie."""
    found = current_label(
        task(
            annotation(1, "non-emergence", "2026-01-01T00:00:01Z"), annotation(2, "emergence", "2026-01-01T00:00:02Z")
        ),
        controls,
        n_frames=N_FRAMES,
    )
    assert (found.label, found.verified, found.source) == (Label.NON_EMERGENCE, False, LabelSource.TIED)


def test_ground_truth_comes_before_any_majority(controls: Controls) -> None:
    """Two later annotations of the other class do not count."""
    found = current_label(
        task(
            annotation(1, "emergence", "2026-01-01T00:00:01Z", ground_truth=True),
            annotation(2, "non-emergence", "2026-01-01T00:00:02Z"),
            annotation(3, "non-emergence", "2026-01-01T00:00:03Z"),
        ),
        controls,
        n_frames=N_FRAMES,
    )
    assert (found.label, found.source) == (Label.EMERGENCE, LabelSource.GROUND_TRUTH)


def test_whoever_corrects_a_ground_truth_without_effect_is_named_with_the_remedy(controls: Controls) -> None:
    """Label Studio marks imported annotations as ground truth, so that corrections of them would be lost in silence."""
    found = current_label(
        task(
            annotation(1, "emergence", "2026-01-01T00:00:01Z", ground_truth=True),
            annotation(1, "non-emergence", "2026-01-01T00:00:02Z"),
            annotation(2, "emergence", "2026-01-01T00:00:03Z"),
            annotation(3, "non-emergence", "2026-01-01T00:00:04Z"),
            {**annotation(4, "non-emergence", "2026-01-01T00:00:05Z"), "id": 8, "completed_by": None},
        ),
        controls,
        n_frames=N_FRAMES,
    )
    assert (found.label, found.source) == (Label.EMERGENCE, LabelSource.GROUND_TRUTH)
    remarks = (found.contradiction or "").split("; ")
    assert [remark.split(" chose")[0] for remark in remarks if "chose" in remark] == [
        "annotator 1", "annotator 3", "deleted account (annotation 8)",
    ]  # fmt: skip
    assert remarks[0].startswith("annotator 1 chose non-emergence after emergence was marked as ground truth")
    assert "if emergence is wrong, take the mark (the star) off that annotation" in remarks


@pytest.mark.parametrize(
    "others",
    [
        [annotation(2, "non-emergence", "2026-01-01T00:00:01Z")],
        [annotation(2, "emergence", "2026-01-01T00:00:09Z")],
        [annotation(2, "non-emergence", "2026-01-01T00:00:08Z"), annotation(2, "emergence", "2026-01-01T00:00:09Z")],
        [annotation(2, "non-emergence", "2026-01-01T00:00:09Z", was_cancelled=True)],
        [annotation(2, "non-emergence", "2026-01-01T00:00:01Z", ground_truth=True)],
    ],
    ids=["it came before", "the same class", "it was taken back", "a skip", "an earlier ground truth"],
)
def test_a_ground_truth_that_nobody_contradicts_later_is_not_remarked(
    controls: Controls, others: list[dict[str, Any]]
) -> None:
    """An expert who settles a dispute sees no remark."""
    entry = task(annotation(1, "emergence", "2026-01-01T00:00:05Z", ground_truth=True), *others)
    found = current_label(entry, controls, n_frames=N_FRAMES)
    assert (found.label, found.source, found.contradiction) == (Label.EMERGENCE, LabelSource.GROUND_TRUTH, None)


def test_skips_drafts_and_annotations_without_one_clear_class_do_not_count(controls: Controls) -> None:
    """A skipped one, an empty result, two classes at once, and a value that is not in the configuration."""
    both = annotation(3, "emergence", "2026-01-01T00:00:03Z")
    both["result"].append({"from_name": "kind", "value": {"choices": ["non-emergence"]}})
    entry = task(
        annotation(1, "emergence", "2026-01-01T00:00:01Z", was_cancelled=True),
        {"completed_by": 2, "updated_at": "2026-01-01T00:00:02Z", "result": []},
        both,
        annotation(4, "flare", "2026-01-01T00:00:04Z"),
    )
    entry["drafts"] = [annotation(5, "emergence", "2026-01-01T00:00:05Z")]
    found = current_label(entry, controls, n_frames=N_FRAMES)
    assert (found.label, found.verified) == (Label.NON_EMERGENCE, False)


def test_a_timeline_start_is_the_verified_frame_counted_from_0(controls: Controls) -> None:
    """Start 71 in Label Studio is grid frame 70; of several ranges the earliest one, with annotator and time."""
    found = current_label(
        task(annotation(7, "emergence", "2026-01-01T00:00:01Z", starts=(90, 71))), controls, n_frames=N_FRAMES
    )
    assert found.verified_frame == VerifiedFrame(frame=70, annotator="7", at="2026-01-01T00:00:01Z")


def test_a_timeline_start_never_changes_the_class(controls: Controls) -> None:
    """Non-emergence with an onset stays non-emergence, and the contradiction is reported."""
    found = current_label(
        task(annotation(7, "non-emergence", "2026-01-01T00:00:01Z", starts=(71,)), crude="emergence"),
        controls,
        n_frames=N_FRAMES,
    )
    assert (found.label, found.verified_frame) == (Label.NON_EMERGENCE, None)
    assert "onset at frame 71" in str(found.contradiction)


@pytest.mark.parametrize("start", [0, 226, -3, 30.5, "30", None, math.inf, math.nan, True, 10**400, [30]])
def test_a_start_that_is_not_a_frame_is_reported_and_not_used(controls: Controls, start: Any) -> None:
    """Label Studio checks nothing. The class still counts."""
    found = current_label(
        task(annotation(7, "emergence", "2026-01-01T00:00:01Z", starts=(start,))), controls, n_frames=N_FRAMES
    )
    assert (found.label, found.verified_frame) == (Label.EMERGENCE, None)
    assert "not a frame in 1..225" in str(found.contradiction)


def test_ranges_of_other_labels_are_not_read(controls: Controls) -> None:
    """A cosmic ray is marked on the timeline."""
    other = annotation(7, "emergence", "2026-01-01T00:00:01Z")
    other["result"].append(
        {"from_name": "when", "value": {"ranges": [{"start": 3, "end": 3}], "timelinelabels": ["cosmic ray"]}}
    )
    assert current_label(task(other), controls, n_frames=N_FRAMES).verified_frame is None


JUNK: tuple[Any, ...] = (
    None, True, 0, -1, 5, 0.5, math.nan, math.inf, 10**400, "", "x", "emergence", [], [5], [[]], [None], ["x"], {},
    {"x": 1},
)  # fmt: skip
"""Values that JSON can have in places where Label Studio's own screens write something else."""

HOLES = {
    "the annotations": lambda junk: junk,
    "an annotation": lambda junk: [junk],
    "the annotator": lambda junk: [{"completed_by": junk, "result": []}],
    "the time": lambda junk: [{"updated_at": junk, "created_at": junk, "result": []}],
    "the result": lambda junk: [{"result": junk}],
    "an item": lambda junk: [{"result": [junk]}],
    "the control": lambda junk: [{"result": [{"from_name": junk, "value": {"choices": ["x"]}}]}],
    "the class": lambda junk: [{"result": [{"from_name": "kind", "value": junk}]}],
    "the choices": lambda junk: [{"result": [{"from_name": "kind", "value": {"choices": junk}}]}],
    "a choice": lambda junk: [{"result": [{"from_name": "kind", "value": {"choices": [junk, junk]}}]}],
}
"""Places for such a value: each function puts it into the annotations of a task."""

TIMELINE_HOLES = {
    "the range": lambda junk: junk,
    "the labels": lambda junk: {"timelinelabels": junk, "ranges": [{"start": 30, "end": 40}]},
    "the ranges": lambda junk: {"timelinelabels": ["emergence"], "ranges": junk},
    "a range": lambda junk: {"timelinelabels": ["emergence"], "ranges": [junk]},
    "a start": lambda junk: {"timelinelabels": ["emergence"], "ranges": [{"start": junk}]},
}
"""The same for the value of a timeline range."""


@pytest.mark.parametrize(
    ("place", "junk"), [(place, junk) for place in HOLES for junk in JUNK if (place, junk) != ("a choice", "emergence")]
)
def test_an_unreadable_annotation_does_not_count(controls: Controls, place: str, junk: Any) -> None:
    """The mistake of a script must not stop retrain checks; the crude label and other annotations still count."""
    entry = task() | {"annotations": HOLES[place](junk)}
    found = current_label(entry, controls, n_frames=N_FRAMES)
    assert (found.label, found.verified) == (Label.NON_EMERGENCE, False)
    if isinstance(entry["annotations"], list):
        entry["annotations"].append(annotation(7, "emergence", "2026-01-01T00:00:01Z"))
        assert current_label(entry, controls, n_frames=N_FRAMES).label is Label.EMERGENCE


@pytest.mark.parametrize(
    ("place", "junk"), [(place, junk) for place in TIMELINE_HOLES for junk in JUNK if (place, junk) != ("a start", 5)]
)
def test_an_unreadable_timeline_range_is_not_used(controls: Controls, place: str, junk: Any) -> None:
    """The class still counts, and so does a second range, which starts at frame 71."""
    broken = annotation(7, "emergence", "2026-01-01T00:00:01Z")
    broken["result"].append({"from_name": "when", "value": TIMELINE_HOLES[place](junk)})
    found = current_label(task(broken), controls, n_frames=N_FRAMES)
    assert (found.label, found.verified, found.verified_frame) == (Label.EMERGENCE, True, None)
    whole = {"ranges": [{"start": 71, "end": 225}], "timelinelabels": ["emergence"]}
    broken["result"].append({"from_name": "when", "value": whole})
    second = current_label(task(broken), controls, n_frames=N_FRAMES).verified_frame
    assert second is not None
    assert second.frame == 70


@pytest.mark.parametrize("value", ["x", 5, None, {"choices": 5}, {"choices": "emergence"}, {"choices": [5]}])
def test_an_unreadable_class_is_reported_for_correction(controls: Controls, value: Any) -> None:
    """The sentence names the annotation and its annotator; a skipped annotation is not reported."""
    broken = {"id": 31, "completed_by": {"id": 7}, "result": [{"from_name": "kind", "value": value}]}
    text = str(current_label(task(broken), controls, n_frames=N_FRAMES).contradiction)
    assert text.startswith("annotation 31 of annotator 7 does not count: its class cannot be read (")
    assert text.endswith("; open the task, choose one class and submit")
    skipped = task(broken | {"was_cancelled": True})
    assert current_label(skipped, controls, n_frames=N_FRAMES).contradiction is None


@pytest.mark.parametrize(
    ("result", "fault"),
    [
        ([], "it has no class"),
        ([{"from_name": "when", "value": {"ranges": [{"start": 3}], "timelinelabels": ["emergence"]}}], "has no class"),
        ([{"from_name": "kind", "value": {"choices": ["emergence", "non-emergence"]}}], "it has both classes"),
        (
            [{"from_name": "kind", "value": {"choices": ["flare"]}}],
            "its class 'flare' is neither of emergence and non-emergence",
        ),
    ],
)
def test_an_annotation_without_exactly_one_class_is_listed(
    controls: Controls, result: list[dict[str, Any]], fault: str
) -> None:
    """No submission is dropped in silence: nothing chosen, only an onset, both classes, a class of another project."""
    entry = {"id": 31, "completed_by": 7, "result": result}
    found = current_label(task(entry), controls, n_frames=N_FRAMES)
    assert (found.label, found.verified) == (Label.NON_EMERGENCE, False)
    assert fault in str(found.contradiction)


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


# -- blind answers --------------------------------------------------------------------------------


def test_an_answer_without_a_prediction_is_blind(controls: Controls) -> None:
    """With its onset frame, 0-based; a crude label alone is not an answer."""
    found = current_label(
        task(annotation(1, "emergence", "2026-01-01", starts=(71,), **NO_PREDICTION)), controls, n_frames=N_FRAMES
    )
    frame = VerifiedFrame(frame=70, annotator="1", at="2026-01-01")
    assert found.blind == BlindAnswer(label=Label.EMERGENCE, frame=frame)
    assert CurrentLabel.from_dict(found.as_dict()) == found
    assert current_label(task(), controls, n_frames=N_FRAMES).blind is None


@pytest.mark.parametrize(
    "more",
    [
        VISIBLE,
        {},  # without the field nothing is known
        {"prediction": None},
        {**NO_PREDICTION, "parent_prediction": 7, "lead_time": 3.0},
    ],
)
def test_an_answer_with_a_prediction_verifies_the_label_and_is_not_blind(
    controls: Controls, more: dict[str, Any]
) -> None:
    found = current_label(task(annotation(1, "emergence", "2026-01-01", **more)), controls, n_frames=N_FRAMES)
    assert (found.verified, found.answered, found.blind) == (True, True, None)


def test_an_answer_that_started_from_a_deleted_prediction_is_not_blind(controls: Controls) -> None:
    """The copy is empty and the link is gone; the origin of the items remains."""
    made = annotation(1, "emergence", "2026-01-01", **NO_PREDICTION, parent_prediction=None)
    for origin, blind in (("manual", True), ("prediction", False), ("prediction-changed", False)):
        made["result"][0]["origin"] = origin
        assert (current_label(task(made), controls, n_frames=N_FRAMES).blind is not None) is blind


def test_votes_made_with_a_prediction_do_not_change_the_blind_answer(controls: Controls) -> None:
    """Two later annotators follow the prediction: the label is theirs, and the blind answer is the first one."""
    found = current_label(
        task(
            annotation(1, "non-emergence", "2026-01-01", **NO_PREDICTION),
            annotation(2, "emergence", "2026-01-02", **VISIBLE),
            annotation(3, "emergence", "2026-01-03", **VISIBLE),
        ),
        controls,
        n_frames=N_FRAMES,
    )
    assert found.label is Label.EMERGENCE
    assert found.blind == BlindAnswer(label=Label.NON_EMERGENCE)


def test_blind_votes_follow_the_rules_of_the_current_label(controls: Controls) -> None:
    """Tied blind votes give no blind answer; a ground truth among them decides; skips and bulk copies do not count."""
    one = annotation(1, "emergence", "2026-01-01", **NO_PREDICTION)
    other = annotation(2, "non-emergence", "2026-01-02", **NO_PREDICTION)
    tied = current_label(task(one, other), controls, n_frames=N_FRAMES)
    assert (tied.blind, tied.source) == (None, LabelSource.TIED)
    truth = current_label(task(one, {**other, "ground_truth": True}), controls, n_frames=N_FRAMES)
    assert truth.blind == BlindAnswer(label=Label.NON_EMERGENCE)
    skipped = {**one, "was_cancelled": True}
    copied = {**one, "result": [{**one["result"][0], "score": 0.9}]}
    for ignored in (skipped, copied):
        found = current_label(task(ignored), controls, n_frames=N_FRAMES)
        assert (found.answered, found.blind) == (False, None)
