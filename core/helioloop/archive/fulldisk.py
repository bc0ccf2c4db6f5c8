"""Full-disk line-of-sight magnetograms of MDI, HMI and GONG, brought to the scale of MDI."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from astropy.time import Time
from numpy.typing import NDArray

from helioloop.archive.disk_edge import edge_notes, on_disk
from helioloop.archive.instruments import profile_of, scale_notes, why_no_profile
from helioloop.archive.observation import Observation, quality_reason, read_observation
from helioloop.archive.solar_wcs import CARRINGTON, SolarWcs, solar_wcs
from helioloop.errors import MagnetogramError, ReleaseError
from helioloop.records.profiles import BUILT_IN, Profile

_TRIED = 100
_DISK_MARGIN = 0.97  # fraction of the radius that must lie on the image to each side
_BEYOND_LIMB = 1.1
_BEYOND_FRACTION = 0.01
_INSIDE_LIMB = 0.9
_INSIDE_FRACTION = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class FullDisk:
    """One full-disk magnetogram.

    Parameters
    ----------
    name : str
        File name.
    field_gauss : array of float32, shape (ny, nx)
        Line-of-sight field on the scale of MDI level 1.8.2; NaN where the file has none.
    solar_wcs : SolarWcs
        Where its pixels are on the Sun.
    time : Time
        Observation time, scale TAI.
    time_card : str
        The card that gave it, with its text.
    instrument : str or None
        As of `Observation`.
    assumed : tuple of str
        What the file does not say and was assumed, a sentence each.
    """

    name: str
    field_gauss: NDArray[np.float32]
    solar_wcs: SolarWcs
    time: Time
    time_card: str
    instrument: str | None
    assumed: tuple[str, ...]


def read_fulldisk(place: str, profile: Profile) -> FullDisk:
    """Read one full-disk magnetogram from a path or fsspec URL.

    Raises
    ------
    MagnetogramError
        If the file cannot be used; one sentence that does not name the file. A patch names the command for it.
    """
    observation = read_observation(place)
    place_on_sun = solar_wcs(observation)
    _check_no_map(observation, place_on_sun)
    scale = scale_notes(observation.instrument, profile)
    reason = quality_reason(observation, profile)
    if reason:
        raise MagnetogramError(reason)
    edge = edge_notes(observation.field_gauss, place_on_sun, observation.header)
    _check_whole_disk(observation, place_on_sun)
    _check_filled(observation.field_gauss, place_on_sun)
    field = observation.field_gauss
    field *= np.float32(profile.to_mdi_factor)
    return FullDisk(
        name=observation.name,
        field_gauss=field,
        solar_wcs=place_on_sun,
        time=observation.time,
        time_card=observation.time_card,
        instrument=observation.instrument,
        assumed=(*observation.assumed, *place_on_sun.assumed, *scale, *edge),
    )


def profile_for(places: Sequence[str]) -> Profile:
    """Return the built-in profile of the first full-disk magnetogram whose instrument has one.

    Where no file names an instrument, it is ``mdi``.

    Raises
    ------
    ReleaseError
        If files name instruments, and none of them has a profile.
    """
    unknown = None
    for place in places[:_TRIED]:
        try:
            observation = read_observation(place)
            if observation.instrument is None:
                continue
            place_on_sun = solar_wcs(observation)
            _check_no_map(observation, place_on_sun)
            _check_whole_disk(observation, place_on_sun)
            profile = profile_of(observation.instrument)
            if profile is not None:
                return profile
            unknown = unknown or why_no_profile(observation.name, observation.instrument)
        except MagnetogramError:
            continue  # it is excluded, with its reason, when its turn comes
    if unknown is not None:
        raise ReleaseError(unknown)
    return BUILT_IN["mdi"]


def holds_disk(observation: Observation, place: SolarWcs) -> bool:
    """Return True where a helioprojective image holds the whole disk."""
    height, width = observation.field_gauss.shape
    column, row = (float(value) for value in place.wcs.wcs_world2pix(0.0, 0.0, 0))
    reach = _DISK_MARGIN * place.rsun_arcsec / place.arcsec_per_px
    return min(column, width - 1 - column, row, height - 1 - row) >= reach


def _check_no_map(observation: Observation, place: SolarWcs) -> None:
    """Refuse maps in Carrington coordinates."""
    if place.kind != CARRINGTON:
        return
    if place.pixel_deg[0] * observation.field_gauss.shape[1] > 180.0:
        raise MagnetogramError(
            "it is a synoptic map, made from many days; cutouts need images of the disk: leave it out"
        )
    raise MagnetogramError(
        "it is a patch in Carrington coordinates and not the full disk: run `helioloop stack` on its folder"
    )


def _check_whole_disk(observation: Observation, place: SolarWcs) -> None:
    """Refuse cutouts: the whole disk must lie on the image."""
    if not holds_disk(observation, place):
        height, width = observation.field_gauss.shape
        patch = "" if not {"HARPNUM", "TARPNUM"} & set(observation.header) else " of an active region"
        raise MagnetogramError(
            f"it shows a part of the disk{patch}: its {width} × {height} px do not hold the Sun, whose radius is "
            f"{place.rsun_arcsec / place.arcsec_per_px:.0f} px: run `helioloop stack` on its folder"
        )


def _check_filled(field: NDArray[np.float32], place: SolarWcs) -> None:
    """Refuse an image whose field is not where the header's disk is, also where it does not end in a circle."""
    known = on_disk(field)
    if known is None:
        return
    column, row = place.wcs.wcs_world2pix(0.0, 0.0, 0)
    rows, columns = np.ogrid[: field.shape[0], : field.shape[1]]
    radius = np.hypot(columns - float(column), rows - float(row)) * np.float32(place.arcsec_per_px / place.rsun_arcsec)
    beyond = np.count_nonzero(known & (radius > _BEYOND_LIMB)) / max(np.count_nonzero(known), 1)
    inside = known[radius < _INSIDE_LIMB].mean()
    if beyond > _BEYOND_FRACTION or inside < _INSIDE_FRACTION:
        raise MagnetogramError(
            f"{beyond:.1%} of its field lies beyond {_BEYOND_LIMB:g} solar radii and {inside:.0%} of the disk is "
            "filled; the header's centre or scale does not fit the image: correct CRPIX and CDELT"
        )
