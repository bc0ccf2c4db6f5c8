"""The audit of a verification campaign: per round the hit rate, the wrong labels left, and whether to stop.

In go one record per round (disagreement and verified labels) and the audit order; out comes one `RoundAudit` per round.
A simulated campaign and a live project use the same functions.

The ranking finds wrong labels where it looks, so its hits do not tell how many are left. That is estimated from the
audit sample alone (`audit_order.sampled_prefix`): cubes answered blind in a fixed random order. Of this sample, only
cubes that the ranking has not reached count. Whether it would have reached a sampled cube by now can be computed,
because the cube's disagreement comes from members that were not trained on its label. The sampled cubes that the
ranking has not reached are a random sample of all cubes that it has not reached; so the fraction of wrong labels among
them carries over to the unverified cubes.

A human who has the model's prediction on the screen may follow it. Labels verified in this way count as verified, and
as hits, but no estimate is computed from them: they are left out of the sample and of the cubes it is drawn from.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from helioloop.evaluation.audit_order import sampled_prefix
from helioloop.evaluation.estimates import MIN_SAMPLED, Estimate, binomial_estimate, estimate_wrong_left
from helioloop.words import count

MIN_RANKED = 10
"""With fewer verifications by rank in a round, its hit rate is not a reason to stop."""
STOP_HIT_RATE = 0.1
"""A campaign stops when a smaller fraction of a round's ranked verifications changes a label, unless the audit sample
estimates that more than `STOP_WRONG_FRACTION` of all labels is wrong."""
STOP_WRONG_FRACTION = 0.015
"""A campaign stops when at most this fraction of all labels is wrong, at the upper end of the interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundRecord:
    """What the audit needs to know about one round.

    Parameters
    ----------
    disagreement : mapping of str to float
        For every cube of the campaign, verified ones included: 1 − out-of-fold probability, under the version that was
        shown in the round, of the label the cube had *before any human saw it*.
    verified : mapping of str to bool
        All cubes verified when the round ended, and whether the human changed the label.
    blind : mapping of str to bool, or None
        Of these, the cubes that were answered without a prediction, and whether that answer differs from the label
        before. None if all of them were.
    hidden : collection of str
        Random checks: until they are answered they have no rank, because people do not see their disagreement.
    accepted : collection of str
        Cubes whose label was accepted under the risk guarantee. While nobody has verified them they are shown last,
        whatever their disagreement.
    unscored : int
        Further unverified labels, of cubes that have no prediction yet. The audit says nothing about them, so while
        there are any it is no reason to stop.
    joined : collection of str
        Cubes that joined in the round, such as those of the next release. Part of the round was verified without them
        in the ranking, so its hit rate is no reason to stop.
    """

    disagreement: Mapping[str, float] = field(repr=False)
    verified: Mapping[str, bool] = field(repr=False)
    blind: Mapping[str, bool] | None = field(repr=False, default=None)
    hidden: Collection[str] = field(repr=False, default=())
    accepted: Collection[str] = field(repr=False, default=())
    unscored: int = 0
    joined: Collection[str] = field(repr=False, default=())

    @property
    def blind_answers(self) -> Mapping[str, bool]:
        """The cubes answered without a prediction, and whether the answer differs from the label before."""
        return self.verified if self.blind is None else self.blind

    @property
    def without_rank(self) -> set[str]:
        """The random checks but those that were answered with the prediction visible: these had a rank."""
        return {cube for cube in self.hidden if cube not in self.verified or cube in self.blind_answers}


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundAudit:
    """The audit of one round.

    Parameters
    ----------
    round : int
        Its number, from 1.
    cubes, verified : int
        All cubes, and those verified when the round ended.
    verifications, flips : int
        Cubes verified in this round, and how many of their labels changed.
    ranked, hits : int
        Cubes verified in this round that the ranking would have shown by then, and how many of their labels changed.
    hit_rate : Estimate or None
        ``hits / ranked`` with its exact binomial interval; None if `ranked` is 0.
    sampled, sampled_wrong : int
        Cubes of the audit sample that the ranking has not reached in any round, and how many had a wrong label.
    wrong_left : Estimate or None
        Wrong labels among the unverified; None before `MIN_SAMPLED` cubes are sampled.
    stop : str or None
        Why the campaign should stop, in words; None to continue.
    unscored : int
        Further unverified labels, of cubes that have no prediction yet.
    """

    round: int
    cubes: int
    verified: int
    verifications: int
    flips: int
    ranked: int
    hits: int
    hit_rate: Estimate | None
    sampled: int
    sampled_wrong: int
    wrong_left: Estimate | None
    stop: str | None
    unscored: int = 0

    def sentences(self) -> tuple[str, ...]:
        """Return the audit of the round in plain sentences."""
        unverified = self.cubes - self.verified
        hit, left = self.hit_rate, self.wrong_left
        waiting = ""
        if self.unscored:
            waiting = (
                f"; {count(self.unscored, 'more cube')} without a prediction yet, of which the audit knows nothing"
            )
        return (
            f"Round {self.round}: {count(self.verifications, 'cube')} verified, {self.flips} of their labels changed; "
            f"in all {self.verified} of {count(self.cubes, 'cube')} verified.",
            "Hit rate: none yet, no cube was verified because of its rank."
            if hit is None
            else f"Hit rate: {self.hits} of {count(self.ranked, 'cube')} verified by rank had a wrong label, "
            f"{hit.value:.0%} ({hit.lo:.0%} to {hit.hi:.0%}).",
            f"Wrong labels left: no estimate yet, the audit sample has {self.sampled} of the {MIN_SAMPLED} cubes it "
            "needs."
            if left is None
            else f"Wrong labels left among {count(unverified, 'unverified cube')}: about {left.value:.0f} "
            f"({left.lo:.0f} to {left.hi:.0f}); {self.sampled_wrong} of "
            f"{count(self.sampled, 'cube')} in the audit sample had a wrong label.",
            f"Continue: {count(unverified, 'cube')} to verify{waiting}."
            if self.stop is None
            else f"Stop: {self.stop}.",
        )


