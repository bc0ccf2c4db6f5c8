"""Emergence frames refined by the flux: 10 % of the strongest local flux rise near the masking curves' frame.

The networks tell that a region emerges and roughly when; how early their probability rises depends on the regions they
were trained on. The onset of the flux rise is measured in the cube itself. Needs numpy and scipy.
"""

from dataclasses import replace

import numpy as np
from scipy.ndimage import uniform_filter

from helioloop.emergence.curve_onset import make_emergence
from helioloop.emergence.ramps import Ramp, fit_ramp
from helioloop.model.cells import cell_flux
from helioloop.model.field_video import GROUP_FRAMES, FieldVideo
from helioloop.model.inputs import FloatArray
from helioloop.records.instrument import Instrument
from helioloop.records.scores import Emergence

WINDOW_SECONDS = 27 * 5760.0
"""How far before and after the curves' frame a rise is searched: 1.8 days, farther than most curves err. What rises
more strongly beyond that is often another region."""
MOST_STEPS = 100
"""Largest reach of the window in steps: the time for all ramps grows with its fourth power."""
SQUARE_CELLS = 3
"""Side of the square of cells over which flux is averaged: three heliographic degrees, about one polarity of a young
region. In the mean over a whole patch the neighbouring regions would hide its rise."""
ONSET_FRACTION = 0.1
"""Fraction of the flux rise at the emergence frame, by definition of that frame."""
LATEST_FRACTION = 0.5
"""Fraction of the flux rise up to which an interval extends: by then the region has emerged."""
MARGIN_SECONDS = 6 * 5760.0
"""How far an interval extends at least before and after the emergence frame: two steps, or ten hours."""


def refine_by_flux_onset(found: Emergence, video: FieldVideo) -> Emergence:
    """Return the emergence at the onset of the strongest local flux rise near the frame that was found.

    Parameters
    ----------
    found : Emergence
        The emergence according to the masking curves.
    video : FieldVideo
        The same cube.

    Returns
    -------
    Emergence
        Its interval contains the interval of `found`, the rise up to `LATEST_FRACTION`, and `MARGIN_SECONDS` before and
        after the frame. The frame of `found` where no flux rises, or where no place is on the disk during the whole
        window.

    Notes
    -----
    The interval is not calibrated. On three releases of 600 cubes of each generator it contains 93 % of the true
    frames; see docs/science.md.
    """
    flux, instrument = cell_flux(video), video.instrument
    start = instrument.frozen_frames
    radius = window_steps(instrument)
    rise = strongest_rise(flux, found.frame // GROUP_FRAMES, start=start // GROUP_FRAMES, radius=radius)
    margin = round(MARGIN_SECONDS / instrument.cadence_seconds)
    onset = found.frame
    contains: tuple[int, ...] = (found.frame_lo, found.frame_hi)
    if rise is not None:
        # Step k contains the frames 3k to 3k + 2; its middle frame represents it.
        onset, half = (
            round(GROUP_FRAMES * rise.reaches(fraction)) + GROUP_FRAMES // 2
            for fraction in (ONSET_FRACTION, LATEST_FRACTION)
        )
        contains = (*contains, found.frame, GROUP_FRAMES * rise.foot, half)
    return make_emergence(
        onset,
        interval_contains=(*contains, onset - margin, onset + margin),
        start=start,
        n_frames=instrument.n_frames,
    )


def window_steps(instrument: Instrument) -> int:
    """Return `WINDOW_SECONDS` in steps of the instrument's grid: at least one, at most `MOST_STEPS`."""
    frames = round(WINDOW_SECONDS / instrument.cadence_seconds)
    return min(max(frames // GROUP_FRAMES, 1), MOST_STEPS)


def strongest_rise(flux: FloatArray, near: int, *, start: int, radius: int) -> Ramp | None:
    """Return the ramp, in steps, of the place whose flux rises most around step `near`; None where no flux rises.

    Parameters
    ----------
    flux : ndarray, shape (n_steps, n_cells, n_cells)
        Unsigned field, NaN off-disk.
    near : int
        Centre of the search window.
    start : int
        First step of the search; earlier ones repeat it.
    radius : int
        Steps by which the window extends to both sides; see `window_steps`.

    Notes
    -----
    The strongest rise is the one whose ramp explains the largest sum of squares: a large and lasting rise wins over a
    small one that fits better.
    """
    first = max(start, near - radius)
    window = flux[first : near + radius + 1]
    on_disk = np.isfinite(window).all(axis=0)
    if not on_disk.any():
        return None
    local = uniform_filter(np.where(on_disk, window, 0.0), (0, SQUARE_CELLS, SQUARE_CELLS), mode="constant")
    ramp = fit_ramp(local)
    if ramp.rise <= 0.0:
        return None
    return replace(ramp, foot=first + ramp.foot, top=first + ramp.top)
