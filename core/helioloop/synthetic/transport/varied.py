"""Passages whose constants and scenes differ from cube to cube, for pretraining; see `helioloop.synthetic.varied`."""

import numpy as np

from helioloop.records.instrument import Instrument
from helioloop.synthetic.scenario import PATCH_DEG, Kind, Purpose, derive_truth, log_uniform, stream
from helioloop.synthetic.transport.constants import USUAL, Constants
from helioloop.synthetic.transport.detection import finds
from helioloop.synthetic.transport.passage import LIKE_HMI, LIKE_MDI, Magnetograph, Passage
from helioloop.synthetic.transport.regions import ActiveRegion
from helioloop.synthetic.transport.sampling import HMI_FRACTION, PassageSampler, draw_start, draw_tracking

_NEW = (0.5, 0.38, 0.12)  # how often there are none, one and two new regions
_OLDER = (0.3, 0.4, 0.2, 0.1)  # how often there are none to three older ones
_FLUX_MX = (2.0e20, 2.5e22)
_OLDEST_DAYS = 20.0
_FURTHEST = 0.36  # of the patch: how far regions are from its centre, in longitude and latitude
_GAP_FRACTION = 0.06
_LIMB_FRACTION = 0.25  # of the new regions emerge before they rotate into view
_VISIBLE_DEG = (-73.0, 55.0)
_HIDDEN_DEG = (-105.0, -77.0)


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
    tracking = draw_tracking(rng, start, latitude, era, instrument, gap=rng.random() < _GAP_FRACTION)
    sampler = PassageSampler(
        rng=rng,
        tracking=tracking,
        latitude_deg=latitude,
        cycle=cycle,
        instrument=instrument,
        key=(seed, index),
        constants=constants,
    )
    regions, kind = _draw_regions(sampler)
    name = f"VFT{index + 1:05d}"
    return Passage(
        seed=seed,
        index=index,
        region=name,
        name=f"{name}_{start:%Y%m%d}",
        start=f"{start.isoformat()}T00:00:00",
        latitude_deg=latitude,
        regions=regions,
        background_gauss=float(rng.uniform(-12.0, 12.0)),
        tracking=tracking,
        magnetograph=draw_magnetograph(rng),
        truth=derive_truth(regions, tracking, instrument, kind),
        constants=constants,
    )


def draw_constants(rng: np.random.Generator) -> Constants:
    """Draw constants: each by itself, evenly on a logarithmic scale."""

    def around(usual: float, factor: float) -> float:
        return log_uniform(rng, usual / factor, usual * factor)

    return Constants(
        cell_mm=around(USUAL.cell_mm, 1.7),
        life_days=around(USUAL.life_days, 2.0),
        speed_metre_per_second=around(USUAL.speed_metre_per_second, 2.0),
        diffusion_metre2_per_second=around(USUAL.diffusion_metre2_per_second, 3.0),
        quenching_gauss=around(USUAL.quenching_gauss, 2.5),
        ephemeral_mx_per_day=around(USUAL.ephemeral_mx_per_day, 2.5),
        ephemeral_mx=around(USUAL.ephemeral_mx, 2.0),
        burst_frames=around(USUAL.burst_frames, 2.0),
        parting_frames=around(USUAL.parting_frames, 2.5),
        fragment_mm=around(USUAL.fragment_mm, 1.8),
        cluster_mm=around(USUAL.cluster_mm, 1.8),
        following_wider=around(USUAL.following_wider, 1.5),
        rise_days=around(USUAL.rise_days, 2.2),
        decay_days=around(USUAL.decay_days, 2.5),
        separation_mm=around(USUAL.separation_mm, 1.7),
    )


def draw_magnetograph(rng: np.random.Generator) -> Magnetograph:
    """Draw an instrument between and a little beyond MDI and HMI, whose cubes are brought to MDI's scale."""
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


def _draw_regions(sampler: PassageSampler) -> tuple[tuple[ActiveRegion, ...], Kind]:
    """Draw older and new regions, at least one, and what they show; the one that the patch follows is at its centre."""
    rng = sampler.rng
    n_new = n_older = 0
    while n_new + n_older == 0:
        n_new, n_older = int(rng.choice(3, p=_NEW)), int(rng.choice(4, p=_OLDER))
    places = rng.uniform(-_FURTHEST * PATCH_DEG, _FURTHEST * PATCH_DEG, (n_new + n_older, 2))
    followed = int(rng.integers(len(places)))
    places[followed] = 0.0
    drawn = []
    for number, (x, y) in enumerate(places.tolist()):
        flux = log_uniform(rng, *_FLUX_MX)
        if number < n_new:
            hidden = rng.random() < _LIMB_FRACTION
            longitude = float(rng.uniform(*(_HIDDEN_DEG if hidden else _VISIBLE_DEG)))
            drawn.append(sampler.emerging(flux, longitude, place_deg=(x, y)))
        else:
            drawn.append(sampler.older(flux, float(rng.uniform(0.5, _OLDEST_DAYS)), place_deg=(x, y)))
    drawn.insert(0, drawn.pop(followed))
    if not n_older:
        return tuple(drawn), Kind.EMERGING
    return tuple(drawn), Kind.INSIDE if n_new else Kind.ROTATING_IN