def audit_rounds(
    records: Sequence[RoundRecord], order: Sequence[str], *, verified_before: Collection[str] = ()
) -> list[RoundAudit]:
    """Return the audit of a campaign, one entry per round.

    Parameters
    ----------
    records : sequence of RoundRecord
        The rounds, oldest first. A cube that joins later is in the later records only. The audit sample then ends at
        the first such cube in the audit order that nobody has answered.
    order : sequence of str
        The audit order; a cube that a record does not contain is skipped.
    verified_before : collection of str
        Cubes verified before the first round: not because of a rank.

    Notes
    -----
    Take the newly verified cubes outside the audit sample whose disagreement is above that of every unverified cube.
    The ranking led to these. The smallest disagreement among them is the round's *depth*, and the ranking has
    *reached* every cube with at least that disagreement. Let R be all cubes that no round reached. The cubes of the
    audit sample in R are a simple random sample of R; `estimate_wrong_left` computes from them the number of wrong
    labels among the unverified.

    A cube counts for the hit rate if the ranking would have shown it by now. Nothing records why somebody opened a
    task, and people also label in the order of the tasks, or answer random checks; such cubes say nothing about the
    ranking. What it would have shown follows from the disagreement: where m cubes were verified that have a rank and
    are not sampled, the first m of the queue. Or the first m in the ranking of the round before, which people follow
    while the version is trained. Where the ranking is followed these are the m cubes themselves. A cube that was
    skipped costs one of the cubes counted, the one with the least disagreement, so that the hit rate is too high rather
    than too low. A cube of the sample counts if the ranking has reached it in this round.

    The estimate is unbiased where

    - the hash that orders the cubes is independent of their labels;
    - a cube's own label does not influence its disagreement (out-of-fold probabilities);
    - humans are right, and only humans change labels;
    - the length of the sample depends on how many cubes were verified, not on what they show. Where somebody verified
      cubes out of order for another reason than the ranking, and the sample grows into them, this is not quite true.
      Such cubes are wrong more often than others, so the estimate is then too high rather than too low.

    Cubes that were verified with the prediction visible are neither in the sample nor in R. The ranking led to most of
    them; cubes of their kind in the sample are above the depth and do not count either. Random checks that wait for an
    answer have no rank, so they do not limit the depth; those above it are added to the estimate at the end.
    """
    audits: list[RoundAudit] = []
    before = verified_before
    reached: set[str] = set()
    earlier: RoundRecord | None = None
    for number, record in enumerate(records, start=1):
        verified = record.verified
        new = {cube: flipped for cube, flipped in verified.items() if cube not in before}
        blind = record.blind_answers
        sample = sampled_prefix(
            (cube for cube in order if cube in record.disagreement), blind, skipped=verified.keys() - blind.keys()
        )
        depth = _depth(record, new, sample)
        now = {cube for cube, disagreement in record.disagreement.items() if disagreement >= depth}
        reached |= now
        shown = now | _shown_by_rank(record, earlier, new, before=before, sample=sample)
        ranked = [flipped for cube, flipped in new.items() if cube in shown]
        sampled = [blind[cube] for cube in sample if cube not in reached]
        unsampled = [differs for cube, differs in blind.items() if cube not in reached and cube not in sample]
        # A random check that can no longer be scored has left the audit, and nothing is said about it.
        waiting = len(reached.intersection(record.disagreement, record.hidden).difference(verified))
        audit = RoundAudit(
            round=number,
            cubes=len(record.disagreement),
            verified=len(verified),
            verifications=len(new),
            flips=sum(new.values()),
            ranked=len(ranked),
            hits=sum(ranked),
            hit_rate=binomial_estimate(sum(ranked), len(ranked)) if ranked else None,
            sampled=len(sampled),
            sampled_wrong=sum(sampled),
            wrong_left=_with_waiting(
                estimate_wrong_left(
                    sampled=len(sampled),
                    sampled_wrong=sum(sampled),
                    unverified=len(record.disagreement) - len(verified) - waiting,
                    unsampled=len(unsampled),
                    unsampled_wrong=sum(unsampled),
                ),
                waiting,
                answered=[differs for cube, differs in blind.items() if cube in reached],
            )
            if record.disagreement
            else None,
            stop=None,
            unscored=record.unscored,
        )
        audits.append(replace(audit, stop=_reason_to_stop(audit, hit_rate_counts=not record.joined)))
        before, earlier = verified, record
    return audits


