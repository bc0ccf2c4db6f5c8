"""Where an image's pixels are on the Sun: its coordinate system and its observer, from the header's cards.

Only the cards that define coordinates are passed on, so that damaged cards elsewhere in a header do no harm; sunpy
transforms between the frames.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy import units
from astropy.coordinates import BaseCoordinateFrame, SkyCoord
from astropy.io import fits
from astropy.time import Time
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_scales
from numpy.typing import NDArray
from sunpy.coordinates import HeliographicCarrington, HeliographicStonyhurst, Helioprojective, get_earth

from helioloop.archive.ephemeris import check_observer, check_observer_cards
from helioloop.archive.gong_limb import gong_axes
from helioloop.archive.header_cards import number, positive
from helioloop.archive.observation import Observation
from helioloop.archive.rotation import add_rotation, has_cd
from helioloop.errors import MagnetogramError

Floats = NDArray[np.float64]

RSUN_METRES = 6.96e8
"""Radius of the Sun where the header gives none: the one MDI's and HMI's headers use."""

HELIOPROJECTIVE = ("HPLN", "HPLT")
CARRINGTON = ("CRLN", "CRLT")

_OLD_NAMES = {"SOLAR_X": "HPLN-TAN", "SOLAR-X": "HPLN-TAN", "SOLAR_Y": "HPLT-TAN", "SOLAR-Y": "HPLT-TAN"}
_AU_METRES = 149_597_870_700.0
_OBSERVER_CARDS = (
    ("carrington", "CRLN_OBS", "CRLT_OBS", "DSUN_OBS", 1.0),
    ("stonyhurst", "HGLN_OBS", "HGLT_OBS", "DSUN_OBS", 1.0),
    ("carrington", "OBS_L0", "OBS_B0", "OBS_DIST", _AU_METRES),
)
_LARGEST_RADIUS_ERROR = 0.02  # radii in use are from 6.955e8 to 6.963e8 m
_DISTANCES_AU = (0.2, 2.0)  # Solar Orbiter comes to 0.28 au
_PIXELS_ARCSEC = (0.01, 300.0)  # the largest telescopes resolve 0.03; with 300 the Sun is 6 pixels wide
_UNITS = {
    **dict.fromkeys(("degree", "degrees", "degs"), "deg"),
    **dict.fromkeys(("arcsecs", "arcsecond", "arcseconds"), "arcsec"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SolarWcs:
    """Pixels and coordinates of one image.

    Parameters
    ----------
    wcs : WCS
        Pixel to the image's own two axes, in degrees.
    kind : tuple of str
        `HELIOPROJECTIVE` or `CARRINGTON`.
    frame : BaseCoordinateFrame
        The image's frame, with observer and time.
    carrington : BaseCoordinateFrame
        Carrington frame of the same observer and time, radius of the Sun as the image's.
    observer_carrington_deg : tuple of float
        Carrington longitude and latitude of the observer (L0, B0).
    distance_m, rsun_m : float
        Distance of the observer from the Sun's centre, and the Sun's radius.
    assumed : tuple of str
        What the header does not say and was assumed.
    """

    wcs: WCS
    kind: tuple[str, str]
    frame: BaseCoordinateFrame
    carrington: BaseCoordinateFrame
    observer_carrington_deg: tuple[float, float]
    distance_m: float
    rsun_m: float
    assumed: tuple[str, ...] = ()

    @property
    def rsun_arcsec(self) -> float:
        """Angular radius of the Sun."""
        return math.degrees(math.asin(self.rsun_m / self.distance_m)) * 3600.0

    @property
    def pixel_deg(self) -> tuple[float, float]:
        """Width and height of a pixel in degrees; of an image in Carrington coordinates only."""
        width, height = proj_plane_pixel_scales(self.wcs)
        return float(width), float(height)

    @property
    def arcsec_per_px(self) -> float:
        """Side of a pixel; of a helioprojective image only."""
        matrix: Floats = self.wcs.pixel_scale_matrix
        return math.sqrt(abs(float(np.linalg.det(matrix)))) * 3600.0

    def to_pixels(self, lon_deg: Floats, lat_deg: Floats) -> tuple[Floats, Floats, Floats]:
        """Return column, row (0-based) and visibility of points on the surface.

        Parameters
        ----------
        lon_deg, lat_deg : arrays of equal shape
            Carrington longitude and latitude.

        Returns
        -------
        column, row : arrays
            Pixel coordinates; smooth across the limb.
        visibility : array
            Positive on the near side of the limb, negative beyond it; smooth.
        """
        points = SkyCoord(lon_deg * units.deg, lat_deg * units.deg, frame=self.carrington)
        seen = points.transform_to(self.frame)
        if self.kind == CARRINGTON:
            centre = float(self.wcs.wcs.crval[0])
            lon = centre + (seen.lon.to_value(units.deg) - centre + 180.0) % 360.0 - 180.0
            column, row = self.wcs.wcs_world2pix(lon, seen.lat.to_value(units.deg), 0)
            l0, b0 = self.observer_carrington_deg
            cosine = cosine_from_centre(lon_deg, lat_deg, l0_deg=l0, b0_deg=b0)
            return column, row, cosine - self.rsun_m / self.distance_m
        column, row = self.wcs.wcs_world2pix(seen.Tx.to_value(units.deg), seen.Ty.to_value(units.deg), 0)
        tangent = self.distance_m**2 - self.rsun_m**2
        return column, row, 1.0 - seen.distance.to_value(units.m) ** 2 / tangent

    def centre_deg(self, shape: tuple[int, int]) -> tuple[float, float] | None:
        """Return Carrington longitude and latitude of the middle of an image; None where it is off the disk.

        Parameters
        ----------
        shape : tuple of int
            Height and width of the image.
        """
        height, width = shape
        x, y = (float(value) for value in self.wcs.wcs_pix2world((width - 1) / 2.0, (height - 1) / 2.0, 0))
        if self.kind == CARRINGTON:
            return x % 360.0, y
        if math.hypot((x + 180.0) % 360.0 - 180.0, y) * 3600.0 >= self.rsun_arcsec:
            return None
        # sunpy puts a point without a distance where the line of sight meets the surface
        middle = SkyCoord(x * units.deg, y * units.deg, frame=self.frame).transform_to(self.carrington)
        return float(middle.lon.to_value(units.deg)), float(middle.lat.to_value(units.deg))


def cosine_from_centre(lon_deg: Floats, lat_deg: Floats, *, l0_deg: float | Floats, b0_deg: float | Floats) -> Floats:
    """Return the cosine of the angle between surface points and the point below the observer."""
    lat, b0 = np.radians(lat_deg), np.radians(b0_deg)
    return np.asarray(np.sin(b0) * np.sin(lat) + np.cos(b0) * np.cos(lat) * np.cos(np.radians(lon_deg - l0_deg)))


def solar_wcs(observation: Observation) -> SolarWcs:
    """Return an observation's coordinates.

    Raises
    ------
    MagnetogramError
        If the header does not define them, or contradicts the ephemeris; the text says what is missing.
    """
    header, time = observation.header, observation.time
    cards, kind, assumed = _axes(observation)
    rsun = _radius(header)
    observer, who = _observer(header, time)
    stonyhurst = observer.transform_to(HeliographicStonyhurst(obstime=time))
    carrington = HeliographicCarrington(obstime=time, observer=stonyhurst, rsun=rsun * units.m)
    place = stonyhurst.transform_to(HeliographicCarrington(obstime=time, observer="self"))
    longitude, latitude = place.lon.to_value(units.deg), place.lat.to_value(units.deg)
    check_observer(longitude, latitude, time)
    check_observer_cards(header, time)
    if kind == HELIOPROJECTIVE:
        frame: Any = Helioprojective(obstime=time, observer=stonyhurst, rsun=rsun * units.m)
    else:
        frame = carrington
    try:
        wcs = WCS(cards, fix=False)
    except Exception as error:  # wcslib refuses cards with errors of several kinds
        raise MagnetogramError(
            f"its coordinates contradict themselves ({str(error).strip().splitlines()[-1]}): correct the WCS cards"
        ) from error
    place_on_sun = SolarWcs(
        wcs=wcs,
        kind=kind,
        frame=frame,
        carrington=carrington,
        observer_carrington_deg=(float(longitude), float(latitude)),
        distance_m=float(stonyhurst.radius.to_value(units.m)),
        rsun_m=rsun,
        assumed=(*assumed, *who),
    )
    _check_pixel(place_on_sun, cards)
    return place_on_sun


def _axes(observation: Observation) -> tuple[fits.Header, tuple[str, str], tuple[str, ...]]:
    """Return the cards that define the image's axes, which kind they are, and what was assumed."""
    header = observation.header
    names = [_OLD_NAMES.get(name.upper(), name) for name in (str(header.get(f"CTYPE{k}", "")).strip() for k in (1, 2))]
    starts = (names[0][:4].upper(), names[1][:4].upper())
    if starts not in {HELIOPROJECTIVE, CARRINGTON}:
        if observation.instrument == "GONG":
            cards, said = gong_axes(header)
            return cards, HELIOPROJECTIVE, said
        raise MagnetogramError(
            f"CTYPE1 and CTYPE2 are {names[0]!r} and {names[1]!r}; they must be HPLN-TAN and HPLT-TAN for an image of "
            "the disk, or CRLN- and CRLT- for a map: correct them"
        )
    cards = fits.Header({"CTYPE1": names[0], "CTYPE2": names[1]})
    for axis in (1, 2):
        unit = str(header.get(f"CUNIT{axis}", "")).strip().lower() or ("arcsec" if starts == HELIOPROJECTIVE else "deg")
        cards[f"CUNIT{axis}"] = _UNITS.get(unit, unit)
        for card in (f"CRPIX{axis}", f"CRVAL{axis}"):
            cards[card] = number(header, card)
        if has_cd(header):  # CDi_j contains the width of a pixel, and CDELT does not count beside it
            continue
        cards[f"CDELT{axis}"] = number(header, f"CDELT{axis}")
        if cards[f"CDELT{axis}"] == 0.0:
            raise MagnetogramError(f"CDELT{axis} is 0; it must be the width of a pixel: correct it")
    turned, doubts = add_rotation(header, cards)
    for card in ("LONPOLE", "LATPOLE"):
        if card in header:
            cards[card] = number(header, card)
    if not turned and starts == HELIOPROJECTIVE:
        doubts = ("no card gives a rotation, so solar north was taken as up",)
    return cards, starts, doubts


