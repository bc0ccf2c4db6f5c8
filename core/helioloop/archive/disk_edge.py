"""Where the Sun's disk ends in an image, by the pixels that the file marks as off it, and whether the header agrees."""

import math
from dataclasses import dataclass

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from helioloop.archive.header_cards import positive
from helioloop.archive.solar_wcs import SolarWcs
from helioloop.errors import MagnetogramError

_MOST_ON_DISK = 0.95  # of the pixels of an image; a disk that fills it has 0.79
_LINES = 1024
_TRIALS = 300
_NEAR_PX, _NEAR_FRACTION = 1.0, 0.005
_SECTORS, _FEWEST_SECTORS = 36, 20
_SAID, _SAID_PX = 0.015, 3.0
_REFUSED, _REFUSED_PX = 0.03, 4.0
"""Fractions of the radius, and at least so many pixels, by which image and header may differ.

In real images of MDI they agree within 0.1 %. GONG's field ends 0.5 % within the limb, without the two pixels that are
dropped beside coded ones. The Sun is 1 % larger from SOHO than from the Earth, which is assumed where no card gives the
observer. A region at 60° moves by 1.5° where the radius is 1.5 % off."""
_LEAST_MASKED = 0.6  # of the radius; nobody masks what is nearer to the middle than 37°
_RSUN_OBS_ARCSEC = (800.0, 1200.0)  # else it has another unit, or is from elsewhere than the Earth's distance


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskEdge:
    """A circle in an image: its centre, with pixels counted from 0, and its radius in pixels."""

    column: float
    row: float
    radius_px: float

    def __str__(self) -> str:
        return f"{self.radius_px:.1f} px around ({self.column + 1.0:.1f}, {self.row + 1.0:.1f})"


def on_disk(field: NDArray[np.float32]) -> NDArray[np.bool_] | None:
    """Return where a field has values; None where its file does not mark the pixels off the disk by NaN or 0."""
    known = np.isfinite(field) & (field != 0.0)
    return None if known.mean() > _MOST_ON_DISK else known


def measure_edge(field: NDArray[np.float32]) -> DiskEdge | None:
    """Return the circle in which a field ends; None where its file does not mark the pixels off the disk.

    Notes
    -----
    The outermost values of each row and column lie on the limb, except beside lost blocks and where the image ends.
    Circles through three of these points each are tried, and the one with most points is fitted to them (Kåsa's
    least squares). It must have more than half of the limb.
    """
    known = on_disk(field)
    if known is None:
        return None
    points = _outermost(known)
    if len(points) < 3:
        return None
    triples = np.random.default_rng(0).integers(len(points), size=(_TRIALS, 3))
    circles = [circle for triple in triples if (circle := _fit(points[triple])) is not None]
    if not circles:
        return None
    best = max(circles, key=lambda circle: int(np.count_nonzero(_is_near(circle, points))))
    for _ in range(3):
        best = _fit(points[_is_near(best, points)]) or best
    return best if _covers(best, points) else None


def edge_notes(field: NDArray[np.float32], place: SolarWcs, header: fits.Header) -> tuple[str, ...]:
    """Return what is doubtful about a header's limb, compared with the edge of the field and the header's own radii.

    A field that ends within the limb all around may be masked there, which is said. It is refused below 0.6 of the
    radius, and where R_SUN, the radius in pixels, agrees with the image and not with the rest of the header.

    Parameters
    ----------
    field : array, shape (ny, nx)
        NaN or 0 off the disk, where the file marks that.
    place : SolarWcs
        Of a helioprojective image.
    header : fits.Header
        Its cards.

    Raises
    ------
    MagnetogramError
        If centre or radius are more than 3 % of the radius off, and the image is not masked.
    """
    column, row = (float(value) for value in place.wcs.wcs_world2pix(0.0, 0.0, 0))
    stated = DiskEdge(column=column, row=row, radius_px=place.rsun_arcsec / place.arcsec_per_px)
    notes = _radius_notes(place, header)
    r_sun_px, found = positive(header, "R_SUN"), measure_edge(field)
    if found is None:
        if r_sun_px is not None and abs(r_sun_px / stated.radius_px - 1.0) > _REFUSED:
            notes += (
                f"R_SUN is {r_sun_px:.1f} px, and CDELT and the distance give a radius of {stated.radius_px:.1f} px, "
                "which was used",
            )
        return notes
    shift_px = math.hypot(found.column - stated.column, found.row - stated.row)
    larger_px = found.radius_px - stated.radius_px
    said_px = max(_SAID * found.radius_px, _SAID_PX)
    refused_px = max(_REFUSED * found.radius_px, _REFUSED_PX)
    unmasked = found.radius_px < _LEAST_MASKED * stated.radius_px or (
        r_sun_px is not None and abs(r_sun_px - found.radius_px) <= said_px
    )
    what = f"its field ends at {found}, and the header puts the limb at {stated}"
    if shift_px > refused_px or larger_px > refused_px or (-larger_px > refused_px and unmasked):
        raise MagnetogramError(
            f"{what}; they may differ by {_REFUSED:.0%} of the radius: correct CRPIX, CRVAL, CDELT, CUNIT or DSUN_OBS"
        )
    if shift_px > said_px or abs(larger_px) > said_px:
        masked = ", as if it were masked" if -larger_px > refused_px else ""
        notes += (f"{what}{masked}; the header was used",)
    return notes


