"""Compares the controls of a project with those that its labelling configuration had before."""

from collections.abc import Iterable
from dataclasses import replace

from helioloop.labelstudio.predictions import PredictionContent
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


def changes_since_written(
    predictions: Iterable[tuple[PredictionContent, PredictionContent | None]],
    now: Controls,
    *,
    noted: Controls | None = None,
) -> str | None:
    """Return in words what has changed since predictions were written, from the names in them; None where nothing has.

    Parameters
    ----------
    predictions : iterable of pair of PredictionContent
        What each prediction says, and what it would say with the controls of now; None where that is not known.
    now : Controls
        The controls of now.
    noted : Controls, optional
        Controls of which it was noted that the predictions fit them. From them two changes are found that no name
        shows: a timeline where there was none, and values of the classes that were exchanged.
    """
    before = replace(noted or now, shown=now.class_names, video_field=now.video_field)
    for stored, wanted in predictions:
        before = replace(
            before,
            video=_former_name(stored.video, now.video) or before.video,
            choices=_former_name(stored.class_control, now.choices) or before.choices,
            timeline=_former_name(stored.timeline, now.timeline) or before.timeline,
            timeline_label=_former_name(stored.timeline_label, now.timeline_label) or before.timeline_label,
            values={**before.values, **_former_value(stored, wanted, now)},
        )
    return control_changes(before, now)


def _former_name(stored: str | None, now: str | None) -> str | None:
    """Return a name in a prediction that is another one now; None where it is the same, or not there."""
    return None if stored == now else stored


def _former_value(stored: PredictionContent, wanted: PredictionContent | None, now: Controls) -> dict[Label, str]:
    """Return the class whose value is another one now, with its value in a prediction; else nothing.

    With a value of now, nothing has changed: another network may have predicted the other class.
    """
    if stored.choice is None or stored.choice in now.values.values():
        return {}
    label = now.label_of(stored.choice)
    if label is None and wanted is not None and wanted.choice is not None:
        label = now.label_of(wanted.choice)
    return {} if label is None else {label: stored.choice}


def _change(what: str, before: str | None, now: str | None) -> str | None:
    if before == now:
        return None
    if before is None:
        return f"there is a {what} {now!r}"
    return f"the {what} {before!r} was removed" if now is None else f"the {what} {before!r} is {now!r} now"
