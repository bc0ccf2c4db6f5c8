"""Scenarios by seed and number: regions dealt from a deck of kinds, and some of them seen a second time.

Fifth room of `helioloop.synthetic`. Cube `index` of a seed depends on these two alone, never on the size of a release.
"""

import math
from dataclasses import replace
from datetime import date, timedelta

import numpy as np

from helioloop.instrument import Instrument
from helioloop.synthetic.detection import first_detection
from helioloop.synthetic.regions import RegionDraw, draw_ephemeral
from helioloop.synthetic.scenario import PATCH_DEG, Kind, Scenario, judge, stream
from helioloop.synthetic.watching import draw_watch, when_and_where

SECOND_VIEW_EVERY = 12
"""Every twelfth cube sees the region of the cube before it again, so that folds by region have something to hold."""

# Regions are dealt from a shuffled deck, so that small releases hold every kind in proportion.
_DECK = (
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
_GOLDEN = 0.5 * (math.sqrt(5.0) - 1.0)


def draw_scenario(seed: int, index: int, instrument: Instrument) -> Scenario:
    """Draw cube `index` of `seed`.

    Parameters
    ----------
    seed, index : int
        Non-negative; the same pair gives the same scenario.
    instrument : Instrument
        Grid; lengths in pixels are those of a 15° patch on it.
    """
    if index % SECOND_VIEW_EVERY != SECOND_VIEW_EVERY - 1:
        return _first_view(seed, index, instrument)
    base = _first_view(seed, index - 1, instrument)
    rng = stream(seed, index, 0)
    if (index // SECOND_VIEW_EVERY) % 2 == 0:
        return _later_patch(base, index, rng, instrument)
    return _next_rotation(base, index, rng, instrument)


def _first_view(seed: int, index: int, instrument: Instrument) -> Scenario:
    ordinal = index - index // SECOND_VIEW_EVERY
    round_of_deck, place = divmod(ordinal, len(_DECK))
    card = int(stream(seed, round_of_deck, 1).permutation(len(_DECK))[place])
    kind = _DECK[card]
    # How hard a cube of its kind this is: evenly spread from the first to the last, in steps of the golden ratio.
    number = round_of_deck * _DECK.count(kind) + card - _DECK.index(kind)
    offset = float(stream(seed, list(Kind).index(kind), 8).random())
    rank = (offset + number * _GOLDEN) % 1.0
    attempt = 0
    while True:
        rng = stream(seed, index, 0, attempt)
        scenario = _draw(rng, seed=seed, index=index, kind=kind, rank=rank, ordinal=ordinal, instrument=instrument)
        # A region that no detector ever found is in nobody's release.
        if first_detection(scenario, instrument) is not None:
            return scenario
        attempt += 1


def _draw(
    rng: np.random.Generator, *, seed: int, index: int, kind: Kind, rank: float, ordinal: int, instrument: Instrument
) -> Scenario:
    start, cycle, latitude = when_and_where(rng, ordinal)
    watch = draw_watch(
        rng, start, latitude, instrument, gap_until_deg=-65.0 + 35.0 * rank if kind is Kind.GAP else None
    )
    draw = RegionDraw(rng=rng, watch=watch, latitude_deg=latitude, cycle=cycle, rank=rank, instrument=instrument)
    bipoles = tuple(draw.regions(kind))
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
        watch=watch,
        truth=judge(bipoles, watch, instrument, kind),
    )


def _later_patch(base: Scenario, index: int, rng: np.random.Generator, instrument: Instrument) -> Scenario:
    """Return the same region at the same time, its video begun a day later and centred elsewhere."""
    frames = round(86400.0 / instrument.cadence_seconds)
    start = date.fromisoformat(base.start[:10]) + timedelta(days=1)
    shift = (float(rng.uniform(-10.0, 10.0)), float(rng.uniform(-7.0, 7.0)))
    degrees_per_px = PATCH_DEG / instrument.size_px
    watch = replace(
        draw_watch(rng, start, base.latitude_deg, instrument),
        longitude_deg=float(base.watch.longitude(np.array(frames))) + shift[0] * degrees_per_px,
        degrees_per_frame=base.watch.degrees_per_frame,
        drift_px_per_frame=base.watch.drift_px_per_frame,
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
        watch=watch,
        truth=judge(bipoles, watch, instrument, base.truth.kind),
    )


def _next_rotation(base: Scenario, index: int, rng: np.random.Generator, instrument: Instrument) -> Scenario:
    """Return the same region 27 days later: old, or gone but for its remnant."""
    days = 27
    start = date.fromisoformat(base.start[:10]) + timedelta(days=days)
    frames = days * 86400.0 / instrument.cadence_seconds
    watch = draw_watch(rng, start, base.latitude_deg, instrument)
    # Only a region that outlives the far side gets its name a second time.
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
        watch=watch,
        truth=judge(bipoles, watch, instrument, Kind.RETURNING),
    )
