"""The current label of a cube, resolved from the annotations of its task in Label Studio's JSON.

Label Studio counts frames from 1 and has the class values that the team chose; a `CurrentLabel` counts frames from 0.
"""

import math
import reprlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from helioloop.records.controls import Controls
from helioloop.records.labels import BlindAnswer, CurrentLabel, Label, LabelSource, VerifiedFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """One submitted annotation: a class, and perhaps an onset.

    Parameters
    ----------
    annotator : str
        Id of the annotator.
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
    remark = next((text for text in (*(vote.remark for vote in deciding), *unread) if text), None)
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
    return Label(value) if isinstance(value, str) and value in set(Label) else None


def submitted_votes(task: Mapping[str, Any], controls: Controls, *, n_frames: int) -> tuple[list[Vote], list[str]]:
    """Return the annotations of a task that count, oldest first, and a remark on each that does not.

    Skipped annotations are in neither list. Parameters are those of `current_label`.
    """
    return _votes(_list(task.get("annotations")), controls, n_frames=n_frames)


def _votes(annotations: Iterable[Any], controls: Controls, *, n_frames: int) -> tuple[list[Vote], list[str]]:
    """Return the submitted annotations that name one class, oldest first, and remarks on the others.

    Label Studio checks only that the ``result`` of an annotation is a list; scripts can write anything into it.
    """
    votes, remarks = [], []
    for annotation in annotations:
        if not isinstance(annotation, Mapping) or annotation.get("was_cancelled"):
            continue
        items = [item for item in _list(annotation.get("result")) if isinstance(item, Mapping)]
        chosen, fault = _chosen(items, controls)
        if _copied_from_prediction(annotation, items):
            fault = "a bulk action copied it from a prediction, and no human has looked at it"
        if fault is None:
            votes.append(_vote(annotation, chosen.pop(), items, controls, n_frames=n_frames))
        else:
            remarks.append(
                f"annotation {_shown(annotation.get('id'))} of annotator {_annotator(annotation)} does not count: "
                f"{fault}; open the task, choose one class and submit"
            )
    return sorted(votes, key=lambda vote: vote.at), remarks


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
    n_frames: int,
) -> Vote:
    who = _annotator(annotation)
    frame, remark = _onset(items, controls, n_frames=n_frames)
    if frame is not None and label is Label.NON_EMERGENCE:
        # A range of the prediction that was left behind when the class was changed says nothing.
        if frame != _proposed_onset(annotation, controls, n_frames=n_frames):
            remark = f"annotator {who} chose {controls.class_names[label]} but marked an onset at frame {frame + 1}"
        frame = None
    return Vote(
        annotator=who,
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


def _annotator(annotation: Mapping[str, Any]) -> str:
    """Return the id of the user who submitted an annotation, given as the id or as a record."""
    who = annotation.get("completed_by")
    return str(who.get("id") if isinstance(who, Mapping) else who)


def _onset(items: Iterable[Mapping[str, Any]], controls: Controls, *, n_frames: int) -> tuple[int | None, str | None]:
    """Return the earliest timeline start (0-based), and a remark on starts that are not a frame.

    Label Studio checks nothing: 0, fractions, ends before starts and frames after the end of the video all occur.
    """
    frames, remark = [], None
    for item in items:
        if controls.timeline is None or item.get("from_name") != controls.timeline:
            continue
        value = _mapping(item.get("value"))
        names, ranges = value.get("timelinelabels"), value.get("ranges")
        if isinstance(names, list) and not any(
            isinstance(name, str) and name in controls.onset_labels for name in names
        ):
            continue
        if not isinstance(names, list) or not isinstance(ranges, list):
            remark = f"a timeline range cannot be read ({_shown(item.get('value'))})"
            continue
        for stretch in ranges:
            start = _mapping(stretch).get("start")
            frame = _frame(start, n_frames)
            if frame is None:
                remark = f"a timeline range starts at {_shown(start)}, which is not a frame in 1..{n_frames}"
            else:
                frames.append(frame)
    return (min(frames) if frames else None), remark


def _proposed_onset(annotation: Mapping[str, Any], controls: Controls, *, n_frames: int) -> int | None:
    """Return the onset (0-based) of the prediction that was on the screen, which Label Studio keeps as a copy."""
    result = _list(_mapping(annotation.get("prediction")).get("result"))
    items = (item for item in result if isinstance(item, Mapping))
    return _onset(items, controls, n_frames=n_frames)[0]


def _frame(start: Any, n_frames: int) -> int | None:
    """Return the grid frame (0-based) of a timeline start; None where it is not a frame."""
    if isinstance(start, bool) or not isinstance(start, int | float) or not 1 <= start <= n_frames:
        return None
    return int(start) - 1 if start == int(start) else None


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
    last = max(with_onset, key=lambda vote: vote.at)
    assert last.frame is not None  # noqa: S101 - filtered above
    return VerifiedFrame(frame=last.frame, annotator=last.annotator, at=last.at)
