"""Finds the image of a cube in a FITS file, and what cards and file names say that an image shows."""

import re
from typing import TypeAlias

import numpy as np
from astropy.io import fits

from helioloop.data.fits import card_text
from helioloop.errors import CubeError

MAX_VALUES = 64 * 1024**2
"""Largest number of pixel values in a cube; the header of a small compressed image can claim any number."""

CONTENT_CARDS = (
    *("CONTENT", "BTYPE", "EXTNAME", "DPC_OBSR", "OBS_TYPE", "OBS-TYPE", "OBSTYPE", "DATATYPE", "DATA_TYP", "IMTYPE"),
    *("IMAGETYP", "IMG_TYPE", "SEGMENT", "MEASRMNT", "OBSERVBL", "QUANTITY", "PRODUCT", "TITLE"),
)
"""Cards in which JSOC, SOLARNET, IDL and observers write what an image shows."""

Image: TypeAlias = fits.PrimaryHDU | fits.ImageHDU | fits.CompImageHDU

_IMAGE_AXES = 3
_BESIDE_A_FIELD = re.compile(  # whatever else the text contains: "magnetogram error" is not a magnetogram
    r"bitmap|(\b|_)mask(\b|_)|disambig"
    r"|(\b|_)(err|error|errors|sigma|stddev|rms)(\b|_)(?![- ]*(corrected|free|noise[ :=~]*\d))"
    r"|uncertaint|confidence|inclination|azimuth|quality ?(map|flag)|(\b|_)weights?(\b|_)"
    r"|\b(transverse|horizontal|vector|total) (magnetic )?field|field.?strength|magnitude",
    re.IGNORECASE,
)
_ANOTHER_QUANTITY = re.compile(
    r"doppler|veloc|\bv_?los\b|continuum|(?<!field )intensity|\bintens|line ?(depth|width)|white.?light"
    r"|stokes.?[iquv]\b|\A(br|bt|bp|btheta|bphi|field|alpha_mag|eta_0|dop_width)\Z",
    re.IGNORECASE,
)
_MAGNETOGRAM = re.compile(
    r"magnetogram|magnetic|magfield|flux ?density|line.of.sight (magnetic )?field|\bb_?los\b", re.IGNORECASE
)
_LINE_OF_SIGHT_STRENGTH = re.compile(
    r"(line.of.sight|longitudinal|\bb_?los) (magnetic )?field.?strength", re.IGNORECASE
)
"""The strength of a vector field is no magnetogram, that of its component along the line of sight is one."""
_SEGMENTS = {
    "bitmap": "a mask",
    "conf_disambig": "a confidence map of the disambiguation",
    "disambig": "a disambiguation map",
    "dopplergram": "a Dopplergram",
    "continuum": "a continuum image",
    "field": "a field strength",
    "inclination": "an inclination",
    "azimuth": "an azimuth",
    "vlos_mag": "a velocity map",
    **dict.fromkeys(("br", "bp", "bt"), "a component of the vector field"),
}
_SEGMENT_ERROR = re.compile(r"(\A|_)err\Z")


def cube_image(hdus: fits.HDUList) -> Image:
    """Return the image with three axes that shows the field; only headers are read.

    Of several the first whose cards name a magnetogram is returned, else the first whose cards name no other quantity,
    else the first.

    Raises
    ------
    CubeError
        If no image has three axes, or the chosen one has no value or more than `MAX_VALUES`.
    """
    images = [hdu for hdu in hdus if hdu.is_image and hdu.shape]
    cubes = [hdu for hdu in images if len(hdu.shape) == _IMAGE_AXES]
    if cubes:
        image = min(cubes, key=lambda hdu: _rank(hdu.header))  # the first of equals
        if not 0 < np.prod(image.shape, dtype=np.float64) <= MAX_VALUES:
            raise CubeError(
                f"its image claims the shape {image.shape}; a cube has 1 to {MAX_VALUES} values: correct the header or "
                "cut the image into cubes"
            )
        return image
    if not images:
        raise CubeError("it contains no image; a cube is an image with the axes time, y and x: make the file again")
    raise CubeError(
        f"its image has the shape {', '.join(str(hdu.shape) for hdu in images[:3])}; a cube has three axes, time, y "
        "and x: stack frames of equal size into one image"
    )


def other_content(header: fits.Header) -> str | None:
    """Return the card that names another quantity than the line-of-sight field, with its text; None without one."""
    for card in CONTENT_CARDS:
        text = card_text(header, card)
        if _names_other(text):
            return f"{card} is {text!r}"
    return None


def other_segment(file_name: str) -> tuple[str, str] | None:
    """Return the part of a file name ``series.key.segment.fits`` that names another quantity, and which one."""
    for part in file_name.lower().split(".")[1:]:
        what = _SEGMENTS.get(part) or ("an error map" if _SEGMENT_ERROR.search(part) else None)
        if what:
            return part, what
    return None


def _rank(header: fits.Header) -> int:
    """Return 0 for an image whose cards name a magnetogram, 2 for one that shows something else, 1 for others."""
    if other_content(header):
        return 2
    return 0 if any(_MAGNETOGRAM.search(card_text(header, card)) for card in CONTENT_CARDS) else 1


def _names_other(text: str) -> bool:
    text = _LINE_OF_SIGHT_STRENGTH.sub("line-of-sight field", text)
    if _BESIDE_A_FIELD.search(text):
        return True
    return bool(_ANOTHER_QUANTITY.search(text)) and not _MAGNETOGRAM.search(text)
