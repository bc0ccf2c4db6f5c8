"""The current label of a cube, resolved from the annotations of its task in Label Studio's JSON.

Label Studio counts frames from 1 and has the class values that the team chose; a `CurrentLabel` counts frames from 0.
"""

import math
import reprlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from helioloop.labelstudio.annotators import Annotator, annotators
from helioloop.labelstudio.onsets import other_ranges, read_onset
from helioloop.records.controls import Controls
from helioloop.records.labels import BlindAnswer, CurrentLabel, Label, LabelSource, VerifiedFrame

_LABELS: Final = {label.value: label for label in Label}
MAX_REMARKS: Final = 8
"""Remarks on one cube that are written out."""


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


def current_label(task: Mapping[str, Any], controls: Controls, *, n_frames: int) -> CurrentLabel:
    """Return the current label of a task's cube.

    The latest ground truth decides; without any, the majority of the latest annotations of each annotator. Skipped
    annotations and drafts do not count. A tie leaves the crude label. Where the class is emergence, the start of a
    timeline range becomes the verified frame; it never changes the class. An annotation or range that cannot be used
    does not count and is reported as a contradiction, because a human can correct it: one without exactly one class,
    or one that Label Studio's bulk action copied from a prediction.

    The same rules give the blind answer, from the annotations that were made without a prediction: that other
    annotators saw one later, or before, does not change it.

    Parameters
    ----------
    task : mapping
        A task as Label Studio exports it: ``data`` and ``annotations``.
    controls : Controls
        From `parse_config`.
    n_frames : int
        Frames on the grid; a start outside 1..n_frames is reported, not used.
    """
    data = _mapping(task.get("data"))
    cube = str(data.get("cube", ""))
    crude = crude_label(data)
    votes, unread = _votes(_list(task.get("annotations")), controls, n_frames=n_frames)
    deciding, source = _deciding(votes)
    remark = _joined([*(vote.remark for vote in deciding), *unread, *_left_out(task)])
    label = _agreed(deciding)
    blind = _blind_answer(votes)
    skips = sum(
        bool(annotation.get("was_cancelled"))
        for annotation in _list(task.get("annotations"))
        if isinstance(annotation, Mapping)
    )
    if label is None:
        return CurrentLabel(
            cube=cube,
            label=crude,
            source=LabelSource.TIED if deciding else LabelSource.CRUDE,
            contradiction=remark,
            crude=crude,
            blind=blind,
            skips=skips,
        )
    return CurrentLabel(
        cube=cube,
        label=label,
        verified=True,
        source=source,
        verified_frame=_verified_frame(deciding) if label is Label.EMERGENCE else None,
        contradiction=remark,
        crude=crude,
        blind=blind,
        skips=skips,
    )


def _joined(remarks: Iterable[str | None]) -> str | None:
    """Return all remarks as one line; of very many the first ones and the number of the others."""
    texts = [text for text in dict.fromkeys(remarks) if text]
    more = [f"and {len(texts) - MAX_REMARKS} more"] if len(texts) > MAX_REMARKS else []
    return "; ".join([*texts[:MAX_REMARKS], *more]) or None


def _left_out(task: Mapping[str, Any]) -> list[str]:
    """Return a remark on each task with annotations that shows another file under the name of this cube."""
    return [
        f"the annotations of task {number} ({n}) do not count: the task shows another file with the same name; rename "
        "that cube and ingest it again, then annotate it there"
        for number, n in _list(task.get("left_out"))
    ]


def _deciding(votes: Sequence[Vote]) -> tuple[list[Vote], LabelSource]:
    """Return the votes that decide: the latest ground truth, else the latest vote of each annotator."""
    truths = [vote for vote in votes if vote.ground_truth]
    if truths:
        return truths[-1:], LabelSource.GROUND_TRUTH
    return list({vote.annotator: vote for vote in votes}.values()), LabelSource.MAJORITY


def _agreed(votes: Iterable[Vote]) -> Label | None:
    """Return the class with the most votes; None without votes and where they are tied."""
    counts = Counter(vote.label for vote in votes).most_common()
    tied = len(counts) > 1 and counts[0][1] == counts[1][1]
    return counts[0][0] if counts and not tied else None


def _blind_answer(votes: Iterable[Vote]) -> BlindAnswer | None:
    """Return what the votes made without a prediction give; None without any, and where they are tied."""
    deciding, _ = _deciding([vote for vote in votes if vote.blind])
    label = _agreed(deciding)
    if label is None:
        return None
    return BlindAnswer(label=label, frame=_verified_frame(deciding) if label is Label.EMERGENCE else None)


def crude_label(data: Mapping[str, Any]) -> Label | None:
    """Return the crude label in a task's data; None where there is none."""
    value = data.get("crude_label")
    return _LABELS.get(value) if isinstance(value, str) else None


