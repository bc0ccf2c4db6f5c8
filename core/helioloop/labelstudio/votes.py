"""The votes on a cube: which annotations of its task in Label Studio's JSON count, and what each says."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from helioloop.labelstudio.annotators import Annotator, annotators
from helioloop.labelstudio.onsets import other_ranges, read_onset
from helioloop.labelstudio.untrusted import as_list, as_mapping, as_seconds, as_time, shown
from helioloop.records.controls import Controls
from helioloop.records.labels import Label


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """One submitted annotation: a class, and perhaps an onset.

    Parameters
    ----------
    annotator : str
        Whose vote it is: the id of the account, and for each annotation of a deleted account a name of its own.
    account : str
        Id of the account; one name for all deleted accounts.
    at : str
        When the annotation was last changed (ISO 8601).
    label : Label
        The class.
    ground_truth : bool
        True where it is marked as ground truth.
    frame : int or None
        Onset frame (0-based); None where none is marked, or none that can be used.
    remark : str or None
        What is contradictory or unreadable in it, in a sentence.
    blind : bool
        True where it was made without a prediction.
    lead_seconds : float or None
        Time that the annotator had the task open; None where Label Studio has no usable time.
    imported : bool
        True where it was imported, and not made in Label Studio.
    """

    annotator: str
    account: str
    at: str
    label: Label
    ground_truth: bool
    frame: int | None
    remark: str | None
    blind: bool = False
    lead_seconds: float | None = None
    imported: bool = False

    @property
    def when(self) -> tuple[datetime, str]:
        """When it was last changed; a time that cannot be read comes before all others.

        Label Studio leaves out the fraction of a whole second, so the texts are not in the order of the times.
        """
        return as_time(self.at) or datetime.min.replace(tzinfo=UTC), self.at


def submitted_votes(task: Mapping[str, Any], controls: Controls, *, n_frames: int) -> tuple[list[Vote], list[str]]:
    """Return the annotations of a task that count, oldest first, and a remark on each that does not.

    One that does not name exactly one class does not count, nor does one that Label Studio's bulk action copied from a
    prediction. Skipped annotations are in neither list. Label Studio checks only that the ``result`` of an annotation
    is a list; scripts can write anything into it.

    Parameters
    ----------
    task : mapping
        A task as Label Studio exports it.
    controls : Controls
        From `parse_config`.
    n_frames : int
        Frames on the grid; a start outside 1..n_frames is reported, not used.
    """
    given = as_list(task.get("annotations"))
    remarks = [
        f"the {place}. annotation of the task is {shown(entry)}, which cannot be read"
        for place, entry in enumerate(given, start=1)
        if not isinstance(entry, Mapping)
    ]
    submitted = [entry for entry in given if isinstance(entry, Mapping) and not entry.get("was_cancelled")]
    votes = []
    for annotation, who in zip(submitted, annotators(submitted), strict=True):
        items = [item for item in as_list(annotation.get("result")) if isinstance(item, Mapping)]
        chosen, fault = _chosen(items, controls)
        if _copied_from_prediction(annotation, items):
            fault = "a bulk action copied it from a prediction, and no human has looked at it"
        if fault is None:
            votes.append(_vote(annotation, chosen.pop(), items, controls, who=who, n_frames=n_frames))
        else:
            remarks.append(
                f"annotation {shown(annotation.get('id'))} of {who.shown} does not count: "
                f"{fault}; open the task, choose one class and submit"
            )
    return sorted(votes, key=lambda vote: vote.when), remarks


def _chosen(items: Collection[Mapping[str, Any]], controls: Controls) -> tuple[set[Label], str | None]:
    """Return the classes that an annotation names and, unless it is exactly one, what is wrong with them."""
    chosen: set[Label] = set()
    unknown: list[str] = []
    unreadable = None
    for item in items:
        if item.get("from_name") != controls.choices:
            continue
        value = item.get("value")
        choices = as_mapping(value).get("choices")
        if isinstance(choices, list) and all(isinstance(choice, str) for choice in choices):
            chosen |= {label for choice in choices if (label := controls.label_of(choice)) is not None}
            unknown += [choice for choice in choices if controls.label_of(choice) is None]
        else:
            unreadable = shown(value)
    if len(chosen) == 1:
        return chosen, None
    if chosen:
        return chosen, "it has both classes"
    if unreadable is not None:
        return chosen, f"its class cannot be read ({unreadable})"
    if unknown:
        return chosen, f"its class {shown(unknown[0])} is neither of {' and '.join(controls.class_names.values())}"
    return chosen, _class_elsewhere(items, controls) or "it has no class"


def _class_elsewhere(items: Iterable[Mapping[str, Any]], controls: Controls) -> str | None:
    """Return that a class is under another control than the project's; None where none is."""
    for item in items:
        for choice in as_list(as_mapping(item.get("value")).get("choices")):
            if isinstance(choice, str) and controls.label_of(choice) is not None:
                return (
                    f"its class {shown(choice)} is under the control {shown(item.get('from_name'))} and not used: the "
                    f"project's is {controls.choices!r}"
                )
    return None


