"""Scores written as predictions in Label Studio's JSON.

Frames become 1-based here; classes get the values that the team's configuration has for them.
"""

from typing import Any

from helioloop.labelstudio.config import Controls
from helioloop.records import CubeScore, Label


def prediction(
    score: CubeScore, current: Label | None, controls: Controls, *, model_version: str, n_frames: int
) -> dict[str, Any]:
    """Return a prediction in Label Studio's JSON.

    The class that the ensemble gives, with its probability; where that is emergence and a frame is known, a timeline
    range from the onset to the last frame (1-based, inclusive). The prediction's own score is the agreement with the
    current label; for a cube without one, the probability of the class given.
    """
    given = score.predicted
    result: list[dict[str, Any]] = [
        {
            "from_name": controls.choices,
            "to_name": controls.video,
            "type": "choices",
            "value": {"choices": [controls.values[given]]},
            "score": score.probability(given),
        }
    ]
    if given is Label.EMERGENCE and score.emergence is not None and controls.timeline is not None:
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
    return {"result": result, "score": score.agreement(current or given), "model_version": model_version}
