"""A training round: from a plan to a new version in the registry, not yet published.

`run_round` does all of it in one process tree, for the command line. The worker trains the members in jobs of their own
and then calls `close_round`.
"""

import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from helioloop.errors import RegistryError
from helioloop.evaluation.audit_order import audit_order, sampled_prefix
from helioloop.evaluation.metrics import auroc
from helioloop.evaluation.promotion import Verdict, check_promotion
from helioloop.model.ensemble import keep_growth_odds
from helioloop.model.plan import Plan
from helioloop.model.runtime import Runtime
from helioloop.records.labels import Label
from helioloop.records.scores import CubeScore
from helioloop.registry.card import Card
from helioloop.registry.score_store import write_scores
from helioloop.registry.staging import Staging, gone
from helioloop.registry.versions import Registry
from helioloop.workflows.fields import keep_trained_fields
from helioloop.workflows.parallel import RoundWork, measure_all_fields, score_and_locate, train_members


def run_round(plan: Plan, registry: Registry, runtime: Runtime, *, processes: int = 1, forced: bool = False) -> Card:
    """Train all members of a plan, score and locate all its cubes, and admit the version, unpublished.

    Parameters
    ----------
    plan : Plan
        The round.
    registry : Registry
        Where the version goes. An interrupted round continues where it stopped.
    runtime : Runtime
        Device, loader and reports; with several processes its `load` must be picklable.
    processes : int
        Processes that train, score and locate at the same time; the result does not depend on their number.
    forced : bool
        True if the version may be published even if it is worse; see `check_promotion`.

    Raises
    ------
    RegistryError
        If another process makes the same round now.
    """
    with Staging(registry.root).locked(plan.fingerprint) as staging:
        plan.save(staging)
        work = RoundWork(plan=plan, staging=staging, runtime=runtime)
        train_members(work, processes=processes)
        keep_growth_odds(plan, staging, runtime)
        scores = score_and_locate(work, processes=processes)
        keep_trained_fields(plan, staging, lambda cubes: measure_all_fields(work, cubes, processes=processes))
        return close_round(plan, staging, registry, scores, forced=forced)


def close_round(
    plan: Plan,
    staging: Path,
    registry: Registry,
    scores: Sequence[CubeScore],
    *,
    forced: bool = False,
    blind: Collection[str] | None = None,
    used_names: Collection[str] = (),
    confirm: Callable[[], None] = lambda: None,
) -> Card:
    """Write card and scores into the staging folder and admit it as the next version, unpublished.

    The card contains the verdict of the promotion check, so that a version whose closing was interrupted right after
    this can still be published by that verdict. It contains the number of publications before the check, too: where
    another version was published since, the verdict no longer holds.

    Parameters
    ----------
    plan : Plan
        The round; all its members are trained.
    staging : Path
        Its staging folder.
    registry : Registry
        Where the version goes.
    scores : sequence of CubeScore
        Of all cubes of the plan that could be read, with emergence frames.
    forced : bool
        True if the version may be published even if it is worse; see `check_promotion`.
    blind : collection of str or None
        Cubes that humans answered without a prediction; None if all verified cubes were.
    used_names : collection of str
        Names of versions that must not be given again; see `Registry.admit`.
    confirm : callable
        Called last before the folder becomes a version; raises where this process may not admit it any more.

    Raises
    ------
    RegistryError
        If the staging folder is gone or incomplete; see `Registry.admit`.
    """
    _replace_scores(staging, scores)
    publications = len(registry.history())
    verdict = compare_with_published(plan, registry, scores, forced=forced, blind=blind)
    card = Card(
        version="",
        parent=plan.parent,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        reason=plan.reason,
        fingerprint=plan.fingerprint,
        label_fingerprint=plan.label_fingerprint,
        code_version=plan.code_version,
        recipe=plan.recipe.as_dict(),
        instrument=plan.instrument.as_dict(),
        profile=plan.profile,
        labels={
            cube.name: {
                "label": str(cube.label),
                "verified": cube.verified,
                "fold": plan.folds[cube.name],
                "sha256": cube.sha256,
                "release": cube.release,
            }
            for cube in plan.labelled
        },
        members={
            member.name: {"fold": member.fold, "seed": member.seed, "file": member.file} for member in plan.members
        },
        metrics=round_metrics(scores, {cube.name: cube.label for cube in plan.labelled if cube.label}),
        verdict={**asdict(verdict), "publications": publications},
    )
    return registry.admit(staging, card, used_names=used_names, confirm=confirm)


def _replace_scores(staging: Path, scores: Sequence[CubeScore]) -> None:
    """Write the scores of a round; a staging folder that is gone is not made again."""
    shutil.rmtree(staging / "scores", ignore_errors=True)  # left by an interrupted closing
    try:
        (staging / "scores").mkdir()
    except FileNotFoundError:
        raise gone(staging) from None
    write_scores(staging / "scores", scores, make_folder=False)


def compare_with_published(
    plan: Plan,
    registry: Registry,
    scores: Sequence[CubeScore],
    *,
    forced: bool = False,
    blind: Collection[str] | None = None,
) -> Verdict:
    """Return the promotion check's verdict on a candidate, from its scores and those of the published version.

    Compared are the verified cubes that out-of-fold members of both versions scored, equal in name and content. The
    audit sample is the start of the audit order, as far as it was answered blind, of all labelled cubes that both
    versions contain. A release that joined since, of which nothing is verified yet, therefore does not shorten it.
    """
    published = registry.published()
    if published is None and registry.history():
        raise RegistryError(
            f"{registry.root} has a history and no published version, so there is nothing to compare with; "
            "reconciliation publishes the last one again, and the round is then closed"
        )
    if published is None:
        return check_promotion(None, np.empty(0), forced=forced)
    before = registry.scores(published, curves=False)
    after = {score.key: score for score in scores}
    known = registry.card(published).labels
    scored = [cube for cube in plan.labelled if cube.key in after and cube.name in known]
    verified = {cube.name: cube.label for cube in scored if cube.verified and cube.label is not None}
    answered = verified.keys() if blind is None else verified.keys() & set(blind)
    sample = sampled_prefix(audit_order(scored), answered)
    pairs = [(before[key], after[key]) for key in sorted(after) if key[0] in verified and key in before]
    return check_promotion(
        np.array([was.probability(verified[was.cube]) for was, _ in pairs]),
        np.array([now.probability(verified[now.cube]) for _, now in pairs]),
        sampled=np.array([now.cube in sample for _, now in pairs], dtype=np.bool_),
        forced=forced,
    )


def round_metrics(scores: Sequence[CubeScore], labels: Mapping[str, Label]) -> dict[str, float]:
    """Return a round's figures: counts, out-of-fold agreement with the current labels, and AUROC against them."""
    labelled = [(score, labels[score.cube]) for score in scores if score.cube in labels]
    agreement = np.array([score.agreement(label) for score, label in labelled])
    emergence = np.array([label is Label.EMERGENCE for _, label in labelled])
    metrics = {
        "cubes": float(len(scores)),
        "labelled": float(len(labels)),
        "emergences": float(sum(label is Label.EMERGENCE for label in labels.values())),
    }
    if labelled:
        metrics["agreement"] = float(agreement.mean())
        metrics["disagreeing"] = float((agreement < 0.5).mean())
    if emergence.any() and not emergence.all():
        metrics["auroc"] = auroc(np.array([score.p_emergence for score, _ in labelled]), emergence)
    return {name: round(value, 6) for name, value in metrics.items()}
