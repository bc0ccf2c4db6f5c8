"""Facts about a cube for the people who label it: region, time, place on the disk and unsigned flux, frame by frame."""

from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from helioloop.data.cubes import Cube, CubeFiles
from helioloop.data.frame_times import frame_times_utc
from helioloop.data.meridian_distance import MeridianDistances, Place, from_carrington, from_limb, place_of
from helioloop.errors import CubeError
from helioloop.records.instrument import Instrument

WEAKEST_GAUSS = 60.0
"""Pixels with a weaker field do not count as flux: three times the noise of an MDI pixel."""

_SUN_RADIUS_CM = 6.957e10
_FLUX_UNIT_MX = 1e21


@dataclass(frozen=True, slots=True, kw_only=True)
class CubeFacts:
    """What is known about a cube without any model. Frames are on the grid, 0-based.

    Parameters
    ----------
    cube : str
        Cube name.
    region : str or None
        Region that the cube follows.
    times : tuple of str or None
        UTC of each frame, ``1998-12-06T01:36:00``; None where the files give no time of day.
    cadence_seconds : float
        Time between two frames.
    latitude_deg : float or None
        Heliographic latitude of the patch's centre, north positive; None where unknown.
    meridian_deg : tuple of float or None
        Distance of the patch's centre from the central meridian in each frame, west positive; None where unknown.
    meridian_uncertainty_deg : float or None
        Largest error to expect of `meridian_deg`.
    flux : tuple of (float or None)
        Unsigned flux of the patch in each frame in 10²¹ Mx; None in a frame without disk. See `unsigned_flux`.
    off_disk : tuple of bool
        True for each frame without disk.
    """

    cube: str
    region: str | None
    times: tuple[str, ...] | None
    cadence_seconds: float
    latitude_deg: float | None
    meridian_deg: tuple[float, ...] | None
    meridian_uncertainty_deg: float | None
    flux: tuple[float | None, ...]
    off_disk: tuple[bool, ...]

    @property
    def n_frames(self) -> int:
        """Number of frames on the grid."""
        return len(self.flux)

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values; `from_dict` reads them back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Make a record from the values of `as_dict`."""
        plain: dict[str, Any] = {key: tuple(x) if isinstance(x, list) else x for key, x in values.items()}
        return cls(**plain)


def cube_facts(
    files: CubeFiles, cube: Cube, gridded: NDArray[np.floating], *, instrument: Instrument, patch_deg: float
) -> CubeFacts:
    """Return the facts about a cube.

    Parameters
    ----------
    files : CubeFiles
        Its files, for the coordinates in the header.
    cube : Cube
        Read from them.
    gridded : array, shape (n_frames, size_px, size_px)
        The cube on the grid, scaled to [0, 1], NaN off-disk.
    instrument : Instrument
        The grid.
    patch_deg : float
        Side of the patch in heliographic degrees.
    """
    start = cube.start if cube.start_scale is not None else None
    seconds = np.arange(instrument.n_frames, dtype=np.float64) * instrument.cadence_seconds
    off_disk = np.isnan(gridded)
    place = place_of(files)
    distances = _distances(place, start, seconds, off_disk, patch_deg=patch_deg)
    latitude = None if place is None else round(place.lat_deg, 1)
    flux = unsigned_flux(gridded, clip_gauss=instrument.clip_gauss, patch_deg=patch_deg, latitude_deg=latitude or 0.0)
    return CubeFacts(
        cube=cube.name,
        region=cube.region,
        times=None
        if start is None
        else frame_times_utc(start, instrument.n_frames, cadence_seconds=instrument.cadence_seconds),
        cadence_seconds=instrument.cadence_seconds,
        latitude_deg=latitude,
        meridian_deg=None if distances is None else tuple(round(float(x), 1) for x in distances.longitude_deg),
        meridian_uncertainty_deg=None if distances is None else distances.uncertainty_deg,
        flux=tuple(None if np.isnan(x) else round(float(x), 3) for x in flux),
        off_disk=tuple(bool(x) for x in off_disk.all(axis=(1, 2))),
    )


def unsigned_flux(
    gridded: NDArray[np.floating], *, clip_gauss: float, patch_deg: float, latitude_deg: float
) -> NDArray[np.float64]:
    """Return the unsigned flux of a patch in each frame in 10²¹ Mx, shape (n_frames,); NaN in a frame without disk.

    Notes
    -----
    The sum of abs(B) · A over the pixels on the disk with abs(B) ≥ `WEAKEST_GAUSS`. B is the line-of-sight field,
    clipped as on the grid and not corrected for projection. A is the area of a pixel at `latitude_deg`. The flux is
    meant for the comparison of frames: strong spots are clipped, and it falls towards the limb.
    """
    strength = np.abs(gridded.astype(np.float32) - np.float32(0.5)) * np.float32(2.0 * clip_gauss)
    counted = np.where(strength >= WEAKEST_GAUSS, strength, np.float32(0.0))  # NaN compares false
    side_cm = np.radians(patch_deg / gridded.shape[2]) * _SUN_RADIUS_CM
    area_cm2 = side_cm**2 * np.cos(np.radians(latitude_deg))
    flux = counted.sum(axis=(1, 2), dtype=np.float64) * area_cm2 / _FLUX_UNIT_MX
    return np.where(np.isnan(gridded).all(axis=(1, 2)), np.nan, flux)


def _distances(
    place: Place | None,
    start: str | None,
    seconds: NDArray[np.float64],
    off_disk: NDArray[np.bool_],
    *,
    patch_deg: float,
) -> MeridianDistances | None:
    """Return the central-meridian distances by the header's coordinates, else by both limbs; None where unknown."""
    if place is not None and start is not None:
        return from_carrington(place, start, seconds)
    try:
        found = from_limb(off_disk, seconds, patch_deg=patch_deg)
    except CubeError:
        return None
    return None if found.one_limb else found
