"""The fixed reference: features that a solar physicist would measure by hand on a cube, and a random forest on them.

It uses the same crude labels and folds as the networks and never changes, so it measures how hard a release is. For
comparison, cleanlab ranks the labels by the networks' own probabilities.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import median_filter

from helioloop.evaluation.metrics import auroc, precision_at_k
from helioloop.records.instrument import Instrument

STRONG_GAUSS = 60.0
"""A pixel counts as flux above this: two to three times the noise of one MDI magnetogram."""
SEEN_FRACTION = 0.5
"""A frame is used if at least this fraction of the patch is on the disk."""
EPOCHS = 10
"""Number of equal epochs of the used frames; fluxes are read in the first, the middle and the last one."""
SMOOTH_FRAMES = 9
"""Width of the running median, for noise and single bad frames."""
RISE_FRAMES = 20
"""A rise is the difference of the mean levels over this many frames before and after: 32 hours of MDI."""
TREES = 500
MIN_LEAF = 10
"""Cubes in a leaf: with a quarter of the labels wrong, fewer would learn the mistakes."""

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


def hand_made_features(cube: npt.NDArray[np.floating[Any]], instrument: Instrument) -> dict[str, float]:
    """Return the hand-made features of a gridded cube: two dozen numbers, by name.

    Parameters
    ----------
    cube : ndarray, shape (n_frames, size_px, size_px)
        Fields scaled to [0, 1], NaN off-disk.
    instrument : Instrument
        The grid.

    Notes
    -----
    Fluxes are means over the on-disk pixels, of the whole patch and of its middle, so they do not depend on how much of
    the patch is on the disk. The time at which the patch enters the disk is not a feature, because the crude labels
    follow from it.
    """
    field = ((2.0 * cube.astype(np.float32) - 1.0) * instrument.clip_gauss).astype(np.float32)
    disk = np.isfinite(field)
    strong = np.where(np.abs(field) > STRONG_GAUSS, field, np.float32(0.0))  # NaN compares false
    on_disk = disk.mean(axis=(1, 2))
    seen = np.flatnonzero(on_disk >= min(SEEN_FRACTION, on_disk.max()))
    edge = instrument.size_px // 4
    middle = np.s_[:, edge:-edge, edge:-edge]
    unsigned = _level(np.abs(strong), disk, seen)
    features = _course(unsigned, seen, "patch") | _course(
        _level(np.abs(strong[middle]), disk[middle], seen), seen, "middle"
    )
    imbalance = np.abs(_level(strong, disk, seen)) / (unsigned + 1.0)
    epochs = np.array_split(seen, EPOCHS)
    for name, frames in (("first", epochs[0]), ("middle", epochs[EPOCHS // 2]), ("last", epochs[-1])):
        features[f"flux_{name}_epoch"] = float(np.log1p(np.median(unsigned[frames])))
        features[f"imbalance_{name}_epoch"] = float(np.median(imbalance[frames]))
    thirds = np.array_split(seen, 3)
    for name, frames in (("early", thirds[0]), ("late", thirds[-1])):
        features |= {f"{name}_{what}": value for what, value in _geometry(strong[frames].mean(axis=0)).items()}
    return features


def out_of_fold(
    features: Sequence[Mapping[str, float]], emergence: Bools, folds: npt.NDArray[np.int64], *, seed: int
) -> Floats:
    """Return each cube's probability of emergence by a forest that was not trained on its fold.

    Parameters
    ----------
    features : sequence of mapping, length n
        Of each cube, all with the same names.
    emergence : ndarray of bool, shape (n,)
        Crude labels.
    folds : ndarray of int, shape (n,)
        The fold of each cube.
    seed : int
        Seed of the forests.
    """
    from sklearn.ensemble import RandomForestClassifier  # noqa: PLC0415 - takes seconds, and not every part needs it

    table = np.array([[one[name] for name in features[0]] for one in features])
    p = np.empty(len(table))
    for fold in np.unique(folds):
        held_out = folds == fold
        forest = RandomForestClassifier(TREES, min_samples_leaf=MIN_LEAF, random_state=seed, n_jobs=-1)
        forest.fit(table[~held_out], emergence[~held_out])
        p[held_out] = forest.predict_proba(table[held_out])[:, 1]
    return p


def ranked(p_emergence: Floats, emergence: Bools, wrong: Bools) -> dict[str, float]:
    """Return how well disagreement with `p_emergence` ranks the wrong labels."""
    disagreement = np.where(emergence, 1.0 - p_emergence, p_emergence)
    return {"error_auroc": auroc(disagreement, wrong), "precision_at_k": precision_at_k(disagreement, wrong)}


def cleanlab_ranked(p_emergence: Floats, emergence: Bools, wrong: Bools) -> dict[str, float]:
    """Return how well cleanlab's label quality ranks the wrong labels, and how good its list of issues is.

    Returns
    -------
    dict
        ``error_auroc`` and ``precision_at_k`` of each ranking; the number of ``issues``, the fraction of them that is
        wrong (``precision``), and the fraction of the wrong labels among them (``recall``).
    """
    from cleanlab.filter import find_label_issues  # noqa: PLC0415 - as above
    from cleanlab.rank import get_label_quality_scores  # noqa: PLC0415

    labels = emergence.astype(int)
    probabilities = np.column_stack((1.0 - p_emergence, p_emergence))
    figures: dict[str, float] = {}
    for method in ("self_confidence", "normalized_margin"):
        quality = get_label_quality_scores(labels, probabilities, method=method)
        figures[f"{method}_error_auroc"] = auroc(-quality, wrong)
        figures[f"{method}_precision_at_k"] = precision_at_k(-quality, wrong)
    issues = np.asarray(find_label_issues(labels, probabilities, n_jobs=1), dtype=bool)
    figures["issues"] = float(issues.sum())
    figures["precision"] = float(wrong[issues].mean()) if issues.any() else 0.0
    figures["recall"] = float(issues[wrong].mean())
    return figures


def _level(strength: npt.NDArray[np.floating[Any]], disk: Bools, seen: npt.NDArray[np.int64]) -> Floats:
    """Return the mean over the on-disk pixels, smoothed in time; frames not used are interpolated."""
    area = np.maximum(disk.sum(axis=(1, 2)), 1)
    level = strength.sum(axis=(1, 2), dtype=np.float64) / area
    filled = np.interp(np.arange(len(level)), seen, level[seen])
    return np.asarray(median_filter(filled, SMOOTH_FRAMES, mode="nearest"))


def _course(level: Floats, seen: npt.NDArray[np.int64], name: str) -> dict[str, float]:
    """Return features of a flux: when and how far it rises, when it first appears, and ratios of its levels."""
    frames = np.arange(seen[0], seen[-1] + 1)
    rises = [
        np.mean(level[frame : frame + RISE_FRAMES]) - np.mean(level[max(0, frame - RISE_FRAMES) : max(1, frame)])
        for frame in frames
    ]
    base, top = np.quantile(level, (0.1, 0.98))
    entry = float(np.median(level[seen[:RISE_FRAMES]]))
    third = -(-len(seen) // 3)
    early, late = np.median(level[seen[:third]]), np.median(level[seen[-third:]])
    figures = {
        "largest_rise_frame": float(frames[np.argmax(rises)]),
        "largest_rise_to_maximum": float(max(rises) / (top + 1.0)),
        "entry_to_maximum": float(np.log((entry + 1.0) / (top + 1.0))),
        "late_to_early": float(np.log((late + 1.0) / (early + 1.0))),
        "maximum": float(np.log1p(top)),
    }
    for percent in (10, 50):
        reached = level >= base + percent / 100 * (top - base)
        figures[f"first_at_{percent}_percent_frame"] = float(np.argmax(reached))
    return {f"{name}_{what}": value for what, value in figures.items()}


def _geometry(strong: npt.NDArray[np.floating[Any]]) -> dict[str, float]:
    """Return how far apart the centroids of the polarities are, and how far the flux spreads, in pixels."""
    y, x = np.mgrid[: strong.shape[0], : strong.shape[1]].astype(np.float64)
    positive, negative = (_centroid(np.maximum(sign * strong, 0.0), y, x) for sign in (1, -1))
    flux = np.abs(strong)
    centre = _centroid(flux, y, x)
    square = (y - centre[0]) ** 2 + (x - centre[1]) ** 2
    return {
        "separation": float(np.hypot(positive[0] - negative[0], positive[1] - negative[1])),
        "spread": float(np.sqrt((flux * square).sum() / (flux.sum() + 1e-6))),
    }


def _centroid(weight: npt.NDArray[np.floating[Any]], y: Floats, x: Floats) -> tuple[float, float]:
    """Return the centroid of a weight; the middle of the patch if all weights are zero."""
    total = float(weight.sum()) + 1e-6
    return (
        float(((weight * y).sum() + 1e-6 * y.mean()) / total),
        float(((weight * x).sum() + 1e-6 * x.mean()) / total),
    )
