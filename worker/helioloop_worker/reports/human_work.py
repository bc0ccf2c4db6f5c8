"""The work of the annotators: how many answers, how many hours, and how far they agree.

Read from the exported tasks of a project. Skips, annotations that a bulk action copied from predictions, and those
without exactly one class are counted and take no part: nobody has answered there.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from helioloop.evaluation.annotator_agreement import AnnotatorAgreement, Answer, annotator_agreement
from helioloop.labelstudio.tasks import CubeTask
from helioloop.labelstudio.votes import Vote, submitted_votes
from helioloop.records.controls import Controls
from helioloop.words import duration

LONG_SECONDS = 1800.0
"""A task that was open for longer was probably left open; such times are counted and named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotator:
    """The work of one annotator: id, answers, and the seconds of those with a time."""

    name: str
    answers: int
    seconds: tuple[float, ...] = field(repr=False)

    @property
    def hours(self) -> float:
        """Hours in all."""
        return sum(self.seconds) / 3600.0

    @property
    def median_seconds(self) -> float | None:
        """Median time for one answer; None without a time."""
        return float(np.median(self.seconds)) if self.seconds else None


@dataclass(frozen=True, slots=True, kw_only=True)
class HumanWork:
    """The work of all annotators of a project.

    Parameters
    ----------
    annotators : tuple of Annotator
        Those with most answers first.
    cubes : int
        Cubes with an answer.
    skipped, not_counted : int
        Skips; and annotations that count for nothing (copied by a bulk action, or without exactly one class).
    agreement : AnnotatorAgreement
        On cubes that several annotators answered.
    """

    annotators: tuple[Annotator, ...]
    cubes: int
    skipped: int
    not_counted: int
    agreement: AnnotatorAgreement

    @property
    def answers(self) -> int:
        """Answers of all annotators."""
        return sum(one.answers for one in self.annotators)

    @property
    def seconds(self) -> tuple[float, ...]:
        """Times of all answers that have one."""
        return tuple(value for one in self.annotators for value in one.seconds)

    @property
    def hours(self) -> float:
        """Hours of all annotators."""
        return sum(one.hours for one in self.annotators)

    @property
    def time_in_words(self) -> str:
        """Time of all annotators: hours, and below one hour minutes or seconds."""
        return f"{self.hours:.1f} h" if self.hours >= 1.0 or not self.seconds else duration(sum(self.seconds))

    @property
    def median_seconds(self) -> float | None:
        """Median time for one answer; None without a time."""
        return float(np.median(self.seconds)) if self.seconds else None

    @property
    def seconds_per_cube(self) -> float | None:
        """Time for one cube, all its annotators together, without tasks that were left open; None without a time."""
        usual = [value for value in self.seconds if value <= LONG_SECONDS]
        return float(np.mean(usual)) * self.answers / self.cubes if usual else None

    @property
    def long(self) -> tuple[float, ...]:
        """Times over half an hour."""
        return tuple(value for value in self.seconds if value > LONG_SECONDS)


def read_human_work(tasks: Iterable[CubeTask], controls: Controls, *, n_frames: int) -> HumanWork:
    """Return the work of the annotators of a project.

    Parameters
    ----------
    tasks : iterable of CubeTask
        Each cube once, with the annotations of all its tasks.
    controls : Controls
        From `parse_config`.
    n_frames : int
        Frames on the grid.
    """
    votes: dict[str, list[Vote]] = {}
    accounts: dict[str, str] = {}
    answered, skipped, not_counted = [], 0, 0
    for task in tasks:
        counted, remarks = submitted_votes(task.exported, controls, n_frames=n_frames)
        not_counted += len(remarks)
        skipped += sum(
            isinstance(entry, dict) and bool(entry.get("was_cancelled")) for entry in task.exported["annotations"]
        )
        for vote in counted:
            votes.setdefault(vote.account, []).append(vote)
            accounts[vote.annotator] = vote.account
        if counted:
            answered.append({vote.annotator: Answer(label=vote.label, frame=vote.frame) for vote in counted})
    annotators = [
        Annotator(
            name=who,
            answers=len(own),
            seconds=tuple(vote.lead_seconds for vote in own if vote.lead_seconds is not None),
        )
        for who, own in votes.items()
    ]
    return HumanWork(
        annotators=tuple(sorted(annotators, key=lambda one: (-one.answers, one.name))),
        cubes=len(answered),
        skipped=skipped,
        not_counted=not_counted,
        agreement=_by_account(annotator_agreement(answered), accounts),
    )


def _by_account(agreement: AnnotatorAgreement, accounts: Mapping[str, str]) -> AnnotatorAgreement:
    """Return the agreement with the pairs of all deleted accounts in one row."""
    pairs, agreeing = Counter[str](), Counter[str]()
    for voter, (n_pairs, n_agreeing) in agreement.by_annotator.items():
        pairs[accounts[voter]] += n_pairs
        agreeing[accounts[voter]] += n_agreeing
    return replace(agreement, by_annotator={who: (pairs[who], agreeing[who]) for who in sorted(pairs)})
