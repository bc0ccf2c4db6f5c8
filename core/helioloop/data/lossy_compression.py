"""Images compressed with loss, as `fpack` does with floating point: how far pixels may be off, and codes lost by it.

The pixels of a tile are rounded to steps of a fraction of its noise, most often after random numbers are added, which
are subtracted again when it is read (dithering). NaN stays, and with one kind of dithering 0 does, too; another code of
off-disk pixels becomes as many values as there are pixels.

References
----------
FITS standard 4.0, section 10.2.
"""

import gzip
import io
import math

import numpy as np
from astropy import units
from astropy.io import fits
from numpy.typing import NDArray

from helioloop.data.cubes import CubeFiles
from helioloop.data.first_bytes import GZIP
from helioloop.data.fits import errors_named_after, field_in_gauss, image_unit, open_checked
from helioloop.data.images import cube_image
from helioloop.data.off_disk import corner_regions
from helioloop.records.instrument import Instrument

Floats = NDArray[np.float32]

_LEAST_LOST = 0.01  # of the pixels; at the edge of a region some are within a step of its code by chance


def rounding(content: bytes, number: int) -> Floats | None:
    """Return by how much at most lossy compression changed each pixel of an image; None where it changed none.

    Parameters
    ----------
    content : bytes
        A FITS file that was read, gzipped or not.
    number : int
        Of the HDU with the image.

    Returns
    -------
    array of float32, shape of the image
        Half a step, in the unit of the image; 0 in tiles without loss.
    """
    if content.startswith(GZIP):
        content = gzip.decompress(content)
    if b"'ZSCALE " not in content:
        return None
    with fits.open(io.BytesIO(content), disable_image_compression=True, memmap=False, lazy_load_hdus=False) as hdus:
        table = hdus[number]
        if not isinstance(table, fits.BinTableHDU) or "ZSCALE" not in table.columns.names:
            return None
        half: Floats = np.asarray(np.abs(table.data["ZSCALE"]) / 2.0, dtype=np.float32)
        sizes = [table.header[f"ZNAXIS{axis}"] for axis in range(table.header["ZNAXIS"], 0, -1)]
        rows = {1: sizes[-1]}  # the tiles of a file without these cards
        tiles = [table.header.get(f"ZTILE{axis}", rows.get(axis, 1)) for axis in range(len(sizes), 0, -1)]
    half = half.reshape([math.ceil(size / tile) for size, tile in zip(sizes, tiles, strict=True)])
    for axis, (size, tile) in enumerate(zip(sizes, tiles, strict=True)):
        half = np.repeat(half, tile, axis=axis).take(range(size), axis=axis)
    return half if half.any() else None


def is_rounded(values: Floats, code: float, half_step: Floats) -> NDArray[np.bool_]:
    """Return which values may have been `code` before compression, same shape."""
    near: NDArray[np.bool_] = np.abs(values - np.float32(code)) <= half_step * np.float32(1.0 + 1e-5)
    return near


def lost_codes_doubts(files: CubeFiles, instrument: Instrument) -> tuple[str, ...]:
    """Return a sentence if lossy compression changed the codes of off-disk pixels, so that they are read as field.

    Raises
    ------
    CubeError
        If the file cannot be read.
    """
    with errors_named_after(files.path), open_checked(io.BytesIO(files.content)) as hdus:
        image = cube_image(hdus)
        half_step = rounding(files.content, hdus.index(image))
        if half_step is None:
            return ()
        half_step *= np.float32(image_unit(image)[0].to(units.G))
        frames, _ = field_in_gauss(image, remove_codes=True)
    restored = frames.copy()
    for code in (0.0, -instrument.clip_gauss):
        restored[is_rounded(frames, code, half_step)] = code
    lost = corner_regions(restored, clip_gauss=instrument.clip_gauss)
    lost &= ~corner_regions(frames, clip_gauss=instrument.clip_gauss)
    if lost.mean() < _LEAST_LOST:
        return ()
    return (
        f"{lost.mean():.0%} of its pixels were coded as off-disk by 0 or {-instrument.clip_gauss:g} G and are read as "
        f"field, because the file was compressed with loss, which changes such codes: compress it without loss "
        "(fpack -g -q 0), or code them as NaN",
    )
