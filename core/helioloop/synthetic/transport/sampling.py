"""Random passages by seed and index.

Half of the cubes are meant to show an emergence. What a cube is meant to show follows an additive recurrence, so that
releases of any size have all kinds in proportion. Cube `index` of a seed depends on these two numbers only.

References
----------
Schrijver & Harvey 1994, Solar Phys. 150, 1 (emerging regions: area to the power −1.9). Harvey & Zwaan 1993, Solar Phys.
148, 85 (nests: new regions emerge inside older ones far more often than elsewhere). Hathaway 2015, Living Rev. Solar
Phys. 12, 4 (butterfly diagram). Hill 2018, Space Weather 16, 1488, and Scherrer et al. 1995, 2012 (duty cycles).
"""

import math
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from helioloop.records.instrument import Instrument
from helioloop.synthetic.flow import Scale
from helioloop.synthetic.scenario import (
    PATCH_DEG,
    SECONDS_PER_DAY,
    Kind,
    Purpose,
    Tracking,
    derive_truth,
    stream,
)
from helioloop.synthetic.transport.constants import USUAL, Constants
from helioloop.synthetic.transport.detection import finds
from helioloop.synthetic.transport.passage import (
    EARTH_DEG_PER_DAY,
    LIKE_HMI,
    LIKE_MDI,
    ROTATION_DEG_PER_DAY,
    Magnetograph,
    Passage,
)
from helioloop.synthetic.transport.regions import ActiveRegion, draw_region

HMI_FRACTION = 0.35
"""Fraction of the cubes that the second instrument observed."""
FLUX_RANGE_MX = (2.8e20, 3.0e22)
"""Flux of one polarity: from 2.5 square degrees of 150 G, the smallest active region, to the largest of a cycle."""
FLUX_EXPONENT = 1.9
"""The number of emerging regions falls with this power of their flux."""
COMPLETE_MX = 1.0e21
"""Flux from which on catalogues have most regions; a smaller region Φ is in them with probability Φ / (Φ + 1e21 Mx)."""
WEAK_MX = 7.0e20
"""Emergences below this flux are of the kind `Kind.WEAK` if they are not of another."""
LIMB_DEG = -56.0
"""Emergences east of this are of the kind `Kind.NEAR_LIMB`."""

_MEANT = (
    (0.300, Kind.EMERGING),  # anywhere between the limbs, weak and near the limb as it happens
    (0.425, Kind.INSIDE),
    (0.500, Kind.BESIDE),
    (0.700, Kind.ROTATING_IN),
    (0.795, Kind.DECAYING),
    (0.885, Kind.FAINT),
    (0.965, Kind.GROWING),
    (1.000, Kind.GAP),
)
"""Upper ends of the ranges of the recurrence, and what is drawn for them."""
_GOLDEN_RATIO = 0.5 * (math.sqrt(5.0) - 1.0)
_CYCLE_STARTS = {23: 1996.6, 24: 2008.9, 25: 2019.9}
_EMERGES_DEG = (-73.0, 55.0)


def draw_passage(seed: int, index: int, instrument: Instrument) -> Passage:
    """Draw the passage of cube `index` of `seed`; both at least 0, the same pair gives the same passage."""
    offset = float(stream(seed, 0, Purpose.RANK).random())
    rank = (offset + index * _GOLDEN_RATIO) % 1.0
    meant = next(kind for end, kind in _MEANT if rank < end)
    attempt = 0
    while True:
        passage = _draw(stream(seed, index, Purpose.SCENARIO, attempt), seed, index, meant, instrument)
        # A release has only regions that the detector found.
        if finds(passage, instrument):
            return passage
        attempt += 1


def _draw(rng: np.random.Generator, seed: int, index: int, meant: Kind, instrument: Instrument) -> Passage:
    magnetograph = LIKE_HMI if rng.random() < HMI_FRACTION else LIKE_MDI
    start, cycle, latitude = draw_start(rng, magnetograph)
    tracking = draw_tracking(rng, start, latitude, magnetograph, instrument, gap=meant is Kind.GAP)
    sampler = PassageSampler(
        rng=rng, tracking=tracking, latitude_deg=latitude, cycle=cycle, instrument=instrument, key=(seed, index)
    )
    regions = tuple(sampler.regions(meant))
    truth = derive_truth(regions, tracking, instrument, meant)
    kind = meant
    if meant is Kind.EMERGING:
        longitude = float(tracking.longitude(np.array(regions[0].emerged_frame)))
        weak = Kind.WEAK if regions[0].flux_mx < WEAK_MX else Kind.EMERGING
        kind = Kind.NEAR_LIMB if longitude < LIMB_DEG else weak
    name = f"SFT{index + 1:05d}"
    return Passage(
        seed=seed,
        index=index,
        region=name,
        name=f"{name}_{start:%Y%m%d}",
        start=f"{start.isoformat()}T00:00:00",
        latitude_deg=latitude,
        regions=regions,
        background_gauss=float(np.clip(rng.normal(0.0, 4.0), -10.0, 10.0)),
        tracking=tracking,
        magnetograph=magnetograph,
        truth=replace(truth, kind=kind),
    )


