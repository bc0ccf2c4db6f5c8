"""Tracking: draws when and where a patch is tracked, and which of its frames were observed."""

import math
from datetime import date

import numpy as np

from helioloop.records.instrument import Instrument
from helioloop.synthetic.scenario import OFF_DISK_GAUSS, PATCH_DEG, SECONDS_PER_DAY, Tracking

ROTATION_DEG_PER_DAY = (14.38, -1.95, -2.17)
"""Rotation of magnetic features: a + b · sin²(latitude) + c · sin⁴(latitude) (Komm et al. 1993)."""

_EARTH_DEG_PER_DAY = 0.986
_MDI_OUTAGES = (
    (date(1998, 6, 9), date(1998, 10, 20)),  # contact with SOHO lost; begins early, where videos would run into it
    (date(1998, 12, 7), date(1999, 2, 4)),  # gyroscopes lost
)
_CYCLE_STARTS = {22: 1986.7, 23: 1996.4, 24: 2008.9}

# At least this many frames are observed while the patch centre is between these longitudes.
_ENTRY_DEG = (-74.0, -58.0)
_ENTRY_FRAMES = 3

_TRUNCATED_FRACTION = 0.12
_EARLIEST_TRUNCATION = 0.65


def draw_start_and_latitude(rng: np.random.Generator, ordinal: int) -> tuple[date, int, float]:
    """Draw start, sunspot cycle and latitude in degrees of a region.

    Parameters
    ----------
    rng : numpy.random.Generator
        Advanced by the draw.
    ordinal : int
        Number of the region; gives the month, so that any twelve regions in a row cover all months.

    Notes
    -----
    Latitudes follow the butterfly diagram: |latitude| is normal with mean 26° − 19° · phase and standard deviation
    4.5°, where phase is the fraction of the cycle's eleven years, delayed by one year.
    """
    month = 1 + 5 * ordinal % 12  # 5 and 12 have no common factor
    while True:
        start = date(int(rng.integers(1996, 2011)), month, int(rng.integers(1, 29)))
        if start >= date(1996, 5, 1) and not any(first <= start <= last for first, last in _MDI_OUTAGES):
            break
    years = start.toordinal() / 365.25
    # Cycles overlap by about two years around a minimum: old ones near the equator, new ones far from it.
    active = [cycle for cycle, begin in _CYCLE_STARTS.items() if -0.7 <= years - begin - 1.0 <= 11.8]
    cycle = int(rng.choice(active))
    phase = np.clip((years - 1.0 - _CYCLE_STARTS[cycle]) / 11.0, 0.0, 1.1)
    latitude = float(np.clip(rng.normal(26.0 - 19.0 * phase, 4.5), 3.0, 38.0))
    return start, cycle, latitude if rng.random() < 0.5 else -latitude


def draw_tracking(
    rng: np.random.Generator,
    start: date,
    latitude_deg: float,
    instrument: Instrument,
    *,
    gap_until_deg: float | None = None,
) -> Tracking:
    """Draw how a patch is tracked and observed.

    Parameters
    ----------
    rng : numpy.random.Generator
        Advanced by the draw.
    start : date
        Day of grid frame 0.
    latitude_deg : float
        Latitude of the patch centre.
    instrument : Instrument
        Grid.
    gap_until_deg : float or None
        If given, no frame is observed before the patch centre reaches this longitude. Otherwise some frames are
        observed while it rotates onto the disk.
    """
    day_of_year = start.timetuple().tm_yday
    a, b, c = ROTATION_DEG_PER_DAY
    sine2 = math.sin(math.radians(latitude_deg)) ** 2
    per_day = a + b * sine2 + c * sine2**2 - _EARTH_DEG_PER_DAY
    days_per_frame = instrument.cadence_seconds / SECONDS_PER_DAY
    longitude = float(rng.normal(-99.0, 2.5))
    entry = [math.ceil((place - longitude) / (per_day * days_per_frame)) for place in _ENTRY_DEG]
    observed = _draw_observed(rng, instrument.n_frames)
    while sum(entry[0] <= frame < entry[1] for frame in observed) < _ENTRY_FRAMES:
        observed = _draw_observed(rng, instrument.n_frames)
    if gap_until_deg is not None:
        gap_end = (gap_until_deg - longitude) / (per_day * days_per_frame)
        observed = tuple(frame for frame in observed if frame >= gap_end)
    return Tracking(
        longitude_deg=longitude,
        degrees_per_frame=per_day * days_per_frame,
        b0_deg=7.25 * math.sin(2.0 * math.pi * (day_of_year - 158) / 365.25),
        drift_px_per_frame=float(rng.normal(0.0, 0.12)) * days_per_frame * instrument.size_px / PATCH_DEG,
        shift_px=(0.0, 0.0),
        observed=observed,
        off_disk_gauss=float(rng.choice([OFF_DISK_GAUSS, math.nan, 0.0], p=[0.7, 0.15, 0.15])),
        noise_gauss=float(rng.normal(21.0, 2.0)),
        noise_tilt=float(rng.normal(0.15, 0.2)),
    )


def _draw_observed(rng: np.random.Generator, n_frames: int) -> tuple[int, ...]:
    """Draw the observed grid frames: single frames are missing, and there are long gaps."""
    low, high = ((0.85, 0.99), (0.6, 0.85), (0.3, 0.6), (0.15, 0.3))[int(rng.choice(4, p=[0.55, 0.28, 0.12, 0.05]))]
    n_observed = round(n_frames * rng.uniform(low, high))
    observed = np.ones(n_frames, dtype=bool)
    n_single = min(n_frames - n_observed, int(rng.poisson(0.04 * n_frames)))
    observed[rng.choice(n_frames, size=n_single, replace=False)] = False
    while (surplus := int(observed.sum()) - n_observed) > 0:
        first = int(rng.integers(0, n_frames))
        length = 1 + int(rng.exponential(20.0))
        removed = first + np.flatnonzero(observed[first : first + length])[:surplus]
        observed[removed] = False
    # Some videos end before their patch has left the disk; gridding repeats their last frame.
    if rng.random() < _TRUNCATED_FRACTION:
        observed[int(n_frames * rng.uniform(_EARLIEST_TRUNCATION, 1.0)) :] = False
    return tuple(np.flatnonzero(observed).tolist())
