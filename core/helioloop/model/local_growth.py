"""Local growth: by which factor both polarities grow within a day at the place where they grow most.

It is evidence on the class that needs no training and no labels, and it is combined with the networks' probabilities.
Each place is compared with itself: an older region elsewhere in the patch cannot hide an emergence, and crude labels,
which are wrong most often in crowded patches, cannot teach that it does not count. Needs numpy only.
"""

import numpy as np
import numpy.typing as npt

from helioloop.model.cells import GROUP_FRAMES
from helioloop.model.inputs import FloatArray
from helioloop.model.weaker_polarity import (
    NOISE_GAUSS,
    SQUARE_CELLS,
    Bools,
    arrival_steps,
    before_and_after,
    both_polarities,
    steps_of,
)
from helioloop.records.instrument import Instrument

WINDOW_SECONDS = 15 * 5760.0
"""Length of the means before and after a time: one day."""
FLOOR_GAUSS = 4.0
"""Added to the field before: growth out of nothing is no larger than growth out of this."""
NEIGHBOUR_CELLS = 2
"""A place grows by no more than the squares up to this many cells away gain together."""
SURROUNDING_CELLS = 3
"""Near the east limb, flux of both polarities in squares up to this many cells away counts as there before."""
LIMB_SECONDS = 20 * 3600.0
"""Time, from when a place came onto the disk, in which the weight of its surroundings falls to 1/e; 11° of rotation."""
EVEN_GROWTH = 2.1
"""Growth at which emergence and non-emergence are equally likely."""
POWER = 8.0
"""The likelihood ratio grows with this power of the growth."""
GROWTH_FORMAT = (
    f"4 {GROUP_FRAMES} {WINDOW_SECONDS} {FLOOR_GAUSS} {NOISE_GAUSS} {SQUARE_CELLS} {NEIGHBOUR_CELLS} "
    f"{SURROUNDING_CELLS} {LIMB_SECONDS}"
)
"""Identifies what `local_growth` computes; raise its first number with every change, also of the polarities."""
LARGEST_RATIO = 50.0
"""Largest likelihood ratio for either class, so that no single measurement decides alone."""
NETWORK_ERRORS = 0.05
"""How often a network that is certain is wrong, because many of the labels that it was trained on are."""

Floats = npt.NDArray[np.float64]


def local_growth(cube: npt.NDArray[np.floating], *, instrument: Instrument, patch_deg: float) -> float | None:
    """Return the largest growth of a cube, at least 1; None where it cannot be measured.

    It is measured at places that stay on the disk for two windows, on grids for which `window_steps` is not None, with
    at least three pixels per degree.

    Parameters
    ----------
    cube : ndarray, shape (n_frames, size_px, size_px)
        Gridded cube, NaN off-disk.
    instrument : Instrument
        The grid.
    patch_deg : float
        Side of the patch in heliographic degrees.

    Notes
    -----
    P and N are the means of both polarities (see `both_polarities`) over the window before t, ΔP and ΔN their increases
    to the window from t on. The growth of a place at step t is::

        1 + min(ΔP, ΔN, ΣP, ΣN) / (R + `FLOOR_GAUSS`)

    Where one polarity does not increase, nothing grows. ΣP and ΣN are the increases around the place: the sums of ΔP
    and ΔN over all squares up to `NEIGHBOUR_CELLS` cells away, divided by the number of squares that contain the
    central cell of the place (nine, and fewer at the patch's edge). They are ΔP and ΔN if only that cell changes. Flux
    that moves is lost nearby, so that they are smaller. Squares outside the patch, or not on the disk in both windows,
    count 0.

    R is the flux that was there before::

        R = W + exp(−a / `LIMB_SECONDS`) · (S − W),

    W = min(P, N). S is the smaller one of the largest P and the largest N among the squares up to `SURROUNDING_CELLS`
    cells away. a is the time from when the place came onto the disk to t, infinite if it was there at once.

    Near the limb, a region that rotates in would otherwise grow: of a spot's inclined field, the line of sight sees a
    false polarity, and it hides weak flux of the true one beside it. When the place turns towards the observer, the
    hidden polarity appears out of nothing, but not in a place that had no region around it.

    References
    ----------
    Leka, Barnes & Wagner 2017, "Evaluating (and improving) estimates of the solar radial magnetic field component from
    line-of-sight magnetograms", Solar Physics 292, 36
    """
    length = window_steps(instrument)
    if length is None:
        return None
    fields, on_disk = both_polarities(cube, instrument, patch_deg=patch_deg)
    arrival = arrival_steps(cube, instrument, patch_deg=patch_deg)
    weight = _limb_weight(arrival, len(fields), instrument)
    grown = _largest(_growths(fields, on_disk, length=length, limb_weight=weight))
    return None if np.isnan(grown) else grown


