"""One magnetogram from a FITS file: its field in gauss, when it was observed, its quality, and what was assumed.

Files that do not hold a line-of-sight magnetogram (masks, confidence maps, magnitudes, velocities, vector components,
cubes) are refused with the reason.
"""

import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy import units
from astropy.io import fits
from astropy.time import Time, TimeDelta
from astropy.utils.exceptions import AstropyWarning
from numpy.typing import NDArray

from helioloop.data.fits import MAX_BYTES, in_gauss, open_whole
from helioloop.errors import CubeError, HelioloopError
from helioloop.profiles import BUILT_IN, Profile

TIME_CARDS = ("T_OBS", "DATE-AVG", "DATE-OBS", "DATE_OBS", "DATE-BEG", "T_REC")
"""Cards that give the observation time, best first: the middle of the exposure, its start, the archive's slot."""

_STAMP = re.compile(
    r"(?P<year>\d{4})[-./](?P<month>\d\d)[-./](?P<day>\d\d)"
    r"(?:[T_ ](?P<clock>\d\d:\d\d(?::\d\d(?:\.\d*)?)?))?(?:_|\s)?(?P<scale>[A-Za-z]+)?\Z"
)
_STAMP_CLOCK = re.compile(r"\d\d:\d\d")
_SCALES = {"z": "utc", "utc": "utc", "ut": "utc", "gmt": "utc", "tai": "tai", "tt": "tt", "gps": "gps"}
_GPS_BEHIND_TAI = TimeDelta(19.0, format="sec")
_EARLIEST_YEAR = 1950  # JSOC writes a time it does not have as the year −4712 or 1601

