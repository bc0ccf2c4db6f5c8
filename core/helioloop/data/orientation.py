"""Which way up a cube's frames are: read from the cards of its coordinates, and checked against the moving limb."""

import math
from dataclasses import dataclass

import numpy as np
from astropy import units
from astropy.io import fits
from numpy.typing import NDArray

from helioloop.data.fits import card_text, number_text
from helioloop.data.limb import Limb
from helioloop.errors import CubeError
from helioloop.records.profiles import Profile

Floats = NDArray[np.float64]

HELIOGRAPHIC, PLANE_OF_SKY = "heliographic", "plane of the sky"

_KINDS = {
    **dict.fromkeys(("CRLN", "HGLN"), (0, HELIOGRAPHIC)),
    **dict.fromkeys(("CRLT", "HGLT"), (1, HELIOGRAPHIC)),
    **dict.fromkeys(("HPLN", "SOLAR_X", "SOLAR-X", "SOLARX"), (0, PLANE_OF_SKY)),
    **dict.fromkeys(("HPLT", "SOLAR_Y", "SOLAR-Y", "SOLARY"), (1, PLANE_OF_SKY)),
}
_TIME_AXES = ("TIME", "UTC", "TAI", "TT")
_UNITS = {"degree": "deg", "degrees": "deg", "arcseconds": "arcsec", "arcsecs": "arcsec"}
_ROTATIONS = ("CROTA2", "CROTA1", "CROTA")
_MAX_ROTATED_DEG = 15.0
_DOUBTFUL_ROTATED_DEG = 5.0  # the tilt of the ecliptic's pole and of spacecraft stays below in most images
_MAX_SCALE_ERROR = 0.04
_MAX_SKY_SCALE_ERROR = 0.1  # the Earth's distance changes by 1.7 % in the year, and optics differ
_RSUN_METRES = 6.96e8
_AU_METRES = 1.495978707e11


@dataclass(frozen=True, slots=True, kw_only=True)
class Orientation:
    """Where an image's axes point, by its cards.

    Parameters
    ----------
    flip_x, flip_y : bool
        True where columns run from west to east, or rows from north to south.
    rotated_deg : float
        Angle that remains between the image's axes and west and north.
    kind : str or None
        `HELIOGRAPHIC` or `PLANE_OF_SKY`; None where CTYPE1 and CTYPE2 are absent.
    degrees_per_px : tuple of float or None
        Width and height of a pixel, of a heliographic or plane-of-sky image; None where no card gives them.
    cards : str
        The cards that decide, such as ``"CROTA2 180"``.
    """

    flip_x: bool
    flip_y: bool
    rotated_deg: float
    kind: str | None
    degrees_per_px: tuple[float, float] | None
    cards: str


