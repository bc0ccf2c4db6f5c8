"""The local growth of cubes whose growth one can compute by hand."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from helioloop.model.field_video import FieldVideo
from helioloop.model.local_growth import (
    FLOOR_GAUSS,
    WINDOW_SECONDS,
    local_growth,
    masked_growth,
    window_steps,
)
from helioloop.records.instrument import MDI

GRID = replace(MDI, n_frames=120, size_px=30, frozen_frames=6)
"""Five by five cells, forty steps, windows of five steps."""
PATCH_DEG = 5.0
"""Six pixels per degree."""

Cube = npt.NDArray[np.float32]


def cube_with(*bipoles: tuple[int, float], column: int = 1) -> Cube:
    """Return a cube with cells of both polarities side by side in row 2, of each field in gauss from each frame on."""
    cube = np.full((GRID.n_frames, GRID.size_px, GRID.size_px), 0.5, dtype=np.float32)
    first = 6 * column
    for frame, gauss in bipoles:
        cube[frame:, 12:18, first : first + 6] = 0.5 * (1.0 + gauss / MDI.clip_gauss)
        cube[frame:, 12:18, first + 6 : first + 12] = 0.5 * (1.0 - gauss / MDI.clip_gauss)
    return cube


def test_growth_compares_a_place_with_itself_a_day_before() -> None:
    """Two cells of 205 G count 180 G; the square of nine cells has 20 G of each polarity, out of nothing."""
    grown = local_growth(FieldVideo(cube_with((60, 205.0)), GRID), patch_deg=PATCH_DEG)
    assert grown == pytest.approx((20.0 + FLOOR_GAUSS) / FLOOR_GAUSS, rel=1e-3)


def test_a_region_that_was_there_grows_by_a_smaller_factor() -> None:
    """From 115 G, which is 10 G in the square, to 205 G, which is 20 G: a factor of 23/13, though 10 G were added."""
    grown = local_growth(FieldVideo(cube_with((0, 115.0), (60, 205.0)), GRID), patch_deg=PATCH_DEG)
    assert grown == pytest.approx((20.0 + FLOOR_GAUSS) / (10.0 + FLOOR_GAUSS), rel=1e-3)


def test_an_older_region_elsewhere_does_not_change_the_growth() -> None:
    """An old field of one polarity fills the two columns at the edge; the bipole grows two columns beside it."""
    crowded = cube_with((60, 205.0), column=0)
    crowded[:, :, 24:] = 0.9
    alone = local_growth(FieldVideo(cube_with((60, 205.0), column=0), GRID), patch_deg=PATCH_DEG)
    assert local_growth(FieldVideo(crowded, GRID), patch_deg=PATCH_DEG) == alone


def test_a_place_grows_by_the_smaller_increase_of_both_polarities() -> None:
    """From 115 G of both, 10 G in the square, to 205 G and 295 G, 20 G and 30 G: 10 G are added to both."""
    uneven = cube_with((0, 115.0), (60, 205.0))
    uneven[60:, 12:18, 6:12] = 0.5 * (1.0 + 295.0 / MDI.clip_gauss)
    grown = local_growth(FieldVideo(uneven, GRID), patch_deg=PATCH_DEG)
    assert grown == pytest.approx(1.0 + 10.0 / (10.0 + FLOOR_GAUSS), rel=1e-3)


def test_one_polarity_that_grows_beside_a_strong_one_is_no_growth() -> None:
    """The weaker polarity doubles, but the stronger one stays: no bipole has emerged there."""
    one_sided = cube_with((0, 115.0), (60, 205.0))
    one_sided[:, 12:18, 6:12] = 0.5 * (1.0 + 295.0 / MDI.clip_gauss)
    assert local_growth(FieldVideo(one_sided, GRID), patch_deg=PATCH_DEG) == pytest.approx(1.0, abs=1e-4)


def test_nothing_grows_by_less_than_one() -> None:
    """A region that is there from the start, one polarity alone, and noise below 25 G."""
    one_polarity = cube_with()
    one_polarity[60:, 12:18, 6:12] = 0.9
    for cube in (cube_with((0, 205.0)), one_polarity, cube_with((60, 24.0))):
        assert local_growth(FieldVideo(cube, GRID), patch_deg=PATCH_DEG) == pytest.approx(1.0, abs=1e-6)


def test_without_a_place_that_stays_on_the_disk_there_is_no_growth() -> None:
    """No disk; a disk for less than two windows; a patch narrower than three cells. The probability stays."""
    nowhere = np.full((GRID.n_frames, GRID.size_px, GRID.size_px), np.nan, dtype=np.float32)
    late = cube_with((60, 205.0))
    late[:93] = np.nan
    narrow = np.full((GRID.n_frames, 12, 12), 0.5, dtype=np.float32)
    for cube, grid in ((nowhere, GRID), (late, GRID), (narrow, replace(GRID, size_px=12))):
        assert local_growth(FieldVideo(cube, grid), patch_deg=grid.size_px / 6.0) is None
        masked = masked_growth(FieldVideo(cube, grid), patch_deg=grid.size_px / 6.0)
        assert np.isnan(masked).all()
        assert np.isnan(masked).all()


@pytest.mark.parametrize("cadence_seconds", [60.0, 720.0, 1920.0, 3600.0, 4000.0, 5760.0, 11520.0, 14400.0])
@pytest.mark.parametrize("n_frames", [16, 30, 31, 45, 120, 225, 2000, 9000])
def test_windows_are_a_day_on_every_grid(cadence_seconds: float, n_frames: int) -> None:
    """Within a fifth; otherwise there is no window, which is so only where two days do not fit into the video."""
    grid = replace(MDI, cadence_seconds=cadence_seconds, n_frames=n_frames, frozen_frames=0)
    steps = window_steps(grid)
    if steps is None:
        assert n_frames * cadence_seconds < 2.2 * WINDOW_SECONDS
    else:
        assert 3 * steps * cadence_seconds == pytest.approx(WINDOW_SECONDS, rel=0.2)
        assert 2 * 3 * steps <= n_frames


def test_the_window_of_a_day_is_exact_where_steps_divide_it() -> None:
    """MDI's grid has five steps of three frames; frozen frames show nothing, and steps over half a day are too long."""
    assert window_steps(MDI) == 5
    assert window_steps(replace(MDI, cadence_seconds=1920.0)) == 15
    assert window_steps(replace(MDI, n_frames=60)) == 5
    assert window_steps(replace(MDI, n_frames=59)) is None
    assert window_steps(replace(MDI, cadence_seconds=17280.0)) is None


