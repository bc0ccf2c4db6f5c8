"""The bipolar regions of a scenario, by what it was made to show.

Third room of `helioloop.synthetic`: sizes, rise times, tilts and polarities as observed on the Sun.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from helioloop.instrument import Instrument
from helioloop.synthetic.scenario import PATCH_DEG, RISE_AT_SHARE, Bipole, Kind, Watch

EMERGENCES = frozenset({Kind.EMERGING, Kind.WEAK, Kind.BESIDE, Kind.INSIDE, Kind.NEAR_LIMB})
"""Kinds made to show an emergence; what a cube's label is, its bipoles decide."""

_COMPANION_SHARE = 0.3  # of mature regions that share their patch with another
_HALE_SHARE = 0.96  # of regions that obey Hale's law (Li & Ulrich 2012)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionDraw:
    """Draws the active regions of one patch.

    Parameters
    ----------
    rng : numpy.random.Generator
        Advanced by each draw.
    watch : Watch
        Which longitude is where at which frame.
    latitude_deg : float
        Latitude of the patch.
    cycle : int
        Sunspot cycle.
    rank : float
        Between 0 and 1: what decides how hard a cube of its kind is. Flux of an older or faint region, or longitude.
    instrument : Instrument
        Grid.
    """

    rng: np.random.Generator
    watch: Watch
    latitude_deg: float
    cycle: int
    rank: float
    instrument: Instrument

    def regions(self, kind: Kind) -> list[Bipole]:
        """Draw the active regions that make a cube of this kind."""
        return self._emerging_kind(kind) if kind in EMERGENCES else self._rotating_kind(kind)

    def _emerging_kind(self, kind: Kind) -> list[Bipole]:
        uniform = self.rng.uniform
        side = float(self.rng.choice([-1.0, 1.0]))
        longitude = uniform(-45.0, 40.0)
        match kind:
            case Kind.WEAK:
                return [self._emerging(uniform(20.3, 20.85), longitude)]
            case Kind.NEAR_LIMB:
                return [self._emerging(uniform(21.2, 22.3), self._ranked(-71.0, -52.0))]
            case Kind.BESIDE:
                return [
                    self._existing(self._ranked(20.4, 21.7), uniform(10.0, 150.0), x_px=14.0 * side),
                    self._emerging(uniform(21.0, 22.3), longitude, x_px=-18.0 * side),
                ]
            case Kind.INSIDE:
                return [
                    self._existing(self._ranked(20.4, 21.9), uniform(10.0, 150.0)),
                    self._emerging(uniform(21.1, 22.4), longitude, x_px=3.0 * side),
                ]
        return [self._emerging(self._log_flux(), longitude)]

    def _rotating_kind(self, kind: Kind) -> list[Bipole]:
        uniform = self.rng.uniform
        match kind:
            case Kind.GAP:
                return [self._existing(uniform(21.2, 22.2), uniform(5.0, 80.0))]
            case Kind.GROWING:
                return [self._emerging(self._log_flux(), uniform(-98.0, -80.0))]
            case Kind.DECAYING:
                return [self._existing(self._ranked(20.95, 21.65), uniform(80.0, 220.0))]
            case Kind.FAINT:
                return [self._existing(self._ranked(20.75, 21.4), uniform(100.0, 240.0))]
        drawn = [self._existing(max(21.1, self._log_flux()), uniform(5.0, 120.0))]
        if self.rng.random() < _COMPANION_SHARE:
            side = float(self.rng.choice([-1.0, 1.0]))
            drawn.append(self._existing(uniform(20.9, 21.6), uniform(5.0, 120.0), x_px=22.0 * side))
        return drawn

    def _emerging(self, log_flux: float, longitude_deg: float, *, x_px: float = 0.0) -> Bipole:
        """Return a region whose rise is 10 % done at `longitude_deg`."""
        return self._bipole(log_flux, self._frame_at(longitude_deg), x_px=x_px)

    def _existing(self, log_flux: float, age_frames: float, *, x_px: float = 0.0) -> Bipole:
        """Return a region that has 10**log_flux maxwell left when it comes over the limb, long after its rise."""
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
        """Draw how large a region is: regions span two decades, alike whether they emerge here or rotate in.

        Catalogued bipolar regions are lognormal in flux, 0.6 of a decade wide (Muñoz-Jaramillo et al. 2015, ApJ 800,
        48), cut here at the smallest that is still called active and at the largest of a cycle. The largest fill the
        patch; a network must not learn that what is large has rotated in.
        """
        return float(np.clip(self.rng.normal(21.7, 0.6), 20.7, 22.7))

    def _ranked(self, low: float, high: float) -> float:
        return low + (high - low) * self.rank

    def _frame_at(self, longitude_deg: float) -> float:
        return (longitude_deg - self.watch.longitude_deg) / self.watch.degrees_per_frame

    def _bipole(self, log_flux: float, share_frame: float, *, x_px: float) -> Bipole:
        """Draw a bipole of 10**log_flux maxwell whose rise is 10 % done at `share_frame`."""
        flux = 10.0**log_flux
        px_per_degree = self.instrument.size_px / PATCH_DEG
        frames_per_day = 86400.0 / self.instrument.cadence_seconds
        # Larger regions take longer to rise, though less than in proportion (Otsuji et al. 2011; Norton et al. 2017).
        rise = 1.7 * frames_per_day * (flux / 1e21) ** 0.28 * self.rng.lognormal(0.0, 0.2)
        tilt = 32.1 * math.sin(math.radians(abs(self.latitude_deg)))  # Stenflo & Kosovichev 2012
        # Cycle 23: positive leads in the north. About one region in twenty-five breaks Hale's law.
        hale = (1 if self.cycle % 2 else -1) * (1 if self.latitude_deg > 0 else -1)
        return Bipole(
            flux_mx=flux,
            onset_frame=share_frame - rise * RISE_AT_SHARE,
            rise_frames=rise,
            decay_frames=max(2.0, 4.0 * (flux / 1e21) ** 0.5) * frames_per_day * self.rng.lognormal(0.0, 0.2),
            x_px=x_px + self.rng.normal(0.0, 4.0),
            y_px=self.rng.normal(0.0, 4.0),
            separation_px=2.5 * px_per_degree * (flux / 1e21) ** 0.33 * self.rng.lognormal(0.0, 0.2),
            tilt_deg=tilt + self.rng.normal(0.0, 12.0 * (flux / 1e22) ** -0.12),
            leading_polarity=hale if self.rng.random() < _HALE_SHARE else -hale,
        )


def draw_ephemeral(rng: np.random.Generator, instrument: Instrument) -> Bipole:
    """Draw an ephemeral region: small, short-lived, any orientation, anywhere and at any time."""
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
