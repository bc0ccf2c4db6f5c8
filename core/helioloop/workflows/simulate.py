"""A whole verification campaign, simulated: the truth table answers in place of the human, who is always right.

Each round trains on the current labels, ranks the unverified cubes by disagreement, verifies a batch and corrects its
labels. Cubes sampled at random, from which the wrong labels left are estimated, wait until the ranking finds less
(`evaluation.random_checks.can_wait`). The result shows how many cubes must be verified until few labels are wrong. What
a real campaign can only estimate (`evaluation.audit`) is known here, so estimate and truth can be compared.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from helioloop.errors import TooFewLabels
from helioloop.evaluation.audit import RoundAudit, RoundRecord, audit_rounds
from helioloop.evaluation.audit_order import audit_order
from helioloop.evaluation.metrics import Evaluation
from helioloop.evaluation.random_checks import can_wait
from helioloop.model.recipes import Recipe
from helioloop.records.labels import Label
from helioloop.records.scores import CubeScore
from helioloop.registry.versions import Registry
from helioloop.workflows.experiment import Experiment

BATCH_FRACTION = 0.1
"""Fraction of all cubes that is verified in a round."""
AUDIT_FRACTION = 0.1
"""Fraction of all verified cubes that is taken from the audit order instead of the ranking."""
LARGEST_AUDIT_FRACTION = 0.5
"""A batch that makes up for earlier ones takes at most this fraction from the audit order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignRound:
    """One round of a simulated campaign.

    Parameters
    ----------
    round : int
        Its number, from 1.
    version : str
        The version that was trained in it.
    seconds : float or None
        Duration of training, scoring and locating; None if the version existed already.
    cubes : int
        All cubes of the campaign.
    verified_before : int
        Cubes verified before the round: the version was trained on their corrected labels.
    wrong_before : int
        Wrong labels at that time.
    evaluation : Evaluation
        The version against the truth; wrong labels are searched among the unverified cubes.
    audit : RoundAudit or None
        The audit once the round's batch is verified; None in the closing round, which only trains.
    wrong_after : tuple of int
        True number of wrong labels after each single verification of the batch.
    """

    round: int
    version: str
    seconds: float | None
    cubes: int
    verified_before: int
    wrong_before: int
    evaluation: Evaluation
    audit: RoundAudit | None
    wrong_after: tuple[int, ...] = field(repr=False)

    @property
    def wrong(self) -> int:
        """Wrong labels when the round ended."""
        return self.wrong_after[-1] if self.wrong_after else self.wrong_before

    @property
    def verified(self) -> int:
        """Cubes verified when the round ended."""
        return self.verified_before + len(self.wrong_after)

    def row(self) -> dict[str, str | float | None]:
        """Return the round as a row of the campaign's table."""
        audit = self.audit
        hit, left = (audit.hit_rate, audit.wrong_left) if audit else (None, None)
        figures = self.evaluation.figures()
        return {
            "round": self.round,
            "version": self.version,
            "trained_on_verified": self.verified_before,
            "verified": self.verified,
            "verified_fraction": self.verified / self.cubes,
            "verifications": len(self.wrong_after),
            "flips": audit.flips if audit else 0,
            "ranked": audit.ranked if audit else 0,
            "hits": audit.hits if audit else 0,
            "hit_rate": hit.value if hit else None,
            "hit_rate_lo": hit.lo if hit else None,
            "hit_rate_hi": hit.hi if hit else None,
            "drawn": audit.sampled if audit else None,
            "drawn_wrong": audit.sampled_wrong if audit else None,
            "wrong_left": left.value if left else None,
            "wrong_left_lo": left.lo if left else None,
            "wrong_left_hi": left.hi if left else None,
            "true_wrong_left": self.wrong,
            "true_wrong_fraction": self.wrong / self.cubes,
            "stop": audit.stop if audit else None,
            **{name: figures[name] for name in figures if name not in {"cubes", "wrong_labels"}},
            "seconds": self.seconds,
        }


