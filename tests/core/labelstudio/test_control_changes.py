"""Changes of a labelling configuration are found from the names in predictions that were written before."""

from dataclasses import replace
from typing import Any

import pytest

from helioloop.labelstudio.control_changes import changes_since_written
from helioloop.labelstudio.predictions import PredictionContent
from helioloop.records.controls import Controls
from helioloop.records.labels import Label

NOW = Controls(
    video="video", choices="class", timeline="onset", timeline_label="begin",
    values={Label.EMERGENCE: "e", Label.NON_EMERGENCE: "n"},
)  # fmt: skip
WANTED = PredictionContent(
    choice="e", probability=0.75, first_frame=41, class_control="class", video="video", timeline="onset",
    timeline_label="begin",
)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"class_control": "kind"}, "the class control 'kind' is 'class' now"),
        ({"video": "film"}, "the video 'film' is 'video' now"),
        ({"timeline": "when"}, "the timeline 'when' is 'onset' now"),
        ({"timeline_label": "onset"}, "the label of an onset 'onset' is 'begin' now"),
        ({"choice": "bipole"}, "the value of emergence 'bipole' is 'e' now"),
        ({"choice": "n", "probability": 0.6, "timeline": None, "timeline_label": None, "first_frame": None}, None),
        ({"choice": "n"}, None),  # another network is as sure of the other class
        ({"first_frame": 42}, None),
        ({"choice": None, "class_control": None, "video": None}, None),
    ],
)
def test_other_names_than_those_of_now_are_a_change(changes: dict[str, Any], words: str | None) -> None:
    """Another class, probability or frame is another network's, whose predictions name the same controls."""
    same = (WANTED, WANTED)
    assert changes_since_written([same, (replace(WANTED, **changes), WANTED), same], NOW) == words


def test_a_former_value_is_that_of_its_class_whatever_is_predicted_now() -> None:
    """`helioloop init` has noted it; without a score the class is not known otherwise."""
    now = replace(NOW, earlier={Label.NON_EMERGENCE: ("nothing",)})
    for wanted in (WANTED, None):
        found = changes_since_written([(replace(WANTED, choice="nothing"), wanted)], now)
        assert found == "the value of non-emergence 'nothing' is 'n' now"


def test_with_a_note_changes_are_found_that_no_name_shows() -> None:
    """That there was no timeline, and that the values of the classes were exchanged."""
    without = replace(WANTED, timeline=None, timeline_label=None, first_frame=None)
    noted = replace(NOW, timeline=None, timeline_label=None)
    assert changes_since_written([(without, WANTED)], NOW, noted=noted) == "there is a timeline 'onset'"
    noted = replace(NOW, values={Label.EMERGENCE: "n", Label.NON_EMERGENCE: "e"})
    words = changes_since_written([(replace(WANTED, choice="n"), WANTED)], NOW, noted=noted)
    assert words == "the value of emergence 'n' is 'e' now, the value of non-emergence 'e' is 'n' now"
