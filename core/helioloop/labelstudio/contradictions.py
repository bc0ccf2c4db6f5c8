"""What the votes on a cube contradict each other in though one of them counts, in sentences for a human.

Nothing here changes a label: a rule decides (`helioloop.labelstudio.annotations`), and whoever can correct the
annotations in Label Studio reads what it passed over.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from helioloop.labelstudio.annotators import DELETED_ACCOUNTS
from helioloop.labelstudio.votes import Vote
from helioloop.records.controls import Controls

ONSETS_APART: Final = 15
"""Onsets further apart than so many frames are not of the same emergence, or one of them is a slip: frames within 15
of each other count as equal in the figures of Chatterjee et al. (2022), a day of MDI."""


def contradictions(votes: Sequence[Vote], deciding: Sequence[Vote], controls: Controls) -> list[str]:
    """Return a remark on each contradiction between the votes on a cube.

    Parameters
    ----------
    votes : sequence of Vote
        All that count, oldest first.
    deciding : sequence of Vote
        Those that decide: the latest ground truth alone, or the latest vote of each annotator.
    controls : Controls
        The project's names of the classes.
    """
    truths = [vote for vote in votes if vote.ground_truth]
    overruled = _overruled(votes, truths[-1], controls) if truths else []
    return [*_truths(truths, controls), *overruled, *_imports(votes, controls), *_onsets(deciding)]


def _truths(truths: Sequence[Vote], controls: Controls) -> list[str]:
    """Return a remark where imported ground truths are of different classes and one of them counts.

    Label Studio has marked them; who marks one in Label Studio after another settles a dispute.
    """
    imported = [vote for vote in truths if vote.imported]
    if len({vote.label for vote in imported}) < 2 or truths[-1] is not imported[-1]:
        return []
    return [
        f"{len(imported)} annotations imported as ground truth choose different classes, and the latest, "
        f"{controls.class_names[truths[-1].label]}, counts: take the mark (the star) off those that are wrong"
    ]


def _overruled(votes: Iterable[Vote], truth: Vote, controls: Controls) -> list[str]:
    """Return a remark on each annotator whose latest vote is later than the ground truth and of the other class."""
    latest = {vote.annotator: vote for vote in votes if vote is not truth and vote.when > truth.when}
    names = controls.class_names
    return [
        f"{_name(vote)} chose {names[vote.label]} after {names[truth.label]} was marked as ground truth, which counts "
        f"before all other annotations; if {names[truth.label]} is wrong, take the mark (the star) off that annotation"
        for vote in latest.values()
        if vote.label is not truth.label
    ]


def _imports(votes: Iterable[Vote], controls: Controls) -> list[str]:
    """Return a remark on each account with imported annotations of different classes: of several people, perhaps.

    Label Studio gives all annotations of an import to the account that imports them, unless they name another one.
    """
    imported: dict[str, list[Vote]] = {}
    for vote in votes:
        if vote.imported:
            imported.setdefault(vote.annotator, []).append(vote)
    return [
        f"{len(own)} annotations imported as those of {_name(own[-1])} choose different classes, and the latest, "
        f"{controls.class_names[own[-1].label]}, is that annotator's vote; if they are of several people, import each "
        "with the account of its annotator (completed_by)"
        for own in imported.values()
        if len({vote.label for vote in own}) > 1
    ]


def _onsets(deciding: Iterable[Vote]) -> list[str]:
    """Return a remark where the onsets of the deciding votes are far apart, of which the latest counts."""
    with_onset = [(vote.when, vote.frame) for vote in deciding if vote.frame is not None]
    frames = sorted(frame for _, frame in with_onset)
    if not frames or frames[-1] - frames[0] <= ONSETS_APART:
        return []
    return [
        f"the onsets that annotators marked are up to {frames[-1] - frames[0]} frames apart, at frames {frames[0] + 1} "
        f"to {frames[-1] + 1}, and the latest answer, frame {max(with_onset)[1] + 1}, counts: agree on one"
    ]


def _name(vote: Vote) -> str:
    """Return the annotator of a vote in a sentence."""
    return vote.annotator if vote.account == DELETED_ACCOUNTS else f"annotator {vote.annotator}"