@dataclass(kw_only=True)
class PassageSampler:
    """Draws the active regions of one passage.

    Parameters
    ----------
    rng : numpy.random.Generator
        Advanced by each draw.
    tracking : Tracking
        Gives the longitude of the patch at each frame.
    latitude_deg : float
        Latitude of the patch.
    cycle : int
        Sunspot cycle.
    instrument : Instrument
        Grid.
    key : tuple of int
        Seed and index of the cube.
    constants : Constants
        Of the regions.
    drawn : int
        Number of regions so far.
    """

    rng: np.random.Generator
    tracking: Tracking
    latitude_deg: float
    cycle: int
    instrument: Instrument
    key: tuple[int, int]
    constants: Constants = USUAL
    drawn: int = 0

    @property
    def px_per_degree(self) -> float:
        """Pixels of the patch per heliographic degree."""
        return self.instrument.size_px / PATCH_DEG

    def regions(self, meant: Kind) -> list[ActiveRegion]:
        """Draw what a cube is meant to show; the region that the patch follows comes first."""
        uniform = self.rng.uniform
        match meant:
            case Kind.INSIDE | Kind.BESIDE:
                return self._crowded(inside=meant is Kind.INSIDE)
            case Kind.ROTATING_IN | Kind.GAP:
                region = self.older(self._flux(at_least=1e21), uniform(0.5, 15.0))
            case Kind.DECAYING:
                region = self.older(self._flux(at_least=2e21), uniform(10.0, 27.0))
            case Kind.FAINT:
                region = self.older(self._flux(at_least=5e20), uniform(4.0, 18.0))
            case Kind.GROWING:
                region = self.emerging(self._flux(), uniform(-105.0, -77.0))
            case _:
                region = self.emerging(self._flux(), uniform(*_EMERGES_DEG))
        return [region]

    def _crowded(self, *, inside: bool) -> list[ActiveRegion]:
        """Draw a region that emerges inside an older one, up to 3° from its centre, or 7° beside it."""
        uniform = self.rng.uniform
        older = self._flux(at_least=6e20), uniform(1.0, 20.0)
        if inside:
            angle, distance = uniform(0.0, 2.0 * math.pi), uniform(0.0, 3.0)
            new, old = (distance * math.cos(angle), distance * math.sin(angle)), (0.0, 0.0)
        else:
            side = float(self.rng.choice([-3.5, 3.5]))
            new, old = (side, 0.0), (-side, 0.0)
        return [self.emerging(self._flux(), uniform(*_EMERGES_DEG), place_deg=new), self.older(*older, place_deg=old)]

    def _flux(self, *, at_least: float = 0.0) -> float:
        """Draw the flux of a catalogued region."""
        low, high = (value ** (1.0 - FLUX_EXPONENT) for value in FLUX_RANGE_MX)
        while True:
            flux = (low + self.rng.random() * (high - low)) ** (1.0 / (1.0 - FLUX_EXPONENT))
            if flux >= at_least and self.rng.random() < flux / (flux + COMPLETE_MX):
                return float(flux)

    def _region(self, flux_mx: float, place_deg: tuple[float, float]) -> ActiveRegion:
        self.drawn += 1
        x_deg, y_deg = np.add(place_deg, self.rng.normal(0.0, 0.4, 2))
        return draw_region(
            self.rng,
            flux_mx,
            latitude_deg=self.latitude_deg,
            cycle=self.cycle,
            scale=Scale.of(self.instrument),
            place_px=(x_deg * self.px_per_degree, y_deg * self.px_per_degree),
            key=(*self.key, self.drawn),
            constants=self.constants,
        )

    def emerging(
        self, flux_mx: float, longitude_deg: float, *, place_deg: tuple[float, float] = (0.0, 0.0)
    ) -> ActiveRegion:
        """Draw a region that has emerged to a tenth when its place is at this longitude."""
        region = self._region(flux_mx, place_deg)
        offset = region.x_px / self.px_per_degree
        return replace(region, onset_frame=self._frame_at(longitude_deg - offset) - region.emerged_frame)

    def older(self, flux_mx: float, age_days: float, *, place_deg: tuple[float, float] = (0.0, 0.0)) -> ActiveRegion:
        """Draw a region that ended its rise `age_days` before its place reaches the east limb."""
        region = self._region(flux_mx, place_deg)
        return replace(
            region,
            onset_frame=self._frame_at(-90.0)
            - age_days * SECONDS_PER_DAY / self.instrument.cadence_seconds
            - region.rise_frames,
        )

    def _frame_at(self, longitude_deg: float) -> float:
        return (longitude_deg - self.tracking.longitude_deg) / self.tracking.degrees_per_frame


