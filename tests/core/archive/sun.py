"""Full-disk images painted from known Carrington positions, through sunpy and `astropy.wcs`, not through helioloop."""

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.time import Time, TimeDelta
from astropy.wcs import WCS
from astropy.wcs.utils import wcs_to_celestial_frame
from numpy.typing import NDArray
from sunpy.coordinates import HeliographicCarrington, get_earth
from sunpy.coordinates.sun import L0

RSUN_METRES = 6.96e8


@dataclass(frozen=True, kw_only=True)
class Spot:
    """A round patch of field on the surface, Gaussian in great-circle distance."""

    lon: float
    lat: float
    gauss: float = 1000.0
    sigma_deg: float = 0.4


def header(
    tai: str = "2001-03-07T00:00:00",
    *,
    size: int = 1024,
    scale: float = 1.98,
    crota2: float = 0.0,
    centre: tuple[float, float] = (3.7, -2.3),
    instrument: str = "MDI",
    **cards: Any,
) -> fits.Header:
    """Return the header of a full-disk image seen from the Earth, in the manner of JSOC.

    `centre` is where the Sun's centre is, in pixels from the image's centre. Further `cards` replace or, with None,
    remove what would be written.
    """
    time = Time(tai, scale="tai")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # times beyond the tables of the Earth's rotation
        earth = get_earth(time)
        l0 = float(L0(time).to_value(units.deg))
    values = {
        "T_OBS": tai.replace("-", ".").replace("T", "_") + "_TAI",
        "DATE-OBS": str(time.utc.isot),
        "TELESCOP": {"MDI": "SOHO", "HMI": "SDO/HMI"}.get(instrument, instrument),
        "INSTRUME": {"HMI": "HMI_SIDE1"}.get(instrument, instrument),
        "CONTENT": "MAGNETOGRAM",
        "BUNIT": "Gauss",
        "QUALITY": 0,
        "CTYPE1": "HPLN-TAN",
        "CTYPE2": "HPLT-TAN",
        "CUNIT1": "arcsec",
        "CUNIT2": "arcsec",
        "CRVAL1": 0.0,
        "CRVAL2": 0.0,
        "CDELT1": scale,
        "CDELT2": scale,
        "CRPIX1": (size + 1) / 2 + centre[0],
        "CRPIX2": (size + 1) / 2 + centre[1],
        "CROTA2": crota2,
        "CRLN_OBS": l0,
        "CRLT_OBS": float(earth.lat.to_value(units.deg)),
        "DSUN_OBS": float(earth.radius.to_value(units.m)),
        "RSUN_REF": RSUN_METRES,
    }
    made = fits.Header()
    made["NAXIS"] = 2
    made["NAXIS1"] = made["NAXIS2"] = size
    for key, value in {**values, **{key.replace("__", "-"): value for key, value in cards.items()}}.items():
        if value is not None:
            made[key] = value
    return made


def paint(of: fits.Header, spots: Sequence[Spot], *, noise: float = 0.0, seed: int = 0) -> NDArray[np.float32]:
    """Return an image with spots, NaN off the disk: each pixel is looked up on the Sun, as a camera would.

    Only windows around the spots are looked up; a spot is cut off at four standard deviations, where it has 0.3 ‰.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        wcs = WCS(of, fix=False)
        frame = wcs_to_celestial_frame(wcs)
        surface = HeliographicCarrington(obstime=frame.obstime, observer=frame.observer, rsun=frame.rsun)
        image = np.zeros((of["NAXIS2"], of["NAXIS1"]), dtype=np.float32)
        if noise:
            image += np.float32(noise) * np.random.default_rng(seed).standard_normal(image.shape, dtype=np.float32)
        for spot in spots:
            place = SkyCoord(spot.lon * units.deg, spot.lat * units.deg, RSUN_METRES * units.m, frame=surface)
            seen = place.transform_to(frame)
            column, row = wcs.world_to_pixel(seen)
            reach = 4.2 * math.radians(spot.sigma_deg) * RSUN_METRES / float(frame.observer.radius.to_value(units.m))
            reach_px = (
                math.degrees(reach) * 3600.0 / abs(float(wcs.proj_plane_pixel_scales()[0].to_value(units.arcsec)))
            )
            left, low = max(int(column - reach_px), 0), max(int(row - reach_px), 0)
            window = np.s_[low : int(row + reach_px) + 2, left : int(column + reach_px) + 2]
            rows, columns = np.mgrid[window]
            lon, lat = _carrington(wcs, frame, surface, columns, rows)
            distance = _distance_deg(lon, lat, spot)
            image[window] += np.nan_to_num(spot.gauss * np.exp(-0.5 * (distance / spot.sigma_deg) ** 2))
    rows = np.arange(1, of["NAXIS2"] + 1, dtype=np.float32)[:, None] - np.float32(of["CRPIX2"])
    columns = np.arange(1, of["NAXIS1"] + 1, dtype=np.float32)[None, :] - np.float32(of["CRPIX1"])
    degrees = of["CDELT1"] if of["CUNIT1"] == "deg" else of["CDELT1"] / 3600.0
    limb = math.degrees(math.asin(RSUN_METRES / of["DSUN_OBS"])) / abs(degrees)
    image[columns**2 + rows**2 > limb**2] = np.nan
    return image


def paint_everywhere(
    of: fits.Header, spots: Sequence[Spot], *, noise: float = 0.0, seed: int = 0
) -> NDArray[np.float32]:
    """Return the image of `paint`, for many spots on a small image: every pixel is looked up on the Sun once."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        wcs = WCS(of, fix=False)
        frame = wcs_to_celestial_frame(wcs)
        surface = HeliographicCarrington(obstime=frame.obstime, observer=frame.observer, rsun=frame.rsun)
        rows, columns = np.mgrid[: of["NAXIS2"], : of["NAXIS1"]]
        lon, lat = _carrington(wcs, frame, surface, columns, rows)
    image = noise * np.random.default_rng(seed).standard_normal(lon.shape)
    for spot in spots:
        image += spot.gauss * np.exp(-0.5 * (_distance_deg(lon, lat, spot) / spot.sigma_deg) ** 2)
    return image.astype(np.float32)  # NaN off the disk, where a pixel has no coordinates


