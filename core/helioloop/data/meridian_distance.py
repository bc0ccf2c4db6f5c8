"""Central-meridian distance of a cube's patch: from Carrington coordinates and time, else from the limb and rotation.

The limb is where a cube's off-disk pixels end. It crosses the patch twice: at the east limb as the patch comes into
view, at the west limb as it leaves. Half way between, the patch is on the central meridian.
"""

import io
import warnings
from dataclasses import dataclass

import numpy as np
from astropy import units
from astropy.io import fits
from astropy.time import Time, TimeDelta
from astropy.wcs import WCS
from erfa import ErfaWarning
from numpy.typing import NDArray

from helioloop.data.cubes import CubeFiles
from helioloop.data.fits import card_text, errors_named_after, number_text, open_checked
from helioloop.errors import CubeError

Degrees = NDArray[np.float64]
Mask = NDArray[np.bool_]

ROTATION_DEG_PER_DAY = 360.0 / 27.2753
"""Mean synodic rate of Carrington longitude. At 30° of latitude the Sun is 3 % slower: 2° in the 60° from the limb to
the central meridian."""
LIMB_DEG = (75.0, 93.0)
"""Where a patch may leave the disk: at 87° to 93° by latitude and season if the true limb is the end, from 75° on in
archives that leave out pixels with μ below 0.17."""
DAY_SECONDS = 86_400.0

_LONGITUDE, _LATITUDE = "CRLN", "CRLT"
_CD = ("CD1_1", "CD1_2", "CD2_1", "CD2_2")
_PC = ("PC1_1", "PC1_2", "PC2_1", "PC2_2")
_UNITS = {"degrees": "deg", "degs": "deg"}  # `degree`, which JSOC writes, is a unit of astropy's

_WIDEST_LIMB_DEG = (70.0, 95.0)
_BOTH_LIMBS_UNCERTAINTY_DEG = 2.0
_LEAST_OFF = 0.03
_LARGEST_SPREAD_DAYS = 0.25  # a limb that moves the wrong way gives times within ± 1.1 days


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Carrington coordinates of a patch's centre in degrees, and their source."""

    lon_deg: float
    lat_deg: float
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MeridianDistances:
    """Central-meridian distance of a patch's centre at each observation.

    Parameters
    ----------
    longitude_deg : array, shape (n_obs,)
        West positive.
    uncertainty_deg : float
        Largest error to expect.
    source : str
        ``"WCS"``, ``"regions table"``, ``"both limbs"``, ``"east limb"`` or ``"west limb"``.
    """

    longitude_deg: Degrees
    uncertainty_deg: float
    source: str

    @property
    def one_limb(self) -> bool:
        """True if they come from one limb alone, whose distance from the central meridian is assumed."""
        return self.source in {"east limb", "west limb"}


def place_of(files: CubeFiles) -> Place | None:
    """Return the Carrington coordinates of a cube's patch by the header of its image, else by that of its file.

    Raises
    ------
    CubeError
        If the file cannot be read.
    """
    image = files.image_header()
    found = place_from_header(image)
    if found is not None:
        return found
    with errors_named_after(files.path), open_checked(io.BytesIO(files.content)) as hdus:
        return place_from_header(image, hdus[0].header)


def place_from_header(*headers: fits.Header) -> Place | None:
    """Return the Carrington coordinates of a patch's centre by the first header that has a WCS with them, else None.

    The size of the image is that in the first header that has one. Cards that do not define coordinates are passed
    over, as are headers with damaged ones.
    """
    shape = next(((h["NAXIS1"], h["NAXIS2"]) for h in headers if "NAXIS1" in h and "NAXIS2" in h), None)
    if shape is None:
        return None
    for header in headers:
        cards = _carrington_cards(header)
        if cards is None:
            continue
        try:
            world = WCS(cards, fix=False).wcs_pix2world(*((n_px - 1) / 2.0 for n_px in shape), 0)
        except Exception:  # noqa: BLE001, S112 - wcslib raises errors of many types on cards that contradict each other
            continue
        longitude = 0 if str(cards["CTYPE1"]).startswith(_LONGITUDE) else 1
        lon, lat = float(world[longitude]), float(world[1 - longitude])
        if np.isfinite(lon) and abs(lat) <= 90.0:
            return Place(lon_deg=lon % 360.0, lat_deg=lat, source="WCS")
    return None


def _carrington_cards(header: fits.Header) -> fits.Header | None:
    """Return the cards that define Carrington coordinates, as the FITS standard spells them; None without all of them.

    Archives and tools write units, types and numbers in ways that wcslib refuses or takes for 0.
    """
    types = [card_text(header, f"CTYPE{axis}").upper() for axis in (1, 2)]
    if sorted(name[:4] for name in types) != [_LONGITUDE, _LATITUDE]:
        return None
    has_matrix = any(number_text(header, card) for card in _CD)
    needed = [f"{kind}{axis}" for kind in ("CRPIX", "CRVAL", *(() if has_matrix else ("CDELT",))) for axis in (1, 2)]
    optional = (*(_CD if has_matrix else (*_PC, "CROTA2")), "LONPOLE", "LATPOLE", "PV2_1")
    cards = fits.Header()
    try:
        for axis, name in enumerate(types, start=1):
            cards[f"CTYPE{axis}"] = name
            unit = card_text(header, f"CUNIT{axis}").lower()
            cards[f"CUNIT{axis}"] = units.Unit(_UNITS.get(unit, unit) or "deg").to_string("fits")
        for card in (*needed, *(card for card in optional if number_text(header, card))):
            cards[card] = float(number_text(header, card))
    except ValueError:  # not a unit, or not a number
        return None
    if any(card in cards for card in _PC):
        cards.remove("CROTA2", ignore_missing=True)  # it does not count beside the matrix
    return cards