def draw_start(rng: np.random.Generator, magnetograph: Magnetograph) -> tuple[date, int, float]:
    """Draw start, cycle and latitude: |latitude| is normal about 27° · exp(−years since the cycle's start / 7.5)."""
    first, last = ((2010, 5), (2024, 12)) if magnetograph is LIKE_HMI else ((1996, 8), (2010, 12))
    month = int(rng.integers(12 * first[0] + first[1] - 1, 12 * last[0] + last[1]))
    start = date(month // 12, month % 12 + 1, int(rng.integers(1, 29)))
    years = 1.0 + start.toordinal() / 365.2425
    cycle, since = max((cycle, years - begin) for cycle, begin in _CYCLE_STARTS.items() if years >= begin - 0.3)
    latitude = float(np.clip(rng.normal(27.0 * math.exp(-max(since, 0.0) / 7.5), 4.0), 2.0, 40.0))
    return start, cycle, latitude if rng.random() < 0.5 else -latitude


def draw_tracking(
    rng: np.random.Generator,
    start: date,
    latitude_deg: float,
    magnetograph: Magnetograph,
    instrument: Instrument,
    *,
    gap: bool,
) -> Tracking:
    """Draw how a patch is tracked and which frames exist; with `gap` none does before it is well on the disk."""
    a, b, c = ROTATION_DEG_PER_DAY
    sine2 = math.sin(math.radians(latitude_deg)) ** 2
    per_day = a + b * sine2 + c * sine2**2 - EARTH_DEG_PER_DAY
    days_per_frame = instrument.cadence_seconds / SECONDS_PER_DAY
    longitude = float(rng.normal(-97.0, 3.0))
    observed = np.ones(instrument.n_frames, dtype=np.bool_)
    if magnetograph is LIKE_HMI:
        observed &= rng.random(instrument.n_frames) > 0.02
        if rng.random() < 0.12:  # eclipse season: the Earth hides the Sun at the same hour each day
            per_rotation = round(1.0 / days_per_frame)
            observed[int(rng.integers(per_rotation)) :: per_rotation] = False
    else:
        observed &= rng.random(instrument.n_frames) > rng.beta(1.0, 12.0)
        for _ in range(int(rng.poisson(1.2))):  # campaigns and telemetry: outages of heavy-tailed length
            begin, length = int(rng.integers(instrument.n_frames)), round(4.0 * (1.0 + rng.pareto(1.1)))
            observed[begin : begin + min(length, instrument.n_frames // 3)] = False
    if gap:
        observed[: math.ceil((rng.uniform(-58.0, -30.0) - longitude) / (per_day * days_per_frame))] = False
    if not observed[-instrument.n_frames // 4 :].any():
        observed[-1] = True
    day = start.timetuple().tm_yday
    return Tracking(
        longitude_deg=longitude,
        degrees_per_frame=per_day * days_per_frame,
        b0_deg=7.25 * math.sin(2.0 * math.pi * (day - 158) / 365.25),
        drift_px_per_frame=float(rng.normal(0.0, 0.06)) * days_per_frame * instrument.size_px / PATCH_DEG,
        shift_px=(0.0, 0.0),
        observed=tuple(np.flatnonzero(observed).tolist()),
        off_disk_gauss=math.nan,
        noise_gauss=magnetograph.noise_gauss[0],
        noise_tilt=float(rng.normal(0.0, 0.1)),
    )