def _vote(
    annotation: Mapping[str, Any],
    label: Label,
    items: Collection[Mapping[str, Any]],
    controls: Controls,
    *,
    who: Annotator,
    n_frames: int,
) -> Vote:
    frame, remark = read_onset(items, controls, n_frames=n_frames)
    if frame is None and remark is None and label is Label.EMERGENCE:
        remark = other_ranges(items, controls)
    if remark is not None:
        remark = f"annotation {shown(annotation.get('id'))} of {who.shown}: {remark}"
    if frame is not None and label is Label.NON_EMERGENCE:
        # A range of the prediction that was left behind when the class was changed says nothing.
        left_behind = frame == _proposed_onset(annotation, controls, n_frames=n_frames)
        if not left_behind and not _has_range_of_an_earlier_prediction(annotation, items, controls, n_frames=n_frames):
            remark = (
                f"annotator {who.voter} chose {controls.class_names[label]} but marked an onset at frame {frame + 1}"
            )
        frame = None
    return Vote(
        annotator=who.voter,
        account=who.account,
        at=str(annotation.get("updated_at") or annotation.get("created_at") or ""),
        label=label,
        ground_truth=bool(annotation.get("ground_truth")),
        frame=frame,
        remark=remark,
        blind=_is_blind(annotation, items),
        lead_seconds=as_seconds(annotation.get("lead_time")),
        imported=annotation.get("import_id") is not None,
    )


def _copied_from_prediction(annotation: Mapping[str, Any], items: Iterable[Mapping[str, Any]]) -> bool:
    """Return True for an annotation that "Create Annotations From Predictions" made and no human changed since.

    Label Studio's screen writes a lead time into the annotation and an origin into its items; the bulk action copies
    the prediction's items, with their scores, and writes neither. The link to the prediction alone proves nothing: it
    is lost when the prediction is deleted. An annotation that a script writes has no link and no scores.
    """
    items = list(items)
    by_hand = annotation.get("lead_time") is not None or any("origin" in item for item in items)
    from_prediction = annotation.get("parent_prediction") is not None or any("score" in item for item in items)
    return from_prediction and not by_hand


def _is_blind(annotation: Mapping[str, Any], items: Iterable[Mapping[str, Any]]) -> bool:
    """Return True for an annotation that was made while the task had no prediction.

    Label Studio stores a copy of the prediction of the shown version with each new annotation, and ``{}`` where there
    is none; the copy stays when the prediction is deleted. An annotation without that field proves nothing and does not
    count as blind. Neither does one that started from a prediction which was deleted before it was submitted: its items
    have an origin that says so.
    """
    started_from_one = annotation.get("parent_prediction") is not None or any(
        str(item.get("origin", "")).startswith("prediction") for item in items
    )
    return annotation.get("prediction") == {} and not started_from_one


def _proposed_onset(annotation: Mapping[str, Any], controls: Controls, *, n_frames: int) -> int | None:
    """Return the onset (0-based) of the prediction that was on the screen, which Label Studio keeps as a copy."""
    result = as_list(as_mapping(annotation.get("prediction")).get("result"))
    items = (item for item in result if isinstance(item, Mapping))
    return read_onset(items, controls, n_frames=n_frames)[0]


def _has_range_of_an_earlier_prediction(
    annotation: Mapping[str, Any], items: Iterable[Mapping[str, Any]], controls: Controls, *, n_frames: int
) -> bool:
    """Return True where a new version was written back while a task was open, and all onsets are of the one before.

    The copy of the prediction is then not the one that the annotator saw, so its onset tells nothing about ranges that
    come from a prediction. A range whose own origin is not the prediction was drawn or changed by hand. Label Studio
    1.23.2 does not change the origin of a range whose edge was dragged, so that one is not recognised.
    """
    written, submitted = (
        as_time(of.get("created_at")) for of in (as_mapping(annotation.get("prediction")), annotation)
    )
    seconds = as_seconds(annotation.get("lead_time"))
    if written is None or submitted is None or seconds is None:
        return False
    onsets = [item for item in items if read_onset([item], controls, n_frames=n_frames)[0] is not None]
    from_prediction = all(item.get("origin") == "prediction" for item in onsets)
    return from_prediction and (submitted - written).total_seconds() < seconds
