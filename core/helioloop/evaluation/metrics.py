"""Scores against the truth: how well an ensemble separates the classes, finds wrong labels and locates emergences.

In go scores, truth and labels; out comes an `Evaluation`. A figure that is undefined for the given cubes (no wrong
label, one class only) is None.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields

import numpy as np
from scipy.stats import rankdata

from helioloop.data.truth import TrueCube
from helioloop.evaluation.probabilities import Bools, Floats
from helioloop.records.labels import Label
from helioloop.records.scores import CubeScore

NEAR_FRAMES = 15
"""An emergence frame is near if it is at most this far from the truth: one day at MDI's 96 minutes per frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KindErrors:
    """Counts for the cubes of one kind: all, those with a wrong label, those that the ensemble classifies wrongly."""

    kind: str
    cubes: int
    wrong_labels: int
    wrong_classes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """An ensemble's scores against the truth.

    Parameters
    ----------
    cubes : int
        Scored cubes.
    wrong_labels : int
        Wrong labels among those given, k.
    auroc : float or None
        Probability that a true emergence has a higher p than a true non-emergence.
    error_auroc : float or None
        Probability that a wrong label has a higher disagreement than a right one.
    precision_at_k : float or None
        Fraction of wrong labels among the k with the highest disagreement. With k wrong labels it equals recall at k.
    accuracy, true_skill : float or None
        At p = 0.5: fraction of right classes; true positive rate − false positive rate.
    frame_error_frames : float or None
        Median distance from the true emergence frame over *all* true emergences with a known frame; infinity for one
        without a located frame.
    frame_near : float or None
        Fraction of the same cubes within `NEAR_FRAMES`.
    interval_coverage : float or None
        Fraction of those with a located frame whose interval contains the true one.
    kinds : tuple of KindErrors
        By kind, in alphabetical order; empty if the truth has no kinds.
    """

    cubes: int
    wrong_labels: int
    auroc: float | None
    error_auroc: float | None
    precision_at_k: float | None
    accuracy: float | None
    true_skill: float | None
    frame_error_frames: float | None
    frame_near: float | None
    interval_coverage: float | None
    kinds: tuple[KindErrors, ...] = field(repr=False)

    def figures(self) -> dict[str, float | None]:
        """Return all figures by name, counts included, kinds not."""
        return {entry.name: getattr(self, entry.name) for entry in fields(self) if entry.name != "kinds"}


def evaluate(scores: Iterable[CubeScore], truth: Mapping[str, TrueCube], *, labels: Mapping[str, Label]) -> Evaluation:
    """Evaluate out-of-fold scores, and how well they find the wrong ones among some labels.

    Parameters
    ----------
    scores : iterable of CubeScore
        Of cubes that the truth contains.
    truth : mapping
        Truth by cube.
    labels : mapping
        Labels among which wrong ones are searched, by cube: of all scored cubes or of the unverified ones.
    """
    known = sorted(scores, key=lambda score: score.cube)
    p = np.array([score.p_emergence for score in known], dtype=np.float64)
    emerges = np.array([truth[score.cube].label is Label.EMERGENCE for score in known], dtype=np.bool_)
    labelled = [score for score in known if score.cube in labels]
    disagreement = np.array([1.0 - score.agreement(labels[score.cube]) for score in labelled], dtype=np.float64)
    wrong = np.array([labels[score.cube] is not truth[score.cube].label for score in labelled], dtype=np.bool_)
    error, covered = frame_errors(known, truth)
    return Evaluation(
        cubes=len(known),
        wrong_labels=int(wrong.sum()),
        auroc=auroc(p, emerges) if _has_both(emerges) else None,
        error_auroc=auroc(disagreement, wrong) if _has_both(wrong) else None,
        precision_at_k=precision_at_k(disagreement, wrong) if wrong.any() else None,
        accuracy=float(((p >= 0.5) == emerges).mean()) if known else None,
        true_skill=true_skill(p >= 0.5, emerges) if _has_both(emerges) else None,
        frame_error_frames=float(np.median(error)) if len(error) else None,
        frame_near=float((error <= NEAR_FRAMES).mean()) if len(error) else None,
        interval_coverage=float(covered.mean()) if len(covered) else None,
        kinds=_by_kind(known, truth, labels),
    )


def auroc(values: Floats, positive: Bools) -> float:
    """Return the probability that a positive has a higher value than a negative; ties count half.

    Parameters
    ----------
    values : ndarray, shape (n,)
        What is ranked.
    positive : ndarray of bool, shape (n,)
        Which are positives; there must be both positives and negatives.
    """
    n_positive = int(positive.sum())
    ranks = rankdata(values)[positive].sum() - n_positive * (n_positive + 1) / 2
    return float(ranks / (n_positive * (len(values) - n_positive)))


def precision_at_k(values: Floats, positive: Bools) -> float:
    """Return the fraction of positives among the k highest values, where k is the number of positives.

    Parameters
    ----------
    values : ndarray, shape (n,)
        What is ranked; equal values at the cut share the remaining places.
    positive : ndarray of bool, shape (n,)
        Which are positives; at least one.
    """
    k = int(positive.sum())
    cut = np.sort(values)[-k]
    above, at = values > cut, values == cut
    return float((positive[above].sum() + (k - above.sum()) * positive[at].mean()) / k)


def true_skill(predicted: Bools, true: Bools) -> float:
    """Return the true skill statistic, true positive rate − false positive rate; both classes must occur in `true`.

    References
    ----------
    Bloomfield et al. 2012, ApJ Letters 747, L41, doi:10.1088/2041-8205/747/2/L41
    """
    return float(predicted[true].mean() - predicted[~true].mean())


def frame_errors(scores: Iterable[CubeScore], truth: Mapping[str, TrueCube]) -> tuple[Floats, Bools]:
    """Return the distances of the emergence frames from the truth, and which intervals contain it.

    Returns
    -------
    error : ndarray, shape (n_emergences,)
        Distance in frames, of all true emergences with a known frame; infinity without a located frame.
    covered : ndarray of bool, shape (n_located,)
        Of those with a located frame: whether the interval contains the true one, ends included.
    """
    error, covered = [], []
    for score in scores:
        true = truth[score.cube].frame
        if truth[score.cube].label is not Label.EMERGENCE or true is None:
            continue
        found = score.emergence
        error.append(np.inf if found is None else float(abs(found.frame - true)))
        if found is not None:
            covered.append(found.frame_lo <= true <= found.frame_hi)
    return np.array(error, dtype=np.float64), np.array(covered, dtype=np.bool_)


def _has_both(mask: Bools) -> bool:
    return bool(mask.any() and not mask.all())


def _by_kind(
    scores: Iterable[CubeScore], truth: Mapping[str, TrueCube], labels: Mapping[str, Label]
) -> tuple[KindErrors, ...]:
    of_kind: dict[str, list[CubeScore]] = {}
    for score in scores:
        if truth[score.cube].kind:
            of_kind.setdefault(truth[score.cube].kind, []).append(score)
    return tuple(
        KindErrors(
            kind=kind,
            cubes=len(members),
            wrong_labels=sum(s.cube in labels and labels[s.cube] is not truth[s.cube].label for s in members),
            wrong_classes=sum(s.predicted is not truth[s.cube].label for s in members),
        )
        for kind, members in sorted(of_kind.items())
    )
