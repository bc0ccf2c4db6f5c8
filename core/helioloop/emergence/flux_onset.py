"""The emergence frame looked at closer: when most flux comes up, near the frame that the masking curves give.

Above `emergence` and `inputs`. The networks tell *that* a region emerges and about when; how soon they are convinced
depends on what they have seen of other regions. When the flux begins to rise is in the cube itself. numpy and scipy.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy.ndimage import uniform_filter

from helioloop.emergence.curve_onset import spanning
from helioloop.emergence.ramps import Ramp, fit_ramp
from helioloop.instrument import Instrument
from helioloop.model.cells import CELL_PX, FIELD_SCALE_GAUSS, GROUP_FRAMES, cell_steps
from helioloop.model.inputs import FloatArray
from helioloop.records import Emergence

WINDOW_FRAMES = 36
"""So far around the curves' frame the rise is looked for: two and a half days, in which most regions come up."""
PLACE_CELLS = 3
"""Side of the square of cells over which flux is averaged, three heliographic degrees: about one polarity of a young
region; a whole patch would drown it in the flux of its neighbours."""
ONSET = 0.1
"""Which share of the flux rise is the emergence: a tenth, by definition of the emergence frame."""


def date_by_flux(found: Emergence, cube: npt.NDArray[np.floating], *, instrument: Instrument) -> Emergence:
    """Return the emergence at the onset of the strongest local rise of flux near the frame that was found.

    Parameters
    ----------
    found : Emergence
        What the masking curves say.
    cube : ndarray, shape (n_frames, size_px, size_px)
        The same cube on the grid, NaN off-disk.
    instrument : Instrument
        The grid.

    Returns
    -------
    Emergence
        Its interval spans `found` and the rise. `found` itself where no flux rises, or no place is on the disk
        throughout the window.
    """
    flux, start = cell_flux(cube, instrument), instrument.frozen_frames
    rise = strongest_rise(flux, found.frame // GROUP_FRAMES, start=start // GROUP_FRAMES)
    if rise is None:
        return found
    onset = round(GROUP_FRAMES * rise.reaches(ONSET)) + GROUP_FRAMES // 2  # a step stands for its middle frame
    others = (GROUP_FRAMES * rise.foot, GROUP_FRAMES * (rise.top + 1) - 1, found.frame, found.frame_lo, found.frame_hi)
    return spanning(onset, others, start=start, n_frames=instrument.n_frames)


def cell_flux(cube: npt.NDArray[np.floating], instrument: Instrument) -> FloatArray:
    """Return the mean unsigned field, shape (n_steps, n_cells, n_cells): gauss, NaN where most of a cell is off-disk.

    Steps and cells are those of the per-frame network; pixels that fill no cell, at the patch's edge, are left out.
    """
    side = instrument.size_px // CELL_PX * CELL_PX
    steps = cell_steps(cube[:, :side, :side], replace(instrument, size_px=side))
    flux = FIELD_SCALE_GAUSS * np.sinh(steps[:, :2]).sum(axis=1)
    return np.where(steps[:, 2] > 0.5, flux, np.nan).astype(np.float32)


def strongest_rise(flux: FloatArray, near: int, *, start: int) -> Ramp | None:
    """Return the ramp, in steps, of the place whose flux rises most around step `near`; None where none does.

    Parameters
    ----------
    flux : ndarray, shape (n_steps, n_cells, n_cells)
        Unsigned field, NaN off-disk.
    near : int
        Step around which to look, `WINDOW_FRAMES` to both sides.
    start : int
        First step to look at: those before repeat it.

    Notes
    -----
    "Most" is the sum of squares that the place's best ramp explains, so a large and lasting rise goes before a small
    neat one.
    """
    reach = WINDOW_FRAMES // GROUP_FRAMES
    first = max(start, near - reach)
    window = flux[first : near + reach + 1]
    seen = np.isfinite(window).all(axis=0)
    if not seen.any():
        return None
    local = uniform_filter(np.where(seen, window, 0.0), (0, PLACE_CELLS, PLACE_CELLS), mode="constant")
    ramp = fit_ramp(local)
    if ramp.rise <= 0.0:
        return None
    return replace(ramp, foot=first + ramp.foot, top=first + ramp.top)
