"""Slots of the grid and disk passages: which grid frame an observation is, and when a region's cube begins.

Slots of `cadence_seconds` follow each other without end, counted in TAI from 1993-01-01T00:00:00, as JSOC counts its
T_REC. A slot begins `grid_tolerance_seconds` before its nominal time, so that an observation slightly too early still
belongs to it. Grid frame 0 of a cube is the slot in which the first pixel of the patch comes over the east limb; with
15° and 96 minutes the last pixel leaves the disk before frame 225.
"""

import math
import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numpy as np
from astropy import units
from astropy.time import Time, TimeDelta
from erfa import ErfaWarning
from numpy.typing import NDArray
from sunpy.coordinates.sun import B0, carrington_rotation_number

from helioloop.archive.regions import Region
from helioloop.archive.solar_wcs import cosine_from_centre
from helioloop.errors import ReleaseError
from helioloop.records.profiles import Profile

Floats = NDArray[np.float64]

_EPOCH = "1993-01-01T00:00:00"
_DAY_SECONDS = 86_400.0
_ROTATION_DAYS = 27.2753
_FROM_MERIDIAN_DAYS = 12.0  # no patch is in view earlier before, or later after, it crosses the central meridian


def tai_seconds(time: Time) -> float:
    """Return the seconds in TAI since 1993-01-01T00:00:00 TAI."""
    return float((time.tai - Time(_EPOCH, scale="tai")).sec)


def time_of(seconds: float) -> Time:
    """Return the time at `tai_seconds`, scale TAI."""
    return Time(_EPOCH, scale="tai") + TimeDelta(seconds, format="sec", scale="tai")


def slot_of(seconds: float, profile: Profile) -> int:
    """Return the slot that contains a time given as `tai_seconds`."""
    return math.floor((seconds + profile.grid_tolerance_seconds) / profile.instrument.cadence_seconds)


def slot_start(slot: int, profile: Profile) -> float:
    """Return when a slot begins, as `tai_seconds`."""
    return slot * profile.instrument.cadence_seconds - profile.grid_tolerance_seconds


def off_middle_seconds(seconds: float, profile: Profile) -> float:
    """Return how far a time is from the middle of its slot."""
    middle = slot_start(slot_of(seconds, profile), profile) + profile.instrument.cadence_seconds / 2.0
    return abs(seconds - middle)