def _radius_notes(place: SolarWcs, header: fits.Header) -> tuple[str, ...]:
    """Return a sentence where RSUN_OBS is doubtful; refuse it where it is far from what distance and radius give."""
    value = positive(header, "RSUN_OBS")
    lowest, highest = _RSUN_OBS_ARCSEC
    if value is None or not lowest <= value <= highest:
        return ()
    off = abs(value / place.rsun_arcsec - 1.0)
    what = f"RSUN_OBS is {value:.1f} arcsec, and DSUN_OBS and RSUN_REF give {place.rsun_arcsec:.1f} arcsec"
    if off > _REFUSED:
        raise MagnetogramError(f"{what}; they may differ by {_REFUSED:.0%}: correct the wrong one")
    return (f"{what}, which was used",) if off > _SAID else ()


def _outermost(known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the outer edges, as column and row, of the first and last known pixels of rows and columns.

    Those at the border of the image are left out, and of large images every second or fourth line is enough.
    """
    step = max(1, max(known.shape) // _LINES)
    found = []
    for along, mask in ((0, known[::step]), (1, np.ascontiguousarray(known[:, ::step].T))):
        lines = np.flatnonzero(mask.any(axis=1))
        first = mask.argmax(axis=1)[lines]
        last = mask.shape[1] - 1 - mask[:, ::-1].argmax(axis=1)[lines]
        for ends, outward, inside in ((first, -0.5, first > 0), (last, 0.5, last < mask.shape[1] - 1)):
            across, position = ends[inside] + outward, lines[inside] * step
            found.append((across, position) if along == 0 else (position, across))
    columns, rows = (np.concatenate(parts).astype(np.float64) for parts in zip(*found, strict=True))
    return np.stack([columns, rows], axis=1)


def _fit(points: NDArray[np.float64]) -> DiskEdge | None:
    """Return the circle nearest to points; None where they lie on a line."""
    middle = points.mean(axis=0)
    columns, rows = (points - middle).T
    solution, _, rank, _ = np.linalg.lstsq(
        np.stack([2.0 * columns, 2.0 * rows, np.ones_like(rows)], axis=1), columns**2 + rows**2, rcond=None
    )
    column, row, rest = (float(value) for value in solution)
    squared = rest + column**2 + row**2
    if rank < 3 or squared <= 0.0:
        return None
    return DiskEdge(column=middle[0] + column, row=middle[1] + row, radius_px=math.sqrt(squared))


def _is_near(circle: DiskEdge, points: NDArray[np.float64]) -> NDArray[np.bool_]:
    distances = np.hypot(points[:, 0] - circle.column, points[:, 1] - circle.row)
    near: NDArray[np.bool_] = np.abs(distances - circle.radius_px) <= max(_NEAR_PX, _NEAR_FRACTION * circle.radius_px)
    return near


def _covers(circle: DiskEdge, points: NDArray[np.float64]) -> bool:
    """Return True where most of the points in more than half of the directions are on the circle."""
    angles = np.arctan2(points[:, 1] - circle.row, points[:, 0] - circle.column)
    sectors = np.floor((angles / (2.0 * np.pi) + 0.5) * _SECTORS).astype(int) % _SECTORS
    total = np.bincount(sectors, minlength=_SECTORS)
    near = np.bincount(sectors[_is_near(circle, points)], minlength=_SECTORS)
    return int(np.count_nonzero((near > 0) & (2 * near >= total))) >= _FEWEST_SECTORS