def cea_header(tai: str, *, lon: float, lat: float, shape: tuple[int, int], step: float = 0.06) -> fits.Header:
    """Return the header of a patch in cylindrical equal-area projection around its centre, as SHARP's are."""
    made = header(tai, instrument="HMI", BUNIT=None, CROTA2=None, HARPNUM=377)
    made.update(
        {
            "NAXIS1": shape[1],
            "NAXIS2": shape[0],
            "CTYPE1": "CRLN-CEA",
            "CTYPE2": "CRLT-CEA",
            "CUNIT1": "degree",
            "CUNIT2": "degree",
            "CRPIX1": (shape[1] + 1) / 2,
            "CRPIX2": (shape[0] + 1) / 2,
            "CRVAL1": lon % 360.0,
            "CRVAL2": lat,
            "CDELT1": step,
            "CDELT2": step,
            "_BUNIT": "Mx/cm^2",
        }
    )
    return made


def paint_map(of: fits.Header, spots: Sequence[Spot], *, noise: float = 1.0) -> NDArray[np.float32]:
    """Return a map in Carrington coordinates with spots."""
    rows, columns = np.mgrid[: of["NAXIS2"], : of["NAXIS1"]]
    spelt = of.copy()
    spelt["CUNIT1"] = spelt["CUNIT2"] = "deg"  # JSOC writes "degree", which FITS does not know
    places = WCS(spelt, fix=False).pixel_to_world(columns, rows)
    image = noise * np.random.default_rng(0).standard_normal(rows.shape)
    lon, lat = places.lon.to_value(units.rad), places.lat.to_value(units.rad)
    for spot in spots:
        distance = _distance_deg(lon, lat, spot)
        image += spot.gauss * np.exp(-0.5 * (distance / spot.sigma_deg) ** 2)
    return image.astype(np.float32)


def cut(of: fits.Header, image: NDArray[np.float32], rows: slice, columns: slice) -> tuple[fits.Header, Any]:
    """Return a cutout of an image, as JSOC cuts the CCD: the reference pixel moves along."""
    part = image[rows, columns]
    made = of.copy()
    made["CRPIX1"] -= columns.start
    made["CRPIX2"] -= rows.start
    made["NAXIS2"], made["NAXIS1"] = part.shape
    return made, part


def write(path: Path, of: fits.Header, image: NDArray[np.float32]) -> Path:
    """Write an image as JSOC exports it: a compressed image behind an empty first one."""
    packed = fits.CompImageHDU(image, of, compression_type="GZIP_2", quantize_level=0.0)  # 0: no rounding
    fits.HDUList([fits.PrimaryHDU(), packed]).writeto(path)
    return path


def write_series(
    folder: Path,
    tai: Sequence[str],
    spots: Callable[[float], Sequence[Spot]],
    *,
    noise: float = 10.0,
    size: int = 256,
    scale: float = 8.0,
    instrument: str = "MDI",
    painter: Callable[..., NDArray[np.float32]] = paint,
) -> list[Path]:
    """Write one full-disk image per time; `spots` gets the days since the first one and gives what is on the Sun."""
    folder.mkdir(parents=True, exist_ok=True)
    first = Time(tai[0], scale="tai")
    written = []
    for number, text in enumerate(tai):
        of = header(text, size=size, scale=scale, instrument=instrument)
        days = float((Time(text, scale="tai") - first).jd)
        image = painter(of, spots(days), noise=noise, seed=number)
        stamp = text.replace("-", "").replace(":", "").replace("T", "_")
        written.append(write(folder / f"{instrument.lower()}.{stamp}_TAI.data.fits", of, image))
    return written


def times(first: str, *, hours: float, n: int) -> list[str]:
    """Return n times in TAI from `first` on, `hours` apart."""
    steps = TimeDelta(np.arange(n) * hours * 3600.0, format="sec", scale="tai")
    return [str(text).removesuffix(".000") for text in (Time(first, scale="tai") + steps).isot]


def _distance_deg(lon: Any, lat: Any, spot: Spot) -> Any:
    """Return the great-circle distance of places in radians from a spot, in degrees."""
    lon0, lat0 = math.radians(spot.lon), math.radians(spot.lat)
    cosine = np.sin(lat) * math.sin(lat0) + np.cos(lat) * math.cos(lat0) * np.cos(lon - lon0)
    return np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))


def _carrington(wcs: WCS, frame: Any, surface: Any, columns: Any, rows: Any) -> tuple[Any, Any]:
    """Return Carrington longitude and latitude in radians of pixels; NaN off the disk."""
    seen = wcs.pixel_to_world(columns, rows)
    # sunpy puts a point without a distance on the surface of the Sun, where the line of sight meets it
    on_sun = SkyCoord(seen.Tx, seen.Ty, frame=frame).transform_to(surface)
    return on_sun.lon.to_value(units.rad), on_sun.lat.to_value(units.rad)
