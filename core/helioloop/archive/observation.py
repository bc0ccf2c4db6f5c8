"""One magnetogram from a FITS file: its field in gauss, when it was observed, its quality, and what was assumed.

Files that do not hold a line-of-sight magnetogram (masks, confidence maps, magnitudes, velocities, vector components,
cubes) are refused with the reason.
"""

import io
import os
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units
from astropy.io import fits
from astropy.time import Time
from astropy.utils.exceptions import AstropyWarning
from numpy.typing import NDArray

from helioloop.archive import primary_cards
from helioloop.archive.field_values import check_field
from helioloop.archive.header_cards import parsed
from helioloop.archive.observation_time import observation_time
from helioloop.archive.repeated_cards import check_repeated
from helioloop.data.data_sums import data_sum_doubts
from helioloop.data.fits import MAX_BYTES, image_unit, in_gauss, open_checked
from helioloop.data.images import other_content, other_segment
from helioloop.data.instrument_cards import instrument_of
from helioloop.data.lossy_compression import is_rounded, rounding
from helioloop.data.quality_bits import quality_bits
from helioloop.errors import CubeError, MagnetogramError
from helioloop.files.kinds import why_not_a_file
from helioloop.records.profiles import Profile

_WEAKEST_CODE_GAUSS = 900.0  # such as -999
_LEAST_CODED = 0.05  # of the pixels; around a full disk a quarter is sky
_MOST_PLANES = 16  # of field, intensity, inclination, Stokes parameters, …; the shortest cubes have as many frames
_EDGE_PX = 2  # around pixels coded as sky, interpolation has mixed the code into the field


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One image as its file holds it.

    Parameters
    ----------
    name : str
        File name.
    field_gauss : array of float32, shape (ny, nx)
        Field on the archive's own scale; NaN where the file has none.
    header : fits.Header
        Header of the image.
    time : Time
        Observation time, scale TAI.
    time_card : str
        The card that gave it, with its text, such as ``"T_OBS 2011.04.01_00:03:30_TAI"``.
    quality : int or None
        QUALITY as an unsigned number; None where the header has none.
    instrument : str or None
        ``"MDI"``, ``"HMI"``, ``"GONG"``, or another name that the header gives; None where it gives none.
    assumed : tuple of str
        What the file does not say and was assumed, a sentence each.
    """

    name: str
    field_gauss: NDArray[np.float32]
    header: fits.Header
    time: Time
    time_card: str
    quality: int | None
    instrument: str | None
    assumed: tuple[str, ...] = ()


def read_observation(place: str) -> Observation:
    """Read the one magnetogram in the FITS file at a path or fsspec URL.

    Raises
    ------
    MagnetogramError
        If the file cannot be read or holds something else; one sentence that does not name the file.
    """
    name = place.rstrip("/").rsplit("/", 1)[-1]
    _refuse_other_segment(name)
    content = _content(place)
    try:
        with warnings.catch_warnings(), open_checked(io.BytesIO(content)) as hdus:
            warnings.simplefilter("ignore", AstropyWarning)  # of odd cards; those that count are checked here
            image = _only_image(hdus)
            header, inherited = _header(image, hdus)
            observation = _read(image, header, name, rounding(content, hdus.index(image)))
        return replace(observation, assumed=(*observation.assumed, *inherited, *data_sum_doubts(content)))
    except CubeError as error:
        raise MagnetogramError(str(error)) from None
    except MagnetogramError:
        raise
    except Exception as error:  # on damaged files astropy ends in errors of any kind
        reason = str(error).split("\n", 1)[0] or type(error).__name__
        raise MagnetogramError(f"its FITS structure is damaged ({reason}); fetch the file again") from error


def _header(
    image: fits.PrimaryHDU | fits.ImageHDU | fits.CompImageHDU, hdus: fits.HDUList
) -> tuple[fits.Header, tuple[str, ...]]:
    """Return the parsed header of an image with what the primary one adds, and what was assumed."""
    header, primary = parsed(image.header), hdus[0]
    if image is primary:
        return header, ()
    return primary_cards.complete(header, parsed(primary.header), primary_has_image=bool(primary.shape))


def _read(
    image: fits.PrimaryHDU | fits.ImageHDU | fits.CompImageHDU,
    header: fits.Header,
    name: str,
    half_step: NDArray[np.float32] | None,
) -> Observation:
    if "BUNIT" in header:
        image.header["BUNIT"] = header["BUNIT"]  # as `in_gauss` reads it; it may have stood there unquoted
    if primary_cards.lacks_observation(header) and instrument_of(header) is None:
        raise MagnetogramError(
            "its header has no card of time, coordinates or instrument, as in files that JSOC exports as-is: export it "
            'again with its keywords, protocol="fits"'
        )
    check_repeated(header)
    content = other_content(header)
    if content:
        raise MagnetogramError(f"{content}, so it is not a line-of-sight magnetogram: leave it out")
    assumed = _check_unit(header)
    field = in_gauss(image, remove_codes=True)
    if half_step is not None:
        # Off the disk many files have 0, which lossy compression makes a weak field.
        field[is_rounded(field, 0.0, half_step * np.float32(image_unit(image)[0].to(units.G)))] = 0.0
    field = field.reshape(field.shape[-2:])
    sky_notes = _remove_sky_codes(field, header)
    check_field(field)
    instrument = instrument_of(header)
    time, time_card, time_doubts = observation_time(header, instrument=instrument)
    return Observation(
        name=name,
        field_gauss=field,
        header=header,
        time=time,
        time_card=time_card,
        quality=quality_bits(header.get("QUALITY")),
        instrument=instrument,
        assumed=(*assumed, *sky_notes, *time_doubts),
    )


def quality_reason(observation: Observation, profile: Profile) -> str | None:
    """Return why QUALITY excludes an observation under a profile; None where it does not."""
    bad = (observation.quality or 0) & profile.bad_quality_bits
    if not bad:
        return None
    return (
        f"QUALITY is 0x{observation.quality:08X} and 0x{bad:08X} of it are among the bits that profile "
        f"{profile.name!r} excludes: use another observation, or a profile with other bad_quality_bits"
    )


def _content(place: str) -> bytes:
    reason = None if "://" in place or not os.path.lexists(place) else why_not_a_file(Path(place))
    if reason is not None:
        raise MagnetogramError(f"it {reason}")
    try:
        if "://" in place:
            import fsspec  # noqa: PLC0415 - only URLs need it

            with fsspec.open(place, "rb") as file:
                content: bytes = file.read(MAX_BYTES + 1)
        else:
            with Path(place).open("rb") as file:
                content = file.read(MAX_BYTES + 1)
    except Exception as error:  # a URL can fail in any way that its protocol has
        reason = getattr(error, "strerror", None) or str(error).split("\n", 1)[0]
        raise MagnetogramError(f"it cannot be read ({reason}); check the file and its permissions") from error
    if len(content) > MAX_BYTES:
        raise MagnetogramError(f"it has more than {MAX_BYTES} bytes; a magnetogram has fewer: check the file")
    return content


def _refuse_other_segment(name: str) -> None:
    """Refuse JSOC's other segments, which the file name ``series.key.segment.fits`` tells."""
    found = other_segment(name)
    if found:
        raise MagnetogramError(
            f"its name says {found[0]!r}, which is {found[1]} and not a line-of-sight magnetogram: leave it out"
        )


