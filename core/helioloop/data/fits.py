"""Bytes opened as FITS, and images in gauss out of it; what a file claims is checked before anything is allocated.

Below `cubes`. Files come from archives, mail and half-finished downloads: every refusal is a `CubeError` in a sentence
that `cubes` puts the file's name before.
"""

import gzip
import io
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from astropy import units
from astropy.io import fits
from numpy.typing import NDArray

from helioloop.errors import CubeError

MAX_BYTES = 512 * 1024**2
"""Largest file, packed or unpacked, that is read; a cube of 225 frames of 90 × 90 px has 4 to 15 MB."""
MAX_VALUES = 64 * 1024**2
"""Most pixel values of a cube: a compressed image may claim any number in a small file."""

_STRONGEST_GAUSS = 1e5  # sunspots reach 6e3 G
_STRONGEST_SHARE = 0.01
_WEAKEST_GAUSS = 1e-3
_IMAGE_AXES = 3
_UNIT_NAMES = {"": "G", "g": "G", "gauss": "G", "kgauss": "kG", "mx/cm^2": "G", "mx/cm2": "G", "tesla": "T"}


@contextmanager
def open_whole(content: bytes) -> Iterator[fits.HDUList]:
    """Open FITS bytes, gzipped or not, after checking that they hold all the data their headers claim.

    Raises
    ------
    CubeError
        If they are empty, no FITS, cut off, or unpack to more than `MAX_BYTES`.
    """
    if content[:2] == b"\x1f\x8b":
        with gzip.open(io.BytesIO(content)) as packed:
            content = packed.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise CubeError(f"it unpacks to more than {MAX_BYTES} bytes; a cube has at most that: cut it into cubes")
    if not content:
        raise CubeError("the file is empty; fetch or make it again")
    if content[:9] != b"SIMPLE  =":
        raise CubeError(
            f"it begins with {content[:9]!r} and is no FITS file, which begins with 'SIMPLE  ='; fetch or make it again"
        )
    with fits.open(io.BytesIO(content), lazy_load_hdus=False) as hdus:
        for hdu in hdus:
            place = hdu.fileinfo()
            # A missing last padding is forgiven, except that a compressed image's `size` is what it unpacks to.
            end = place["datLoc"] + (place["datSpan"] if isinstance(hdu, fits.CompImageHDU) else hdu.size)
            if end > len(content):
                raise CubeError(
                    f"its headers claim {end} bytes and it has {len(content)}; it was cut off: fetch or make it again"
                )
        yield hdus


def cube_image(hdus: fits.HDUList) -> fits.PrimaryHDU | fits.ImageHDU | fits.CompImageHDU:
    """Return the first image with three axes; judged by its header, no pixel is touched.

    Raises
    ------
    CubeError
        If there is none, or it claims more than `MAX_VALUES`.
    """
    images = [hdu for hdu in hdus if hdu.is_image and hdu.shape]
    for hdu in images:
        if len(hdu.shape) == _IMAGE_AXES:
            if not 0 < np.prod(hdu.shape, dtype=np.float64) <= MAX_VALUES:
                raise CubeError(f"its image claims the shape {hdu.shape}; a cube has 1 to {MAX_VALUES} values")
            return hdu
    if not images:
        raise CubeError("it holds no image; a cube is an image with the axes time, y and x: make it again")
    raise CubeError(
        f"its image has the shape {', '.join(str(hdu.shape) for hdu in images[:3])}; a cube has three axes, time, y "
        "and x: stack frames of equal size into one image"
    )


def in_gauss(hdu: fits.PrimaryHDU | fits.ImageHDU | fits.CompImageHDU) -> NDArray[np.float32]:
    """Return an image's pixels in gauss, scaled by BSCALE and BZERO; NaN where blank or infinite.

    BUNIT missing means gauss; any other unit of magnetic flux density is converted.

    Raises
    ------
    CubeError
        If BUNIT is no such unit, no pixel holds a number, or the field is not one of the Sun: then its unit or byte
        order is wrong.
    """
    frames = np.array(hdu.data, dtype=np.float32)
    unit = str(hdu.header.get("BUNIT", "")).strip()
    try:
        factor = float(units.Unit(_UNIT_NAMES.get(unit.lower(), unit), parse_strict="raise").to(units.G))
    except (ValueError, TypeError):
        raise CubeError(f"BUNIT is {unit!r}; it must be of magnetic flux density, such as Gauss: correct it") from None
    if factor != 1.0:
        frames *= np.float32(factor)
    strength = np.abs(frames)
    finite = np.isfinite(strength)
    frames[~finite] = np.nan
    strongest = float(strength.max(where=finite, initial=0.0))
    if not finite.any():
        raise CubeError("no pixel holds a number; a cube needs at least one frame with a field: make it again")
    beyond = np.count_nonzero(strength[finite] > _STRONGEST_GAUSS) if strongest > _STRONGEST_GAUSS else 0
    if beyond > _STRONGEST_SHARE * frames.size or 0.0 < strongest < _WEAKEST_GAUSS:
        raise CubeError(
            f"its field reaches {strongest:.3g} G; the Sun's reaches some hundred and never {_STRONGEST_GAUSS:g}: "
            "correct BUNIT or the byte order"
        )
    return frames
