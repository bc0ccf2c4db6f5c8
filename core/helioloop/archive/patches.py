"""A region's patch: the field of an image averaged over the pixels of a grid fixed in Carrington coordinates.

Row 0 is south, column 0 is east, the region is at the centre. Patches do not follow differential rotation.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from helioloop.archive.regions import Region
from helioloop.archive.solar_wcs import CARRINGTON, SolarWcs, cosine_from_centre
from helioloop.records.profiles import Profile

Floats = NDArray[np.float64]
Patch = NDArray[np.float32]

N_NODES = 10
"""Nodes per axis at which a patch's coordinates are computed; between them a polynomial is exact to 1e-6 px."""

_FEWEST_BINS = 2  # per side of a pixel: bins are never wider than half a pixel
_SAMPLES_PER_BIN = 2.0
_FEWEST_SAMPLES = 2
_SURELY_SEEN = 0.05  # at all nodes: then no sample between them is beyond the limb
_ENOUGH = 0.5  # fraction of a pixel that must be on the disk and known


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchGrid:
    """The pixels of patches: how many, how wide in degrees, and how each is averaged.

    Parameters
    ----------
    size_px : int
        Pixels per side.
    degrees_per_px : float
        Side of a pixel.
    binning : int
        Pixels of the image, per side, that are averaged before samples are taken.
    samples : int
        Samples per side of a pixel.
    """

    size_px: int
    degrees_per_px: float
    binning: int
    samples: int

    @property
    def half_deg(self) -> float:
        """Half the side of the patch."""
        return self.size_px * self.degrees_per_px / 2.0


def grid_for(place: SolarWcs, profile: Profile) -> PatchGrid:
    """Return the grid of a profile, with enough samples per pixel for an image that none of its pixels is missed."""
    degrees = profile.degrees_per_px
    if place.kind == CARRINGTON:
        source_px = degrees / min(place.pixel_deg)
    else:  # at the centre of the disk, where a pixel of the grid covers most pixels of the image
        source_px = math.radians(degrees) * place.rsun_m / (place.distance_m - place.rsun_m)
        source_px = math.degrees(source_px) * 3600.0 / place.arcsec_per_px
    binning = max(1, int(source_px / _FEWEST_BINS))
    samples = max(_FEWEST_SAMPLES, math.ceil(_SAMPLES_PER_BIN * source_px / binning))
    return PatchGrid(size_px=profile.instrument.size_px, degrees_per_px=degrees, binning=binning, samples=samples)


def cut_patches(
    field_gauss: Patch, place: SolarWcs, regions: Sequence[Region], profile: Profile
) -> Mapping[str, Patch]:
    """Return the patches of all regions that an image shows at least one pixel of, by name.

    Parameters
    ----------
    field_gauss : array of float32, shape (ny, nx)
        The image.
    place : SolarWcs
        Where its pixels are on the Sun.
    regions : sequence of Region
        Regions to cut; those on the far side are left out.
    profile : Profile
        Grid of the patches.

    Returns
    -------
    dict of str to array of float32, shape (size_px, size_px)
        Mean field over each pixel; NaN where less than half of the pixel is on the disk and known.

    Notes
    -----
    Coordinates of all patches are transformed in one call, at `N_NODES` × `N_NODES` Chebyshev nodes each, and
    interpolated to the samples by the polynomial through the nodes. The field at a sample is bilinear between bins of
    pixels. A bin with an unknown pixel is unknown.
    """
    grid = grid_for(place, profile)
    near = [region for region in regions if _may_show(region, place, grid)]
    if not near:
        return {}
    nodes, matrix = _nodes_and_matrix(grid)
    lon = np.array([region.lon_deg for region in near])[:, None, None] + nodes[None, None, :]
    lat = np.array([region.lat_deg for region in near])[:, None, None] + nodes[None, :, None]
    lon, lat = np.broadcast_arrays(lon, lat)
    columns, rows, visibility = place.to_pixels(lon, lat)
    patches = {}
    for region, column, row, visible in zip(near, columns, rows, visibility, strict=True):
        window = _window(field_gauss, column, row, binning=grid.binning)
        if window is None:
            continue
        patch = _average(
            _bilinear(window.bins, *(_interpolate(matrix, at, grid) for at in window.at(column, row))),
            seen=None if visible.min() > _SURELY_SEEN else _interpolate(matrix, visible, grid) > 0.0,
            samples=grid.samples,
        )
        if patch is not None:
            patches[region.name] = patch
    return patches


def _may_show(region: Region, place: SolarWcs, grid: PatchGrid) -> bool:
    """Return False for a patch that is certainly on the far side; a cheap test before coordinates are transformed."""
    edge = np.linspace(-grid.half_deg, grid.half_deg, 5)
    l0, b0 = place.observer_carrington_deg
    lon, lat = np.meshgrid(region.lon_deg + edge, region.lat_deg + edge)
    return bool((cosine_from_centre(lon, lat, l0_deg=l0, b0_deg=b0) > 0.0).any())


