"""A whole campaign with an oracle for the human: how much must be verified until few labels are wrong.

Top of the core, above `experiment`. Train on the current labels, rank the unverified by disagreement, verify a batch,
correct, train again; the truth table answers in place of the astronomer, who is taken to be always right. What a real
campaign can only estimate (`book`) is known here too, so that the two can be held against each other.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from helioloop.evaluation.audit import SALT, Line, Page, audit_order, audit_rounds
from helioloop.evaluation.metrics import Evaluation
from helioloop.model.recipes import Recipe
from helioloop.records import CubeScore, Label
from helioloop.registry.versions import Registry
from helioloop.workflows.experiment import Experiment, Trained

BATCH_SHARE = 0.1
"""Part of all cubes that is verified in a round."""
CHECK_SHARE = 0.1
"""Part of a batch that is drawn by the check list instead of the ranking."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignRound:
    """One round of a campaign that an oracle plays.

    Parameters
    ----------
    round : int
        Its number, from 1.
    version : str
        The version that was trained in it.
    seconds : float or None
        How long that took; None where the version was there already.
    cubes : int
        How many take part.
    verified_before : int
        Cubes verified before it: those labels the version has learned from.
    wrong_before : int
        Labels then wrong.
    evaluation : Evaluation
        The version against the truth; wrong labels are searched among the unverified.
    line : Line or None
        What the book says once the round's batch is verified; None in the closing round, which only trains.
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
    line: Line | None
    wrong_after: tuple[int, ...] = field(repr=False)

    @property
    def wrong(self) -> int:
        """Labels still wrong when the round ended."""
        return self.wrong_after[-1] if self.wrong_after else self.wrong_before

    @property
    def verified(self) -> int:
        """Cubes verified when the round ended."""
        return self.verified_before + len(self.wrong_after)

    def row(self) -> dict[str, str | float | None]:
        """Return the round as a row of the campaign's table."""
        line = self.line
        hit, left = (line.hit_rate, line.wrong_left) if line else (None, None)
        figures = self.evaluation.figures()
        return {
            "round": self.round,
            "version": self.version,
            "trained_on_verified": self.verified_before,
            "verified": self.verified,
            "verified_share": self.verified / self.cubes,
            "verifications": len(self.wrong_after),
            "flips": line.flips if line else 0,
            "ranked": line.ranked if line else 0,
            "hits": line.hits if line else 0,
            "hit_rate": hit.value if hit else None,
            "hit_rate_lo": hit.lo if hit else None,
            "hit_rate_hi": hit.hi if hit else None,
            "drawn": line.drawn if line else None,
            "drawn_wrong": line.drawn_wrong if line else None,
            "wrong_left": left.value if left else None,
            "wrong_left_lo": left.lo if left else None,
            "wrong_left_hi": left.hi if left else None,
            "true_wrong_left": self.wrong,
            "true_wrong_share": self.wrong / self.cubes,
            "stop": line.stop if line else None,
            **{name: figures[name] for name in figures if name not in {"cubes", "wrong_labels"}},
            "seconds": self.seconds,
        }


def run_campaign(
    experiment: Experiment,
    registry: Registry,
    *,
    recipe: Recipe,
    seed: int,
    rounds: int | None,
    batch_share: float = BATCH_SHARE,
    check_share: float = CHECK_SHARE,
) -> Iterator[CampaignRound]:
    """Play a campaign, giving each round as it ends.

    A round trains, then verifies a batch. After the last one a closing round trains once more, so that the labels
    corrected last are learned too. Rounds that the registry holds are not trained again.

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
        At most so many rounds of verification; None goes on until the book says stop or every label is verified.
    batch_share, check_share : float
        Part of all cubes that is verified in a round, and part of these that the check list names.

    Yields
    ------
    CampaignRound
        The rounds of verification, and the closing one.

    Raises
    ------
    TooFewLabels
        If a class has too few labelled cubes.
    """
    labels, n = experiment.crude, len(experiment.cubes)
    order = audit_order(experiment.cubes, salt=SALT)
    pages: list[Page] = []
    verified: dict[str, bool] = {}
    parent: str | None = None
    number, closing = 1, False
    while True:
        cubes = [replace(cube, label=labels[cube.name], verified=cube.name in verified) for cube in experiment.cubes]
        trained: Trained = experiment.saying("closing round" if closing else f"round {number}").train(
            cubes,
            registry,
            recipe=recipe,
            seed=seed,
            parent=parent,
            reason=f"round {number} of a campaign with an oracle",
        )
        parent = trained.version
        open_labels = {cube: label for cube, label in labels.items() if cube not in verified}
        played = CampaignRound(
            round=number,
            version=trained.version,
            seconds=trained.seconds,
            cubes=n,
            verified_before=len(verified),
            wrong_before=len(experiment.wrong(labels)),
            evaluation=experiment.judge(trained.scores.values(), open_labels),
            line=None,
            wrong_after=(),
        )
        if closing:
            yield played
            return
        batch = draw_batch(
            trained.scores, open_labels, order, size=max(1, round(batch_share * n)), check_share=check_share
        )
        wrong_after: list[int] = []
        for cube in batch:
            true = experiment.truth[cube].label
            verified[cube] = labels[cube] is not true
            labels[cube] = true
            wrong_after.append((wrong_after[-1] if wrong_after else played.wrong_before) - verified[cube])
        pages.append(Page(disagreement=disagreement(trained.scores, experiment.crude), verified=dict(verified)))
        line = audit_rounds(pages, order)[-1]
        yield replace(played, line=line, wrong_after=tuple(wrong_after))
        closing = line.stop is not None or number == rounds
        number += 1


def draw_batch(
    scores: Mapping[str, CubeScore],
    unverified: Mapping[str, Label],
    order: Sequence[str],
    *,
    size: int,
    check_share: float,
) -> list[str]:
    """Return the cubes to verify next, in the order in which that is done.

    Parameters
    ----------
    scores : mapping
        Out of fold, by cube.
    unverified : mapping
        Current label of each unverified cube.
    order : sequence of str
        The check list.
    size : int
        How many to return; fewer where fewer are left.
    check_share : float
        Part of them, at least one, that the check list names instead of the ranking.

    Returns
    -------
    list of str
        Those that disagree most; and, spread evenly among them, the next of the check list, which passes over what the
        ranking has taken.
    """
    of = disagreement(scores, unverified)
    ranking = sorted(of, key=lambda cube: (-of[cube], cube))
    checks = max(1, round(check_share * size))
    ranked = ranking[: size - checks]
    checked = [cube for cube in order if cube in unverified and cube not in set(ranked)][:checks]
    placed = [((k + 0.5) / len(part), cube) for part in (ranked, checked) for k, cube in enumerate(part)]
    return [cube for _, cube in sorted(placed, key=lambda entry: entry[0])]


def disagreement(scores: Mapping[str, CubeScore], labels: Mapping[str, Label]) -> dict[str, float]:
    """Return 1 − out-of-fold probability of the label, by cube."""
    return {cube: 1.0 - scores[cube].agreement(label) for cube, label in labels.items()}


def verified_until(rounds: Sequence[CampaignRound], wrong_share: float) -> int | None:
    """Return after how many verifications at most `wrong_share` of all labels were wrong; None if never."""
    for played in rounds:
        goal = wrong_share * played.cubes
        if played.wrong_before <= goal:
            return played.verified_before
        for k, wrong in enumerate(played.wrong_after, start=1):
            if wrong <= goal:
                return played.verified_before + k
    return None
