"""Compares the controls of a project with those that its labelling configuration had before."""

from helioloop.records.controls import Controls
from helioloop.records.labels import Label


def control_changes(before: Controls, now: Controls) -> str | None:
    """Return in words what differs between two states of a labelling configuration; None where nothing does."""
    found = [
        _change("video", before.video, now.video),
        _change("field of the video", before.video_field, now.video_field),
        _change("class control", before.choices, now.choices),
        _change("timeline", before.timeline, now.timeline),
    ]
    if before.timeline is not None and now.timeline is not None:
        found.append(_change("label of an onset", before.timeline_label, now.timeline_label))
    elif now.timeline is None and before.timeline is not None:
        found.append("so no onset is written or read")
    for label in Label:
        found += [
            _change(f"value of {label.value}", before.values[label], now.values[label]),
            _change(f"text of {label.value} on the screen", before.class_names[label], now.class_names[label]),
        ]
    return ", ".join(dict.fromkeys(phrase for phrase in found if phrase is not None)) or None


def changes_predictions(before: Controls, now: Controls) -> bool:
    """Return whether predictions that were made with the controls before do not fit those of now."""
    return _named(before) != _named(now)


def _named(controls: Controls) -> tuple[object, ...]:
    """Return the names and values that are in a prediction."""
    timeline = (controls.timeline, controls.timeline_label if controls.timeline is not None else None)
    return controls.video, controls.choices, timeline, *(controls.values[label] for label in Label)


def _change(what: str, before: str | None, now: str | None) -> str | None:
    if before == now:
        return None
    if before is None:
        return f"there is a {what} {now!r}"
    return f"the {what} {before!r} was removed" if now is None else f"the {what} {before!r} is {now!r} now"
