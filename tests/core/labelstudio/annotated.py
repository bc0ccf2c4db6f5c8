"""Tasks with annotations in Label Studio's JSON, for a small labelling configuration."""

from typing import Any

from helioloop.labelstudio.config import parse_config

CONFIG = """
<View>
  <Video name="film" value="$video" framerate="25"/>
  <Choices name="kind" toName="film"><Choice value="emergence"/><Choice value="non-emergence"/></Choices>
  <TimelineLabels name="when" toName="film"><Label value="emergence"/><Label value="cosmic ray"/></TimelineLabels>
</View>
"""

N_FRAMES = 225

CONTROLS = parse_config(CONFIG, emergence="emergence", non_emergence="non-emergence")


def annotation(who: int, choice: str, at: str, *, starts: tuple[Any, ...] = (), **more: Any) -> dict[str, Any]:
    """One submitted annotation."""
    result: list[dict[str, Any]] = [{"from_name": "kind", "value": {"choices": [choice]}}]
    result += [
        {"from_name": "when", "value": {"ranges": [{"start": start, "end": 225}], "timelinelabels": ["emergence"]}}
        for start in starts
    ]
    return {"completed_by": who, "updated_at": at, "result": result, "was_cancelled": False, **more}


def task(*annotations: dict[str, Any], crude: str = "non-emergence") -> dict[str, Any]:
    """A task of cube c1."""
    return {"data": {"cube": "c1", "crude_label": crude}, "annotations": list(annotations)}
