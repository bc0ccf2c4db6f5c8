"""Predictions in Label Studio's JSON, made from scores.

Frames are counted from 1 there; classes have the values in the labelling configuration.
"""

from typing import Any

from helioloop.records.controls import Controls
from helioloop.records.labels import Label
from helioloop.records.scores import CubeScore


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
