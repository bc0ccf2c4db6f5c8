"""How well probabilities match frequencies: as they are, and calibrated on random labels."""

from statistics import fmean

import numpy as np

from helioloop.evaluation.calibration import ProbabilityCalibration
from helioloop.evaluation.probabilities import Bools, Floats

BINS = 10
RANDOM_LABELS = 100
"""Verified labels, drawn at random, that probabilities are calibrated on."""


def calibration_error(p_emergence: Floats, emergence: Bools) -> float:
    """Return the expected calibration error in `BINS` bins of equal width.

    Parameters
    ----------
    p_emergence : ndarray, shape (n,)
        Probabilities of emergence, of at least one cube.
    emergence : ndarray of bool, shape (n,)
        True where the cube is an emergence.

    Notes
    -----
    The sum over the bins of |mean probability − fraction of emergences|, weighted with the bin's fraction of the cubes.

    References
    ----------
    Guo, Pleiss, Sun & Weinberger 2017, "On calibration of modern neural networks", ICML, PMLR 70, 1321
    """
    bins = np.minimum((p_emergence * BINS).astype(np.int64), BINS - 1)
    difference = np.bincount(bins, weights=p_emergence - emergence, minlength=BINS)
    return float(np.abs(difference).sum() / len(p_emergence))


def error_when_calibrated(
    p_emergence: Floats, emergence: Bools, *, labels: int = RANDOM_LABELS, repeats: int
) -> float | None:
    """Return the calibration error of probabilities calibrated on random labels, on the other cubes.

    Parameters
    ----------
    p_emergence, emergence : ndarray, shape (n,)
        As in `calibration_error`.
    labels : int
        Number of cubes that are drawn to calibrate on.
    repeats : int
        Number of draws; the errors are averaged.

    Returns
    -------
    float or None
        None if fewer cubes would be left than are drawn.
    """
    if len(p_emergence) < 2 * labels:
        return None
    errors = []
    for k in range(repeats):
        order = np.random.default_rng(k).permutation(len(p_emergence))
        drawn, others = order[:labels], order[labels:]
        fitted = ProbabilityCalibration.calibrate(p_emergence[drawn], emergence[drawn])
        p = p_emergence[others] if fitted is None else fitted.apply(p_emergence[others])
        errors.append(calibration_error(p, emergence[others]))
    return fmean(errors)