Image = npt.NDArray[np.float64]


def of_two_spots(px_per_degree: float, *, patch_deg: float = 6.0, gauss: float = 600.0) -> Image:
    """Return a bipole of two round spots, two degrees apart and off the cells' edges, as pixel means in gauss."""
    n_px = round(patch_deg * px_per_degree)
    at = (np.arange(4 * n_px) + 0.5) / (4.0 * px_per_degree)  # a pixel is the mean of 4 by 4 points
    y, x = at[:, None], at[None, :]
    field = sum(
        sign * gauss * np.exp(-((x - centre) ** 2 + (y - 2.9) ** 2) / (2.0 * 0.45**2))
        for sign, centre in ((1.0, 1.9), (-1.0, 3.9))
    )
    return np.asarray(field).reshape(n_px, 4, n_px, 4).mean(axis=(1, 3))


def growth_of_spots(px_per_degree: float, *, from_gauss: float, to_gauss: float) -> float | None:
    """Return the growth of two spots that grow over two days in a video of five days, with noise as of MDI."""
    spots = of_two_spots(px_per_degree, gauss=1.0)
    grid = replace(MDI, n_frames=75, size_px=len(spots), frozen_frames=0)
    peak = np.interp(np.arange(grid.n_frames), [22, 52], [from_gauss, to_gauss])
    noise = np.random.default_rng(1).normal(0.0, 12.0 * px_per_degree / 6.0, (grid.n_frames, *spots.shape))
    cube = 0.5 + 0.5 * (peak[:, None, None] * spots + noise) / grid.clip_gauss
    return local_growth(FieldVideo(cube.astype(np.float32), grid), patch_deg=6.0)


@pytest.mark.parametrize(("from_gauss", "to_gauss"), [(0.0, 250.0), (0.0, 600.0), (150.0, 600.0)])
def test_a_region_has_the_same_growth_on_grids_of_other_pixels(from_gauss: float, to_gauss: float) -> None:
    """Three to twelve pixels per degree, whole cells and not, give the growth at six within 10 %."""
    at_six = growth_of_spots(6, from_gauss=from_gauss, to_gauss=to_gauss)
    assert at_six is not None
    assert at_six > 1.5
    for px_per_degree in (3, 4, 4.5, 7.5, 8, 12):
        grown = growth_of_spots(px_per_degree, from_gauss=from_gauss, to_gauss=to_gauss)
        assert grown == pytest.approx(at_six, rel=0.1), px_per_degree
    assert growth_of_spots(2, from_gauss=from_gauss, to_gauss=to_gauss) is None


@pytest.mark.parametrize(("px_per_degree", "counted_gauss"), [(4.5, 205.0 - 18.75), (6.0, 180.0), (7.5, 180.0)])
def test_cells_are_a_degree_where_that_is_no_whole_number_of_pixels(px_per_degree: float, counted_gauss: float) -> None:
    """Two by two degrees of each polarity, side by side: a square of nine degrees has at most two of the weaker one."""
    two_degrees, size_px = round(2.0 * px_per_degree), round(6.0 * px_per_degree)
    grid = replace(GRID, size_px=size_px)
    cube = np.full((grid.n_frames, size_px, size_px), 0.5, dtype=np.float32)
    rows = slice(two_degrees, 2 * two_degrees)
    cube[60:, rows, :two_degrees] += 0.5 * 205.0 / MDI.clip_gauss
    cube[60:, rows, two_degrees : 2 * two_degrees] -= 0.5 * 205.0 / MDI.clip_gauss
    grown = local_growth(FieldVideo(cube, grid), patch_deg=6.0)
    assert grown == pytest.approx((2.0 / 9.0 * counted_gauss + FLOOR_GAUSS) / FLOOR_GAUSS, rel=1e-3)


def test_masked_growth_is_that_of_the_masked_video() -> None:
    """At the end of each group of three frames it equals the growth of the cube whose later frames repeat the group."""
    cube = cube_with((48, 65.0), (60, 205.0))
    masked = masked_growth(FieldVideo(cube, GRID), patch_deg=PATCH_DEG)
    assert masked.shape == (GRID.n_frames,)
    for frame in (2, 41, 50, 53, 62, 89, 119):
        frozen = np.concatenate(
            (cube[: frame + 1], np.repeat(cube[frame : frame + 1], GRID.n_frames - frame - 1, axis=0))
        )
        assert masked[frame] == pytest.approx(local_growth(FieldVideo(frozen, GRID), patch_deg=PATCH_DEG))
    assert masked[119] == local_growth(FieldVideo(cube, GRID), patch_deg=PATCH_DEG)
    assert masked[47] == pytest.approx(1.0, abs=1e-6)
    assert masked[51] == masked[50]
    assert masked[62] > masked[50] > 1.0
