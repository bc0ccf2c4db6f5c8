"""The promotion gate: a candidate that is worse on verified labels than the published version is kept, not published.

Learning floor. A round has made a version; before the pointer moves, both versions are asked about the cubes that
humans have verified and that neither trained on. Pure: numpy and scipy.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import binom, t

MIN_COMPARED = 20
"""With fewer verified cubes the versions are not compared: only a fall to chance would stand out from seed noise."""
TOLERANCE = 0.02
"""Worsening of the mean Brier score that is always borne: about what the AUROC's falling from 0.92 to 0.90 does."""
SEED_TOLERANCE = 0.33
"""Over the square root of the number of cubes: worsening borne because another seed may bring it. Equally good versions
(AUROC 0.92, a seventh of the noise in their log-odds not shared) differ by 0.13 per cube, one standard deviation."""
CONFIDENCE = 0.9
"""One-sided confidence that there is any worsening at all, asked for on top of the tolerance."""
ACCURACY_LEVEL = 0.01
"""Level of the exact test on classes lost and won: it finds, in many cubes, what stays below the tolerance."""

Floats = npt.NDArray[np.floating[Any]]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a candidate is to be published, and why.

    Parameters
    ----------
    publish : bool
        False: the version is kept and the published one stays.
    reason : str
        One sentence with the numbers and the rule.
    metrics : dict
        What was compared, plain numbers; empty where nothing was.
    """

    publish: bool
    reason: str
    metrics: dict[str, float] = field(default_factory=dict)


def gate(published: Floats | None, candidate: Floats, *, drawn: Bools | None = None, forced: bool = False) -> Verdict:
    """Judge whether a candidate is to be published.

    Parameters
    ----------
    published, candidate : ndarray, shape (n,)
        P(verified label) under the two versions, for each verified cube that held-out members of both have scored.
        `published` is None before the first version is published.
    drawn : ndarray of bool, shape (n,), or None
        Which of the cubes were drawn at random. Where there are at least `MIN_COMPARED` of them, they alone count.
    forced : bool
        True publishes whatever the comparison says, and says so.

    Raises
    ------
    ValueError
        Where the arrays differ in shape or hold what is no probability.

    Notes
    -----
    A candidate is refused on either ground:

    - its Brier score, the mean of (1 − P)², is higher by more than the tolerance, the larger of `TOLERANCE` and
      `SEED_TOLERANCE` / √n, and the lower bound of the difference (paired, Student's t, one-sided `CONFIDENCE`) is
      above 0;
    - it loses more classes than it wins, and the exact sign test on those that changed (McNemar's) has p at most
      `ACCURACY_LEVEL`.

    The standard error alone would refuse equals in one round of ten: two seeds differ, and the difference is real. On
    60 cubes another seed is refused in 1 of 100, a fall of the AUROC from 0.9 to 0.75 in 88, one to 0.5 in 99.

    Most verified cubes were chosen because the *published* version contradicted their label. They hold the cubes it is
    most surely wrong about, so it looks worse on them than it is, and the comparison favours the candidate. Of 600
    simulated cubes, a quarter wrongly labelled, the 60 and the 200 with the highest disagreement were verified: the
    fall to 0.5 was refused in 98 and in 35 of 100. Late in a campaign only cubes drawn at random tell, so `drawn`.

    Each version is compared with the one before; many small worsenings in a row pass.

    References
    ----------
    McNemar 1947, Psychometrika 12, 153, doi:10.1007/BF02295996
    Brier 1950, Monthly Weather Review 78, 1
    """
    if published is None:
        return Verdict(publish=True, reason="published: it is the first version, there is none to compare it with")
    before, after = _probabilities(published), _probabilities(candidate)
    mask = None if drawn is None else np.asarray(drawn, dtype=bool)
    if after.shape != before.shape or (mask is not None and mask.shape != before.shape):
        raise ValueError(
            f"shapes {before.shape} published, {after.shape} candidate, {None if mask is None else mask.shape} drawn "
            "differ; give one value per verified cube that both versions scored"
        )
    at_random = mask is not None and int(mask.sum()) >= MIN_COMPARED
    if mask is not None and at_random:
        before, after = before[mask], after[mask]
    if len(before) < MIN_COMPARED:
        return Verdict(
            publish=True,
            reason=(
                f"published{' as asked' if forced else ''}, not compared: held-out members of both versions scored "
                f"{len(before)} verified cubes, and below {MIN_COMPARED} seed noise looks like harm"
            ),
            metrics={"compared": float(len(before))},
        )
    metrics = _compare(before, after) | {"at_random": float(at_random)}
    worse = metrics["worsening"] > metrics["tolerance"] and metrics["worsening_at_least"] > 0.0
    less_right = metrics["lost"] > metrics["won"] and metrics["sign_test_p"] <= ACCURACY_LEVEL
    refused = worse or less_right
    if forced:
        verdict = f"published because it was asked for, {'against' if refused else 'with'} the gate"
    else:
        verdict = "kept, not published" if refused else "published"
    return Verdict(publish=forced or not refused, reason=f"{verdict}: {_sentence(metrics)}", metrics=metrics)


def _probabilities(values: Floats) -> Floats:
    p = np.asarray(values, dtype=np.float64)
    if p.ndim != 1 or not np.all((p >= 0.0) & (p <= 1.0)):  # NaN fails too
        raise ValueError(f"P(verified label) of shape {p.shape} must be one row of probabilities in [0, 1]")
    return p


def _compare(before: Floats, after: Floats) -> dict[str, float]:
    """Return the paired figures of two versions on at least two cubes, rounded for the card."""
    n = len(before)
    brier_before, brier_after = (1.0 - before) ** 2, (1.0 - after) ** 2
    difference = brier_after - brier_before
    error = float(difference.std(ddof=1)) / math.sqrt(n)
    lost = int(((before >= 0.5) & (after < 0.5)).sum())
    won = int(((before < 0.5) & (after >= 0.5)).sum())
    metrics = {
        "compared": n,
        "brier_published": brier_before.mean(),
        "brier_candidate": brier_after.mean(),
        "worsening": difference.mean(),
        "worsening_error": error,
        "tolerance": max(TOLERANCE, SEED_TOLERANCE / math.sqrt(n)),
        "worsening_at_least": difference.mean() - t.ppf(CONFIDENCE, n - 1) * error,
        "lost": lost,
        "won": won,
        "sign_test_p": binom.sf(lost - 1, lost + won, 0.5),
    }
    return {name: round(float(value), 6) for name, value in metrics.items()}


def _sentence(metrics: dict[str, float]) -> str:
    kind = "randomly drawn verified" if metrics["at_random"] else "verified"
    return (
        f"on {metrics['compared']:.0f} {kind} cubes the Brier score goes from {metrics['brier_published']:.3f} to "
        f"{metrics['brier_candidate']:.3f} (by {metrics['worsening']:+.3f} ± {metrics['worsening_error']:.3f}), "
        f"{metrics['lost']:.0f} right classes are lost and {metrics['won']:.0f} won "
        f"(p = {metrics['sign_test_p']:.3f}); refused is a Brier score that is surely higher and by more than "
        f"{metrics['tolerance']:.3f}, or p ≤ {ACCURACY_LEVEL} with more lost than won"
    )
