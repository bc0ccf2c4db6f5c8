"""Predictions in Label Studio's JSON, made from scores, and what stored ones say.

Frames are counted from 1 there; classes have the values in the labelling configuration.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Self

from helioloop.records.controls import Controls
from helioloop.records.labels import Label
from helioloop.records.scores import CubeScore

SAME_PROBABILITY: Final = 1e-6
"""Two probabilities, or two scores of predictions, that differ by at most this are the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionContent:
    """What a prediction says: a class, its probability, where the emergence begins, and the controls that it names.

    Label Studio stores a version by its name only, and another network may have had that name. The probabilities of two
    networks differ, so the content tells whose prediction it is. The names tell whether it fits the labelling
    configuration.

    Parameters
    ----------
    choice : str or None
        Value of the class in the labelling configuration.
    probability : float or None
        Probability of that class.
    first_frame : int or None
        First frame of the timeline range, counted from 1.
    class_control, video : str or None
        Names of the control that has the class, and of the video to which all controls point.
    timeline, timeline_label : str or None
        Name of the control that has the timeline range, and the label of the range; None without a range.
    """

    choice: str | None = None
    probability: float | None = None
    first_frame: int | None = None
    class_control: str | None = None
    video: str | None = None
    timeline: str | None = None
    timeline_label: str | None = None

    @classmethod
    def of(cls, result: Any) -> Self | None:
        """Return the content of a prediction's ``result``, whatever it holds; None where it is not a list of items."""
        if not isinstance(result, list | tuple) or not all(isinstance(item, Mapping) for item in result):
            return None
        choice: Mapping[str, Any] = next((item for item in result if item.get("type") == "choices"), {})
        onset: Mapping[str, Any] = next((item for item in result if item.get("type") == "timelinelabels"), {})
        videos = {_name(item, "to_name") for item in (choice, onset) if item}
        return cls(
            choice=_first(_value(choice, "choices"), str),
            probability=_first([choice.get("score")], float),
            first_frame=_first([_first(_value(onset, "ranges"), Mapping, {}).get("start")], int),
            class_control=_name(choice, "from_name"),
            video=videos.pop() if len(videos) == 1 else None,
            timeline=_name(onset, "from_name"),
            timeline_label=_first(_value(onset, "timelinelabels"), str),
        )

    def is_same(self, other: "PredictionContent") -> bool:
        """Return whether both say the same, with probabilities compared to `SAME_PROBABILITY`."""
        mine, theirs = self.probability, other.probability
        if mine is not None and theirs is not None and abs(mine - theirs) <= SAME_PROBABILITY:
            theirs = mine
        return self == replace(other, probability=theirs)

    def fits(self, controls: Controls) -> bool:
        """Return whether the labelling configuration has the controls, the class and the label that this names."""
        return (
            (self.class_control, self.video) == (controls.choices, controls.video)
            and self.choice in controls.values.values()
            and (self.timeline, self.timeline_label) in {(None, None), (controls.timeline, controls.timeline_label)}
        )


def _name(item: Mapping[str, Any], field: str) -> str | None:
    """Return the name of a control in an item; interned, because all predictions have the same few."""
    name = item.get(field)
    return sys.intern(name) if isinstance(name, str) else None


def _value(item: Mapping[str, Any], name: str) -> Any:
    value = item.get("value")
    return value.get(name) if isinstance(value, Mapping) else None


def _first(values: Any, kind: Any, default: Any = None) -> Any:
    """Return the first of some values where it is of a kind; a whole number is a float, too."""
    value = values[0] if isinstance(values, list | tuple) and values else None
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value if isinstance(value, kind) else default


def prediction(
    score: CubeScore, current: Label | None, controls: Controls, *, model_version: str, n_frames: int
) -> dict[str, Any]:
    """Return a prediction in Label Studio's JSON.

    It contains the predicted class with its probability and, where this is emergence and an emergence frame was
    located, a timeline range from that frame to the last one (counted from 1, both included). The score of the
    prediction is the agreement with the current label; without a label, the probability of the predicted class.

    Parameters
    ----------
    score : CubeScore
        Score of the task's cube.
    current : Label or None
        Current label of the cube.
    controls : Controls
        Names in the labelling configuration.
    model_version : str
        Version that computed the score.
    n_frames : int
        Frames on the grid.
    """
    predicted = score.predicted
    result: list[dict[str, Any]] = [
        {
            "from_name": controls.choices,
            "to_name": controls.video,
            "type": "choices",
            "value": {"choices": [controls.values[predicted]]},
            "score": score.probability(predicted),
        }
    ]
    if predicted is Label.EMERGENCE and score.emergence is not None and controls.timeline is not None:
        result.append(
            {
                "from_name": controls.timeline,
                "to_name": controls.video,
                "type": "timelinelabels",
                "value": {
                    "ranges": [{"start": score.emergence.frame + 1, "end": n_frames}],
                    "timelinelabels": [controls.timeline_label],
                },
                "score": score.p_emergence,
            }
        )
    return {"result": result, "score": score.agreement(current or predicted), "model_version": model_version}
