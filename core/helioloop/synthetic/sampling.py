"""Random scenarios by seed and index.

Kinds of cubes come in random order in blocks with fixed counts, so that small releases contain every kind in
proportion. Some regions are shown a second time. Cube `index` of a seed depends on these two numbers only, not on the
size of a release.
"""

import math
from dataclasses import replace
from datetime import date, timedelta

import numpy as np

from helioloop.records.instrument import Instrument
from helioloop.synthetic.detection import first_detection
from helioloop.synthetic.regions import RegionSampler, draw_ephemeral
from helioloop.synthetic.scenario import (
    PATCH_DEG,
    SECONDS_PER_DAY,
    Kind,
    Purpose,
    Scenario,
    derive_truth,
    stream,
)
from helioloop.synthetic.tracking import draw_start_and_latitude, draw_tracking

SECOND_VIEW_EVERY = 12
"""Every twelfth cube shows the region of the cube before it again, so that folds by region have regions to separate."""

_BLOCK = (
    *[Kind.EMERGING] * 5,
    *[Kind.WEAK] * 2,
    *[Kind.BESIDE] * 2,
    *[Kind.INSIDE] * 2,
    Kind.NEAR_LIMB,
    *[Kind.ROTATING_IN] * 3,
    *[Kind.GROWING] * 2,
    *[Kind.DECAYING] * 2,
    *[Kind.FAINT] * 2,
    Kind.GAP,
)
_GOLDEN_RATIO = 0.5 * (math.sqrt(5.0) - 1.0)
_DRAWS_PER_RANK = 1000  # far more than the detector needs for a region that it can find
_RANK_STEP = 0.01
_ROTATION_DAYS = 27


