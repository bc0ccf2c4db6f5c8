"""Blind answers: which annotations were given without seeing a prediction, and what they say."""

from typing import Any

import pytest
from tests.core.labelstudio.annotated import N_FRAMES, annotation, task

from helioloop.labelstudio.annotations import current_label
from helioloop.records.controls import Controls
from helioloop.records.labels import BlindAnswer, CurrentLabel, Label, LabelSource, VerifiedFrame

NO_PREDICTION: dict[str, Any] = {"prediction": {}}

VISIBLE: dict[str, Any] = {"prediction": {"id": 7, "result": []}}


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