def _observer(header: fits.Header, time: Time) -> tuple[Any, tuple[str, ...]]:
    """Return the observer's place, and what was assumed about it."""
    for kind, lon_card, lat_card, distance_card, metres in _OBSERVER_CARDS:
        if all(card in header for card in (lon_card, lat_card, distance_card)):
            lon, lat = number(header, lon_card) * units.deg, number(header, lat_card) * units.deg
            distance = _distance(header, distance_card, metres)
            frame = (
                HeliographicCarrington(obstime=time, observer="self")
                if kind == "carrington"
                else HeliographicStonyhurst(obstime=time)
            )
            return SkyCoord(lon, lat, distance, frame=frame), ()
    return get_earth(time), ("no card gives the observer, so the Earth was assumed",)


def _check_pixel(place: SolarWcs, cards: fits.Header) -> None:
    """Refuse pixels of a size that only another unit than CUNIT explains."""
    smallest, largest = _PIXELS_ARCSEC
    if place.kind == HELIOPROJECTIVE and not smallest <= place.arcsec_per_px <= largest:
        width = "CD1_1" if has_cd(cards) else "CDELT1"
        raise MagnetogramError(
            f"its pixels are {place.arcsec_per_px:.3g} arcsec wide by {width} {cards.get(width, 0.0):g} and CUNIT1 "
            f"{cards['CUNIT1']!r}; those of magnetograms have from {smallest:g} to {largest:g} arcsec: correct CUNIT "
            f"or {width}"
        )


def _radius(header: fits.Header) -> float:
    """Return the radius of the Sun in metres; refuse one in another unit."""
    value = positive(header, "RSUN_REF") or RSUN_METRES
    if abs(value / RSUN_METRES - 1.0) > _LARGEST_RADIUS_ERROR:
        raise MagnetogramError(
            f"RSUN_REF is {value:g}; it must be the radius of the Sun in metres, about {RSUN_METRES:g}: correct or "
            "remove it"
        )
    return value


def _distance(header: fits.Header, card: str, metres: float) -> Any:
    """Return the distance of the observer from the Sun's centre; refuse one in another unit."""
    value = number(header, card)
    distance = value * metres * units.m
    nearest, farthest = _DISTANCES_AU
    if not nearest <= distance.to_value(units.au) <= farthest:
        unit = "metres" if metres == 1.0 else "au"
        raise MagnetogramError(
            f"{card} is {value:g}; it must be the distance from the Sun's centre in {unit}, from {nearest:g} to "
            f"{farthest:g} au: correct it"
        )
    return distance