def draw_scenario(seed: int, index: int, instrument: Instrument) -> Scenario:
    """Draw the scenario of cube `index` of `seed`.

    Parameters
    ----------
    seed, index : int
        At least 0; the same pair gives the same scenario.
    instrument : Instrument
        Grid; lengths in pixels are those of a 15° patch on it.
    """
    if index % SECOND_VIEW_EVERY != SECOND_VIEW_EVERY - 1:
        return _first_view(seed, index, instrument)
    base = _first_view(seed, index - 1, instrument)
    rng = stream(seed, index, Purpose.SCENARIO)
    if (index // SECOND_VIEW_EVERY) % 2 == 0:
        return _later_patch(base, index, rng, instrument)
    return _next_rotation(base, index, rng, instrument)


def _first_view(seed: int, index: int, instrument: Instrument) -> Scenario:
    """Draw a scenario with a region of its own, which the detector finds.

    Notes
    -----
    The k-th cube of a kind has the rank (offset + k · φ) mod 1 with the golden ratio φ = (√5 − 1) / 2: an additive
    recurrence, which covers [0, 1] evenly for any number of cubes. The faintest remnants are never found by the
    detector, so where no draw of a rank is found, the rank is raised.
    """
    ordinal = index - index // SECOND_VIEW_EVERY
    n_blocks_before, place = divmod(ordinal, len(_BLOCK))
    slot = int(stream(seed, n_blocks_before, Purpose.KIND).permutation(len(_BLOCK))[place])
    kind = _BLOCK[slot]
    n_of_kind_before = n_blocks_before * _BLOCK.count(kind) + slot - _BLOCK.index(kind)
    offset = float(stream(seed, list(Kind).index(kind), Purpose.RANK).random())
    rank = (offset + n_of_kind_before * _GOLDEN_RATIO) % 1.0
    attempt = 0
    while True:
        rng = stream(seed, index, Purpose.SCENARIO, attempt)
        raised = min(rank + _RANK_STEP * (attempt // _DRAWS_PER_RANK), 1.0)
        scenario = _draw(rng, seed=seed, index=index, kind=kind, rank=raised, ordinal=ordinal, instrument=instrument)
        # A release has only regions that a detector found.
        if first_detection(scenario, instrument) is not None:
            return scenario
        attempt += 1


def _draw(
    rng: np.random.Generator, *, seed: int, index: int, kind: Kind, rank: float, ordinal: int, instrument: Instrument
) -> Scenario:
    """Draw a scenario of this kind and rank; `ordinal` counts the first views."""
    start, cycle, latitude = draw_start_and_latitude(rng, ordinal)
    tracking = draw_tracking(
        rng, start, latitude, instrument, gap_until_deg=-65.0 + 35.0 * rank if kind is Kind.GAP else None
    )
    sampler = RegionSampler(
        rng=rng, tracking=tracking, latitude_deg=latitude, cycle=cycle, rank=rank, instrument=instrument
    )
    bipoles = tuple(sampler.regions(kind))
    bipoles += tuple(draw_ephemeral(rng, instrument) for _ in range(rng.poisson(0.8)))
    region = f"SYN{index + 1:05d}"
    return Scenario(
        seed=seed,
        index=index,
        sun_index=index,
        sun_frame=0,
        region=region,
        name=f"{region}_{start:%Y%m%d}",
        start=f"{start.isoformat()}T00:00:00",
        latitude_deg=latitude,
        cycle=cycle,
        bipoles=bipoles,
        network_gauss=float(np.clip(rng.lognormal(math.log(9.0), 0.45), 3.5, 22.0)),
        network_imbalance=float(rng.uniform(-0.9, 0.9)),
        tracking=tracking,
        truth=derive_truth(bipoles, tracking, instrument, kind),
    )


def _later_patch(base: Scenario, index: int, rng: np.random.Generator, instrument: Instrument) -> Scenario:
    """Draw a second view of the same region: it starts a day later and is centred elsewhere."""
    frames = round(SECONDS_PER_DAY / instrument.cadence_seconds)
    start = date.fromisoformat(base.start[:10]) + timedelta(days=1)
    shift = (float(rng.uniform(-10.0, 10.0)), float(rng.uniform(-7.0, 7.0)))
    degrees_per_px = PATCH_DEG / instrument.size_px
    tracking = replace(
        draw_tracking(rng, start, base.latitude_deg, instrument),
        longitude_deg=float(base.tracking.longitude(np.array(frames))) + shift[0] * degrees_per_px,
        degrees_per_frame=base.tracking.degrees_per_frame,
        drift_px_per_frame=base.tracking.drift_px_per_frame,
        shift_px=shift,
    )
    bipoles = tuple(
        replace(b, onset_frame=b.onset_frame - frames, x_px=b.x_px - shift[0], y_px=b.y_px - shift[1])
        for b in base.bipoles
    )
    return replace(
        base,
        index=index,
        sun_frame=frames,
        name=f"{base.region}_{start:%Y%m%d}",
        start=f"{start.isoformat()}T00:00:00",
        latitude_deg=base.latitude_deg + shift[1] * degrees_per_px,
        bipoles=bipoles,
        tracking=tracking,
        truth=derive_truth(bipoles, tracking, instrument, base.truth.kind),
    )


def _next_rotation(base: Scenario, index: int, rng: np.random.Generator, instrument: Instrument) -> Scenario:
    """Draw a second view of the same region one rotation later, when it is old or only a remnant."""
    start = date.fromisoformat(base.start[:10]) + timedelta(days=_ROTATION_DAYS)
    frames = _ROTATION_DAYS * SECONDS_PER_DAY / instrument.cadence_seconds
    tracking = draw_tracking(rng, start, base.latitude_deg, instrument)
    # Only a large region survives a rotation, so it is made large enough to be found again.
    bipoles = tuple(
        replace(
            b,
            flux_mx=max(b.flux_mx, 5e21),
            onset_frame=b.onset_frame - frames,
            decay_frames=max(b.decay_frames, frames / 1.1),
            separation_px=b.separation_px * 1.4,
        )
        for b in base.bipoles
        if b.is_region
    )
    return replace(
        base,
        index=index,
        sun_index=index,
        name=f"{base.region}_{start:%Y%m%d}",
        start=f"{start.isoformat()}T00:00:00",
        bipoles=bipoles,
        tracking=tracking,
        truth=derive_truth(bipoles, tracking, instrument, Kind.RETURNING),
    )
