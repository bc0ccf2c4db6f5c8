"""The promotion check: a candidate that is worse on verified labels than the published version is rejected.

In go the probabilities that both versions give to the verified labels, by members that were not trained on the cube;
out comes a verdict with its reason. It is computed once a round has made a version, before that is published.
"""

import math
from dataclasses import dataclass, field

import numpy as np
from scipy.stats import binomtest, t

from helioloop.evaluation.probabilities import Bools, Floats, as_probabilities

MIN_COMPARED = 20
"""With fewer verified cubes the versions are not compared: only a fall to chance would exceed the seed noise."""
TOLERANCE = 0.02
"""Worsening of the mean Brier score that is always accepted: about that of an AUROC falling from 0.92 to 0.90."""
SEED_TOLERANCE = 0.33
"""Divided by the square root of the number of cubes: worsening that is accepted because another seed may cause it.
Equally good versions (AUROC 0.92, a seventh of the noise in their log-odds not shared) differ by 0.13 per cube, one
standard deviation."""
CONFIDENCE = 0.9
"""One-sided confidence that there is any worsening at all, required in addition to the tolerance."""
ACCURACY_LEVEL = 0.01
"""Level of the exact sign test on classes lost and won. On many cubes it finds harm that is below the tolerance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a candidate may be published, and why.

    Parameters
    ----------
    publish : bool
        False if the candidate is rejected; the published version then remains.
    reason : str
        One sentence with the numbers and the rule.
    metrics : dict
        The figures compared, plain numbers; empty if none were.
    """

    publish: bool
    reason: str
    metrics: dict[str, float] = field(default_factory=dict)


def check_promotion(
    published: Floats | None, candidate: Floats, *, sampled: Bools | None = None, forced: bool = False
) -> Verdict:
    """Return whether a candidate may be published.

    Parameters
    ----------
    published, candidate : ndarray, shape (n,)
        P(verified label) under the two versions, for each verified cube that out-of-fold members of both have scored.
        `published` is None before the first version is published.
    sampled : ndarray of bool, shape (n,), or None
        Which of the cubes are in the audit sample. If at least `MIN_COMPARED` are, only these are compared.
    forced : bool
        True publishes even a candidate that is worse; the reason then says so.

    Raises
    ------
    ValueError
        If the arrays differ in shape or contain a value that is not a probability.

    Notes
    -----
    With p and q the published and the candidate's probabilities of the n verified labels, and
    dᵢ = (1 − qᵢ)² − (1 − pᵢ)² the increase of the Brier score, a candidate is rejected if either holds::

        mean(d) > max(TOLERANCE, SEED_TOLERANCE / √n)   and   mean(d) − t · std(d) / √n > 0
        lost > won   and   P(X ≥ lost) ≤ ACCURACY_LEVEL  for  X ~ Binomial(lost + won, ½)

    where t is the `CONFIDENCE` quantile of Student's distribution with n − 1 degrees of freedom, `lost` counts the
    cubes whose class was right (p ≥ ½) and becomes wrong (q < ½), and `won` the opposite. The second line is the exact
    sign test of McNemar.

    The standard error alone would reject equally good versions in one round of ten: two seeds differ, and the
    difference is real. On 60 cubes another seed is rejected in 1 of 100 cases, a fall of the AUROC from 0.9 to 0.75 in
    88, one to 0.5 in 99.

    Most verified cubes were chosen because the *published* version contradicted their label. They include the cubes
    that it is most wrong about, so it looks worse on them than it is, and the comparison favours the candidate. Of 600
    simulated cubes, a quarter wrongly labelled, the 60 and the 200 with the highest disagreement were verified: the
    fall to 0.5 was rejected in 98 and in 35 of 100 cases. Late in a campaign only the audit sample is informative,
    hence `sampled`.

    Each version is compared with the one before; many small worsenings in a row pass.

    References
    ----------
    McNemar 1947, Psychometrika 12, 153, doi:10.1007/BF02295996
    Brier 1950, Monthly Weather Review 78, 1
    """
    if published is None:
        return Verdict(publish=True, reason="published: it is the first version, so there is none to compare it with")
    before, after = (as_probabilities(values, what="P(verified label)") for values in (published, candidate))
    mask = np.zeros(len(before), dtype=np.bool_) if sampled is None else np.asarray(sampled, dtype=np.bool_)
    if not before.shape == after.shape == mask.shape:
        raise ValueError(
            f"shapes {before.shape} published, {after.shape} candidate, {mask.shape} sampled differ; give one value "
            "per verified cube that both versions scored"
        )
    at_random = int(mask.sum()) >= MIN_COMPARED
    if at_random:
        before, after = before[mask], after[mask]
    if len(before) < MIN_COMPARED:
        return Verdict(
            publish=True,
            reason=(
                f"published{' as requested' if forced else ''}, not compared: out-of-fold members of both versions "
                f"scored {len(before)} verified cubes, and with fewer than {MIN_COMPARED} seed noise looks like harm"
            ),
            metrics={"compared": float(len(before))},
        )
    metrics = _compare(before, after) | {"at_random": float(at_random)}
    worse = metrics["worsening"] > metrics["tolerance"] and metrics["worsening_at_least"] > 0.0
    less_right = metrics["lost"] > metrics["won"] and metrics["sign_test_p"] <= ACCURACY_LEVEL
    rejected = worse or less_right
    if forced:
        verdict = f"published because it was requested, {'against' if rejected else 'with'} the promotion check"
    else:
        verdict = "rejected by the promotion check" if rejected else "published"
    return Verdict(publish=forced or not rejected, reason=f"{verdict}: {_sentence(metrics)}", metrics=metrics)


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
        "sign_test_p": binomtest(lost, lost + won, alternative="greater").pvalue if lost + won else 1.0,
    }
    return {name: round(float(value), 6) for name, value in metrics.items()}


def _sentence(metrics: dict[str, float]) -> str:
    kind = "randomly sampled verified" if metrics["at_random"] else "verified"
    return (
        f"on {metrics['compared']:.0f} {kind} cubes the Brier score changes from {metrics['brier_published']:.3f} to "
        f"{metrics['brier_candidate']:.3f} (by {metrics['worsening']:+.3f} ± {metrics['worsening_error']:.3f}), "
        f"{metrics['lost']:.0f} right classes are lost and {metrics['won']:.0f} won "
        f"(p = {metrics['sign_test_p']:.3f}); a candidate is rejected if its Brier score is significantly "
        f"higher and by more than {metrics['tolerance']:.3f}, or if p ≤ {ACCURACY_LEVEL} with more lost than won"
    )
