"""Crude labels from one image a day: a region that appears where there was nothing the day before has emerged.

Catalogues are made from daily images. A region is found where the unsigned line-of-sight field, smoothed to the size
of a region, exceeds a bound that rises towards the limb. If an image at most a day and a half older shows the place
away from the limb and nothing is found there, the region is labelled an emergence; else it may have rotated in. The
rule errs:

- emergence as non-emergence: near the limb, after a gap, and where an older region covers the place;
- non-emergence as emergence: where foreshortening hides a faint or a young region in the first images.
"""

import math

import numpy as np
from numpy.typing import NDArray

from helioloop.records.instrument import Instrument
from helioloop.records.labels import Label
from helioloop.synthetic.flow import Scale
from helioloop.synthetic.scenario import PATCH_DEG, SECONDS_PER_DAY, Purpose, stream
from helioloop.synthetic.transport.passage import Passage
from helioloop.synthetic.transport.regions import SUPERGRANULAR_METRE2_PER_SECOND, ActiveRegion

SMOOTHING_MM = 10.0
"""Standard deviation of the smoothing: the size of a small active region."""
BOUND_GAUSS = 24.0
"""Smoothed field at disk centre from which on a region is found: several times the quiet Sun's."""
BOUND_GROWTH = 0.5
"""The bound is multiplied by 1 + growth · (1/μ − 1): noise and network add up along the line of sight."""
FARTHEST_DEG = 70.0
"""Images are searched up to this central-meridian distance."""
WATCHED_DEG = 60.0
"""A place is known to have been empty only within this central-meridian distance."""
SAME_PLACE_DEG = 6.0
"""Two regions nearer to each other than this are one in the catalogue."""
LATEST_PRECEDING_DAYS = 1.5


def daily_frames(passage: Passage, instrument: Instrument) -> list[int]:
    """Return the observed frames used for the daily images: those nearest to noon, at most six hours from it."""
    per_day = SECONDS_PER_DAY / instrument.cadence_seconds
    observed = np.asarray(passage.tracking.observed)
    chosen = []
    for day in range(math.ceil(instrument.n_frames / per_day)):
        noon = (day + 0.5) * per_day
        nearest = int(observed[np.argmin(np.abs(observed - noon))])
        if abs(nearest - noon) <= 0.25 * per_day:
            chosen.append(nearest)
    return chosen


def _smoothed_gauss(region: ActiveRegion, frames: NDArray[np.float64], scale: Scale) -> NDArray[np.float64]:
    """Return the peak of a region's smoothed unsigned radial field at `frames`, same shape.

    Both polarities are taken as one Gaussian: along the axis its variance is that of the clusters plus a quarter of the
    squared separation. What was released has spread, as in `regions.fragments`.
    """
    mm = scale.mm_per_px
    emerged, kept = region.emerged_mx(frames), region.kept_fraction(frames)
    cluster = (float(np.mean(region.spread_px(scale))) * mm) ** 2
    parted = np.clip((frames - region.onset_frame) / region.rise_frames, 0.0, 1.0)
    along = 0.25 * (region.separation_px * mm * parted) ** 2
    age_seconds = np.maximum(frames - region.onset_frame - region.rise_frames, 0.0) * scale.cadence_seconds
    spread = 2.0 * SUPERGRANULAR_METRE2_PER_SECOND * age_seconds * 1e-12
    total = np.zeros(frames.shape)
    for fraction, extra in ((kept, 0.0), (1.0 - kept, spread)):
        across = cluster + SMOOTHING_MM**2 + extra
        area_cm2 = 2.0 * math.pi * np.sqrt(across * (across + along)) * 1e16
        total += 2.0 * emerged * fraction / area_cm2
    return total


def finds(passage: Passage, instrument: Instrument) -> list[tuple[int, float, float, bool]]:
    """Return the first find of each region: frame, longitude, column in degrees, and whether it counts as emergence.

    A region within `SAME_PLACE_DEG` of one found before, or in the same image, has no find of its own.
    """
    rng = stream(passage.seed, passage.index, Purpose.DETECTION)
    frames = daily_frames(passage, instrument)
    if not frames:
        return []
    scale = Scale.of(instrument)
    times = np.asarray(frames, dtype=np.float64)
    latest = LATEST_PRECEDING_DAYS * SECONDS_PER_DAY / instrument.cadence_seconds
    factor = rng.lognormal(0.0, 0.2) * (1.0 + abs(passage.background_gauss) / 20.0)
    by_region = []
    for region in passage.regions:
        offset = region.x_px * PATCH_DEG / instrument.size_px
        longitude = passage.tracking.longitude(times) + offset
        cosine = np.cos(np.radians(np.clip(longitude, -85.0, 85.0))) * math.cos(math.radians(passage.latitude_deg))
        bound = BOUND_GAUSS * factor * (1.0 + BOUND_GROWTH * (1.0 / cosine - 1.0))
        seen = cosine * _smoothed_gauss(region, times, scale) * rng.lognormal(0.0, 0.15, times.size)
        by_region.append((offset, region.y_px, longitude, (seen > bound) & (np.abs(longitude) <= FARTHEST_DEG)))
    known: list[tuple[float, float]] = []
    found: list[tuple[int, float, float, bool]] = []
    for image, frame in enumerate(frames):
        for offset, y_px, longitude, detected in by_region:
            y_deg = y_px * PATCH_DEG / instrument.size_px
            if not detected[image] or any(math.dist((offset, y_deg), place) < SAME_PLACE_DEG for place in known):
                continue
            watched = (
                image > 0
                and frame - frames[image - 1] <= latest
                and abs(longitude[image - 1]) <= WATCHED_DEG
            )  # fmt: skip
            known.append((offset, y_deg))
            found.append((frame, float(longitude[image]), offset, bool(watched)))
    return found


def crude_label(passage: Passage, instrument: Instrument) -> Label:
    """Return the crude label: emergence if any region appeared where there was nothing the day before."""
    return Label.EMERGENCE if any(find[3] for find in finds(passage, instrument)) else Label.NON_EMERGENCE
