"""The local growth of cubes whose growth one can compute by hand, and probabilities combined with it."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from helioloop.model.local_growth import (
    EVEN_GROWTH,
    FLOOR_GAUSS,
    LARGEST_RATIO,
    WINDOW_SECONDS,
    combine,
    likelihood_ratio,
    local_growth,
    masked_growth,
)
from helioloop.model.weaker_polarity import steps_of
from helioloop.records.instrument import MDI

GRID = replace(MDI, n_frames=120, size_px=30, frozen_frames=6)
"""Five by five cells, forty steps, windows of five steps."""

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
    grown = local_growth(cube_with((60, 205.0)), instrument=GRID)
    assert grown == pytest.approx((20.0 + FLOOR_GAUSS) / FLOOR_GAUSS, rel=1e-3)


def test_a_region_that_was_there_grows_by_a_smaller_factor() -> None:
    """From 115 G, which is 10 G in the square, to 205 G, which is 20 G: a factor of 23/13, though 10 G were added."""
    grown = local_growth(cube_with((0, 115.0), (60, 205.0)), instrument=GRID)
    assert grown == pytest.approx((20.0 + FLOOR_GAUSS) / (10.0 + FLOOR_GAUSS), rel=1e-3)


def test_an_older_region_elsewhere_does_not_change_the_growth() -> None:
    """An old field of one polarity fills the two columns at the edge; the bipole grows two columns beside it."""
    crowded = cube_with((60, 205.0), column=0)
    crowded[:, :, 24:] = 0.9
    alone = local_growth(cube_with((60, 205.0), column=0), instrument=GRID)
    assert local_growth(crowded, instrument=GRID) == alone


def test_nothing_grows_by_less_than_one() -> None:
    """A region that is there from the start, one polarity alone, and noise below 25 G."""
    one_polarity = cube_with()
    one_polarity[60:, 12:18, 6:12] = 0.9
    for cube in (cube_with((0, 205.0)), one_polarity, cube_with((60, 24.0))):
        assert local_growth(cube, instrument=GRID) == pytest.approx(1.0, abs=1e-6)


def test_without_a_place_that_stays_on_the_disk_there_is_no_growth() -> None:
    """No disk; a disk for less than two windows; a patch narrower than three cells. The probability stays."""
    nowhere = np.full((GRID.n_frames, GRID.size_px, GRID.size_px), np.nan, dtype=np.float32)
    late = cube_with((60, 205.0))
    late[:93] = np.nan
    narrow = np.full((GRID.n_frames, 12, 12), 0.5, dtype=np.float32)
    for cube, grid in ((nowhere, GRID), (late, GRID), (narrow, replace(GRID, size_px=12))):
        assert local_growth(cube, instrument=grid) is None
        masked = masked_growth(cube, instrument=grid)
        assert np.isnan(masked).all()
        assert np.array_equal(combine(np.full(masked.shape, 0.3), masked), np.full(masked.shape, 0.3))


def test_windows_are_a_day_on_every_grid() -> None:
    """MDI's grid has windows of 15 frames, one of a third of the cadence three times as many."""
    assert steps_of(WINDOW_SECONDS, MDI) == 5
    assert steps_of(WINDOW_SECONDS, replace(MDI, cadence_seconds=1920.0)) == 15


def test_masked_growth_is_that_of_the_masked_video() -> None:
    """At the end of each group of three frames it equals the growth of the cube whose later frames repeat the group."""
    cube = cube_with((48, 65.0), (60, 205.0))
    masked = masked_growth(cube, instrument=GRID)
    assert masked.shape == (GRID.n_frames,)
    for frame in (2, 41, 50, 53, 62, 89, 119):
        frozen = np.concatenate(
            (cube[: frame + 1], np.repeat(cube[frame : frame + 1], GRID.n_frames - frame - 1, axis=0))
        )
        assert masked[frame] == pytest.approx(local_growth(frozen, instrument=GRID))
    assert masked[119] == local_growth(cube, instrument=GRID)
    assert masked[47] == pytest.approx(1.0, abs=1e-6)
    assert masked[51] == masked[50]
    assert masked[62] > masked[50] > 1.0


@pytest.mark.parametrize(
    ("growth", "ratio"),
    [
        (EVEN_GROWTH, 1.0),
        (6.0, 32.0),
        (1.5, 1.0 / 32.0),
        (1.0, 1.0 / LARGEST_RATIO),
        (30.0, LARGEST_RATIO),
        (np.nan, 1.0),
    ],
)
def test_the_likelihood_ratio_is_the_fifth_power_of_a_third_of_the_growth(growth: float, ratio: float) -> None:
    """Twice the even growth gives 2 to the fifth; no growth and very large growth are bounded."""
    assert likelihood_ratio(growth) == pytest.approx(ratio)


def test_odds_are_multiplied_by_the_likelihood_ratio() -> None:
    """Odds of 1 become 32, odds of 1/3 become 32/3; an even growth leaves them; certain networks stay certain."""
    assert combine(np.array([0.5, 0.25]), 6.0).tolist() == pytest.approx([32.0 / 33.0, 32.0 / 35.0])
    assert combine(0.25, EVEN_GROWTH) == pytest.approx(0.25)
    assert combine(np.array([0.0, 1.0]), 1.5).tolist() == [0.0, 1.0]


def test_a_larger_growth_never_gives_a_smaller_probability() -> None:
    """For every probability of the networks."""
    growth = np.linspace(1.0, 20.0, 100)
    for p in (0.01, 0.3, 0.7, 0.99):
        assert (np.diff(combine(np.full(100, p), growth)) >= 0.0).all()
