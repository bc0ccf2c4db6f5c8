"""Votes on a cube that contradict each other though one of them counts: what a human reads."""

from typing import Any

from tests.core.labelstudio.annotated import CONTROLS, N_FRAMES, annotation, task

from helioloop.labelstudio.annotations import current_label
from helioloop.records.labels import CurrentLabel, Label, LabelSource

FIRST, SECOND, THIRD = (f"2026-01-01T00:00:0{k}Z" for k in (1, 2, 3))


def found(*annotations: dict[str, Any]) -> CurrentLabel:
    """The current label of the cube with these annotations."""
    return current_label(task(*annotations), CONTROLS, n_frames=N_FRAMES)


def imported(choice: str, at: str, *, ground_truth: bool) -> dict[str, Any]:
    """An annotation without an annotator, as Label Studio imports it: as one of the account that imports."""
    return annotation(1, choice, at, import_id=5, ground_truth=ground_truth)


def test_the_votes_of_three_people_that_were_imported_as_ground_truths_of_one_account_are_said() -> None:
    """Label Studio marks them as ground truth by default: the last one counts, against two others."""
    label = found(
        imported("emergence", FIRST, ground_truth=True),
        imported("emergence", SECOND, ground_truth=True),
        imported("non-emergence", THIRD, ground_truth=True),
    )
    assert (label.label, label.source) == (Label.NON_EMERGENCE, LabelSource.GROUND_TRUTH)
    assert label.contradiction == (
        "3 annotations imported as ground truth choose different classes, and the latest, non-emergence, counts: take "
        "the mark (the star) off those that are wrong; "
        "3 annotations imported as those of annotator 1 choose different classes, and the latest, non-emergence, is "
        "that annotator's vote; if they are of several people, import each with the account of its annotator "
        "(completed_by)"
    )


def test_whoever_settles_a_dispute_in_label_studio_reads_nothing_of_imported_ground_truths() -> None:
    """The mark that a human has set last counts, and is meant."""
    label = found(
        imported("emergence", FIRST, ground_truth=True),
        {**imported("non-emergence", SECOND, ground_truth=True), "completed_by": 2},
        annotation(3, "emergence", THIRD, ground_truth=True),
    )
    assert (label.label, label.contradiction) == (Label.EMERGENCE, None)


def test_imported_votes_of_one_account_are_said_where_they_differ() -> None:
    """The latest is the account's vote. Equal ones and those of several accounts contradict nothing."""
    votes = [imported("emergence", FIRST, ground_truth=False), imported("non-emergence", SECOND, ground_truth=False)]
    contradiction = found(*votes).contradiction
    assert contradiction is not None
    assert contradiction.startswith("2 annotations imported as those of annotator 1 choose different classes")
    assert found(votes[0], imported("emergence", SECOND, ground_truth=False)).contradiction is None
    assert found(votes[0], {**votes[1], "completed_by": 2}).contradiction is None


def test_whoever_changes_their_mind_in_label_studio_contradicts_nobody() -> None:
    """The latest annotation of an annotator is their vote; the earlier one was not imported."""
    label = found(annotation(1, "emergence", FIRST), annotation(1, "non-emergence", SECOND))
    assert (label.label, label.contradiction) == (Label.NON_EMERGENCE, None)


def test_onsets_of_two_annotators_that_are_far_apart_are_said() -> None:
    """Frames 4 and 20 are 16 apart; frames 5 and 20 are 15, within which two frames count as equal."""
    later = annotation(2, "emergence", SECOND, starts=(20,))
    label = found(annotation(1, "emergence", FIRST, starts=(4,)), later)
    assert label.verified_frame is not None
    assert label.verified_frame.frame == 19
    assert label.contradiction == (
        "the onsets that annotators marked are up to 16 frames apart, at frames 4 to 20, and the latest answer, frame "
        "20, counts: agree on one"
    )
    assert found(annotation(1, "emergence", FIRST, starts=(5,)), later).contradiction is None


def test_the_onset_of_an_annotation_that_does_not_decide_contradicts_nothing() -> None:
    """Annotator 1 has moved it; and a ground truth decides alone."""
    first = annotation(1, "emergence", FIRST, starts=(4,))
    assert found(first, annotation(1, "emergence", SECOND, starts=(100,))).contradiction is None
    assert found(first, annotation(2, "emergence", SECOND, starts=(100,), ground_truth=True)).contradiction is None
