"""The tables that ``helioloop campaign`` and ``compare`` print."""

from collections.abc import Sequence

from helioloop.workflows.benchmark import Run, Spread, over_seeds
from helioloop.workflows.simulate import CampaignRound, verifications_until

GOALS = (0.03, 0.015)
"""Fractions of wrong labels; for each the number of verifications that reached it is printed."""
CAMPAIGN_HEADS = (
    "round",
    "verified",
    "changed",
    "hit rate",
    "wrong left",
    "truly",
    "AUROC",
    "errors",
    "frame",
    "near",
    "in interval",
)
KIND_HEADS = ("kind", "cubes", "wrong at first", "still wrong", "class wrong at first", "class wrong at last")
COMPARISON_COLUMNS = {
    "AUROC": ("auroc", 3),
    "errors": ("error_auroc", 3),
    "P@k": ("precision_at_k", 3),
    "acc": ("accuracy", 3),
    "TSS": ("true_skill", 3),
    "frame": ("frame_error_frames", 1),
    "near": ("frame_near", 2),
    "in interval": ("interval_coverage", 2),
    "seconds": ("seconds", 0),
}
"""Head of a column -> name of the figure, and its decimal places."""

Row = tuple[str, ...]


def campaign_rows(played: Sequence[CampaignRound]) -> list[Row]:
    """Return one row per round of a campaign, heads first.

    ``wrong left`` is the audit's estimate with its interval, ``truly`` the number from the truth.
    """
    return [CAMPAIGN_HEADS, *(_round_row(one) for one in played)]


def _round_row(one: CampaignRound) -> Row:
    audit, evaluation = one.audit, one.evaluation
    hit, left = (audit.hit_rate, audit.wrong_left) if audit else (None, None)
    return (
        str(one.round) if audit else "closing",
        f"{one.verified} ({one.verified / one.cubes:.0%})",
        str(audit.flips) if audit else "-",
        f"{hit.value:.0%}" if hit else "-",
        f"{left.value:.0f} ({left.lo:.0f}–{left.hi:.0f})" if left else "none yet" if audit else "-",
        f"{one.wrong} ({one.wrong / one.cubes:.1%})",
        _figure(evaluation.auroc, 3),
        _figure(evaluation.error_auroc, 3),
        _figure(evaluation.frame_error_frames, 1),
        _figure(evaluation.frame_near, 2),
        _figure(evaluation.interval_coverage, 2),
    )


def goal_sentences(played: Sequence[CampaignRound]) -> list[str]:
    """Return, for each of `GOALS`, after how many verifications so few labels were wrong."""
    return [f"{goal:.1%} wrong labels: {_reached(played, goal)}" for goal in GOALS]


def _reached(played: Sequence[CampaignRound], goal: float) -> str:
    needed = verifications_until(played, goal)
    if needed is None:
        return "never reached"
    return f"reached after {needed} verifications, {needed / played[0].cubes:.0%} of all cubes"


def kind_rows(played: Sequence[CampaignRound]) -> list[Row]:
    """Return one row per kind of cube, heads first; an empty list if the truth gives no kinds."""
    rows = [
        (
            first.kind,
            str(first.cubes),
            str(first.wrong_labels),
            str(last.wrong_labels),
            str(first.wrong_classes),
            str(last.wrong_classes),
        )
        for first, last in zip(played[0].evaluation.kinds, played[-1].evaluation.kinds, strict=True)
    ]
    return [KIND_HEADS, *rows] if rows else []


def comparison_rows(runs: Sequence[Run]) -> list[Row]:
    """Return one row per recipe, mean ± standard deviation over its seeds, heads first."""
    rows: list[Row] = []
    for recipe in dict.fromkeys(run.recipe for run in runs):
        figures = over_seeds([run for run in runs if run.recipe == recipe])
        rows.append((recipe, *(_spread(figures[name], digits) for name, digits in COMPARISON_COLUMNS.values())))
    return [("recipe", *COMPARISON_COLUMNS), *rows]


def _figure(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _spread(spread: Spread | None, digits: int) -> str:
    if spread is None or spread.deviation is None:
        return _figure(spread.mean if spread else None, digits)
    return f"{spread.mean:.{digits}f} ± {spread.deviation:.{digits}f}"