# Segments of JSOC's series that are not the line-of-sight field; the file name is the only place that tells them.
_OTHER_SEGMENTS = {
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
_FEW_VALUES = 100
_TYPICAL_GAUSS = (
    300.0  # half of the pixels of a magnetogram are weaker by far; rotation alone makes a Dopplergram faster
)
_STRONG_GAUSS = 7000.0  # sunspots reach 6e3 G
_STRONG_FRACTION = 1e-4
_EDGE_PX = 2  # around pixels coded as sky, interpolation has mixed the code into the field


class MagnetogramError(HelioloopError):
    """Raised when a file cannot be used as a magnetogram; the file is excluded with this reason, the rest goes on."""


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
        ``"MDI"``, ``"HMI"`` or ``"GONG"``; None for any other.
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
        with warnings.catch_warnings(), open_whole(content) as hdus:
            warnings.simplefilter("ignore", AstropyWarning)  # of odd cards; those that count are checked here
            image = _only_image(hdus)
            header = image.header.copy()
            assumed = _check_unit(header)
            field = in_gauss(image)
    except CubeError as error:
        raise MagnetogramError(str(error)) from None
    except MagnetogramError:
        raise
    except Exception as error:  # on damaged files astropy ends in errors of any kind
        reason = str(error).split("\n", 1)[0] or type(error).__name__
        raise MagnetogramError(f"its FITS structure is damaged ({reason}); fetch the file again") from error
    field = field.reshape(field.shape[-2:])
    _remove_sky_code(field, header)
    _check_field(field)
    time, time_card = observation_time(header)
    return Observation(
        name=name,
        field_gauss=field,
        header=header,
        time=time,
        time_card=time_card,
        quality=_quality(header),
        instrument=instrument_of(header),
        assumed=assumed,
    )


def instrument_of(header: fits.Header) -> str | None:
    """Return ``"MDI"``, ``"HMI"`` or ``"GONG"`` as the header's TELESCOP, INSTRUME and CAMERA tell; None if neither."""
    said = " ".join(str(header.get(card, "")) for card in ("TELESCOP", "INSTRUME", "CAMERA")).upper()
    return next((name for name in ("HMI", "MDI", "GONG") if re.search(rf"\b{name}", said)), None)


def profile_of(instrument: str | None) -> Profile | None:
    """Return the built-in profile of an instrument; None where there is none."""
    return BUILT_IN.get((instrument or "").lower())


def observation_time(header: fits.Header) -> tuple[Time, str]:
    """Return the time of the first card of `TIME_CARDS` that has one, scale TAI, and that card with its text.

    The scale is the text's suffix, else TIMESYS; else TAI for JSOC's T_OBS and T_REC, GPS for GONG, UTC for the rest.
    A day alone is completed by TIME-OBS.

    Raises
    ------
    MagnetogramError
        If there is none, or it cannot be a date.
    """
    for card in TIME_CARDS:
        text = str(header.get(card, "")).strip()
        clock = str(header.get("TIME-OBS", header.get("TIME_OBS", ""))).strip()
        default = "gps" if instrument_of(header) == "GONG" else "tai" if card in {"T_OBS", "T_REC"} else "utc"
        try:
            time = parse_time(text, clock=clock, scale=str(header.get("TIMESYS", "")).strip() or default)
        except ValueError as error:
            raise MagnetogramError(f"{card} is {text!r}, {error}: correct it") from None
        if time is not None:
            return time, f"{card} {text}" if _STAMP_CLOCK.search(text) else f"{card} {text} {clock}"
    raise MagnetogramError(f"no card gives its observation time; one of {', '.join(TIME_CARDS)} must: add it")


def parse_time(text: str, *, clock: str, scale: str) -> Time | None:
    """Return the time that a text gives, scale TAI; None where it is empty, JSOC's null, or has no time of day.

    Parameters
    ----------
    text : str
        ``2011.04.01_00:03:30_TAI``, ``2011-04-01T00:00:26``, ``2009/09/05``.
    clock : str
        Time of day, where the text has none.
    scale : str
        Time scale, where the text has none.

    Raises
    ------
    ValueError
        If the scale is unknown or the date is not in the calendar.
    """
    found = _STAMP.match(text)
    if found is None or int(found["year"]) < _EARLIEST_YEAR:
        return None
    clock = found["clock"] or clock
    if not re.match(r"\d\d:\d\d", clock):
        return None
    known = _SCALES.get((found["scale"] or scale).lower())
    if known is None:
        raise ValueError(f"whose time scale is {found['scale'] or scale!r} and must be UTC, TAI, TT or GPS")
    stamp = f"{found['year']}-{found['month']}-{found['day']}T{clock}"
    try:
        time = Time(stamp, scale="tai" if known == "gps" else known)
    except ValueError:
        raise ValueError("which no calendar has") from None
    return time + _GPS_BEHIND_TAI if known == "gps" else time.tai


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
    for part in name.lower().split(".")[1:]:
        what = _OTHER_SEGMENTS.get(part) or ("an error map" if _SEGMENT_ERROR.search(part) else None)
        if what:
            raise MagnetogramError(
                f"its name says {part!r}, which is {what} and not a line-of-sight magnetogram: leave it out"
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
        raise MagnetogramError(
            f"its image has the shape {shapes[0]}; a magnetogram has two axes: a finished cube belongs into a release"
        )
    raise MagnetogramError("it holds no image; a magnetogram is an image with two axes: fetch the file again")


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


def _remove_sky_code(field: NDArray[np.float32], header: fits.Header) -> None:
    """Set pixels that SKYVALUE codes as sky to NaN, in place, and those beside them."""
    try:
        sky = float(header.get("SKYVALUE", np.nan))
    except (TypeError, ValueError):
        return
    if not np.isfinite(sky) or sky == 0.0:
        return
    coded = np.abs(field - np.float32(sky)) <= np.float32(1e-3 * abs(sky))
    for _ in range(_EDGE_PX):
        grown = coded.copy()
        grown[1:] |= coded[:-1]
        grown[:-1] |= coded[1:]
        grown[:, 1:] |= coded[:, :-1]
        grown[:, :-1] |= coded[:, 1:]
        coded = grown
    field[coded] = np.nan


def _check_field(field: NDArray[np.float32]) -> None:
    """Refuse values that no line-of-sight magnetogram has."""
    values = field[np.isfinite(field)]
    values = values[values != 0.0]  # often the code of pixels off the disk
    if not values.size:
        raise MagnetogramError("no pixel holds a field; fetch the file again")
    if not (values < 0.0).any() or not (values > 0.0).any():
        sample = np.unique(values[: 1 << 20])
        few = len(sample) <= _FEW_VALUES and bool(np.all(sample == np.rint(sample)))
        what = (
            f"are {len(sample)} different whole numbers of one sign, as in a mask or a map of codes"
            if few
            else "have one sign only"
        )
        raise MagnetogramError(f"its values {what}; a line-of-sight magnetogram has both polarities: leave it out")
    typical = float(np.median(np.abs(values)))
    strong = float(np.mean(np.abs(values) > _STRONG_GAUSS))
    if typical > _TYPICAL_GAUSS or strong > _STRONG_FRACTION:
        raise MagnetogramError(
            f"half of its values are beyond ±{typical:.3g} G and {strong:.2%} beyond ±{_STRONG_GAUSS:g} G, which no "
            "magnetogram of the Sun is: it holds another quantity, or lost BSCALE or BUNIT: correct it"
        )


def _quality(header: fits.Header) -> int | None:
    """Return QUALITY as an unsigned 32-bit number; JSOC writes it signed, drms as hexadecimal text."""
    value = header.get("QUALITY")
    try:
        return (value if isinstance(value, int) else int(str(value).strip(), 0)) & 0xFFFFFFFF
    except ValueError:
        return None