def masked_growth(cube: npt.NDArray[np.floating], *, instrument: Instrument, patch_deg: float) -> Floats:
    """Return the local growth of all masked videos of a cube, shape (n_frames,); NaN where nothing can be measured.

    Entry i is the growth when the frames after i repeat frame i. Steps are medians of three frames, so a mask inside a
    group of three counts as one at the end of the group before. The last entry is the growth of the cube.
    """
    length = window_steps(instrument)
    if length is None:
        return np.full(len(cube), np.nan)
    fields, on_disk = both_polarities(cube, instrument, patch_deg=patch_deg)
    arrival = arrival_steps(cube, instrument, patch_deg=patch_deg)
    weight = _limb_weight(arrival, len(fields), instrument)
    of_steps = _of_masks(_growths(fields, on_disk, length=length, limb_weight=weight), fields, on_disk, weight, length)
    last = len(fields) - 1
    frames = np.arange(len(cube))
    step = np.maximum((frames + 1) // GROUP_FRAMES - 1, 0)
    step[-1] = last
    return np.asarray(of_steps[step])


def window_steps(instrument: Instrument) -> int | None:
    """Return the steps of a day on the grid; None where the growth within a day cannot be measured.

    That is where a day before and a day after do not fit into the frames that are not frozen, and where a step of three
    frames is longer than half a day. The rounding to steps makes the window up to a fifth shorter or longer than a day.
    """
    length = steps_of(WINDOW_SECONDS, instrument)
    observed = (instrument.n_frames - instrument.frozen_frames) // GROUP_FRAMES
    too_coarse = GROUP_FRAMES * instrument.cadence_seconds > 0.5 * WINDOW_SECONDS
    return None if too_coarse or observed < 2 * length else length


def likelihood_ratio(growth: npt.ArrayLike) -> Floats:
    """Return how many times likelier a growth is for an emergence than for a non-emergence; 1 for NaN.

    Notes
    -----
    (growth / `EVEN_GROWTH`) ** `POWER`, between 1 / `LARGEST_RATIO` and `LARGEST_RATIO`. On four synthetic releases of
    two generators, logistic regressions of the true class on ln(growth) give powers from 7.5 to 14 and even odds at
    growths from 1.9 to 2.3, 2.16 in the mean. The log loss with networks is smallest at 2.05; see docs/science.md.
    """
    ratio = (np.asarray(growth, dtype=np.float64) / EVEN_GROWTH) ** POWER
    return np.nan_to_num(np.clip(ratio, 1.0 / LARGEST_RATIO, LARGEST_RATIO), nan=1.0)


def combine(p_networks: npt.ArrayLike, growth: npt.ArrayLike) -> Floats:
    """Return P(emergence) by networks and local growth.

    Parameters
    ----------
    p_networks : array_like
        P(emergence) by the networks.
    growth : array_like
        Local growth, in a shape that broadcasts with `p_networks`; NaN leaves the probability unchanged.

    Notes
    -----
    Bayes' rule, if the two are independent given the class: the odds p / (1 − p) are multiplied by the likelihood
    ratio. p is the probability by the networks if a fraction e = `NETWORK_ERRORS` of their answers is wrong:
    p = e + (1 − 2 e) `p_networks`. No weight is fitted. One fitted to crude labels would be negative, because they are
    wrong most often where a region emerges inside an older one.
    """
    p_networks, growth = np.asarray(p_networks, dtype=np.float64), np.asarray(growth, dtype=np.float64)
    p = NETWORK_ERRORS + (1.0 - 2.0 * NETWORK_ERRORS) * p_networks
    ratio = likelihood_ratio(growth)
    return np.where(np.isnan(growth), p_networks, p * ratio / (p * ratio + (1.0 - p)))


def _limb_weight(arrival: Floats, n_steps: int, instrument: Instrument) -> Floats:
    """Return the weight of the surroundings at each step and place, (n_steps, n_squares, n_squares).

    It is 1 until the place comes onto the disk.
    """
    steps = np.maximum(np.arange(n_steps)[:, None, None] - arrival, 0.0)
    return np.exp(-steps * GROUP_FRAMES * instrument.cadence_seconds / LIMB_SECONDS)


def _growths(fields: FloatArray, on_disk: Bools, *, length: int, limb_weight: Floats) -> Floats:
    """Return the growth at each place and step that has a window before and after it; NaN where off-disk."""
    before, after = before_and_after(fields, on_disk[:, None], length=length)
    weaker, increase = before.min(axis=1), after - before
    surroundings = _within(before, SURROUNDING_CELLS, np.maximum).min(axis=1)
    there = weaker + limb_weight[length : length + len(before)] * (surroundings - weaker)
    sharing = _within(np.ones((1, *increase.shape[1:])), SQUARE_CELLS // 2, np.add)
    around = _within(increase, NEIGHBOUR_CELLS, np.add) / sharing
    return np.asarray(1.0 + np.minimum(increase, around).min(axis=1) / (there + FLOOR_GAUSS))


def _largest(growths: Floats) -> float:
    return float(np.fmax.reduce(growths, axis=None, initial=1.0)) if np.isfinite(growths).any() else np.nan


def _of_masks(growths: Floats, fields: FloatArray, on_disk: Bools, limb_weight: Floats, length: int) -> Floats:
    """Return the growth when the steps after step i repeat it, for each i.

    Windows that end at step i or before are those of the whole video, whose `growths` are given. Windows that begin
    after step i contain nothing new.
    """
    of_steps = []
    for step in range(len(fields)):
        first = max(step - 2 * length + 2, 0)
        repeated = np.minimum(np.arange(first, min(step + 2 * length, len(fields))), step)
        weight = limb_weight[first:]
        masked = _growths(fields[repeated], on_disk[repeated], length=length, limb_weight=weight)
        of_steps.append(np.fmax(_largest(growths[:first]), _largest(masked)))
    return np.array(of_steps)


def _within(fields: Floats, cells: int, combined: np.ufunc) -> Floats:
    """Return the sum or maximum over the squares up to `cells` away from each; NaN and outside the patch count as 0."""
    n, side = fields.shape[-1], 2 * cells + 1
    margin = (cells, cells)
    padded = np.pad(np.nan_to_num(fields), ((0, 0), (0, 0), margin, margin))
    rows = combined.reduce([padded[..., k : k + n, :] for k in range(side)])
    return np.asarray(combined.reduce([rows[..., k : k + n] for k in range(side)]))
