"""Label Studio's JSON <-> records: annotators resolved to one current label, scores written as predictions.

Between Label Studio (1-based frames, class values as the team named them) and everything else (0-based frames,
`Label`). Pure: no client, no network. Web and worker both stand on it.
"""

import reprlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from helioloop.labelstudio.config import Controls
from helioloop.records import CurrentLabel, Label, LabelSource, VerifiedFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """One annotator's submitted word on a task: a class, and perhaps an onset frame (0-based)."""

    annotator: str
    at: str
    label: Label
    ground_truth: bool
    frame: int | None
    remark: str | None


def current_label(task: Mapping[str, Any], controls: Controls, *, n_frames: int) -> CurrentLabel:
    """Resolve a task of Label Studio to what its cube counts as now.

    Ground truth first (the latest of several), else the majority of the latest annotation of each annotator. Skips and
    drafts do not count; a tie leaves the crude label. A timeline start is kept as the verified frame where the class is
    emergence, and never moves the class. What cannot be read is no vote and no frame, whatever its shape; where a human
    can mend it, it is remarked on as a contradiction.

    Parameters
    ----------
    task : mapping
        A task as exported: ``data`` and ``annotations``.
    controls : Controls
        From `parse_config`.
    n_frames : int
        Frames on the grid: a start outside 1..n_frames is no frame.
    """
    data = _mapping(task.get("data"))
    cube = str(data.get("cube", ""))
    crude = _crude(data.get("crude_label"))
    votes, unread = _votes(_list(task.get("annotations")), controls, n_frames=n_frames)
    truths = [vote for vote in votes if vote.ground_truth]
    if truths:
        deciding, source = truths[-1:], LabelSource.GROUND_TRUTH
    else:
        deciding, source = list({vote.annotator: vote for vote in votes}.values()), LabelSource.MAJORITY
    counts = Counter(vote.label for vote in deciding).most_common()
    remark = next((said for said in (*(vote.remark for vote in deciding), *unread) if said), None)
    if not counts:
        return CurrentLabel(cube=cube, label=crude, contradiction=remark, crude=crude)
    if len(counts) > 1 and counts[0][1] == counts[1][1]:
        return CurrentLabel(cube=cube, label=crude, source=LabelSource.TIED, contradiction=remark, crude=crude)
    label = counts[0][0]
    return CurrentLabel(
        cube=cube,
        label=label,
        verified=True,
        source=source,
        verified_frame=_verified_frame(deciding) if label is Label.EMERGENCE else None,
        contradiction=remark,
        crude=crude,
    )


def _crude(value: Any) -> Label | None:
    return Label(value) if isinstance(value, str) and value in set(Label) else None


def _votes(annotations: Iterable[Any], controls: Controls, *, n_frames: int) -> tuple[list[Vote], list[str]]:
    """Return the submitted annotations that name a class, oldest first, and remarks on those whose class is unreadable.

    Of an annotation Label Studio checks only that its ``result`` is a list; scripts write into it what they like.
    """
    votes, remarks = [], []
    for annotation in annotations:
        if not isinstance(annotation, Mapping) or annotation.get("was_cancelled"):
            continue
        items = [item for item in _list(annotation.get("result")) if isinstance(item, Mapping)]
        chosen, unreadable = _chosen(items, controls)
        if len(chosen) == 1:
            votes.append(_vote(annotation, chosen.pop(), items, controls, n_frames=n_frames))
        elif unreadable is not None:
            remarks.append(
                f"annotation {_shown(annotation.get('id'))} of annotator {_annotator(annotation)} does not count, its "
                f"class cannot be read ({unreadable}); choose the class again and submit"
            )
    return sorted(votes, key=lambda vote: vote.at), remarks


def _chosen(items: Iterable[Mapping[str, Any]], controls: Controls) -> tuple[set[Label], str | None]:
    """Return the classes that an annotation names, and what stands where a class should and is no list of texts."""
    chosen: set[Label] = set()
    unreadable = None
    for item in items:
        if item.get("from_name") != controls.choices:
            continue
        value = item.get("value")
        choices = _mapping(value).get("choices")
        if isinstance(choices, list) and all(isinstance(choice, str) for choice in choices):
            chosen |= {label for choice in choices if (label := controls.label_of(choice)) is not None}
        else:
            unreadable = _shown(value)
    return chosen, unreadable


def _vote(
    annotation: Mapping[str, Any],
    label: Label,
    items: Iterable[Mapping[str, Any]],
    controls: Controls,
    *,
    n_frames: int,
) -> Vote:
    who = _annotator(annotation)
    frame, remark = _onset(items, controls, n_frames=n_frames)
    if frame is not None and label is Label.NON_EMERGENCE:
        remark = f"annotator {who} chose {controls.values[label]} but marked an onset at frame {frame + 1}"
        frame = None
    return Vote(
        annotator=who,
        at=str(annotation.get("updated_at") or annotation.get("created_at") or ""),
        label=label,
        ground_truth=bool(annotation.get("ground_truth")),
        frame=frame,
        remark=remark,
    )


def _annotator(annotation: Mapping[str, Any]) -> str:
    """Return who submitted an annotation, which names its user by id or in full."""
    who = annotation.get("completed_by")
    return str(who.get("id") if isinstance(who, Mapping) else who)


def _onset(items: Iterable[Mapping[str, Any]], controls: Controls, *, n_frames: int) -> tuple[int | None, str | None]:
    """Return the earliest timeline start (0-based) and a remark on starts that are no frame.

    Label Studio checks nothing: 0, fractions, ends before starts and frames past the video all arrive.
    """
    frames, remark = [], None
    for item in items:
        if controls.timeline is None or item.get("from_name") != controls.timeline:
            continue
        value = _mapping(item.get("value"))
        names, ranges = value.get("timelinelabels"), value.get("ranges")
        if isinstance(names, list) and controls.timeline_label not in names:
            continue
        if not isinstance(names, list) or not isinstance(ranges, list):
            remark = f"a timeline range cannot be read ({_shown(item.get('value'))})"
            continue
        for stretch in ranges:
            start = _mapping(stretch).get("start")
            frame = _frame(start, n_frames)
            if frame is None:
                remark = f"a timeline range starts at {_shown(start)}, which is no frame in 1..{n_frames}"
            else:
                frames.append(frame)
    return (min(frames) if frames else None), remark


def _frame(start: Any, n_frames: int) -> int | None:
    """Return the grid frame (0-based) that a timeline start names; None where it names none."""
    if isinstance(start, bool) or not isinstance(start, int | float) or not 1 <= start <= n_frames:
        return None
    return int(start) - 1 if start == int(start) else None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _shown(value: Any) -> str:
    """Return a foreign value for a sentence: one line, cut short however long or deep it is."""
    return reprlib.repr(value)


def _verified_frame(votes: Iterable[Vote]) -> VerifiedFrame | None:
    """Return the onset of the latest of the deciding annotators who set one."""
    setters = [vote for vote in votes if vote.frame is not None and vote.label is Label.EMERGENCE]
    if not setters:
        return None
    last = max(setters, key=lambda vote: vote.at)
    assert last.frame is not None  # noqa: S101 - filtered above
    return VerifiedFrame(frame=last.frame, annotator=last.annotator, at=last.at)
