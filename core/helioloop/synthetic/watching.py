"""When and where on the Sun a patch is followed, and which of its frames exist.

Second room of `helioloop.synthetic`.
"""

import math
from datetime import date

import numpy as np

from helioloop.instrument import Instrument
from helioloop.synthetic.scenario import OFF_DISK_GAUSS, PATCH_DEG, Watch

_MDI_BLIND = (
    (date(1998, 6, 9), date(1998, 10, 20)),  # contact with SOHO lost; the last weeks' videos would end in it
    (date(1998, 12, 7), date(1999, 2, 4)),  # gyroscopes lost
)

_ENTRY_DEG = (-74.0, -58.0)
_ENTRY_FRAMES = 3

_ENDS_EARLY_SHARE = 0.12
_EARLIEST_END_SHARE = 0.65


def when_and_where(rng: np.random.Generator, ordinal: int) -> tuple[date, int, float]:
    """Draw start, cycle and latitude: months in turn, latitudes by the butterfly diagram."""
    month = 1 + 5 * ordinal % 12  # 5 and 12 share no factor: any twelve regions in a row span the months
    while True:
        start = date(int(rng.integers(1996, 2011)), month, int(rng.integers(1, 29)))
        if start >= date(1996, 5, 1) and not any(first <= start <= last for first, last in _MDI_BLIND):
            break
    years = start.toordinal() / 365.25
    begins = {22: 1986.7, 23: 1996.4, 24: 2008.9}
    # Cycles overlap by about two years around a minimum: old ones near the equator, new ones far from it.
    alive = [c for c, begin in begins.items() if -0.7 <= years - begin - 1.0 <= 11.8]
    cycle = int(rng.choice(alive))
    phase = np.clip((years - 1.0 - begins[cycle]) / 11.0, 0.0, 1.1)
    latitude = float(np.clip(rng.normal(26.0 - 19.0 * phase, 4.5), 3.0, 38.0))
    return start, cycle, latitude if rng.random() < 0.5 else -latitude


def draw_watch(
    rng: np.random.Generator,
    start: date,
    latitude_deg: float,
    instrument: Instrument,
    *,
    gap_until_deg: float | None = None,
) -> Watch:
    """Draw how a patch is followed.

    Some frames exist while it comes over the limb, except with `gap_until_deg`: then none exists before it reaches
    that longitude.
    """
    day_of_year = start.timetuple().tm_yday
    # Magnetic features turn with 14.38 − 1.95 sin² − 2.17 sin⁴ degrees a day (Komm et al. 1993), Earth with 0.986.
    sine2 = math.sin(math.radians(latitude_deg)) ** 2
    per_day = 14.38 - 1.95 * sine2 - 2.17 * sine2**2 - 0.986
    days_per_frame = instrument.cadence_seconds / 86400.0
    longitude = float(rng.normal(-99.0, 2.5))
    entry = [math.ceil((place - longitude) / (per_day * days_per_frame)) for place in _ENTRY_DEG]
    observed = _draw_observed(rng, instrument.n_frames)
    while sum(entry[0] <= frame < entry[1] for frame in observed) < _ENTRY_FRAMES:
        observed = _draw_observed(rng, instrument.n_frames)
    if gap_until_deg is not None:
        ends = (gap_until_deg - longitude) / (per_day * days_per_frame)
        observed = tuple(frame for frame in observed if frame >= ends)
    return Watch(
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
    """Draw the frames that exist: single losses, and long gaps as of a spacecraft out of contact."""
    low, high = ((0.85, 0.99), (0.6, 0.85), (0.3, 0.6), (0.15, 0.3))[int(rng.choice(4, p=[0.55, 0.28, 0.12, 0.05]))]
    wanted = round(n_frames * rng.uniform(low, high))
    there = np.ones(n_frames, dtype=bool)
    singles = min(n_frames - wanted, int(rng.poisson(0.04 * n_frames)))
    there[rng.choice(n_frames, size=singles, replace=False)] = False
    while (surplus := int(there.sum()) - wanted) > 0:
        first = int(rng.integers(0, n_frames))
        length = 1 + int(rng.exponential(20.0))
        still_there = first + np.flatnonzero(there[first : first + length])[:surplus]
        there[still_there] = False
    # Some videos break off before their patch has left the disk; the grid repeats their last frame.
    if rng.random() < _ENDS_EARLY_SHARE:
        there[int(n_frames * rng.uniform(_EARLIEST_END_SHARE, 1.0)) :] = False
    return tuple(np.flatnonzero(there).tolist())
