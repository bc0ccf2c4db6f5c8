"""Active regions: bursts of flux whose footpoints move apart, and what is left of old ones.

A region emerges as a series of small bipoles. Each rises within hours; its footpoints part and join the clusters of
their polarity. After the rise the clusters decay: their flux is released to the flows. Fluxes are those of one
polarity.

References
----------
Otsuji et al. 2011, PASJ 63, 1047 (rise time and flux). Schrijver & Harvey 1994, Solar Phys. 150, 1 (sizes of emerging
regions). Strous & Zwaan 1999, ApJ 527, 435 (bursts of emergence). Wang & Sheeley 1991, ApJ 375, 761 (separation and
tilt of poles). van Driel-Gesztelyi & Green 2015, Living Rev. Solar Phys. 12, 1 (decay).
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from helioloop.synthetic.flow import Floats, Scale
from helioloop.synthetic.scenario import EMERGED_FRACTION, REGION_FLUX_MX, Purpose, stream
from helioloop.synthetic.transport.constants import USUAL, Constants

SUPERGRANULAR_METRE2_PER_SECOND = 3.0e8
"""Diffusivity by which regions have spread before a passage begins; 250 to 600 km²/s are in use (Wang et al. 1989)."""

_ORIGIN_FRACTION = 0.12  # spread of the bursts' origins along the axis, as a fraction of the separation
_NARROWEST_PX = 0.4


@dataclass(frozen=True, kw_only=True)
class ActiveRegion:
    """One active region.

    Parameters
    ----------
    flux_mx : float
        Flux of each polarity that emerges in all, in maxwell.
    onset_frame, rise_frames, decay_frames : float
        First burst, time until the last one has risen, and e-folding time of the decay after it, in frames.
    x_px, y_px : float
        Centre, west and north of the centre of the patch.
    separation_px : float
        Distance of the clusters.
    tilt_deg : float
        Tilt by Joy's law, positive if the leading polarity is nearer to the equator.
    leading_polarity : int
        +1 or −1.
    key : tuple of int
        Seed, index and number of the region, from which its bursts are drawn.
    constants : Constants
        Bursts and clusters.
    """

    flux_mx: float
    onset_frame: float
    rise_frames: float
    decay_frames: float
    x_px: float
    y_px: float
    separation_px: float
    tilt_deg: float
    leading_polarity: int
    key: tuple[int, int, int]
    constants: Constants = USUAL

    @cached_property
    def bursts(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Frame at which each burst begins and flux of each in maxwell, both of shape (n_bursts,)."""
        seed, index, number = self.key
        rng = stream(seed, index, Purpose.BIPOLE_ELEMENTS, number)
        n = int(np.clip(round(6.0 * (self.flux_mx / 1e21) ** 0.6), 3, 40))
        last = max(self.rise_frames - self.constants.burst_frames, 1.0)
        begin = np.sort(rng.beta(1.3, 1.5, size=n)) * last
        begin += (last - begin[-1]) * np.linspace(0.0, 1.0, n) - begin[0] * np.linspace(1.0, 0.0, n)
        flux = rng.gamma(2.0, size=n)
        return self.onset_frame + np.maximum(begin, 0.0), self.flux_mx * flux / flux.sum()

    def emerged_mx(self, frames: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the flux that has emerged until `frames`, shape (n_frames,)."""
        begin, flux = self.bursts
        return np.asarray(np.clip((frames[:, None] - begin) / self.constants.burst_frames, 0.0, 1.0) @ flux)

    def kept_fraction(self, frames: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return which fraction of the emerged flux is still in the clusters at `frames`, same shape."""
        return np.asarray(np.exp(-np.maximum(frames - self.onset_frame - self.rise_frames, 0.0) / self.decay_frames))

    @cached_property
    def emerged_frame(self) -> float:
        """Moment, in frames, at which 10 % of the flux has emerged."""
        last = self.onset_frame + self.rise_frames + self.constants.burst_frames
        frames = np.linspace(self.onset_frame, last, 2001, dtype=np.float64)
        return float(np.interp(EMERGED_FRACTION * self.flux_mx, self.emerged_mx(frames), frames))

    @property
    def is_region(self) -> bool:
        """True: ephemeral regions are part of the quiet Sun here."""
        return self.flux_mx >= REGION_FLUX_MX

    def spread_px(self, scale: Scale) -> tuple[float, float]:
        """Return the standard deviation of the leading and of the following cluster, in pixels."""
        leading = self.constants.cluster_mm * (self.flux_mx / 1e21) ** 0.4 / scale.mm_per_px
        return leading, self.constants.following_wider * leading

    def axis(self, latitude_deg: float) -> NDArray[np.float64]:
        """Return the unit vector (west, north) from the following to the leading cluster."""
        equatorward = -1.0 if latitude_deg > 0 else 1.0
        tilt = math.radians(self.tilt_deg)
        return np.array([math.cos(tilt), equatorward * math.sin(tilt)])


@dataclass(frozen=True, slots=True)
class Fragments:
    """The footpoints of all bursts of a region.

    Parameters
    ----------
    place_px : array, shape (n_frames, n, 2)
        Column and row in the box.
    flux_gauss_px : array, shape (n_frames, n)
        Signed flux that is still held.
    released_gauss_px : array, shape (n_frames, n)
        Signed flux that is handed to the flows in each frame; what was released before the first frame is in the first.
    width_px : array, shape (n_frames, n)
        Standard deviation of a footpoint, and of what it releases.
    """

    place_px: Floats
    flux_gauss_px: Floats
    released_gauss_px: Floats
    width_px: Floats


def fragments(region: ActiveRegion, scale: Scale, *, latitude_deg: float, frames: NDArray[np.float64]) -> Fragments:
    """Return the footpoints of a region at `frames`, consecutive and in frames of the passage.

    Notes
    -----
    A burst begins at t₀. Its footpoints are at c + e · (p − c) with e = 1 − exp(−(t − t₀) / parting_frames), where c is
    its origin on the axis and p its place in the cluster. What was released before the first frame has spread since:
    variance 2 · D · age with D = `SUPERGRANULAR_METRE2_PER_SECOND`.
    """
    seed, index, number = region.key
    rng = stream(seed, index, Purpose.WALK, number)
    begin, flux_mx = region.bursts
    constants, n = region.constants, begin.size
    axis = region.axis(latitude_deg)
    centre = 0.5 * (scale.box_px - 1) + np.array([region.x_px, region.y_px])
    origin = centre + rng.normal(0.0, _ORIGIN_FRACTION * region.separation_px, (n, 1)) * axis
    parted = 1.0 - np.exp(-np.clip(frames[:, None] - begin, 0.0, None) / constants.parting_frames)
    risen = np.clip((frames[:, None] - begin) / constants.burst_frames, 0.0, 1.0)
    kept = region.kept_fraction(frames)
    held = risen * kept[:, None]
    released = np.zeros_like(held)
    released[1:] = risen[1:] * -np.diff(kept)[:, None]
    released[0] = risen[0] * (1.0 - kept[0])
    width = np.tile(
        np.maximum(constants.fragment_mm / scale.mm_per_px * (flux_mx / 1e20) ** 0.35, _NARROWEST_PX), (frames.size, 1)
    )
    places, fluxes, releases, widths = [], [], [], []
    age_frames = max(frames[0] - region.onset_frame - region.rise_frames, 0.0)
    spread = scale.walk_px(SUPERGRANULAR_METRE2_PER_SECOND) * math.sqrt(age_frames)
    for sign, side, sigma in zip((1, -1), (0.5, -0.5), region.spread_px(scale), strict=True):
        goal = centre + side * region.separation_px * axis + rng.normal(0.0, sigma, (n, 2))
        places.append(origin + parted[..., None] * (goal - origin))
        polarity = sign * region.leading_polarity
        gauss_px = np.array([scale.gauss_px(value) for value in flux_mx]) * polarity
        fluxes.append(held * gauss_px)
        releases.append(released * gauss_px)
        wide = width.copy()
        wide[0] = np.hypot(wide[0], spread)
        widths.append(wide)
    return Fragments(
        place_px=np.concatenate(places, axis=1).astype(np.float32),
        flux_gauss_px=np.concatenate(fluxes, axis=1).astype(np.float32),
        released_gauss_px=np.concatenate(releases, axis=1).astype(np.float32),
        width_px=np.concatenate(widths, axis=1).astype(np.float32),
    )


def draw_region(
    rng: np.random.Generator,
    flux_mx: float,
    *,
    latitude_deg: float,
    cycle: int,
    scale: Scale,
    place_px: tuple[float, float],
    key: tuple[int, int, int],
    constants: Constants = USUAL,
) -> ActiveRegion:
    """Draw a region of this flux that begins to emerge at frame 0; see the module's references.

    Notes
    -----
    With Φ in 1e21 Mx: rise `rise_days` · Φ^0.43, at least half a day; decay `decay_days` · Φ^0.5; separation
    `separation_mm` · Φ^0.38; tilt by
    Joy's law, 0.5° per degree of latitude, scattered by 25° · Φ^−0.3; Hale's law is broken by one region in twenty.
    """
    unit = flux_mx / 1e21
    frames_per_day = 86400.0 / scale.cadence_seconds
    hale = (1 if cycle % 2 else -1) * (1 if latitude_deg > 0 else -1)
    return ActiveRegion(
        flux_mx=flux_mx,
        onset_frame=0.0,
        rise_frames=max(0.5, constants.rise_days * unit**0.43 * rng.lognormal(0.0, 0.3)) * frames_per_day,
        decay_frames=max(2.0, constants.decay_days * unit**0.5 * rng.lognormal(0.0, 0.3)) * frames_per_day,
        x_px=place_px[0],
        y_px=place_px[1],
        separation_px=constants.separation_mm * unit**0.38 * rng.lognormal(0.0, 0.25) / scale.mm_per_px,
        tilt_deg=0.5 * abs(latitude_deg) + rng.normal(0.0, min(25.0 * unit**-0.3, 45.0)),
        leading_polarity=hale if rng.random() < 0.95 else -hale,
        key=key,
        constants=constants,
    )
