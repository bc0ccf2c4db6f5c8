"""What a stored prediction says is read from any JSON, and compared with what a score gives."""

from typing import Any

import pytest

from helioloop.labelstudio.predictions import PredictionContent

CHOICE = {"type": "choices", "value": {"choices": ["emergence"]}, "score": 0.75}
ONSET = {"type": "timelinelabels", "value": {"ranges": [{"start": 41, "end": 225}], "timelinelabels": ["onset"]}}
EMERGENCE = PredictionContent(choice="emergence", probability=0.75, first_frame=41)


def test_the_content_is_class_probability_and_first_frame() -> None:
    """Items may come in any order, and with more in them than helioloop writes."""
    assert PredictionContent.of([CHOICE, ONSET]) == EMERGENCE
    assert PredictionContent.of(({**ONSET, "meta": {"text": ["x"]}}, {**CHOICE, "id": "a"})) == EMERGENCE
    assert PredictionContent.of([{**CHOICE, "score": 1}]) == PredictionContent(choice="emergence", probability=1.0)


@pytest.mark.parametrize(
    ("result", "content"),
    [
        (None, None),
        ("emergence", None),
        ([CHOICE, "x"], None),
        ([], PredictionContent()),
        ([{"type": "choices", "value": None, "score": "high"}], PredictionContent()),
        ([{"type": "choices", "value": {"choices": [3]}, "score": True}], PredictionContent()),
        ([{"type": "timelinelabels", "value": {"ranges": ["x"]}}], PredictionContent()),
        ([{"type": "timelinelabels", "value": {"ranges": []}}], PredictionContent()),
    ],
)
def test_any_other_json_is_read_without_an_error(result: Any, content: PredictionContent | None) -> None:
    """People and scripts write predictions, too."""
    assert PredictionContent.of(result) == content


@pytest.mark.parametrize(
    "other",
    [
        PredictionContent(choice="non-emergence", probability=0.75, first_frame=41),
        PredictionContent(choice="emergence", probability=0.75001, first_frame=41),
        PredictionContent(choice="emergence", probability=None, first_frame=41),
        PredictionContent(choice="emergence", probability=0.75, first_frame=42),
        PredictionContent(choice="emergence", probability=0.75),
    ],
)
def test_each_difference_makes_other_content(other: PredictionContent) -> None:
    """Two networks differ in the probability of nearly every cube, where they agree on class and onset."""
    assert not EMERGENCE.is_same(other)
    assert not other.is_same(EMERGENCE)
    assert other.is_same(other)


def test_last_digits_that_a_database_drops_make_no_difference() -> None:
    """Some databases keep fewer digits than JSON."""
    assert EMERGENCE.is_same(PredictionContent(choice="emergence", probability=0.75 + 4e-7, first_frame=41))