def rotations(times: Time) -> Degrees:
    """Return the Carrington rotation number, with its fraction, that the Earth sees at `times`, same shape."""
    from sunpy.coordinates.sun import carrington_rotation_number  # noqa: PLC0415 - takes a second to import

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ErfaWarning)  # of far dates, whose leap seconds nobody knows
        return np.asarray(carrington_rotation_number(times), dtype=np.float64)


def from_carrington(place: Place, start_utc: str, seconds: Degrees) -> MeridianDistances:
    """Return the distances of a place on the Sun, from its Carrington longitude.

    Parameters
    ----------
    place : Place
        Of the patch's centre.
    start_utc : str
        Time of grid frame 0, ISO 8601, UTC.
    seconds : array, shape (n_obs,)
        Since grid frame 0.

    Notes
    -----
    With the Carrington rotation number R and the longitude L, the place is on the central meridian at
    R₀ = n + 1 − L / 360 with a whole number n; its distance at R is 360 · (R − R₀). The crossing nearest to the middle
    observation is taken.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ErfaWarning)
        times = Time(start_utc, scale="utc") + TimeDelta(seconds * units.s)
        seen = rotations(times)
    crossing = 1.0 - place.lon_deg / 360.0
    passage = round(float(np.median(seen)) - crossing)
    return MeridianDistances(
        longitude_deg=360.0 * (seen - passage - crossing), uncertainty_deg=0.5, source=place.source
    )


def from_limb(off_disk: Mask, seconds: Degrees, *, patch_deg: float) -> MeridianDistances:
    """Return the distances by the times at which the limb crosses the patch's centre.

    Parameters
    ----------
    off_disk : array of bool, shape (n_obs, ny, nx)
        Column 0 east.
    seconds : array, shape (n_obs,)
        Since grid frame 0.
    patch_deg : float
        Side of the patch.

    Raises
    ------
    CubeError
        If no limb crosses the patch, or it does not move as the rotation carries it; the text gives the reason.

    Notes
    -----
    Where a fraction f of a frame is off-disk in the east, the limb is at x = (f − ½) · patch_deg from the centre, and
    in the west at x = (½ − f) · patch_deg. It crosses the centre at t + x / rotation rate; the median over the frames
    is used. Between both crossings the patch turns by twice the limb's distance Λ from the central meridian. With one
    crossing only, Λ is somewhere in `LIMB_DEG`.
    """
    fraction = off_disk.mean(axis=(1, 2))
    partly = np.flatnonzero((fraction >= _LEAST_OFF) & (fraction <= 1.0 - _LEAST_OFF))
    if not partly.size:
        raise CubeError("no limb crosses its patch, so its place on the disk is unknown")
    half = off_disk.shape[2] // 2
    east = off_disk[partly, :, :half].mean(axis=(1, 2)) > off_disk[partly, :, -half:].mean(axis=(1, 2))
    days = seconds / DAY_SECONDS
    rate = ROTATION_DEG_PER_DAY
    limb_deg = np.where(east, fraction[partly] - 0.5, 0.5 - fraction[partly]) * patch_deg
    crossings = days[partly] + limb_deg / rate
    east_days = _agreed(crossings[east])
    west_days = _agreed(crossings[~east])
    if east_days is not None and west_days is not None:
        limb = rate * (west_days - east_days) / 2.0
        if not _WIDEST_LIMB_DEG[0] <= limb <= _WIDEST_LIMB_DEG[1]:
            raise CubeError(
                f"its patch takes {west_days - east_days:.1f} days from the limb at column 0 to the other one, and a "
                f"place on the Sun takes {2 * _WIDEST_LIMB_DEG[0] / rate:.1f} to {2 * _WIDEST_LIMB_DEG[1] / rate:.1f}: "
                "check the times, and that column 0 is east"
            )
        longitude = rate * (days - (east_days + west_days) / 2.0)
        return MeridianDistances(
            longitude_deg=longitude, uncertainty_deg=_BOTH_LIMBS_UNCERTAINTY_DEG, source="both limbs"
        )
    middle, spread = sum(LIMB_DEG) / 2.0, (LIMB_DEG[1] - LIMB_DEG[0]) / 2.0
    if east_days is not None:
        return MeridianDistances(
            longitude_deg=rate * (days - east_days) - middle, uncertainty_deg=spread, source="east limb"
        )
    if west_days is None:
        raise CubeError("its off-disk pixels do not move as the limb does: check the times, and that column 0 is east")
    return MeridianDistances(
        longitude_deg=rate * (days - west_days) + middle, uncertainty_deg=spread, source="west limb"
    )


def _agreed(crossings_days: Degrees) -> float | None:
    """Return the median of the times; None if there are none, or if half of them are far from it."""
    if not crossings_days.size:
        return None
    middle = float(np.median(crossings_days))
    return middle if np.median(np.abs(crossings_days - middle)) <= _LARGEST_SPREAD_DAYS else None
