"""What happens on the Sun in one made-up cube and how it is watched: numbers only, no pixels.

First room of `helioloop.synthetic`.

The rule of truth: a cube shows an *emergence* when 10 % of the flux rise of a bipolar region passes on the visible
disk, at a longitude within ±`VISIBLE_LONGITUDE_DEG`, before the video breaks off; its emergence frame is the first
grid frame at or past that moment. Bipoles below `REGION_FLUX_MX` are ephemeral regions, part of the quiet Sun in both
classes.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from helioloop.instrument import Instrument
from helioloop.records import Label

VISIBLE_LONGITUDE_DEG = 75.0
REGION_FLUX_MX = 1.5e20
RISE_SHARE = 0.1
PATCH_DEG = 15.0
OFF_DISK_GAUSS = -2000.0
"""The authors' files code off-disk pixels at or below −1000 G."""

RISE_AT_SHARE = 2.0 / math.pi * math.asin(math.sqrt(RISE_SHARE))


class Kind(StrEnum):
    """What a cube was made to show; its class follows from the bipoles, not from this word."""

    EMERGING = "emerging"
    WEAK = "weak emergence"
    BESIDE = "emerging beside a region"
    INSIDE = "emerging inside a region"
    NEAR_LIMB = "emerging near the east limb"
    ROTATING_IN = "rotating in"
    GAP = "rotating in during a gap"
    GROWING = "growing while rotating in"
    DECAYING = "decaying"
    FAINT = "faint remnant"
    RETURNING = "seen one rotation later"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bipole:
    """One bipolar magnetic region.

    Parameters
    ----------
    flux_mx : float
        Radial flux of each polarity at the end of the rise, in maxwell.
    onset_frame, rise_frames, decay_frames : float
        Flux rises as sin² from `onset_frame` for `rise_frames`, then falls with the e-folding time `decay_frames`.
    x_px, y_px : float
        Place of emergence, west and north of the centre of the patch.
    separation_px : float
        Distance of the poles after the rise.
    tilt_deg : float
        Joy's angle: positive where the leading pole is nearer to the equator.
    leading_polarity : int
        +1 or −1, by Hale's law.
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

    @property
    def rise_share_frame(self) -> float:
        """Moment, in frames, at which 10 % of the flux rise is done."""
        return self.onset_frame + self.rise_frames * RISE_AT_SHARE

    @property
    def is_region(self) -> bool:
        """True for an active region, False for an ephemeral one."""
        return self.flux_mx >= REGION_FLUX_MX

    def flux(self, frames: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the radial flux of each polarity in maxwell at `frames`, same shape."""
        since = frames - self.onset_frame
        rise = np.sin(0.5 * math.pi * np.clip(since / self.rise_frames, 0.0, 1.0)) ** 2
        return np.asarray(self.flux_mx * rise * np.exp(-np.maximum(since - self.rise_frames, 0.0) / self.decay_frames))


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """How the patch is followed and observed.

    Parameters
    ----------
    longitude_deg : float
        Longitude of the patch centre from the central meridian at grid frame 0; east is negative.
    degrees_per_frame : float
        Its motion; the patch turns with the mean rotation at its latitude.
    b0_deg : float
        Heliographic latitude of the disk centre on that day.
    drift_px_per_frame : float
        Mistake in the followed rotation rate: features drift west (positive) or east in the patch.
    shift_px : tuple of float
        Where this view's centre lies, west and north of the region's patch.
    observed : tuple of int
        Grid frames that exist in the file.
    off_disk_gauss : float
        What stands off the disk: `OFF_DISK_GAUSS`, NaN or 0.
    noise_gauss : float
        Noise of a one-minute magnetogram at disk centre.
    noise_tilt : float
        Relative growth of the noise from disk centre to the west limb, negative to the east.
    """

    longitude_deg: float
    degrees_per_frame: float
    b0_deg: float
    drift_px_per_frame: float
    shift_px: tuple[float, float]
    observed: tuple[int, ...]
    off_disk_gauss: float
    noise_gauss: float
    noise_tilt: float

    def longitude(self, frames: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the longitude of the patch centre in degrees at `frames`, same shape."""
        return self.longitude_deg + self.degrees_per_frame * frames


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What a perfect annotator would say. `emergence_frame` is 0-based on the grid, None without emergence."""

    label: Label
    emergence_frame: int | None
    kind: Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One cube before its pixels.

    Parameters
    ----------
    seed, index : int
        Which cube of which seed.
    sun_index : int
        Which Sun it looks at; two views of one region share it and hence every magnetic element.
    sun_frame : int
        Frame of that Sun at grid frame 0 of this cube.
    region, name, start : str
        Region and cube name; absolute time of grid frame 0, ISO 8601, UTC.
    latitude_deg : float
        Latitude of the patch centre.
    cycle : int
        Sunspot cycle the region belongs to.
    bipoles : tuple of Bipole
        In frames of this cube.
    network_gauss, network_imbalance : float
        Mean unsigned field of the network, and its signed share: ±1 is unipolar.
    watch : Watch
        How it is followed and observed.
    truth : Truth
        By the rule of this module.
    """

    seed: int
    index: int
    sun_index: int
    sun_frame: int
    region: str
    name: str
    start: str
    latitude_deg: float
    cycle: int
    bipoles: tuple[Bipole, ...]
    network_gauss: float
    network_imbalance: float
    watch: Watch
    truth: Truth


def stream(seed: int, *key: int) -> np.random.Generator:
    """Return the random numbers of one purpose; streams of different keys are independent."""
    return np.random.default_rng(np.random.SeedSequence(entropy=seed, spawn_key=key))


def judge(bipoles: tuple[Bipole, ...], watch: Watch, instrument: Instrument, kind: Kind) -> Truth:
    """Return the truth that follows from the bipoles, by the rule of this module."""
    moments = []
    for bipole in bipoles:
        frame = math.ceil(bipole.rise_share_frame)
        place = watch.longitude(np.array(bipole.rise_share_frame)) + bipole.x_px * PATCH_DEG / instrument.size_px
        if bipole.is_region and 0 <= frame <= watch.observed[-1] and abs(place) <= VISIBLE_LONGITUDE_DEG:
            moments.append(frame)
    label = Label.EMERGENCE if moments else Label.NON_EMERGENCE
    return Truth(label=label, emergence_frame=min(moments, default=None), kind=kind)
