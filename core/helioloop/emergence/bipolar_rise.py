"""Bipolar rise: how much the weaker of both polarities grows at one place, and when. Needs numpy only.

An emergence brings both polarities up together, at one place. A region that rotates in, gathers or decays does not, and
an older region beside it cannot hide it, because each place is compared with itself. Nothing is learned, and labels
play no part.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from helioloop.emergence.curve_onset import make_emergence
from helioloop.model.field_video import GROUP_FRAMES, FieldVideo
from helioloop.model.inputs import FloatArray
from helioloop.model.weaker_polarity import SQUARE_CELLS, before_and_after, steps_of, weaker_polarity
from helioloop.records.instrument import Instrument
from helioloop.records.scores import Emergence

WINDOW_SECONDS = 24 * 5760.0
"""Length of the means before and after a time: 1.6 days, about the rise time of a region of 1e21 Mx."""
LEAST_RISE_GAUSS = 10.0
"""Least rise of an emergence: 1.3e20 Mx of each polarity in nine square degrees, nearly the smallest active region."""
EARLIER_SECONDS = 3 * 5760.0
"""How long before the time between the windows, the middle of the rise, a tenth of it is reached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BipolarRise:
    """The largest bipolar rise of a cube.

    Parameters
    ----------
    gauss : float
        The rise; 0 where nothing rises.
    frame : int
        The grid frame between the means before and after.
    row, column : int
        The cell of one degree at the centre of its square; rows from the south, columns from the east.
    """

    gauss: float
    frame: int
    row: int
    column: int


def bipolar_rise(video: FieldVideo, *, patch_deg: float) -> BipolarRise | None:
    """Return the largest bipolar rise of a cube; None if no place stays on the disk for two windows.

    None also where `weaker_polarity` has no squares: a patch of under three degrees, or too few pixels per degree.

    Parameters
    ----------
    video : FieldVideo
        The cube.
    patch_deg : float
        Side of the patch in heliographic degrees.

    Notes
    -----
    The rise at step t is the mean of W (see `weaker_polarity`) over the window from t on minus the mean over the window
    before t. Squares count in the windows through which all of their cells are mostly on the disk.
    """
    weaker, on_disk = weaker_polarity(video, patch_deg=patch_deg)
    length = window_steps(video.instrument)
    rises = rise_of(weaker, on_disk, length=length)
    if not np.isfinite(rises).any():
        return None
    step, row, column = (int(k) for k in np.unravel_index(int(np.nanargmax(rises)), rises.shape))
    margin = SQUARE_CELLS // 2
    return BipolarRise(
        gauss=max(float(rises[step, row, column]), 0.0),
        frame=GROUP_FRAMES * (step + length),
        row=row + margin,
        column=column + margin,
    )


def rise_onset(video: FieldVideo, *, patch_deg: float) -> Emergence | None:
    """Return the emergence at the largest bipolar rise; None if it is below `LEAST_RISE_GAUSS`.

    The interval contains both windows. It is not calibrated.
    """
    found, instrument = bipolar_rise(video, patch_deg=patch_deg), video.instrument
    if found is None or found.gauss < LEAST_RISE_GAUSS:
        return None
    half = GROUP_FRAMES * window_steps(instrument)
    return make_emergence(
        found.frame - round(EARLIER_SECONDS / instrument.cadence_seconds),
        interval_contains=(found.frame - half, found.frame + half),
        start=instrument.frozen_frames,
        n_frames=instrument.n_frames,
    )


def window_steps(instrument: Instrument) -> int:
    """Return `WINDOW_SECONDS` in steps of the instrument's grid: at least one, at most a third of the video.

    A shorter window finds the time of a rise as well. The rise in it is smaller, so fewer reach `LEAST_RISE_GAUSS`.
    """
    return min(max(steps_of(WINDOW_SECONDS, instrument), 1), max(instrument.n_frames // GROUP_FRAMES // 3, 1))


def rise_of(weaker: FloatArray, on_disk: npt.NDArray[np.bool_], *, length: int) -> FloatArray:
    """Return the rise between the windows of `length` steps before and after each step, NaN off-disk.

    Parameters
    ----------
    weaker, on_disk : ndarray, shape (n_steps, ny, nx)
        From `weaker_polarity`.
    length : int
        Steps of each window.

    Returns
    -------
    ndarray, shape (n_steps - 2 · length + 1, ny, nx)
        Entry k is the rise at step k + length. Empty for a video shorter than two windows.
    """
    before, after = before_and_after(weaker, on_disk, length=length)
    return (after - before).astype(np.float32)
