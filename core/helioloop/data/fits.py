"""Checked FITS files: opens a file, reads cards, and converts the pixels of an image to gauss.

Files come from archives, mail and interrupted downloads. The size that a header claims is therefore compared with the
file's before any array is allocated, and every fault raises a `CubeError`.
"""

import gzip
import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
from astropy import units
from astropy.io import fits
from astropy.io.fits.card import Undefined
from astropy.utils.exceptions import AstropyWarning
from numpy.typing import NDArray

from helioloop.data.first_bytes import GZIP, N_BYTES, why_not_fits
from helioloop.errors import CubeError

MAX_BYTES = 512 * 1024**2
"""Largest file that is read, compressed or not; a cube of 225 frames of 90 × 90 px has 4 to 15 MB."""

_STRONGEST_GAUSS = 1e5  # sunspots reach 6e3 G
_HIGHEST_GAUSS = 7e3
_FEWEST_CODED = 100
_MOST_CODES = 3
_MAX_TOO_STRONG_FRACTION = 0.01
_WEAKEST_GAUSS = 1e-3
_SIGNED_BITS = (16, 32, 64)
_MISSING_TEXTS = frozenset({"", "N/A", "NAN", "NONE", "NULL", "UNKNOWN", "MISSING", "INVALID KEYLINK", "-1"})
_MISSING_TEXTS |= {"NA", "<NA>", "UNDEFINED", "INVALID", "NO DATA", "NOT AVAILABLE"}
_MISSING_TEXTS |= {str(-(2**bits)) for bits in (7, 15, 31, 63)}  # how JSOC codes a missing integer
_REMARK = re.compile(r"\s*\([a-z][a-z -]*\)\Z", re.IGNORECASE)  # such as "(line of sight)"
_JSOC_MISSING_TIMES = ("-4712", "1601.01.01", "1601-01-01")  # the zero days of Julian dates and of Windows
_UNIT_NAMES = {
    **dict.fromkeys(("", "g", "gs", "gauss", "mx/cm^2", "mx/cm2", "mx/cm**2", "mx cm^-2", "mx cm-2"), "G"),
    **dict.fromkeys(("kg", "kgs", "kgauss", "kilogauss"), "kG"),
    **dict.fromkeys(("mtesla", "millitesla"), "mT"),
    "tesla": "T",
}


@contextmanager
def open_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a file to read, unless it is too large for a cube."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise CubeError(f"{path.name} has {size} bytes; a cube has at most {MAX_BYTES}: cut it into cubes")
        with path.open("rb") as file:
            yield file
    except FileNotFoundError:
        raise CubeError(f"{path.name} is not in {path.parent}; restore it or remove it from labels.csv") from None
    except OSError as error:
        raise CubeError(f"{path.name} cannot be read ({error.strerror}); check the file and its permissions") from None


@contextmanager
def errors_named_after(path: Path) -> Iterator[None]:
    """Turn every error into a `CubeError` that begins with the file's name; ignore its warnings."""
    try:
        with warnings.catch_warnings():
            # Faults that matter are checked here; odd cards and dates far from today do not.
            warnings.simplefilter("ignore", AstropyWarning)
            warnings.simplefilter("ignore", UserWarning)  # from ERFA, about dates far from today
            warnings.simplefilter("ignore", RuntimeWarning)
            yield
    except CubeError as error:
        raise CubeError(f"{path.name}: {error}") from None
    except Exception as error:  # astropy raises errors of many types on damaged files
        reason = str(error).split("\n", 1)[0] or type(error).__name__
        raise CubeError(
            f"{path.name}: its FITS structure is damaged ({reason}); download or make the file again"
        ) from error


