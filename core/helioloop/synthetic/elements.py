"""Magnetic elements: all flux of a scenario in small pieces, those of the quiet Sun and those of its bipoles.

Seventh room of `helioloop.synthetic`. Elements of the quiet Sun are free from the start. Those of a bipole emerge in
pairs between its poles, run to their pole within half a day and stay there, in spots and plage, until they are
released to the flow. The two of a pair carry opposite flux and end together, so a bipole is in balance and its flux
follows `Bipole.flux`.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from helioloop.synthetic.flow import Floats, Scale
from helioloop.synthetic.scenario import Bipole, Scenario, stream

_NETWORK_ELEMENT_MX = 1.3e19
_EPHEMERAL_ELEMENT_MX = 6e18
_SPOT_GAUSS = (1300.0, 950.0)  # mean radial field of leading and following cores
_CORE_SHARE = (0.66, 0.45)
_CLUSTERS = ((2, 5), (3, 8))


@dataclass(slots=True)
class Elements:
    """Magnetic elements; arrays of shape (n,) unless said otherwise.

    `birth` and `death` bound an element's life in frames, `ramp` is how many frames each end takes; up to `release`
    an element stands where `held` says, shape (n_frames, n, 2), NaN-free; afterwards the flow carries it.
    """

    flux_gauss_px: Floats
    birth: Floats
    death: Floats
    release: Floats
    ramp: Floats
    start: Floats
    held: Floats | None = None


def network_elements(rng: np.random.Generator, scenario: Scenario, scale: Scale, n_frames: int) -> Elements:
    """Return the elements of the network: long-lived, unbalanced by `network_imbalance`."""
    mean = scale.gauss_px(_NETWORK_ELEMENT_MX)
    life = 150.0
    turnover = (n_frames + 2.0 * life) / life
    n = round(scenario.network_gauss * scale.box_px**2 / mean * turnover)
    sign = np.where(rng.random(n) < 0.5 * (1.0 + scenario.network_imbalance), 1.0, -1.0)
    birth = rng.uniform(-2.0 * life, n_frames, size=n)
    return _free_elements(
        sign * rng.exponential(mean, size=n), birth, birth + life, rng.uniform(0.0, scale.box_px, (n, 2)), ramp=8.0
    )


def ephemeral_elements(rng: np.random.Generator, scale: Scale, n_frames: int) -> Elements:
    """Return short-lived pairs of both polarities that appear inside the cells."""
    mean = scale.gauss_px(_EPHEMERAL_ELEMENT_MX)
    life = 14.0
    n = round(4.0 * (scale.box_px / 120.0) ** 2 * (n_frames + life))
    flux = rng.exponential(mean, size=n)
    place = rng.uniform(0.0, scale.box_px, (n, 2))
    apart = rng.normal(0.0, 1.5, (n, 2))
    birth = rng.uniform(-life, n_frames, size=n)
    death = birth + 4.0 + rng.exponential(life - 4.0, size=n)
    return _free_elements(
        np.concatenate([flux, -flux]),
        np.tile(birth, 2),
        np.tile(death, 2),
        np.concatenate([place + apart, place - apart]),
        ramp=2.0,
    )


def _free_elements(
    flux: NDArray[np.float64],
    birth: NDArray[np.float64],
    death: NDArray[np.float64],
    start: NDArray[np.float64],
    *,
    ramp: float,
) -> Elements:
    return Elements(
        flux_gauss_px=flux.astype(np.float32),
        birth=birth.astype(np.float32),
        death=death.astype(np.float32),
        release=birth.astype(np.float32),
        ramp=np.full(flux.shape, ramp, dtype=np.float32),
        start=start.astype(np.float32),
    )


def bipole_elements(
    bipole: Bipole, scenario: Scenario, scale: Scale, *, number: int, shift: NDArray[np.float64], n_frames: int
) -> Elements:
    """Return a bipole's elements, leading ones first, and where each stands until it is released."""
    rng = stream(scenario.seed, scenario.sun_index, 6, number)
    total = scale.gauss_px(bipole.flux_mx)
    n = int(np.clip(total / 110.0, 14, 420))
    onset = bipole.onset_frame + scenario.sun_frame
    rise = bipole.rise_frames
    # Births by the inverse of the rise, evenly spread: the sum of the elements follows `Bipole.flux` closely.
    birth = onset + rise * 2.0 / math.pi * np.arcsin(np.sqrt((np.arange(n) + 0.5) / n))
    flux = rng.lognormal(0.0, 0.5, size=n)
    flux *= total / flux.sum()
    death = onset + rise + rng.exponential(bipole.decay_frames, size=n)
    death = np.maximum(death, birth + 2.0)

    frames = np.arange(n_frames)
    progress = np.clip((frames - onset) / rise, 0.0, None)
    separation = bipole.separation_px * (0.12 + 0.88 * (1.0 - np.exp(-1.8 * progress))) / (1.0 - 0.88 * math.exp(-1.8))
    # East-west distances stay; the tilt brings the leading pole towards the equator.
    equatorward = -1.0 if scenario.latitude_deg > 0 else 1.0
    tilt = math.radians(bipole.tilt_deg)
    axis = np.array([math.cos(tilt), equatorward * math.sin(tilt)])
    across = np.array([-axis[1], axis[0]])
    centre = 0.5 * (scale.box_px - 1) + shift + np.array([bipole.x_px, bipole.y_px])
    size = np.sqrt(np.clip(np.sin(0.5 * math.pi * np.minimum(progress, 1.0)) ** 2, 0.06, 1.0))

    drift = scenario.watch.drift_px_per_frame * (frames - np.clip(onset, 0.0, n_frames))

    along_birth = rng.normal(0.0, 0.16, size=n)
    across_birth = rng.normal(0.0, 0.35, size=n)
    extent = math.sqrt(total / (math.pi * 350.0))
    held = []
    release = []
    for pole, (sign, lead_share) in enumerate(((1.0, 0.58), (-1.0, 0.42))):
        offset, in_core = _pole_offsets(rng, n, total, extent, pole)
        place = (
            centre
            + (sign * lead_share * separation)[:, None, None] * axis
            + size[:, None, None] * (offset[:, :1] * axis + offset[:, 1:] * across)[None]
        )
        at_birth = np.clip(np.round(birth), 0, n_frames - 1).astype(int)
        reach = np.interp(birth, frames, separation)
        spread = np.interp(birth, frames, size) * extent
        source = centre + (along_birth * reach)[:, None] * axis + (across_birth * (spread + 1.0))[:, None] * across
        lag = np.exp(-np.clip(frames[:, None] - birth[None], 0.0, None) / 7.0)
        start = place[at_birth, np.arange(n)]
        standing = place + lag[..., None] * (source - start)[None]
        standing[..., 0] += drift[:, None]
        held.append(standing)
        plage = birth + 8.0 + rng.exponential(1.2 * rise, size=n)
        core = onset + rise + rng.exponential(0.8 * bipole.decay_frames, size=n)
        release.append(np.where(in_core, core, plage))
    return Elements(
        flux_gauss_px=np.concatenate([flux, -flux]).astype(np.float32) * np.float32(bipole.leading_polarity),
        birth=np.tile(birth, 2).astype(np.float32),
        death=np.tile(death, 2).astype(np.float32),
        release=np.concatenate(release).astype(np.float32),
        ramp=np.full(2 * n, 3.0, dtype=np.float32),
        start=np.empty((0, 2), dtype=np.float32),
        held=np.concatenate(held, axis=1).astype(np.float32),
    )


def _pole_offsets(
    rng: np.random.Generator, n: int, total_gauss_px: float, extent_px: float, pole: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Draw where the elements of one pole gather: a few spots of uniform field, and plage about them."""
    n_clusters = int(rng.integers(*_CLUSTERS[pole]))
    weight = rng.dirichlet(np.full(n_clusters, 2.0)) if n_clusters > 1 else np.ones(1)
    cluster = rng.choice(n_clusters, size=n, p=weight)
    centres = rng.normal(0.0, (0.55, 0.85)[pole] * extent_px, size=(n_clusters, 2)) * np.array([1.0, 0.8])
    centres -= weight @ centres
    in_core = rng.random(n) < _CORE_SHARE[pole]
    share = np.bincount(cluster[in_core], minlength=n_clusters) / n
    radius = np.sqrt(total_gauss_px * share / (math.pi * _SPOT_GAUSS[pole]))
    angle = rng.uniform(0.0, 2.0 * math.pi, size=n)
    disc = radius[cluster] * np.sqrt(rng.random(n))
    offset = centres[cluster] + np.where(
        in_core[:, None],
        disc[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1),
        rng.normal(0.0, 0.6 * extent_px + 1.0, size=(n, 2)),
    )
    return offset, in_core