def submitted_votes(task: Mapping[str, Any], controls: Controls, *, n_frames: int) -> tuple[list[Vote], list[str]]:
    """Return the annotations of a task that count, oldest first, and a remark on each that does not.

    Skipped annotations are in neither list. Parameters are those of `current_label`.
    """
    return _votes(_list(task.get("annotations")), controls, n_frames=n_frames)


def _votes(annotations: Iterable[Any], controls: Controls, *, n_frames: int) -> tuple[list[Vote], list[str]]:
    """Return the submitted annotations that name one class, oldest first, and remarks on the others.

    Label Studio checks only that the ``result`` of an annotation is a list; scripts can write anything into it.
    """
    given = list(annotations)
    remarks = [
        f"the {place}. annotation of the task is {_shown(entry)}, which cannot be read"
        for place, entry in enumerate(given, start=1)
        if not isinstance(entry, Mapping)
    ]
    submitted = [entry for entry in given if isinstance(entry, Mapping) and not entry.get("was_cancelled")]
    votes = []
    for annotation, who in zip(submitted, annotators(submitted), strict=True):
        items = [item for item in _list(annotation.get("result")) if isinstance(item, Mapping)]
        chosen, fault = _chosen(items, controls)
        if _copied_from_prediction(annotation, items):
            fault = "a bulk action copied it from a prediction, and no human has looked at it"
        if fault is None:
            votes.append(_vote(annotation, chosen.pop(), items, controls, who=who, n_frames=n_frames))
        else:
            remarks.append(
                f"annotation {_shown(annotation.get('id'))} of {who.shown} does not count: "
                f"{fault}; open the task, choose one class and submit"
            )
    return sorted(votes, key=_when), remarks


def _when(vote: Vote) -> tuple[datetime, str]:
    """Return when an annotation was last changed; a time that cannot be read comes before all others.

    Label Studio leaves out the fraction of a whole second, so the texts are not in the order of the times.
    """
    return _time(vote.at) or datetime.min.replace(tzinfo=UTC), vote.at


def _time(value: Any) -> datetime | None:
    """Return a time in Label Studio's JSON; None where it cannot be read."""
    try:
        time = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time


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


def _chosen(items: Iterable[Mapping[str, Any]], controls: Controls) -> tuple[set[Label], str | None]:
    """Return the classes that an annotation names and, unless it is exactly one, what is wrong with them."""
    chosen: set[Label] = set()
    unknown: list[str] = []
    unreadable = None
    for item in items:
        if item.get("from_name") != controls.choices:
            continue
        value = item.get("value")
        choices = _mapping(value).get("choices")
        if isinstance(choices, list) and all(isinstance(choice, str) for choice in choices):
            chosen |= {label for choice in choices if (label := controls.label_of(choice)) is not None}
            unknown += [choice for choice in choices if controls.label_of(choice) is None]
        else:
            unreadable = _shown(value)
    if len(chosen) == 1:
        return chosen, None
    if chosen:
        return chosen, "it has both classes"
    if unreadable is not None:
        return chosen, f"its class cannot be read ({unreadable})"
    if unknown:
        return chosen, f"its class {_shown(unknown[0])} is neither of {' and '.join(controls.class_names.values())}"
    return chosen, "it has no class"


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
        remark = f"annotation {_shown(annotation.get('id'))} of {who.shown}: {remark}"
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
        lead_seconds=_seconds(annotation.get("lead_time")),
    )


def _seconds(value: Any) -> float | None:
    """Return a time that can be added up; scripts write anything into the field, NaN and negative numbers too."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value < math.inf:
        return None
    return float(value)


def _proposed_onset(annotation: Mapping[str, Any], controls: Controls, *, n_frames: int) -> int | None:
    """Return the onset (0-based) of the prediction that was on the screen, which Label Studio keeps as a copy."""
    result = _list(_mapping(annotation.get("prediction")).get("result"))
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
    written, submitted = (_time(of.get("created_at")) for of in (_mapping(annotation.get("prediction")), annotation))
    seconds = _seconds(annotation.get("lead_time"))
    if written is None or submitted is None or seconds is None:
        return False
    onsets = [item for item in items if read_onset([item], controls, n_frames=n_frames)[0] is not None]
    from_prediction = all(item.get("origin") == "prediction" for item in onsets)
    return from_prediction and (submitted - written).total_seconds() < seconds


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _shown(value: Any) -> str:
    """Return a value of any kind as short text in one line."""
    return reprlib.repr(value)


def _verified_frame(votes: Iterable[Vote]) -> VerifiedFrame | None:
    """Return the onset in the latest of the deciding annotations that have one."""
    with_onset = [vote for vote in votes if vote.frame is not None and vote.label is Label.EMERGENCE]
    if not with_onset:
        return None
    last = max(with_onset, key=_when)
    assert last.frame is not None  # noqa: S101 - filtered above
    return VerifiedFrame(frame=last.frame, annotator=last.annotator, at=last.at)
