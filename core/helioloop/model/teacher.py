"""Targets of the cubes that a member is trained on, with a teacher that has seen none of their labels.

Crude labels are wrong most often where a region emerges weakly or inside an older one. A network that learns them
learns that rule, and forgets what its pretrained weights knew. So the target of a cube whose label nobody has verified
is mostly what the pretrained network and the local growth say. Members learn from it how emergences look in this
archive::

    pretrained network ── logits, shifted so that their mean probability is the fraction labelled emergence ──┐
    local growth ──────── its odds among these cubes ─────────────────────────────────────────────────────────┴─► t

    target = label                  where a human has verified it
             w · label + (1 − w) t  elsewhere, with w = `Recipe.crude_label_weight`

The teacher's errors do not follow from the labels, so a wrong label is hardly learned from itself. Needs numpy and
scipy.

References
----------
Hinton, Vinyals & Dean 2015, "Distilling the knowledge in a neural network", arXiv:1503.02531. Li, Yang, Song, Cao, Luo
& Li 2017, "Learning from noisy labels with distillation", ICCV, 1928.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import special

from helioloop.model.growth_odds import GrowthOdds
from helioloop.model.inputs import FloatArray
from helioloop.model.logit_shift import shift_to_mean
from helioloop.records.cubes import CubeInfo
from helioloop.records.labels import Label


def labels_as_targets(cubes: Sequence[CubeInfo]) -> FloatArray:
    """Return 1 for each cube labelled emergence and 0 for each other one, float32, shape (n,)."""
    return np.array([cube.label is Label.EMERGENCE for cube in cubes], dtype=np.float32)


def ask_teacher(logits: npt.ArrayLike, growths: npt.ArrayLike, *, fraction_emergence: float) -> npt.NDArray[np.float64]:
    """Return the teacher's P(emergence) of some cubes of an archive.

    Parameters
    ----------
    logits : array_like, shape (n,)
        Of the pretrained network.
    growths : array_like, shape (n,)
        Local growth of each cube; NaN where it was not measured.
    fraction_emergence : float
        Fraction of the cubes that are labelled emergence. Synthetic cubes have another one than an archive, so the
        network's mean probability is set to it, as that of members is; `GrowthOdds.shifted` corrects for what crude
        labels miss.

    Returns
    -------
    ndarray of float64, shape (n,)
    """
    growths = np.asarray(growths, dtype=np.float64)
    z = np.asarray(logits, dtype=np.float64)
    p_network = special.expit(z + shift_to_mean(z, fraction_emergence))
    odds = GrowthOdds.estimate(growths[~np.isnan(growths)].tolist()).shifted(p_network, growths)
    return odds.combine(p_network, growths)


def mixed_targets(cubes: Sequence[CubeInfo], taught: npt.ArrayLike, *, crude_label_weight: float) -> FloatArray:
    """Return the targets of labelled cubes: verified labels as they are, others mixed with what the teacher says.

    Parameters
    ----------
    cubes : sequence of CubeInfo
        All of them have a label.
    taught : array_like, shape (n,)
        The teacher's P(emergence).
    crude_label_weight : float
        Weight of a label that nobody has verified, from 0 to 1.

    Returns
    -------
    ndarray of float32, shape (n,)
    """
    labels = labels_as_targets(cubes)
    weight = np.where([cube.verified for cube in cubes], 1.0, crude_label_weight)
    return np.asarray(weight * labels + (1.0 - weight) * np.asarray(taught), dtype=np.float32)