def simulate_campaign(
    experiment: Experiment,
    registry: Registry,
    *,
    recipe: Recipe,
    seed: int,
    rounds: int | None,
    batch_fraction: float = BATCH_FRACTION,
    audit_fraction: float = AUDIT_FRACTION,
) -> Iterator[CampaignRound]:
    """Simulate a campaign and yield each round as it ends.

    A round trains, then verifies a batch. After the last one a closing round trains once more, so that the last
    corrections are learned too. A version that the registry contains is not trained again.

    Parameters
    ----------
    experiment : Experiment
        The release and its truth.
    registry : Registry
        Where the versions go; none is published.
    recipe : Recipe
        How to train.
    seed : int
        Seed of the first member, in every round.
    rounds : int or None
        Largest number of rounds with verification; None continues until the audit gives a reason to stop.
    batch_fraction : float
        Fraction of all cubes that is verified in a round.
    audit_fraction : float
        Fraction of the verified cubes that is taken from the audit order, once the ranking finds less; see
        `audit_size`. 1 verifies in that order alone.

    Yields
    ------
    CampaignRound
        The rounds with verification, and the closing one.

    Raises
    ------
    TooFewLabels
        If a class has too few labelled cubes, perhaps only once labels are corrected: after some rounds.
    """
    labels, n = experiment.crude, len(experiment.cubes)
    order = audit_order(experiment.cubes)
    records: list[RoundRecord] = []
    audits: list[RoundAudit] = []
    verified: dict[str, bool] = {}
    sampled = 0
    parent: str | None = None
    number, closing = 1, False
    while True:
        cubes = [replace(cube, label=labels[cube.name], verified=cube.name in verified) for cube in experiment.cubes]
        name = "closing round" if closing else f"round {number}"
        try:
            trained = experiment.with_prefix(name).train(
                cubes,
                registry,
                recipe=recipe,
                seed=seed,
                parent=parent,
                reason=f"round {number} of a campaign with an oracle",
            )
        except TooFewLabels as error:
            if not verified:
                raise
            raise TooFewLabels(f"{name}, with labels corrected by the truth: {error}, in a larger release") from None
        parent = trained.version
        unverified = {cube: label for cube, label in labels.items() if cube not in verified}
        simulated = CampaignRound(
            round=number,
            version=trained.version,
            seconds=trained.seconds,
            cubes=n,
            verified_before=len(verified),
            wrong_before=len(experiment.wrong(labels)),
            evaluation=experiment.evaluate(trained.scores.values(), unverified),
            audit=None,
            wrong_after=(),
        )
        if closing:
            yield simulated
            return
        size = max(1, round(batch_fraction * n))
        n_audit = audit_size(audits, size=size, verified=len(verified), sampled=sampled, audit_fraction=audit_fraction)
        batch = choose_batch(trained.scores, unverified, order, size=size, n_audit=n_audit)
        sampled += n_audit
        wrong, wrong_after = simulated.wrong_before, []
        for cube in batch:
            true = experiment.truth[cube].label
            verified[cube] = labels[cube] is not true
            labels[cube] = true
            wrong -= verified[cube]
            wrong_after.append(wrong)
        records.append(
            RoundRecord(disagreement=disagreement(trained.scores, experiment.crude), verified=dict(verified))
        )
        audits = audit_rounds(records, order)
        audit = audits[-1]
        yield replace(simulated, audit=audit, wrong_after=tuple(wrong_after))
        closing = audit.stop is not None or number == rounds
        number += 1


def audit_size(audits: Sequence[RoundAudit], *, size: int, verified: int, sampled: int, audit_fraction: float) -> int:
    """Return how many cubes of the next batch are taken from the audit order: none as long as they can wait.

    Then a batch makes up for the earlier ones, with at most `LARGEST_AUDIT_FRACTION` of its cubes, or `audit_fraction`
    if that is more. So a campaign verifies as many cubes at random as with a fixed fraction of each batch, only later.

    Parameters
    ----------
    audits : sequence of RoundAudit
        The rounds so far, oldest first.
    size : int
        Cubes of the batch.
    verified, sampled : int
        Cubes verified so far, and how many of these were taken from the audit order.
    audit_fraction : float
        Fraction of the verified cubes to take from it; with 1 there is no ranking to wait for.
    """
    if audit_fraction < 1.0 and can_wait(audits):
        return 0
    due = round(audit_fraction * (verified + size)) - sampled
    return min(max(1, due), max(1, round(max(audit_fraction, LARGEST_AUDIT_FRACTION) * size)))


def choose_batch(
    scores: Mapping[str, CubeScore],
    unverified: Mapping[str, Label],
    order: Sequence[str],
    *,
    size: int,
    n_audit: int,
) -> list[str]:
    """Return the cubes to verify next, in the order in which they are verified.

    Parameters
    ----------
    scores : mapping of str to CubeScore
        Out of fold, by cube.
    unverified : mapping of str to Label
        Current label of each unverified cube.
    order : sequence of str
        The audit order.
    size : int
        How many cubes to return; fewer if fewer are left.
    n_audit : int
        How many of them are taken from the audit order instead of the ranking.

    Returns
    -------
    list of str
        The cubes that disagree most; and, spread evenly among them, the next ones of the audit order that the ranking
        has not taken.
    """
    of = disagreement(scores, unverified)
    ranking = sorted(of, key=lambda cube: (-of[cube], cube))
    ranked = ranking[: size - n_audit]
    sampled = [cube for cube in order if cube in unverified and cube not in set(ranked)][:n_audit]
    placed = [((k + 0.5) / len(group), cube) for group in (ranked, sampled) for k, cube in enumerate(group)]
    return [cube for _, cube in sorted(placed, key=lambda entry: entry[0])]


def disagreement(scores: Mapping[str, CubeScore], labels: Mapping[str, Label]) -> dict[str, float]:
    """Return 1 − out-of-fold probability of the label, by cube."""
    return {cube: 1.0 - scores[cube].agreement(label) for cube, label in labels.items()}


def verifications_until(rounds: Sequence[CampaignRound], wrong_fraction: float) -> int | None:
    """Return after how many verifications at most `wrong_fraction` of all labels were wrong; None if never."""
    for one in rounds:
        goal = wrong_fraction * one.cubes
        if one.wrong_before <= goal:
            return one.verified_before
        for k, wrong in enumerate(one.wrong_after, start=1):
            if wrong <= goal:
                return one.verified_before + k
    return None
