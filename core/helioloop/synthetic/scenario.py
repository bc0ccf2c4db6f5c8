"""Scenarios: the numbers that define a synthetic cube, and the truth that follows from them.

A cube shows an *emergence* if an active region reaches 10 % of its flux rise on the visible disk, at a longitude within
± `VISIBLE_LONGITUDE_DEG` of the central meridian, and no later than the last observed frame. The emergence frame is
the first grid frame at or after that moment. Bipoles below `REGION_FLUX_MX` are ephemeral regions; they belong to the
quiet Sun of both classes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from helioloop.records.instrument import Instrument
from helioloop.records.labels import Label
from helioloop.synthetic.constants import USUAL, Constants

VISIBLE_LONGITUDE_DEG = 75.0
"""An emergence farther than this from the central meridian does not count as visible."""
REGION_FLUX_MX = 1.5e20
"""Smallest flux of an active region."""
EMERGED_FRACTION = 0.1
"""Fraction of the flux rise at which a region counts as emerged."""
PATCH_DEG = 15.0
"""Width and height of the patch, in degrees of longitude and latitude."""
OFF_DISK_GAUSS = -2000.0
"""Code of off-disk pixels in most cubes; the authors' files have values of at most −1000 G there."""
SECONDS_PER_DAY = 86400.0

EMERGED_TIME_FRACTION = 2.0 / math.pi * math.asin(math.sqrt(EMERGED_FRACTION))
"""Fraction of the rise time after which `EMERGED_FRACTION` is reached: sin²(π/2 · x) = 0.1."""


class Kind(StrEnum):
    """What a cube is meant to show; its class follows from the bipoles, not from the kind."""

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


class Purpose(IntEnum):
    """What random numbers are used for; each purpose has a stream of its own.

    A change in the number of draws for one purpose leaves the others unchanged.
    """

    SCENARIO = 0
    KIND = 1
    DETECTION = 2
    QUIET_SUN = 3
    WALK = 4
    FLOW = 5
    BIPOLE_ELEMENTS = 6
    OBSERVATION = 7
    RANK = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Bipole:
    """One bipolar magnetic region.

    Parameters
    ----------
    flux_mx : float
        Radial flux of each polarity at the end of the rise, in maxwell.
    onset_frame, rise_frames, decay_frames : float
        Start and duration of the rise, and e-folding time of the decay, in frames; see `flux`.
    x_px, y_px : float
        Place of emergence, west and north of the centre of the patch.
    separation_px : float
        Distance of the poles at the end of the rise.
    tilt_deg : float
        Tilt of the axis by Joy's law; positive if the leading pole is nearer to the equator.
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
    def emerged_frame(self) -> float:
        """Moment, in frames, at which 10 % of the flux rise is reached."""
        return self.onset_frame + self.rise_frames * EMERGED_TIME_FRACTION

    @property
    def is_region(self) -> bool:
        """True for an active region, False for an ephemeral one."""
        return self.flux_mx >= REGION_FLUX_MX

    def flux(self, frames: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the radial flux of each polarity in maxwell at `frames`, same shape.

        Notes
        -----
        With x = (frame − onset_frame) / rise_frames::

            flux_mx · sin²(π/2 · clip(x, 0, 1)) · exp(−max(frame − onset_frame − rise_frames, 0) / decay_frames)
        """
        since = frames - self.onset_frame
        rise = np.sin(0.5 * math.pi * np.clip(since / self.rise_frames, 0.0, 1.0)) ** 2
        return np.asarray(self.flux_mx * rise * np.exp(-np.maximum(since - self.rise_frames, 0.0) / self.decay_frames))


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracking:
    """How the patch is tracked and observed.

    Parameters
    ----------
    longitude_deg : float
        Longitude of the patch centre from the central meridian at grid frame 0; east is negative.
    degrees_per_frame : float
        Change of that longitude per frame, by the mean rotation at the latitude of the patch.
    b0_deg : float
        Heliographic latitude of the disk centre on that day.
    drift_px_per_frame : float
        Error of the tracking rate: features drift west (positive) or east in the patch.
    shift_px : tuple of float
        Offset of this view's centre from that of the region's first view, west and north.
    observed : tuple of int
        Grid frames that exist in the file, increasing.
    off_disk_gauss : float
        Code of off-disk pixels: `OFF_DISK_GAUSS`, NaN or 0.
    noise_gauss : float
        Noise (standard deviation) of a one-minute magnetogram at disk centre.
    noise_tilt : float
        Relative increase of the noise from disk centre to the west limb, negative to the east.
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
    """True label, true emergence frame (0-based on the grid, None without emergence) and kind of a cube."""

    label: Label
    emergence_frame: int | None
    kind: Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """All numbers that define one cube.

    Parameters
    ----------
    seed, index : int
        Seed of the release, and number of the cube in it from 0 on.
    sun_index : int
        Selects the random numbers of the Sun; two views of one region share it, and so every magnetic element.
    sun_frame : int
        Frame of that Sun at grid frame 0 of this cube.
    region, name : str
        Names of region and cube.
    start : str
        Absolute time of grid frame 0, ISO 8601 without zone, UTC.
    latitude_deg : float
        Latitude of the patch centre.
    cycle : int
        Sunspot cycle that the region belongs to.
    bipoles : tuple of Bipole
        In frames of this cube.
    network_gauss : float
        Mean unsigned field of the network.
    network_imbalance : float
        Signed fraction of the network's flux: ±1 is unipolar.
    tracking : Tracking
        How the patch is tracked and observed.
    truth : Truth
        From `derive_truth`.
    constants : Constants
        Of the Sun and of the magnetograph.
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
    tracking: Tracking
    truth: Truth
    constants: Constants = USUAL


def stream(seed: int, number: int, purpose: Purpose, *key: int) -> np.random.Generator:
    """Return the random number generator of one purpose.

    Parameters
    ----------
    seed : int
        Seed of the release.
    number : int
        Which cube, Sun, block or kind.
    purpose : Purpose
        Generators of different purposes are independent.
    *key : int
        Further numbers, such as which bipole or which attempt.
    """
    return np.random.default_rng(np.random.SeedSequence(entropy=seed, spawn_key=(number, int(purpose), *key)))


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw a number between two positive ones, evenly on a logarithmic scale."""
    return math.exp(float(rng.uniform(math.log(low), math.log(high))))


class Emerging(Protocol):
    """What decides whether a bipole, of either generator, is an emergence."""

    @property
    def emerged_frame(self) -> float:
        """Moment, in frames, at which 10 % of the flux rise is reached."""

    @property
    def is_region(self) -> bool:
        """True for an active region, False for an ephemeral one."""

    @property
    def x_px(self) -> float:
        """Place of emergence, west of the centre of the patch."""


def derive_truth(bipoles: Sequence[Emerging], tracking: Tracking, instrument: Instrument, kind: Kind) -> Truth:
    """Return the truth that follows from the bipoles by the rule in this module's docstring."""
    emergence_frames = []
    for bipole in bipoles:
        frame = math.ceil(bipole.emerged_frame)
        longitude = tracking.longitude(np.array(bipole.emerged_frame)) + bipole.x_px * PATCH_DEG / instrument.size_px
        visible = 0 <= frame <= tracking.observed[-1] and abs(longitude) <= VISIBLE_LONGITUDE_DEG
        if bipole.is_region and visible:
            emergence_frames.append(frame)
    label = Label.EMERGENCE if emergence_frames else Label.NON_EMERGENCE
    return Truth(label=label, emergence_frame=min(emergence_frames, default=None), kind=kind)
