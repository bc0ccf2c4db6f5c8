"""The current label of a cube, resolved from the annotations of its task in Label Studio's JSON.

Label Studio counts frames from 1 and has the class values that the team chose; a `CurrentLabel` counts frames from 0.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from helioloop.labelstudio.contradictions import contradictions
from helioloop.labelstudio.tasks import crude_label
from helioloop.labelstudio.untrusted import as_list, as_mapping
from helioloop.labelstudio.votes import Vote, submitted_votes
from helioloop.records.controls import Controls
from helioloop.records.labels import BlindAnswer, CurrentLabel, Label, LabelSource, VerifiedFrame

MAX_REMARKS: Final = 8
"""Remarks on one cube that are written out."""


def current_label(task: Mapping[str, Any], controls: Controls, *, n_frames: int) -> CurrentLabel:
    """Return the current label of a task's cube.

    The latest ground truth decides; without any, the majority of the latest annotations of each annotator. Skipped
    annotations and drafts do not count. A tie leaves the crude label. Where the class is emergence, the start of a
    timeline range becomes the verified frame; it never changes the class. An annotation or range that cannot be used
    does not count and is reported as a contradiction, because a human can correct it: one without exactly one class,
    or one that Label Studio's bulk action copied from a prediction. So is where votes contradict each other though one
    of them counts, see `helioloop.labelstudio.contradictions`: Label Studio marks imported annotations as ground truth
    unless they say otherwise, for example.

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
    data = as_mapping(task.get("data"))
    cube = str(data.get("cube", ""))
    crude = crude_label(data)
    votes, unread = submitted_votes(task, controls, n_frames=n_frames)
    deciding, source = _deciding(votes)
    contradicting = contradictions(votes, deciding, controls)
    remark = _joined([*(vote.remark for vote in deciding), *contradicting, *unread, *_left_out(task)])
    label = _agreed(deciding)
    blind = _blind_answer(votes)
    skips = sum(
        bool(annotation.get("was_cancelled"))
        for annotation in as_list(task.get("annotations"))
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
        for number, n in as_list(task.get("left_out"))
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


def _verified_frame(votes: Iterable[Vote]) -> VerifiedFrame | None:
    """Return the onset in the latest of the deciding annotations that have one."""
    with_onset = [vote for vote in votes if vote.frame is not None and vote.label is Label.EMERGENCE]
    if not with_onset:
        return None
    last = max(with_onset, key=lambda vote: vote.when)
    assert last.frame is not None  # noqa: S101 - filtered above
    return VerifiedFrame(frame=last.frame, annotator=last.annotator, at=last.at)
