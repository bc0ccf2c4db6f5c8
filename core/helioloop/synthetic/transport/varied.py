"""Passages whose constants and scenes differ from cube to cube, for pretraining; see `helioloop.synthetic.varied`."""

from dataclasses import replace

import numpy as np

from helioloop.records.instrument import Instrument
from helioloop.synthetic.scenario import PATCH_DEG, Kind, Purpose, derive_truth, log_uniform, stream
from helioloop.synthetic.scenes import FURTHEST, GAP_FRACTION, around, draw_counts, draw_longitude, kind_of
from helioloop.synthetic.transport.constants import USUAL, Constants
from helioloop.synthetic.transport.detection import finds
from helioloop.synthetic.transport.passage import LIKE_HMI, LIKE_MDI, Magnetograph, Passage
from helioloop.synthetic.transport.regions import ActiveRegion
from helioloop.synthetic.transport.sampling import HMI_FRACTION, PassageSampler, draw_start, draw_tracking

_NEW = (0.5, 0.38, 0.12)  # how often there are none, one and two new regions
_FLUX_MX = (2.0e20, 2.5e22)
_OLDEST_DAYS = 20.0


def draw_varied_passage(seed: int, index: int, instrument: Instrument) -> Passage:
    """Draw the passage of cube `index` of `seed`, with constants of its own; both at least 0."""
    attempt = 0
    while True:
        passage = _draw(stream(seed, index, Purpose.SCENARIO, attempt), seed, index, instrument)
        # A release has only regions that the detector found.
        if finds(passage, instrument):
            return passage
        attempt += 1


def _draw(rng: np.random.Generator, seed: int, index: int, instrument: Instrument) -> Passage:
    constants = draw_constants(rng)
    era = LIKE_HMI if rng.random() < HMI_FRACTION else LIKE_MDI
    start, cycle, latitude = draw_start(rng, era)
    tracking = draw_tracking(rng, start, latitude, era, instrument, gap=rng.random() < GAP_FRACTION)
    sampler = PassageSampler(
        rng=rng,
        tracking=tracking,
        latitude_deg=latitude,
        cycle=cycle,
        instrument=instrument,
        key=(seed, index),
        constants=constants,
    )
    n_new, n_older = draw_counts(rng, _NEW)
    regions = _draw_regions(sampler, n_new=n_new, n_older=n_older)
    truth = derive_truth(regions, tracking, instrument, Kind.EMERGING)
    background_gauss = float(rng.uniform(-12.0, 12.0))
    magnetograph = draw_magnetograph(rng)
    name = f"VFT{index + 1:05d}"
    return Passage(
        seed=seed,
        index=index,
        region=name,
        name=f"{name}_{start:%Y%m%d}",
        start=f"{start.isoformat()}T00:00:00",
        latitude_deg=latitude,
        regions=regions,
        background_gauss=background_gauss,
        tracking=replace(tracking, noise_gauss=magnetograph.noise_gauss[0]),
        magnetograph=magnetograph,
        truth=replace(truth, kind=kind_of(truth, n_new=n_new, n_older=n_older)),
        constants=constants,
    )


def draw_constants(rng: np.random.Generator) -> Constants:
    """Draw constants: each by itself, evenly on a logarithmic scale."""
    return Constants(
        cell_mm=around(rng, USUAL.cell_mm, 1.7),
        life_days=around(rng, USUAL.life_days, 2.0),
        speed_metre_per_second=around(rng, USUAL.speed_metre_per_second, 2.0),
        diffusion_metre2_per_second=around(rng, USUAL.diffusion_metre2_per_second, 3.0),
        quenching_gauss=around(rng, USUAL.quenching_gauss, 2.5),
        ephemeral_mx_per_day=around(rng, USUAL.ephemeral_mx_per_day, 2.5),
        ephemeral_mx=around(rng, USUAL.ephemeral_mx, 2.0),
        burst_frames=around(rng, USUAL.burst_frames, 2.0),
        parting_frames=around(rng, USUAL.parting_frames, 2.5),
        fragment_mm=around(rng, USUAL.fragment_mm, 1.8),
        cluster_mm=around(rng, USUAL.cluster_mm, 1.8),
        following_wider=around(rng, USUAL.following_wider, 1.5),
        rise_days=around(rng, USUAL.rise_days, 2.2),
        decay_days=around(rng, USUAL.decay_days, 2.5),
        separation_mm=around(rng, USUAL.separation_mm, 1.7),
    )


def draw_magnetograph(rng: np.random.Generator) -> Magnetograph:
    """Draw an instrument with pixels between HMI's and MDI's, and noise and gain somewhat beyond; the gain stays in."""
    noise = log_uniform(rng, 6.0, 32.0)
    gain = log_uniform(rng, 1.0 / 1.4, 1.4)
    return Magnetograph(
        pixel_deg=log_uniform(rng, LIKE_HMI.pixel_deg, LIKE_MDI.pixel_deg),
        noise_gauss=(noise, noise * float(rng.uniform(0.5, 1.0))),
        limb_growth=float(rng.uniform(0.4, 1.6)),
        blur_px=float(rng.uniform(0.5, 1.5)),
        scale=gain,
        to_mdi=1.0,
        scale_error=0.05,
        wave_gauss=float(rng.uniform(0.0, 6.0)),
    )


def _draw_regions(sampler: PassageSampler, *, n_new: int, n_older: int) -> tuple[ActiveRegion, ...]:
    """Draw new and older regions; the one that the patch follows is near its centre, and comes first."""
    rng = sampler.rng
    places = rng.uniform(-FURTHEST * PATCH_DEG, FURTHEST * PATCH_DEG, (n_new + n_older, 2))
    followed = int(rng.integers(len(places)))
    places[followed] = 0.0
    drawn = []
    for number, (x, y) in enumerate(places.tolist()):
        flux = log_uniform(rng, *_FLUX_MX)
        if number < n_new:
            drawn.append(sampler.emerging(flux, draw_longitude(rng), place_deg=(x, y)))
        else:
            drawn.append(sampler.older(flux, float(rng.uniform(0.5, _OLDEST_DAYS)), place_deg=(x, y)))
    drawn.insert(0, drawn.pop(followed))
    return tuple(drawn)