def _only_image(hdus: fits.HDUList) -> fits.PrimaryHDU | fits.ImageHDU | fits.CompImageHDU:
    """Return the one two-dimensional image of a file."""
    shapes = [hdu.shape for hdu in hdus if hdu.is_image and hdu.shape]
    flat = [
        hdu for hdu in hdus if hdu.is_image and len(hdu.shape) >= 2 and np.prod(hdu.shape[:-2], dtype=np.float64) == 1
    ]
    if len(flat) == 1:
        return flat[0]
    if flat:
        raise MagnetogramError(
            f"it has {len(flat)} images and one must be the magnetogram: write that one into a file of its own"
        )
    if shapes:
        raise MagnetogramError(f"its image has the shape {shapes[0]}; a magnetogram has two axes: {_remedy(shapes[0])}")
    raise MagnetogramError("it holds no image; a magnetogram is an image with two axes: fetch the file again")


def _remedy(shape: tuple[int, ...]) -> str:
    """Return what to do with an image of more than two axes."""
    cube = "a finished cube belongs into a release"
    if int(np.prod(shape[:-2])) > _MOST_PLANES and shape[-1] > _MOST_PLANES:
        return cube
    return f"write the plane of the line-of-sight field into a file of its own; {cube}"


def _check_unit(header: fits.Header) -> tuple[str, ...]:
    """Return what is assumed about the unit; refuse units of another quantity."""
    text = str(header.get("BUNIT", "")).strip()
    if not text:
        hint = str(header.get("_BUNIT", "")).strip()
        return (f"BUNIT is missing, gauss was assumed{f' (_BUNIT is {hint!r})' if hint else ''}",)
    for quantity, unit in {"a velocity": "m/s", "an angle": "deg"}.items():
        try:
            parsed = units.Unit(text)
        except ValueError:
            return ()  # in_gauss refuses it, or has another spelling for it
        if parsed.is_equivalent(units.Unit(unit)):
            raise MagnetogramError(
                f"BUNIT is {text!r}, {quantity}, so it is not a line-of-sight magnetogram: leave it out"
            )
    return ()


def _remove_sky_codes(field: NDArray[np.float32], header: fits.Header) -> tuple[str, ...]:
    """Set pixels that are coded as sky to NaN, in place, and those beside them; return what was assumed.

    SKYVALUE gives the code. Another value in a corner, at least 900 G strong, that 5 % of the pixels share is one too:
    on the Sun so many pixels of one value are none, and near the limb it would be averaged into the field.
    """
    _remove_code(field, _float_or_nan(header.get("SKYVALUE")))
    corners = np.unique(field[[0, 0, -1, -1], [0, -1, 0, -1]])
    strong = (float(value) for value in corners[np.isfinite(corners)] if abs(value) >= _WEAKEST_CODE_GAUSS)
    codes = [value for value in strong if np.mean(field == np.float32(value)) >= _LEAST_CODED]
    for code in codes:
        _remove_code(field, code)
    return tuple(
        f"{code:g} G in the corners, which many pixels share, was taken for the code of pixels off the disk"
        for code in codes
    )


def _float_or_nan(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return np.nan


def _remove_code(field: NDArray[np.float32], code: float) -> None:
    """Set pixels with a code, and those beside them, to NaN, in place; NaN and 0 are left."""
    if not np.isfinite(code) or code == 0.0:
        return
    coded = np.abs(field - np.float32(code)) <= np.float32(1e-3 * abs(code))
    for _ in range(_EDGE_PX):
        grown = coded.copy()
        grown[1:] |= coded[:-1]
        grown[:-1] |= coded[1:]
        grown[:, 1:] |= coded[:, :-1]
        grown[:, :-1] |= coded[:, 1:]
        coded = grown
    field[coded] = np.nan