@lru_cache(maxsize=8)
def _nodes_and_matrix(grid: PatchGrid) -> tuple[Floats, Patch]:
    """Return the nodes' offsets from the centre in degrees, and the matrix that interpolates to the samples.

    Single precision: within a window of some hundred pixels, coordinates are right to 1e-4 px.

    Notes
    -----
    Barycentric interpolation through Chebyshev points of the first kind.

    References
    ----------
    Berrut & Trefethen 2004, SIAM Review 46, 501, doi:10.1137/S0036144502417715.
    """
    k = np.arange(N_NODES)
    angle = (2 * k + 1) * np.pi / (2 * N_NODES)
    nodes = np.cos(angle)
    weights = (-1.0) ** k * np.sin(angle)
    n = grid.size_px * grid.samples
    samples = (np.arange(n) + 0.5) / n * 2.0 - 1.0
    difference = samples[:, None] - nodes[None, :]
    exact = np.abs(difference) < 1e-14
    terms = weights / np.where(exact, 1.0, difference)
    matrix = terms / terms.sum(axis=1, keepdims=True)
    matrix[exact.any(axis=1)] = exact[exact.any(axis=1)]
    return nodes * grid.half_deg, matrix.astype(np.float32)


@dataclass(frozen=True, slots=True)
class _Window:
    """The part of an image under a patch, in bins, with one bin of NaN around it."""

    bins: Patch
    first_column: int
    first_row: int
    binning: int

    def at(self, columns: Floats, rows: Floats) -> tuple[Floats, Floats]:
        """Return pixel coordinates as coordinates in `bins`."""
        middle = (self.binning - 1) / 2
        return (
            (columns - self.first_column - middle) / self.binning + 1.0,
            (rows - self.first_row - middle) / self.binning + 1.0,
        )


def _window(field: Patch, columns: Floats, rows: Floats, *, binning: int) -> _Window | None:
    """Return the part of the image that the nodes of a patch span; None where it lies outside of the image."""
    first, last = [], []
    for at, length in ((rows, field.shape[0]), (columns, field.shape[1])):
        margin = 0.02 * np.ptp(at) + 2.0 * binning  # nodes do not reach the edges of the patch
        first.append(max(0, int(at.min() - margin)))
        last.append(min(length, int(at.max() + margin) + 1))
    height, width = ((end - start) // binning for start, end in zip(first, last, strict=True))
    if height < 1 or width < 1:
        return None
    part = field[first[0] : first[0] + height * binning, first[1] : first[1] + width * binning]
    bins = np.full((height + 2, width + 2), np.nan, dtype=np.float32)
    bins[1:-1, 1:-1] = sum(part[i::binning, k::binning] for i in range(binning) for k in range(binning))
    bins *= np.float32(1.0 / binning**2)
    return _Window(bins, first[1], first[0], binning)


def _bilinear(bins: Patch, columns: Patch, rows: Patch) -> Patch:
    """Return `bins` at fractional coordinates; what lies outside takes the value of the edge, which is NaN.

    Beside an unknown bin, where there is nothing to interpolate, the bin that a sample lies in counts.
    """
    height, width = bins.shape
    columns = np.clip(columns, 0.0, np.float32(width) - np.float32(1.001))
    rows = np.clip(rows, 0.0, np.float32(height) - np.float32(1.001))
    left, low = columns.astype(np.int32), rows.astype(np.int32)
    columns -= left
    rows -= low
    low *= width
    low += left
    flat = bins.ravel()
    south, north = flat.take(low), flat.take(low + width)
    south += columns * (flat.take(low + 1) - south)
    north += columns * (flat.take(low + width + 1) - north)
    south += rows * (north - south)
    beside = ~np.isfinite(south)
    if beside.any():
        low += (columns >= 0.5) + width * (rows >= 0.5)
        south[beside] = flat.take(low[beside])
    return south


def _interpolate(matrix: Patch, nodes: Floats, grid: PatchGrid) -> Patch:
    """Return values at the samples from those at the nodes, shape (n_samples, n_samples).

    Row by row of pixels: on one large product of so thin matrices, BLAS would start threads, which cost more than they
    save and disturb the other processes.
    """
    right = nodes.astype(np.float32) @ matrix.T
    rows = matrix.reshape(grid.size_px, grid.samples, N_NODES)
    return np.asarray((rows @ right).reshape(len(matrix), len(matrix)))


def _average(values: Patch, *, seen: NDArray[np.bool_] | None, samples: int) -> Patch | None:
    """Return the values averaged over blocks of `samples` × `samples`; None where no block has enough of them."""
    if seen is not None:
        values[~seen] = np.nan
    n = values.shape[0] // samples
    blocks = values.reshape(n, samples, n, samples)
    mean: Patch = np.asarray(blocks.sum(axis=1).sum(axis=2) / samples**2, dtype=np.float32)
    lacking = ~np.isfinite(mean)
    if not lacking.any():
        return mean
    parts = blocks.transpose(0, 2, 1, 3)[lacking]
    known = np.isfinite(parts)
    count = known.sum(axis=(1, 2))
    total = np.where(known, parts, np.float32(0.0)).sum(axis=(1, 2))
    mean[lacking] = np.where(count >= _ENOUGH * samples**2, total / np.maximum(count, 1), np.nan)
    return mean if np.isfinite(mean).any() else None
