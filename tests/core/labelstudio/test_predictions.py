"""What a stored prediction says is read from any JSON, and compared with what a score gives."""

from dataclasses import replace
from typing import Any

import pytest

from helioloop.labelstudio.predictions import PredictionContent
from helioloop.records.controls import Controls
from helioloop.records.labels import Label

CHOICE = {
    "from_name": "class", "to_name": "video", "type": "choices", "value": {"choices": ["emergence"]}, "score": 0.75,
}  # fmt: skip
ONSET = {
    "from_name": "onset", "to_name": "video", "type": "timelinelabels",
    "value": {"ranges": [{"start": 41, "end": 225}], "timelinelabels": ["begin"]},
}  # fmt: skip
EMERGENCE = PredictionContent(
    choice="emergence", probability=0.75, first_frame=41, class_control="class", video="video", timeline="onset",
    timeline_label="begin",
)  # fmt: skip
CONTROLS = Controls(
    video="video", choices="class", timeline="onset", timeline_label="begin",
    values={Label.EMERGENCE: "emergence", Label.NON_EMERGENCE: "non-emergence"},
)  # fmt: skip


def test_the_content_is_class_probability_first_frame_and_the_names_of_controls() -> None:
    """Items may come in any order, and with more in them than helioloop writes."""
    assert PredictionContent.of([CHOICE, ONSET]) == EMERGENCE
    assert PredictionContent.of(({**ONSET, "meta": {"text": ["x"]}}, {**CHOICE, "id": "a"})) == EMERGENCE
    assert PredictionContent.of([{**CHOICE, "score": 1}]) == PredictionContent(
        choice="emergence", probability=1.0, class_control="class", video="video"
    )


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
        ([{"type": "choices", "from_name": 3, "to_name": ["video"]}], PredictionContent()),
        ([{"type": "timelinelabels", "value": {"timelinelabels": [None]}}], PredictionContent()),
    ],
)
def test_any_other_json_is_read_without_an_error(result: Any, content: PredictionContent | None) -> None:
    """People and scripts write predictions, too."""
    assert PredictionContent.of(result) == content


@pytest.mark.parametrize(
    "other",
    [
        replace(EMERGENCE, choice="non-emergence"),
        replace(EMERGENCE, probability=0.75001),
        replace(EMERGENCE, probability=None),
        replace(EMERGENCE, first_frame=42),
        replace(EMERGENCE, first_frame=None),
        replace(EMERGENCE, class_control="kind"),
        replace(EMERGENCE, video="film"),
        replace(EMERGENCE, timeline="when"),
        replace(EMERGENCE, timeline_label="onset"),
    ],
)
def test_each_difference_makes_other_content(other: PredictionContent) -> None:
    """Two networks differ in the probability of nearly every cube, where they agree on class and onset."""
    assert not EMERGENCE.is_same(other)
    assert not other.is_same(EMERGENCE)
    assert other.is_same(other)


def test_last_digits_that_a_database_drops_make_no_difference() -> None:
    """Some databases keep fewer digits than JSON."""
    assert EMERGENCE.is_same(replace(EMERGENCE, probability=0.75 + 4e-7))


def test_items_that_point_to_two_videos_name_none() -> None:
    """Such a prediction is not one that helioloop writes."""
    content = PredictionContent.of([CHOICE, {**ONSET, "to_name": "film"}])
    assert content == replace(EMERGENCE, video=None)


@pytest.mark.parametrize(
    ("changes", "fits"),
    [
        ({}, True),
        ({"choice": "non-emergence", "probability": 0.1, "first_frame": 3}, True),
        ({"timeline": None, "timeline_label": None, "first_frame": None}, True),
        ({"choice": "bipole"}, False),
        ({"choice": None}, False),
        ({"class_control": "kind"}, False),
        ({"video": "film"}, False),
        ({"timeline": "when"}, False),
        ({"timeline_label": "onset"}, False),
    ],
)
def test_a_prediction_fits_where_the_configuration_has_all_that_it_names(changes: dict[str, Any], fits: bool) -> None:
    """Whatever its probability and frame are; one without an onset fits a configuration with a timeline."""
    assert replace(EMERGENCE, **changes).fits(CONTROLS) is fits


def test_an_onset_does_not_fit_a_configuration_without_a_timeline() -> None:
    """The class alone does."""
    controls = replace(CONTROLS, timeline=None)
    assert not EMERGENCE.fits(controls)
    assert replace(EMERGENCE, timeline=None, timeline_label=None).fits(controls)