def _with_waiting(left: Estimate | None, waiting: int, *, answered: Sequence[bool]) -> Estimate | None:
    """Return an estimate of wrong labels with those among the random checks that wait though the ranking is past them.

    They are expected to be wrong as often as the answered ones of their kind, half of them without any; none or all of
    them may be.
    """
    if left is None or not waiting:
        return left
    fraction = sum(answered) / len(answered) if answered else 0.5
    return Estimate(value=left.value + fraction * waiting, lo=left.lo, hi=left.hi + waiting)


def _depth(record: RoundRecord, new: Mapping[str, bool], sample: set[str]) -> float:
    """Return the disagreement down to which the ranking was followed in this round; infinity if it was not."""
    no_rank = record.without_rank
    above = max(
        (value for cube, value in record.disagreement.items() if cube not in record.verified and cube not in no_rank),
        default=-math.inf,
    )
    outside_sample = (record.disagreement[cube] for cube in new if cube not in sample and cube not in no_rank)
    return min((value for value in outside_sample if value > above), default=math.inf)


def _shown_by_rank(
    record: RoundRecord,
    earlier: RoundRecord | None,
    new: Mapping[str, bool],
    *,
    before: Collection[str],
    sample: Collection[str],
) -> set[str]:
    """Return the cubes outside the audit sample that the ranking would have shown in a round; see `audit_rounds`."""
    last = {cube for cube in record.accepted if cube not in record.verified}
    queue = set(record.disagreement).difference(before, sample, record.without_rank, last)
    n_new = len(queue & new.keys())
    shown: set[str] = set()
    for one in (record, earlier):
        ranking = {} if one is None else {cube: d for cube, d in one.disagreement.items() if cube in queue}
        depth = min(sorted(ranking.values(), reverse=True)[:n_new], default=math.inf)
        shown |= {cube for cube, value in ranking.items() if value >= depth}
    return shown


def _reason_to_stop(audit: RoundAudit, *, hit_rate_counts: bool) -> str | None:
    """Return why the campaign should stop, or None.

    The hit rate counts with its estimate: the upper end of its interval is under 10 % only if a round of thirty has no
    hit, or one of fifty a single one, so nearly all cubes would have to be verified. It is no reason to stop while the
    audit sample says that too many labels are still wrong: then the ranking does not find them. The wrong labels left
    count with the upper end: a few sampled cubes without a wrong label are not a reason to stop.
    """
    left, hit = audit.wrong_left, audit.hit_rate
    if audit.cubes == 0 or audit.unscored:
        return None
    if audit.verified == audit.cubes:
        return "every label is verified"
    if left is not None and left.hi <= STOP_WRONG_FRACTION * audit.cubes:
        return f"at most {left.hi:.0f} of all labels can still be wrong, {left.hi / audit.cubes:.1%}"
    contradicted = left is not None and left.value > STOP_WRONG_FRACTION * audit.cubes
    if not hit_rate_counts or contradicted:
        return None
    if hit is not None and audit.ranked >= MIN_RANKED and hit.value < STOP_HIT_RATE:
        return (
            f"only {audit.hits} of {audit.ranked} cubes verified by rank had a wrong label, under {STOP_HIT_RATE:.0%}: "
            "verifying more finds little"
        )
    return None