def rotations_at(time: Time) -> float:
    """Return the Carrington rotation number, with its fraction, that the Earth sees at a time."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ErfaWarning)  # of far dates, whose leap seconds nobody knows
        return float(carrington_rotation_number(time))


def passage_of(region_lon_deg: float, rotations: float) -> int:
    """Return the Carrington rotation in which a region crosses the central meridian nearest to `rotations`."""
    return round(rotations - (1.0 - region_lon_deg / 360.0))


@dataclass(frozen=True, slots=True)
class Ephemeris:
    """Carrington rotation and B0 of the Earth, day by day.

    Parameters
    ----------
    seconds : array, shape (n_days,)
        `tai_seconds`.
    rotations : array, shape (n_days,)
        Carrington rotation number with its fraction, increasing.
    b0_deg : array, shape (n_days,)
        Heliographic latitude of the Earth.
    """

    seconds: Floats
    rotations: Floats
    b0_deg: Floats

    @classmethod
    def covering(cls, first: float, last: float) -> Self:
        """Return the ephemeris from two rotations before `first` to two after `last`, both as `tai_seconds`."""
        margin = 2.0 * _ROTATION_DAYS * _DAY_SECONDS
        start = math.floor((first - margin) / _DAY_SECONDS)
        return cls(*_daily(start, math.ceil((last + margin) / _DAY_SECONDS) - start))

    def first_slot(self, region: Region, passage: int, profile: Profile) -> int:
        """Return the slot in which the first pixel of a region's patch comes into view.

        Parameters
        ----------
        region : Region
            Centre of the patch.
        passage : int
            Carrington rotation in which it crosses the central meridian.
        profile : Profile
            Grid and size of the patch.
        """
        at_meridian = self._meridian_slot(region, passage, profile)
        slots = np.arange(at_meridian - _reach(profile), at_meridian)
        hidden = np.flatnonzero(~self._is_seen(slots, region, passage, profile))
        return int(slots[hidden[-1] + 1] if hidden.size and hidden[-1] + 1 < len(slots) else slots[0])

    def last_slot(self, region: Region, passage: int, profile: Profile) -> int:
        """Return the slot in which the last pixel of a region's patch is in view; see `first_slot`."""
        at_meridian = self._meridian_slot(region, passage, profile)
        slots = np.arange(at_meridian, at_meridian + _reach(profile))
        hidden = np.flatnonzero(~self._is_seen(slots, region, passage, profile))
        return int(slots[hidden[0] - 1] if hidden.size and hidden[0] else slots[-1])

    def _meridian_slot(self, region: Region, passage: int, profile: Profile) -> int:
        """Return the slot in which a region crosses the central meridian."""
        return slot_of(float(np.interp(_crossing(region, passage), self.rotations, self.seconds)), profile)

    def _is_seen(self, slots: NDArray[np.int64], region: Region, passage: int, profile: Profile) -> NDArray[np.bool_]:
        """Return for each slot whether a pixel of a region's patch is on the disk, shape (n_slots,)."""
        times = (slots + 0.5) * profile.instrument.cadence_seconds - profile.grid_tolerance_seconds
        half = profile.patch_deg / 2.0
        edge = np.linspace(-half, half, 9)
        lon, lat = (axis.ravel()[None, :] for axis in np.meshgrid(region.lon_deg + edge, region.lat_deg + edge))
        l0 = region.lon_deg - 360.0 * (np.interp(times, self.seconds, self.rotations) - _crossing(region, passage))
        b0 = np.interp(times, self.seconds, self.b0_deg)
        seen = cosine_from_centre(lon, lat, l0_deg=l0[:, None], b0_deg=b0[:, None]) > 0.0
        return np.asarray(seen.any(axis=1))


def _crossing(region: Region, passage: int) -> float:
    """Return the rotation number, with its fraction, at which a region crosses the central meridian."""
    return passage + 1.0 - region.lon_deg / 360.0


def _reach(profile: Profile) -> int:
    """Return the slots before or after the meridian in which a patch may be in view."""
    return math.ceil(_FROM_MERIDIAN_DAYS * _DAY_SECONDS / profile.instrument.cadence_seconds)


def first_seen_passages(regions: tuple[Region, ...]) -> dict[str, int]:
    """Return the passage in which each region was first seen, by name; regions without first_seen are left out.

    Raises
    ------
    ReleaseError
        If a region was on the far side of the Sun at its time of first detection.
    """
    passages = {}
    for region in regions:
        if region.first_seen_tai is None:
            continue
        rotations = rotations_at(Time(region.first_seen_tai, scale="tai"))
        passages[region.name] = passage_of(region.lon_deg, rotations)
        from_meridian = 360.0 * (rotations - passages[region.name] - 1.0 + region.lon_deg / 360.0)
        if abs(from_meridian) > 100.0:
            raise ReleaseError(
                f"region {region.name!r} was {from_meridian:+.0f}° from the central meridian at its first_seen, "
                f"{region.first_seen_tai} TAI, behind the limb; a region is first seen on the disk: correct first_seen "
                "or carrington_lon"
            )
    return passages


@lru_cache(maxsize=4)
def _daily(start_day: int, n_days: int) -> tuple[Floats, Floats, Floats]:
    seconds: Floats = np.asarray((start_day + np.arange(n_days + 1)) * _DAY_SECONDS)
    times = Time(_EPOCH, scale="tai") + TimeDelta(seconds, format="sec", scale="tai")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ErfaWarning)
        return seconds, np.asarray(carrington_rotation_number(times)), np.asarray(B0(times).to_value(units.deg))