def read_orientation(header: fits.Header) -> Orientation | None:
    """Return the orientation that the cards of an image's first two axes give; None where they give none.

    Raises
    ------
    CubeError
        If time is not the third axis, x and y are swapped, or the image is rotated by more than 15°.

    Notes
    -----
    The matrix of the linear part is CDi_j, else CDELTi · PCi_j, else CDELTi with the rotation CROTA2. It is compared
    with those of the eight ways to flip and turn an image.
    """
    names = [card_text(header, f"CTYPE{axis}").upper() for axis in (1, 2)]
    for axis, name in enumerate(names, start=1):
        if name in _TIME_AXES:
            raise CubeError(
                f"CTYPE{axis} is {name!r}; the axes of a cube are x, y and time in the order of FITS: reorder them"
            )
    kinds = [next((kind for start, kind in _KINDS.items() if name.startswith(start)), None) for name in names]
    if (any(names) and None in kinds) or (kinds[0] and kinds[1] and kinds[0][0] == kinds[1][0]):
        return None  # coordinates of the sky or of a detector
    found = _matrix(header)
    if found is None:
        return None
    matrix, cards = found
    scaled = cards.startswith(("CD1", "CD2")) or ("CDELT1" in cards and "CDELT2" in cards)
    kind = None
    if kinds[0] is not None and kinds[1] is not None:
        kind = kinds[0][1]
        matrix = matrix * np.array([_unit_deg(header, axis, kind) for axis in (1, 2)])[:, None]
        if kinds[0][0] == 1:
            matrix = matrix[::-1]
            cards = f"CTYPE1 {names[0]}, {cards}"
    sizes = np.hypot(matrix[0], matrix[1])
    if not np.isfinite(sizes).all() or (sizes == 0.0).any():
        return None
    pointing = matrix / sizes
    swapped = abs(pointing[0, 1]) + abs(pointing[1, 0]) > abs(pointing[0, 0]) + abs(pointing[1, 1])
    if swapped:
        raise CubeError(
            f"its x axis points north or south by {cards}; rows of a cube run from south to north and columns from "
            "east to west: turn the frames"
        )
    rotated = max(math.degrees(math.asin(min(1.0, abs(value)))) for value in (pointing[1, 0], pointing[0, 1]))
    if rotated > _MAX_ROTATED_DEG:
        raise CubeError(f"it is rotated by {rotated:.1f}° by {cards}; solar north of a cube is up: derotate the frames")
    return Orientation(
        flip_x=bool(pointing[0, 0] < 0.0),
        flip_y=bool(pointing[1, 1] < 0.0),
        rotated_deg=rotated,
        kind=kind,
        degrees_per_px=(float(sizes[0]), float(sizes[1])) if kind is not None and scaled else None,
        cards=cards,
    )


def turn_upright(
    frames_gauss: NDArray[np.float32], orientation: Orientation | None, limb: Limb | None
) -> tuple[NDArray[np.float32], tuple[str, ...], tuple[str, ...]]:
    """Return frames with row 0 south and column 0 east, what is doubtful, and what was turned without doubt.

    Parameters
    ----------
    frames_gauss : array, shape (n_obs, ny, nx)
        In order of time, as stored.
    orientation : Orientation or None
        From the cards.
    limb : Limb or None
        From the pixels; None where they show no moving limb.

    Raises
    ------
    CubeError
        If the limb crosses the patch from a side where it cannot be.

    Notes
    -----
    The patch rotates onto the disk at the east limb, so its eastern columns are off-disk last; it leaves at the west
    limb, where its western columns are off-disk first.
    """
    doubts = []
    flip_x = orientation is not None and orientation.flip_x
    flip_y = orientation is not None and orientation.flip_y
    if limb is Limb.SIDEWAYS:
        raise CubeError(
            "its limb moves along the columns, and the Sun rotates from east to west: x and y are swapped, turn the "
            "frames"
        )
    if limb is Limb.REVERSED and not flip_x:
        by = f" by {orientation.cards}" if orientation is not None else ""
        raise CubeError(
            "its west side is off-disk first when the patch rotates onto the disk, or its east side when it leaves; "
            f"column 0 must be east{by}: flip or turn the frames, or correct the order of the times"
        )
    if orientation is not None and limb is Limb.UPRIGHT and flip_x:
        return (
            frames_gauss,
            (
                f"its frames are {_how(orientation)} by {orientation.cards}, but its limb moves as in upright frames, "
                "so they were read as stored: remove or correct the card",
            ),
            (),
        )
    if orientation is not None and orientation.rotated_deg > _DOUBTFUL_ROTATED_DEG:
        doubts.append(f"it is rotated by {orientation.rotated_deg:.1f}° by {orientation.cards} and was read as stored")
    if orientation is None or not (flip_x or flip_y):
        return frames_gauss, tuple(doubts), ()
    turned = frames_gauss[:, :: -1 if flip_y else 1, :: -1 if flip_x else 1]
    said = f"its frames are {_how(orientation)} by {orientation.cards} and were turned upright"
    if flip_x and limb is Limb.REVERSED:
        return np.ascontiguousarray(turned), tuple(doubts), (said,)
    return np.ascontiguousarray(turned), (*doubts, f"{said}: check that they were not turned before"), ()


