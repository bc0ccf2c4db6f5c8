"""Bipolar regions: draws the bipoles of a scenario of a given kind.

Fluxes, rise times, separations, tilts and polarities follow published statistics of the Sun.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from helioloop.records.instrument import Instrument
from helioloop.synthetic.constants import USUAL, Constants
from helioloop.synthetic.scenario import EMERGED_TIME_FRACTION, PATCH_DEG, SECONDS_PER_DAY, Bipole, Kind, Tracking

EMERGENCES = frozenset({Kind.EMERGING, Kind.WEAK, Kind.BESIDE, Kind.INSIDE, Kind.NEAR_LIMB})
"""Kinds that are meant to show an emergence; the true label follows from the bipoles."""

_COMPANION_FRACTION = 0.3  # of mature regions have another region in their patch
_HALE_FRACTION = 0.96  # of regions obey Hale's law (Li & Ulrich 2012)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionSampler:
    """Draws the active regions of one patch.

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
    rank : float
        In [0, 1]: position in the range of the quantity that decides how hard a cube of its kind is, the flux of an
        older or faint region or the longitude.
    instrument : Instrument
        Grid.
    constants : Constants
        Rise, decay and separation.
    """

    rng: np.random.Generator
    tracking: Tracking
    latitude_deg: float
    cycle: int
    rank: float
    instrument: Instrument
    constants: Constants = USUAL

    def regions(self, kind: Kind) -> list[Bipole]:
        """Draw the active regions of a cube of this kind."""
        return self._emerging_kind(kind) if kind in EMERGENCES else self._rotating_kind(kind)

    def _emerging_kind(self, kind: Kind) -> list[Bipole]:
        """Draw the regions of a kind in `EMERGENCES`."""
        uniform = self.rng.uniform
        side = float(self.rng.choice([-1.0, 1.0]))
        longitude = uniform(-45.0, 40.0)
        match kind:
            case Kind.WEAK:
                return [self.emerging(uniform(20.3, 20.85), longitude)]
            case Kind.NEAR_LIMB:
                return [self.emerging(uniform(21.2, 22.3), self._ranked(-71.0, -52.0))]
            case Kind.BESIDE:
                return [
                    self.existing(self._ranked(20.4, 21.7), uniform(10.0, 150.0), x_px=14.0 * side),
                    self.emerging(uniform(21.0, 22.3), longitude, x_px=-18.0 * side),
                ]
            case Kind.INSIDE:
                return [
                    self.existing(self._ranked(20.4, 21.9), uniform(10.0, 150.0)),
                    self.emerging(uniform(21.1, 22.4), longitude, x_px=3.0 * side),
                ]
        return [self.emerging(self._log_flux(), longitude)]

    def _rotating_kind(self, kind: Kind) -> list[Bipole]:
        """Draw the regions of a kind that rotates onto the disk."""
        uniform = self.rng.uniform
        match kind:
            case Kind.GAP:
                return [self.existing(uniform(21.2, 22.2), uniform(5.0, 80.0))]
            case Kind.GROWING:
                return [self.emerging(self._log_flux(), uniform(-98.0, -80.0))]
            case Kind.DECAYING:
                return [self.existing(self._ranked(20.95, 21.65), uniform(80.0, 220.0))]
            case Kind.FAINT:
                return [self.existing(self._ranked(20.75, 21.4), uniform(100.0, 240.0))]
        drawn = [self.existing(max(21.1, self._log_flux()), uniform(5.0, 120.0))]
        if self.rng.random() < _COMPANION_FRACTION:
            side = float(self.rng.choice([-1.0, 1.0]))
            drawn.append(self.existing(uniform(20.9, 21.6), uniform(5.0, 120.0), x_px=22.0 * side))
        return drawn

    def emerging(self, log_flux: float, longitude_deg: float, *, x_px: float = 0.0) -> Bipole:
        """Draw a region of 10**log_flux maxwell that reaches 10 % of its flux rise at `longitude_deg`."""
        return self._bipole(log_flux, self._frame_at(longitude_deg), x_px=x_px)

    def existing(self, log_flux: float, age_frames: float, *, x_px: float = 0.0) -> Bipole:
        """Draw a region past its rise that has 10**log_flux maxwell left when it reaches the east limb."""
        limb = self._frame_at(-90.0)
        drawn = self._bipole(log_flux, limb, x_px=x_px)
        decay = max(drawn.decay_frames, 150.0)
        return replace(
            drawn,
            flux_mx=drawn.flux_mx * math.exp(age_frames / decay),
            onset_frame=limb - age_frames - drawn.rise_frames,
            decay_frames=decay,
        )

    def _log_flux(self) -> float:
        """Draw log10 of a region's flux in maxwell, from the same distribution for both classes.

        Fluxes of catalogued bipolar regions are lognormal with a standard deviation of 0.6 decades (Muñoz-Jaramillo et
        al. 2015, ApJ 800, 48). They are clipped at the smallest active region and the largest of a cycle. If emerging
        regions were smaller than those that rotate in, a network would learn the class from the size.
        """
        return float(np.clip(self.rng.normal(21.7, 0.6), 20.7, 22.7))

    def _ranked(self, low: float, high: float) -> float:
        """Return the value at `rank` between `low` and `high`."""
        return low + (high - low) * self.rank

    def _frame_at(self, longitude_deg: float) -> float:
        """Return the frame at which the patch centre is at this longitude."""
        return (longitude_deg - self.tracking.longitude_deg) / self.tracking.degrees_per_frame

    def _bipole(self, log_flux: float, emerged_frame: float, *, x_px: float) -> Bipole:
        """Draw a bipole of 10**log_flux maxwell that reaches 10 % of its flux rise at `emerged_frame`."""
        flux = 10.0**log_flux
        px_per_degree = self.instrument.size_px / PATCH_DEG
        frames_per_day = SECONDS_PER_DAY / self.instrument.cadence_seconds
        decay_days = self.constants.decay_days * (flux / 1e21) ** 0.5
        separation_px = self.constants.separation_deg * px_per_degree * (flux / 1e21) ** 0.33
        # The rise time grows with flux, more slowly than in proportion (Otsuji et al. 2011; Norton et al. 2017).
        rise = self.constants.rise_days * frames_per_day * (flux / 1e21) ** 0.28 * self.rng.lognormal(0.0, 0.2)
        tilt = 32.1 * math.sin(math.radians(abs(self.latitude_deg)))  # Stenflo & Kosovichev 2012
        # Hale's law: in odd cycles such as 23 the leading polarity is positive in the north.
        hale = (1 if self.cycle % 2 else -1) * (1 if self.latitude_deg > 0 else -1)
        return Bipole(
            flux_mx=flux,
            onset_frame=emerged_frame - rise * EMERGED_TIME_FRACTION,
            rise_frames=rise,
            decay_frames=max(2.0, decay_days) * frames_per_day * self.rng.lognormal(0.0, 0.2),
            x_px=x_px + self.rng.normal(0.0, 4.0),
            y_px=self.rng.normal(0.0, 4.0),
            separation_px=separation_px * self.rng.lognormal(0.0, 0.2),
            tilt_deg=tilt + self.rng.normal(0.0, 12.0 * (flux / 1e22) ** -0.12),
            leading_polarity=hale if self.rng.random() < _HALE_FRACTION else -hale,
        )


def draw_ephemeral(rng: np.random.Generator, instrument: Instrument) -> Bipole:
    """Draw an ephemeral region: small and short-lived, with random orientation, place and time."""
    half = instrument.size_px / 2.0
    flux = 10.0 ** rng.uniform(19.3, 20.0)
    return Bipole(
        flux_mx=flux,
        onset_frame=rng.uniform(0.0, instrument.n_frames),
        rise_frames=rng.uniform(4.0, 9.0),
        decay_frames=rng.uniform(6.0, 15.0),
        x_px=rng.uniform(-half, half),
        y_px=rng.uniform(-half, half),
        separation_px=rng.uniform(4.0, 7.0),
        tilt_deg=rng.uniform(-180.0, 180.0),
        leading_polarity=1,
    )
