"""Scores against the truth: how well an ensemble tells the classes, finds wrong labels, and times emergences.

Above the records, below rounds; used by `campaign` and `compare`. Pure: numpy and scipy, no torch, nothing is read or
written. A figure that is not defined on the cubes at hand (no wrong label, one class only) is None.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from helioloop.data.truth import TrueCube
from helioloop.records import CubeScore, Label

NEAR_FRAMES = 15
"""An emergence frame at most so far from the truth is called near: a day, at MDI's 96 minutes a frame."""

Floats = npt.NDArray[np.floating[Any]]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class KindErrors:
    """How cubes of one kind fare: how many there are, wrongly labelled, and wrongly classed by the ensemble."""

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
        How many were scored.
    wrong_labels : int
        k: how many of the labels in question are wrong.
    auroc : float or None
        Probability that a true emergence has the higher p than a true non-emergence.
    error_auroc : float or None
        Probability that a wrong label has the higher disagreement than a right one.
    precision_at_k : float or None
        Part of wrong labels among the k with the highest disagreement.
    accuracy, true_skill : float or None
        At p = 0.5: part of right classes; true positive rate − false positive rate.
    frame_error_frames : float or None
        Median distance from the true emergence frame over *all* true emergences with a known frame; one that is given
        no frame is infinitely far.
    frame_near : float or None
        Part of the same within `NEAR_FRAMES`.
    interval_coverage : float or None
        Part of those that are given an interval whose true frame lies in it.
    kinds : tuple of KindErrors
        By kind, in alphabetical order; empty where the truth names none.
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
    """Judge out-of-fold scores, and the labels they are to find the wrong ones of.

    Parameters
    ----------
    scores : iterable of CubeScore
        Of cubes that the truth knows.
    truth : mapping
        Truth by cube.
    labels : mapping
        The labels in question, by cube: of the scored cubes or some of them. What a human verified is in question no
        more.
    """
    known = sorted(scores, key=lambda score: score.cube)
    p = np.array([score.p_emergence for score in known], dtype=np.float64)
    emerges = np.array([truth[score.cube].label is Label.EMERGENCE for score in known], dtype=np.bool_)
    asked = [score for score in known if score.cube in labels]
    disagreement = np.array([1.0 - score.agreement(labels[score.cube]) for score in asked], dtype=np.float64)
    wrong = np.array([labels[score.cube] is not truth[score.cube].label for score in asked], dtype=np.bool_)
    error, covered = frame_errors(known, truth)
    return Evaluation(
        cubes=len(known),
        wrong_labels=int(wrong.sum()),
        auroc=auroc(p, emerges) if _both(emerges) else None,
        error_auroc=auroc(disagreement, wrong) if _both(wrong) else None,
        precision_at_k=precision_at_k(disagreement, wrong) if wrong.any() else None,
        accuracy=float(((p >= 0.5) == emerges).mean()) if known else None,
        true_skill=true_skill(p >= 0.5, emerges) if _both(emerges) else None,
        frame_error_frames=float(np.median(error)) if len(error) else None,
        frame_near=float((error <= NEAR_FRAMES).mean()) if len(error) else None,
        interval_coverage=float(covered.mean()) if len(covered) else None,
        kinds=_by_kind(known, truth, labels),
    )


def auroc(values: Floats, positive: Bools) -> float:
    """Return the probability that a positive has the higher value than a negative, ties counting half.

    Parameters
    ----------
    values : ndarray, shape (n,)
        What is ranked.
    positive : ndarray of bool, shape (n,)
        Which are positives; both kinds must occur.
    """
    n_positive = int(positive.sum())
    ranks = rankdata(values)[positive].sum() - n_positive * (n_positive + 1) / 2
    return float(ranks / (n_positive * (len(values) - n_positive)))


def precision_at_k(values: Floats, positive: Bools) -> float:
    """Return the part of positives among the k highest values, where k is the number of positives.

    Parameters
    ----------
    values : ndarray, shape (n,)
        What is ranked; of equal values at the cut each counts for its part.
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
    """Return how far the emergence frames are from the truth.

    Returns
    -------
    error : ndarray, shape (n_emergences,)
        Distance in frames, of all true emergences with a known frame; infinity where no frame is given.
    covered : ndarray of bool, shape (n_given,)
        Of those with a frame: whether the true one lies in the interval, ends included.
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


def _both(mask: Bools) -> bool:
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
