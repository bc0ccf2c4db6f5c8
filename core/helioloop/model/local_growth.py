"""Local growth: by which factor both polarities grow within a day at the place where they grow most.

It is evidence on the class that needs no training and no labels; `growth_odds` combines it with the networks'
probabilities. Each place is compared with itself: an older region elsewhere in the patch cannot hide an emergence, and
crude labels, which are wrong most often in crowded patches, cannot teach that it does not count. Needs numpy only.
"""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from helioloop.model.field_video import GROUP_FRAMES, FieldVideo
from helioloop.model.weaker_polarity import NOISE_GAUSS, SQUARE_CELLS, arrival_steps, both_polarities, steps_of
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
GROWTH_FORMAT = (
    f"4 {GROUP_FRAMES} {WINDOW_SECONDS} {FLOOR_GAUSS} {NOISE_GAUSS} {SQUARE_CELLS} {NEIGHBOUR_CELLS} "
    f"{SURROUNDING_CELLS} {LIMB_SECONDS}"
)
"""Identifies what `local_growth` computes; raise its first number with every change, also of the polarities."""

ScalarT = TypeVar("ScalarT", bound=np.generic)
Floats = npt.NDArray[np.float64]
Steps = npt.NDArray[np.int64]


def local_growth(video: FieldVideo, *, patch_deg: float) -> float | None:
    """Return the largest growth of a cube, at least 1; None where it cannot be measured.

    It is measured at places that stay on the disk for two windows, on grids for which `window_steps` is not None, with
    at least three pixels per degree.

    Parameters
    ----------
    video : FieldVideo
        The cube.
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
    places = _Places.of(video, patch_deg=patch_deg)
    if places is None:
        return None
    grown = float(np.fmax.reduce(_largest_growths(places, shown=2 * places.length)))
    return None if np.isnan(grown) else grown


def masked_growth(video: FieldVideo, *, patch_deg: float) -> Floats:
    """Return the local growth of all masked videos of a cube, shape (n_frames,); NaN where nothing can be measured.

    Entry i is the growth when the frames after i repeat frame i. Steps are medians of three frames, so a mask inside a
    group of three counts as one at the end of the group before. The last entry is the growth of the cube.
    """
    n_frames = video.instrument.n_frames
    places = _Places.of(video, patch_deg=patch_deg)
    if places is None:
        return np.full(n_frames, np.nan)
    step = np.maximum((np.arange(n_frames) + 1) // GROUP_FRAMES - 1, 0)
    step[-1] = len(places.fields) - 1
    return np.asarray(_of_masks(places)[step])


def window_steps(instrument: Instrument) -> int | None:
    """Return the steps of a day on the grid; None where the growth within a day cannot be measured.

    That is where a day before and a day after do not fit into the frames that are not frozen, and where a step of three
    frames is longer than half a day. The rounding to steps makes the window up to a fifth shorter or longer than a day.
    """
    length = steps_of(WINDOW_SECONDS, instrument)
    observed = (instrument.n_frames - instrument.frozen_frames) // GROUP_FRAMES
    too_coarse = GROUP_FRAMES * instrument.cadence_seconds > 0.5 * WINDOW_SECONDS
    return None if too_coarse or observed < 2 * length else length


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Places:
    """What the growth at all places of a cube is computed from.

    Parameters
    ----------
    length : int
        Steps of a window.
    fields : ndarray, shape (n_steps, 2, n_squares, n_squares)
        From `both_polarities`, in double precision.
    total : ndarray, shape (n_steps + 1, 2, n_squares, n_squares)
        Sum of the fields on the disk before each step.
    observed : ndarray of int, shape (n_steps + 1, n_squares, n_squares)
        Number of steps before each one in which the square is on the disk.
    limb_weight : ndarray, shape (n_steps, n_squares, n_squares)
        Weight of the surroundings; 1 until the place comes onto the disk.
    """

    length: int
    fields: Floats
    total: Floats
    observed: Steps
    limb_weight: Floats

    @classmethod
    def of(cls, video: FieldVideo, *, patch_deg: float) -> "_Places | None":
        length = window_steps(video.instrument)
        if length is None:
            return None
        fields, on_disk = both_polarities(video, patch_deg=patch_deg)
        arrived = arrival_steps(video, patch_deg=patch_deg)
        steps = np.maximum(np.arange(len(fields))[:, None, None] - arrived, 0.0)
        weight = np.exp(-steps * GROUP_FRAMES * video.instrument.cadence_seconds / LIMB_SECONDS)
        return cls(
            length=length,
            fields=fields.astype(np.float64),
            total=_sums_before(np.where(on_disk[:, None], fields, 0.0).astype(np.float64)),
            observed=_sums_before(on_disk.astype(np.int64)),
            limb_weight=weight,
        )


def _sums_before(values: npt.NDArray[ScalarT]) -> npt.NDArray[ScalarT]:
    """Return the sums of all values before each one, and of all: one entry more along the first axis."""
    return np.concatenate((np.zeros_like(values[:1]), np.cumsum(values, axis=0)))


def _of_masks(places: _Places) -> Floats:
    """Return the growth when the steps after step i repeat it, for each i.

    Of two windows from step k on, mask i shows i − k + 1 steps, or all where they end before it. Windows that begin
    after step i contain nothing new.
    """
    table = np.stack([_largest_growths(places, shown=shown + 1) for shown in range(2 * places.length)])
    mask, first = np.meshgrid(np.arange(len(places.fields)), np.arange(table.shape[1]), indexing="ij")
    growth = table[np.clip(mask - first, 0, len(table) - 1), first]
    largest: Floats = np.fmax.reduce(np.where(first <= mask, growth, np.nan), axis=1)
    return largest


def _largest_growths(places: _Places, *, shown: int) -> Floats:
    """Return the largest growth of all places, at least 1, shape (n_windows,); NaN where no place is on the disk.

    See `_growths` for the parameters.
    """
    growths = _growths(places, shown=shown)
    largest = np.fmax.reduce(growths.reshape(len(growths), -1), axis=1, initial=np.nan)
    return np.asarray(np.maximum(largest, 1.0))


def _growths(places: _Places, *, shown: int) -> Floats:
    """Return the growth at each place between each two windows, (n_windows, n_squares, n_squares); NaN where off-disk.

    Parameters
    ----------
    places : _Places
        The cube.
    shown : int
        Of the steps of two windows only so many are seen, from 1 to all; the others repeat the last one of these.

    Notes
    -----
    Entry k is of the window before that begins at step k, and the window after that follows it.
    """
    length, n = places.length, len(places.fields) - 2 * places.length + 1
    total, observed = places.total, places.observed
    repeated = places.fields[shown - 1 : shown - 1 + n]
    means = []
    for begun, ended in ((0, min(length, shown)), (min(length, shown), shown)):
        mean = total[ended : ended + n] - total[begun : begun + n]
        if missing := length - (ended - begun):
            mean += missing * repeated
        mean /= length
        means.append(mean)
    whole = observed[shown : shown + n] - observed[:n] == shown
    before, after = (np.where(whole[:, None], mean, 0.0) for mean in means)
    weaker, increase = _smaller(before), after - before
    surroundings = _smaller(_largest_within(before, SURROUNDING_CELLS))
    there = weaker + places.limb_weight[length : length + n] * (surroundings - weaker)
    around = _sum_within(increase, NEIGHBOUR_CELLS) / _sum_within(np.ones_like(increase[:1]), SQUARE_CELLS // 2)
    grown = 1.0 + _smaller(np.minimum(increase, around)) / (there + FLOOR_GAUSS)
    return np.where(whole, grown, np.nan)


def _smaller(polarities: Floats) -> Floats:
    """Return the smaller one of both polarities, which are the second axis."""
    return np.asarray(np.minimum(polarities[:, 0], polarities[:, 1]))


def _largest_within(fields: Floats, cells: int) -> Floats:
    """Return the maximum over the squares up to `cells` away from each; outside the patch is 0.

    The last two axes are those of the squares; while maxima are taken they are the first ones, which is faster.
    """
    side, (height, width) = 2 * cells + 1, fields.shape[-2:]
    largest = np.zeros((height + side - 1, width + side - 1, *fields.shape[:-2]))
    largest[cells : cells + height, cells : cells + width] = np.moveaxis(fields, (-2, -1), (0, 1))
    covered = 1
    while covered < side:  # of the squares that each entry is the maximum of
        step = min(covered, side - covered)
        largest = np.maximum(largest[:-step], largest[step:])
        largest = np.maximum(largest[:, :-step], largest[:, step:])
        covered += step
    return np.moveaxis(largest, (0, 1), (-2, -1))


def _sum_within(fields: Floats, cells: int) -> Floats:
    """Return the sum over the squares up to `cells` away from each; outside the patch is 0."""
    place = np.arange(fields.shape[-1])
    near = (np.abs(place[:, None] - place) <= cells).astype(np.float64)
    return np.asarray(near @ fields @ near)
