"""Scenarios whose constants and scenes differ from cube to cube: what networks are pretrained on beside usual ones.

Networks that learn from cubes of one Sun and one instrument know how emergences look there. With a flow, a network, an
instrument and regions of other constants in each cube, what remains to be learnt is what all emergences have in common
(domain randomisation, Tobin et al. 2017, arXiv:1703.06907). From none to three older regions and from none to two new
ones are anywhere in the patch, so neither their number nor their place tells the class.

The ranges are wide: about half to twice the constants of `helioloop.synthetic.constants`, and wider where the Sun's
values are known less well. `helioloop.synthetic.transport.varied` does the same with flux transport.
"""

from dataclasses import replace

import numpy as np

from helioloop.records.instrument import Instrument
from helioloop.synthetic.constants import USUAL, Constants
from helioloop.synthetic.detection import first_detection
from helioloop.synthetic.regions import RegionSampler, draw_ephemeral
from helioloop.synthetic.scenario import (
    SECONDS_PER_DAY,
    Bipole,
    Kind,
    Purpose,
    Scenario,
    derive_truth,
    log_uniform,
    stream,
)
from helioloop.synthetic.scenes import FURTHEST, GAP_FRACTION, around, draw_counts, draw_longitude, kind_of
from helioloop.synthetic.tracking import draw_start_and_latitude, draw_tracking

_NEW = (0.46, 0.41, 0.13)  # how often there are none, one and two new regions
_LOG_FLUX_NEW = (20.3, 22.5)
_LOG_FLUX_OLDER = (20.4, 22.3)
_OLDEST_DAYS = 16.0
_NOISE_GAUSS = (4.0, 32.0)  # HMI's to worse than MDI's
_NETWORK_GAUSS = (2.0, 22.0)


def draw_varied_scenario(seed: int, index: int, instrument: Instrument) -> Scenario:
    """Draw the scenario of cube `index` of `seed`, with constants of its own.

    Parameters
    ----------
    seed, index : int
        At least 0; the same pair gives the same scenario.
    instrument : Instrument
        Grid.
    """
    attempt = 0
    while True:
        scenario = _draw(stream(seed, index, Purpose.SCENARIO, attempt), seed, index, instrument)
        # A release has only regions that a detector found.
        if first_detection(scenario, instrument) is not None:
            return scenario
        attempt += 1


def _draw(rng: np.random.Generator, seed: int, index: int, instrument: Instrument) -> Scenario:
    constants = draw_constants(rng)
    start, cycle, latitude = draw_start_and_latitude(rng, index)
    gap = float(rng.uniform(-65.0, -30.0)) if rng.random() < GAP_FRACTION else None
    tracking = replace(
        draw_tracking(rng, start, latitude, instrument, gap_until_deg=gap), noise_gauss=log_uniform(rng, *_NOISE_GAUSS)
    )
    sampler = RegionSampler(
        rng=rng,
        tracking=tracking,
        latitude_deg=latitude,
        cycle=cycle,
        rank=0.0,
        instrument=instrument,
        constants=constants,
    )
    n_new, n_older = draw_counts(rng, _NEW)
    regions = _draw_regions(sampler, n_new=n_new, n_older=n_older)
    region = f"VAR{index + 1:05d}"
    bipoles = (*regions, *(draw_ephemeral(rng, instrument) for _ in range(rng.poisson(0.8))))
    truth = derive_truth(bipoles, tracking, instrument, Kind.EMERGING)
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
        network_gauss=log_uniform(rng, *_NETWORK_GAUSS),
        network_imbalance=float(rng.uniform(-0.95, 0.95)),
        tracking=tracking,
        truth=replace(truth, kind=kind_of(truth, n_new=n_new, n_older=n_older)),
        constants=constants,
    )


def draw_constants(rng: np.random.Generator) -> Constants:
    """Draw constants: each by itself, evenly on a logarithmic scale; fractions and correlations evenly."""
    return Constants(
        cell_mm=around(rng, USUAL.cell_mm, 1.7),
        cell_life_seconds=around(rng, USUAL.cell_life_seconds, 2.0),
        flow_metre_per_second=around(rng, USUAL.flow_metre_per_second, 2.0),
        granulation_metre2_per_second=around(rng, USUAL.granulation_metre2_per_second, 3.0),
        dispersal_metre2_per_second=around(rng, USUAL.dispersal_metre2_per_second, 2.0),
        join_frames=around(rng, USUAL.join_frames, 3.0),
        network_element_mx=around(rng, USUAL.network_element_mx, 3.0),
        network_life_frames=around(rng, USUAL.network_life_frames, 2.0),
        ephemeral_element_mx=around(rng, USUAL.ephemeral_element_mx, 2.0),
        ephemeral_life_frames=around(rng, USUAL.ephemeral_life_frames, 1.7),
        ephemeral_per_frame=around(rng, USUAL.ephemeral_per_frame, 3.0),
        approach_frames=around(rng, USUAL.approach_frames, 2.5),
        spot_fraction=(float(rng.uniform(0.05, 0.9)), float(rng.uniform(0.05, 0.8))),
        plage_gauss=around(rng, USUAL.plage_gauss, 2.5),
        rise_days=around(rng, USUAL.rise_days, 2.2),
        decay_days=around(rng, USUAL.decay_days, 2.5),
        separation_deg=around(rng, USUAL.separation_deg, 1.7),
        blur_px=around(rng, USUAL.blur_px, 1.8),
        disk_blur_px=around(rng, USUAL.disk_blur_px, 1.8),
        horizontal_fraction=float(rng.uniform(0.0, 0.7)),
        gain=around(rng, USUAL.gain, 1.4),
        noise_correlation=(float(rng.uniform(0.0, 0.7)), float(rng.uniform(0.0, 0.7))),
    )


def _draw_regions(sampler: RegionSampler, *, n_new: int, n_older: int) -> list[Bipole]:
    """Draw new and older regions; the one that the patch follows is near its centre, and comes first.

    Longitudes are drawn for the centre of the patch; a region is up to `FURTHEST` from it.
    """
    rng, size = sampler.rng, sampler.instrument.size_px
    days = sampler.instrument.cadence_seconds / SECONDS_PER_DAY
    drawn = []
    for _ in range(n_new):
        longitude = draw_longitude(rng)
        drawn.append(sampler.emerging(float(rng.uniform(*_LOG_FLUX_NEW)), longitude))
    for _ in range(n_older):
        age_frames = float(rng.uniform(0.5, _OLDEST_DAYS)) / days
        drawn.append(sampler.existing(float(rng.uniform(*_LOG_FLUX_OLDER)), age_frames))
    followed = int(rng.integers(len(drawn)))
    drawn.insert(0, drawn.pop(followed))
    places = rng.uniform(-FURTHEST * size, FURTHEST * size, (len(drawn), 2))
    places[0] = rng.normal(0.0, 0.03 * size, 2)
    return [replace(one, x_px=float(x), y_px=float(y)) for one, (x, y) in zip(drawn, places, strict=True)]