@contextmanager
def open_checked(file: IO[bytes]) -> Iterator[fits.HDUList]:
    """Open a FITS file, gzipped or not, and check that it contains all the data that its headers claim.

    Only headers are read from an uncompressed file; astropy reads the data of an HDU when they are used.

    Parameters
    ----------
    file : binary file
        Open for reading and seekable.

    Raises
    ------
    CubeError
        If the file is empty, not FITS, truncated, or decompresses to more than `MAX_BYTES`.
    """
    start = _first_bytes(file)
    if start.startswith(GZIP):
        file = _decompressed(file)
        start = _first_bytes(file)
    if (reason := why_not_fits(start)) is not None:
        raise CubeError(reason)
    n_bytes = file.seek(0, io.SEEK_END)
    file.seek(0)
    with fits.open(file, lazy_load_hdus=False, memmap=False) as hdus:
        for hdu in hdus:
            place = hdu.fileinfo()
            # Missing padding after the last HDU is accepted. For a compressed image `size` is its size decompressed.
            end = place["datLoc"] + (place["datSpan"] if isinstance(hdu, fits.CompImageHDU) else hdu.size)
            if end > n_bytes:
                raise CubeError(
                    f"its headers claim {end} bytes and the file has {n_bytes}, so it was cut off; "
                    "download or make it again"
                )
        yield hdus


def card_text(header: fits.Header, key: str | tuple[str, int]) -> str:
    """Return the value of a header card as text; empty where it is absent, undefined or codes a missing value.

    The n-th card of a keyword that is there several times is ``(keyword, n)``, with n from 0.
    """
    text = _written(header, key)
    return "" if is_missing(text) else text


def number_text(header: fits.Header, key: str) -> str:
    """Return what `card_text` returns for a card of numbers, in which −1 is a number and no code of a missing value.

    A real number may be written as a whole one (FITS 4.0, section 4.2.4), so −1 is a step, an angle or a place.
    """
    text = _written(header, key)
    return "" if is_missing(text) and text != "-1" else text


def _written(header: fits.Header, key: str | tuple[str, int]) -> str:
    """Return the value of a header card as text; empty where it is absent or undefined."""
    if key not in header:
        return ""
    card = header.cards[key]
    try:
        value = card.value
    except fits.VerifyError:  # such as text without quotes
        value = card.image[10:].split(" /", 1)[0]
    return "" if value is None or isinstance(value, Undefined) else str(value).strip(" '")


def is_missing(text: str) -> bool:
    """Return True for an empty text and for those that archives write in place of an unknown value."""
    return text.strip().upper() in _MISSING_TEXTS or text.startswith(_JSOC_MISSING_TIMES)


def image_unit(hdu: fits.PrimaryHDU | fits.ImageHDU | fits.CompImageHDU) -> tuple[units.UnitBase, str]:
    """Return the unit of an image's pixels and its source: ``"BUNIT"``, or ``"assumed"`` for gauss without BUNIT.

    Raises
    ------
    CubeError
        If BUNIT is not a unit of magnetic flux density.
    """
    text = card_text(hdu.header, "BUNIT")
    try:
        name = _REMARK.sub("", text).strip("[]").strip()
        unit = units.Unit(_UNIT_NAMES.get(name.lower(), name), parse_strict="raise")
        unit.to(units.G)
    except (ValueError, TypeError):
        raise CubeError(
            f"BUNIT is {text!r}; it must be a unit of magnetic flux density, such as Gauss: correct it"
        ) from None
    return unit, "BUNIT" if text else "assumed"


def in_gauss(
    hdu: fits.PrimaryHDU | fits.ImageHDU | fits.CompImageHDU, *, remove_codes: bool = False
) -> NDArray[np.float32]:
    """Return the pixels of an image in gauss; see `field_in_gauss`."""
    return field_in_gauss(hdu, remove_codes=remove_codes)[0]


