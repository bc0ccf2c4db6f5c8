"""The checks of the in-memory fake against a labelling configuration: of the data of tasks, and of predictions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from defusedxml.ElementTree import fromstring

CHOICES, TIMELINE = "Choices", "TimelineLabels"
_VALUE_TAGS = {CHOICES: "Choice", TIMELINE: "Label"}
"""Controls whose predictions are checked, and the tags of their values."""
_DATA_KINDS: Mapping[str, tuple[type, ...]] = {"TimeSeries": (dict, list, str)}
"""Types of a value that a tag shows, where they are not text alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """The properties of a control that predictions are checked against."""

    kind: str
    name: str
    to_name: str
    values: frozenset[str]

    def item(self, value: dict[str, Any]) -> dict[str, Any]:
        """Return an item of a result with a value of this control."""
        return {"from_name": self.name, "to_name": self.to_name, "type": self.kind.lower(), "value": value}

    def accepts(self, item: Mapping[str, Any]) -> bool:
        """Tell whether an item of a result names this control and only values of it."""
        values = (item.get("value") or {}).get(self.kind.lower()) or ()
        kind = self.kind.lower()
        return item.get("to_name") == self.to_name and item.get("type") == kind and self.values >= {*values}


def controls_of(label_config: str) -> dict[str, Control]:
    """Return the controls of a labelling configuration whose predictions are checked, by name."""
    root = fromstring(label_config, forbid_dtd=True)
    found = [
        Control(
            kind=kind,
            name=tag.get("name", ""),
            to_name=tag.get("toName", ""),
            values=frozenset(str(child.get("alias") or child.get("value", "")) for child in tag.iter(value_tag)),
        )
        for kind, value_tag in _VALUE_TAGS.items()
        for tag in root.iter(kind)
    ]
    return {control.name: control for control in found}


def shown_fields(label_config: str) -> dict[str, str]:
    """Return the fields of the task data that a labelling configuration shows, and the tag that shows each."""
    tags = fromstring(label_config, forbid_dtd=True).iter()
    shown = [(tag.get("value", ""), tag.tag) for tag in tags if tag.get("name")]
    return {value.removeprefix("$"): tag for value, tag in shown if value.startswith("$")}


def refusal_of(data: Mapping[str, Any], shown: Mapping[str, str]) -> str | None:
    """Return why Label Studio refuses the data of a task; None where it takes them."""
    for name, tag in shown.items():
        if name not in data:
            return f'"{name}" key is expected in task data'
        kinds = _DATA_KINDS.get(tag, (str,))
        if not isinstance(data[name], kinds):
            return f"data['{name}']={data[name]} is of type '{type(data[name]).__name__}', but {tag} expects another"
    return None


def is_valid(entry: Mapping[str, Any], controls: Mapping[str, Control]) -> bool:
    """Tell whether Label Studio keeps a prediction; it drops the others without an error."""
    score = entry.get("score")
    if score is not None and not 0.0 <= score <= 1.0:  # scores of single items are not checked
        return False
    return all(
        item.get("from_name") in controls and controls[item["from_name"]].accepts(item) for item in entry["result"]
    )