def check_scale(orientation: Orientation | None, profile: Profile) -> tuple[str, ...]:
    """Compare the size of pixels by the cards with a profile's, and return what is doubtful.

    Raises
    ------
    CubeError
        If it differs by more than 4 %, or by more than 10 % for an image in the plane of the sky.
    """
    if orientation is None or orientation.degrees_per_px is None:
        return ()
    expected = profile.degrees_per_px
    if orientation.kind == PLANE_OF_SKY:
        expected = expected * _RSUN_METRES / (_AU_METRES - _RSUN_METRES)
    tolerance = _MAX_SCALE_ERROR if orientation.kind == HELIOGRAPHIC else _MAX_SKY_SCALE_ERROR
    width, height = orientation.degrees_per_px
    if max(abs(width / expected - 1.0), abs(height / expected - 1.0)) > tolerance:
        text = (
            f"{width:.4g}° × {height:.4g}° heliographic"
            if orientation.kind == HELIOGRAPHIC
            else f'{width * 3600.0:.3g}" × {height * 3600.0:.3g}" on the sky'
        )
        raise CubeError(
            f"its pixels are {text} by {orientation.cards} and those of profile {profile.name!r} are "
            f"{profile.degrees_per_px:.4g}° heliographic: use `helioloop cutouts` or `helioloop stack`, or the right "
            "profile"
        )
    if orientation.kind == PLANE_OF_SKY:
        return (
            "its pixels are equally large on the sky and those of a cube in heliographic degrees, so it is "
            "foreshortened near the limb: use `helioloop stack`",
        )
    return ()


def _how(orientation: Orientation) -> str:
    if orientation.flip_x and orientation.flip_y:
        return "rotated by 180°"
    return "flipped east to west" if orientation.flip_x else "flipped north to south"


def _matrix(header: fits.Header) -> tuple[Floats, str] | None:
    """Return the linear part of the first two axes and the cards that give it; None without such cards."""
    steps = [_number(header, f"CDELT{axis}") for axis in (1, 2)]
    for kind in ("CD", "PC"):
        values = {(i, j): _number(header, f"{kind}{i}_{j}") for i in (1, 2) for j in (1, 2)}
        if all(value is None for value in values.values()):
            continue
        default = {(1, 1): 1.0, (2, 2): 1.0} if kind == "PC" else {}
        matrix = np.array([[_or(values[i, j], default.get((i, j), 0.0)) for j in (1, 2)] for i in (1, 2)])
        if kind == "PC":
            matrix *= np.array([_or(step, 1.0) for step in steps])[:, None]
        present = [f"{kind}{i}_{j} {value:g}" for (i, j), value in values.items() if value is not None]
        given = [f"CDELT{axis} {step:g}" for axis, step in enumerate(steps, 1) if step is not None and kind == "PC"]
        return matrix, ", ".join([*given, *present])
    angle_card = next((card for card in _ROTATIONS if _number(header, card) is not None), None)
    if angle_card is None and None in steps:
        return None
    angle = 0.0 if angle_card is None else math.radians(_or(_number(header, angle_card), 0.0))
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    given = [f"CDELT{axis} {step:g}" for axis, step in enumerate(steps, 1) if step is not None]
    rotation = [f"{angle_card} {math.degrees(angle):g}"] if angle_card is not None and angle else []
    return turn * np.array([_or(step, 1.0) for step in steps]), ", ".join([*given, *rotation])


def _unit_deg(header: fits.Header, axis: int, kind: str) -> float:
    """Return how many degrees one unit of an axis has."""
    text = card_text(header, f"CUNIT{axis}").lower()
    try:
        unit = units.Unit(_UNITS.get(text, text) or ("deg" if kind == HELIOGRAPHIC else "arcsec"))
        return float(unit.to(units.deg))
    except (ValueError, TypeError):
        return math.nan


def _number(header: fits.Header, card: str) -> float | None:
    try:
        value = float(number_text(header, card))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _or(value: float | None, default: float) -> float:
    return default if value is None else value
