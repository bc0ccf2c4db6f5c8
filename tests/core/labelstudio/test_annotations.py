"""Annotations in Label Studio's JSON resolved to a current label."""

import math
from typing import Any

import pytest
from tests.core.labelstudio.annotated import N_FRAMES, annotation, task

from helioloop.labelstudio.annotations import current_label
from helioloop.records.controls import Controls
from helioloop.records.labels import Label, LabelSource, VerifiedFrame


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