def field_in_gauss(
    hdu: fits.PrimaryHDU | fits.ImageHDU | fits.CompImageHDU, *, remove_codes: bool
) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Return the pixels of an image in gauss, and what was taken for missing without BLANK.

    Parameters
    ----------
    hdu : HDU
        The image.
    remove_codes : bool
        Set values beyond ± 7000 G that at least 100 pixels share to NaN, three at most, except negative ones above
        −100 000 G: archives code off-disk pixels so. Other negative codes stay, gridding recognizes them.

    Returns
    -------
    array of float32, shape of the image
        Scaled by BSCALE and BZERO and converted from BUNIT, which defaults to gauss; NaN where blank or infinite, and
        where an image of signed integers without BLANK has the lowest integer.
    notes : tuple of str
        One sentence where BLANK is missing and the lowest integer occurs.

    Raises
    ------
    CubeError
        If BUNIT is not a unit of magnetic flux density, BSCALE or BZERO is no number, no pixel is finite, or the field
        is far too strong or too weak for the Sun, which points to a wrong unit or byte order.
    """
    factor = float(image_unit(hdu)[0].to(units.G))
    _check_scaling(hdu.header)
    lowest_integer = _lowest_integer(hdu.header)  # astropy removes BITPIX, BSCALE and BZERO when the data are read
    frames = np.array(hdu.data, dtype=np.float32)
    notes = () if lowest_integer is None else _remove_lowest_integer(frames, *lowest_integer)
    if factor != 1.0:
        frames *= np.float32(factor)
    strength = np.abs(frames)
    if remove_codes and _remove_codes(frames, strength):
        strength = np.abs(frames)
    finite = np.isfinite(strength)
    frames[~finite] = np.nan
    strongest = float(strength.max(where=finite, initial=0.0))
    if not finite.any():
        raise CubeError("all its pixels are NaN or blank; a cube needs at least one frame with a field: make it again")
    n_too_strong = np.count_nonzero(strength[finite] > _STRONGEST_GAUSS) if strongest > _STRONGEST_GAUSS else 0
    if n_too_strong > _MAX_TOO_STRONG_FRACTION * frames.size or 0.0 < strongest < _WEAKEST_GAUSS:
        raise CubeError(
            f"its field reaches {strongest:.3g} G; the Sun's field reaches hundreds of gauss and never "
            f"{_STRONGEST_GAUSS:g}: correct BUNIT or the byte order"
        )
    return frames, notes


def _check_scaling(header: fits.Header) -> None:
    """Refuse a header whose BSCALE or BZERO is text or empty, which astropy cannot multiply, and BSCALE = 0."""
    for card in ("BSCALE", "BZERO"):
        if card not in header:
            continue
        text = _written(header, card)
        if not isinstance(header[card], int | float):
            raise CubeError(f"{card} is {text!r}; it must be a number, without quotes: correct it")
        if card == "BSCALE" and header[card] == 0:
            raise CubeError("BSCALE is 0, with which no pixel has a field; it must be another number: correct it")


def _lowest_integer(header: fits.Header) -> tuple[int, float] | None:
    """Return the lowest integer that an image can hold, and its value; None for floats, unsigned, or with BLANK."""
    bits, scale, zero = header["BITPIX"], header.get("BSCALE", 1.0), header.get("BZERO", 0.0)
    if bits not in _SIGNED_BITS or "BLANK" in header or "ZBLANK" in header:
        return None
    lowest = -(2 ** (bits - 1))
    value = lowest * float(scale) + float(zero)
    return (lowest, value) if value < 0.0 else None  # BZERO = 2**(bits - 1) declares unsigned integers


def _remove_lowest_integer(frames: NDArray[np.float32], integer: int, value: float) -> tuple[str, ...]:
    """Set pixels with the lowest integer to NaN, in place, and return a sentence if there are any."""
    blank = frames <= np.float32(value) * np.float32(1.0 - 1e-6)
    n_blank = int(np.count_nonzero(blank))
    if not n_blank:
        return ()
    frames[blank] = np.nan
    return (f"BLANK is missing, and {n_blank} pixels with the lowest integer {integer} were read as missing",)


def _remove_codes(frames: NDArray[np.float32], strength: NDArray[np.float32]) -> bool:
    """Set codes that no field reaches to NaN, in place, and return whether there were any; see `field_in_gauss`."""
    beyond = strength > _HIGHEST_GAUSS
    if not beyond.any():
        return False
    values, counts = np.unique(frames[beyond], return_counts=True)
    codes = values[(counts >= _FEWEST_CODED) & ((values > 0.0) | (values < -_STRONGEST_GAUSS))]
    if codes.size > _MOST_CODES:
        return False  # measured values that lost their offset
    frames[beyond & np.isin(frames, codes)] = np.nan
    return bool(codes.size)


def _first_bytes(file: IO[bytes]) -> bytes:
    """Return the bytes that tell what a file is, and go back to the start of the file."""
    file.seek(0)
    start = file.read(N_BYTES)
    file.seek(0)
    return start


def _decompressed(file: IO[bytes]) -> IO[bytes]:
    """Return the content of a gzip file in memory."""
    with gzip.open(file) as packed:
        content = packed.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise CubeError(f"it decompresses to more than {MAX_BYTES} bytes, the most a cube may have: cut it into cubes")
    return io.BytesIO(content)
