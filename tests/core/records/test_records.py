"""Records: what is written as JSON is read back equal."""

import json

import pytest

from helioloop.records.labels import CurrentLabel, Label, LabelSource, VerifiedFrame
from helioloop.records.scores import CubeScore, Emergence


def _score(p: float) -> CubeScore:
    return CubeScore(cube="A", sha256="a" * 64, p_emergence=p, p_spread=None, members=("f0s0",))


@pytest.mark.parametrize("p", [-0.001, 1.001, float("nan"), float("inf")])
def test_a_probability_lies_between_0_and_1(p: float) -> None:
    """A value outside [0, 1] or not finite is an error that names the cube."""
    with pytest.raises(ValueError, match="p_emergence of cube A"):
        _score(p)


@pytest.mark.parametrize(("p", "predicted"), [(0.0, "non-emergence"), (0.49, "non-emergence"), (0.5, "emergence")])
def test_a_probability_of_one_half_is_an_emergence(p: float, predicted: str) -> None:
    """The predicted class is emergence at 0.5 and above."""
    assert _score(p).predicted == predicted


def test_agreement_is_the_probability_of_the_current_label() -> None:
    """Agreement is p for an emergence and 1 - p for a non-emergence: one minus the disagreement."""
    assert _score(0.25).agreement(Label.EMERGENCE) == 0.25
    assert _score(0.25).agreement(Label.NON_EMERGENCE) == 0.75


def test_a_score_is_read_back_from_json() -> None:
    """A score written as JSON is read back equal, with its curve as a tuple."""
    score = CubeScore(
        cube="A",
        sha256="a" * 64,
        p_emergence=0.75,
        p_spread=0.125,
        members=("f0s0", "f0s1"),
        emergence=Emergence(frame=91, frame_lo=88, frame_hi=95),
        curve=(0.25, 0.5),
    )
    assert CubeScore.from_dict(json.loads(json.dumps(score.as_dict()))) == score


@pytest.mark.parametrize(
    "label",
    [
        CurrentLabel(cube="A", label=None),
        CurrentLabel(
            cube="A",
            label=Label.EMERGENCE,
            verified=True,
            source=LabelSource.MAJORITY,
            verified_frame=VerifiedFrame(frame=91, annotator="3", at="2026-01-01T00:00:00Z"),
            contradiction="annotator 3 set a range and chose non-emergence",
            crude=Label.NON_EMERGENCE,
        ),
    ],
    ids=["empty", "full"],
)
def test_a_current_label_is_read_back_from_json(label: CurrentLabel) -> None:
    """A current label written as JSON is read back equal."""
    assert CurrentLabel.from_dict(json.loads(json.dumps(label.as_dict()))) == label


def test_a_label_stored_without_its_crude_one_is_read() -> None:
    """Snapshots of earlier releases have no crude labels; the crude label is None then."""
    values = CurrentLabel(cube="A", label=Label.EMERGENCE, verified=True, crude=Label.EMERGENCE).as_dict()
    del values["crude"]
    assert CurrentLabel.from_dict(values) == CurrentLabel(cube="A", label=Label.EMERGENCE, verified=True)
