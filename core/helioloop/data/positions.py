"""Where on the Sun a cube's region is: Carrington coordinates from the headers of cubes made from an archive."""

import math
from dataclasses import dataclass
from pathlib import Path

from astropy.io import fits

from helioloop.data.fits import errors_named_after, number_text, open_checked, open_file

LON_CARD, LAT_CARD = "REG_LON", "REG_LAT"


@dataclass(frozen=True, slots=True, kw_only=True)
class CarringtonPosition:
    """Carrington longitude in [0, 360) and latitude of a region, in degrees."""

    lon_deg: float
    lat_deg: float


def read_position(path: Path) -> CarringtonPosition | None:
    """Return the position of the region that the cube at `path` follows; no pixel is read.

    Parameters
    ----------
    path : Path
        ``<cube>.fits``.

    Returns
    -------
    CarringtonPosition or None
        None if no header has the cards REG_LON and REG_LAT, which ``helioloop cutouts`` and ``helioloop stack`` write,
        as numbers of degrees.

    Raises
    ------
    CubeError
        If the file cannot be read.
    """
    with open_file(path) as file, errors_named_after(path), open_checked(file) as hdus:
        return next((position for hdu in hdus if (position := _position(hdu.header)) is not None), None)


def _position(header: fits.Header) -> CarringtonPosition | None:
    lon, lat = _degrees(number_text(header, LON_CARD)), _degrees(number_text(header, LAT_CARD))
    if math.isnan(lon) or not abs(lat) <= 90.0:
        return None
    return CarringtonPosition(lon_deg=lon % 360.0, lat_deg=lat)


def _degrees(text: str) -> float:
    """Return a finite number; NaN for anything else."""
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan
