"""Growth of places whose neighbours lose flux: what moves is no emergence."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from helioloop.model.field_video import FieldVideo
from helioloop.model.local_growth import FLOOR_GAUSS, local_growth, masked_growth
from helioloop.records.instrument import MDI

GRID = replace(MDI, n_frames=120, size_px=54, frozen_frames=6)
"""Nine by nine cells of six pixels, forty steps, windows of five steps."""
PATCH_DEG = 9.0
APPEARS = 60
ROW = slice(24, 30)

Cube = npt.NDArray[np.float32]


def quiet() -> Cube:
    """Return a cube without field."""
    return np.full((GRID.n_frames, GRID.size_px, GRID.size_px), 0.5, dtype=np.float32)


def add(cube: Cube, column: int, *, frames: slice, polarities: tuple[int, ...] = (1, -1)) -> Cube:
    """Add cells of 205 G side by side in row 4, one per polarity, in some frames; a square has 20 G of each."""
    for k, sign in enumerate(polarities):
        first = 6 * (column + k)
        cube[frames, ROW, first : first + 6] += sign * 0.5 * 205.0 / MDI.clip_gauss
    return cube


def growth(cube: Cube) -> float | None:
    """Return the growth on the grid of these tests."""
    return local_growth(FieldVideo(cube, GRID), patch_deg=PATCH_DEG)


def moved(columns: int) -> Cube:
    """Return a cube whose bipole jumps to columns 4 and 5, by a number of columns."""
    return add(add(quiet(), 4 - columns, frames=slice(APPEARS)), 4, frames=slice(APPEARS, None))


def grown_by(gauss: float) -> float:
    """Return the growth out of nothing."""
    return (gauss + FLOOR_GAUSS) / FLOOR_GAUSS


def test_a_bipole_that_emerges_grows_by_all_that_is_new() -> None:
    """Also beside an older bipole that stays, and where one polarity grows nearby."""
    emerged = add(quiet(), 4, frames=slice(APPEARS, None))
    beside = add(emerged.copy(), 2, frames=slice(None), polarities=(1,))
    more = add(emerged.copy(), 2, frames=slice(APPEARS, None), polarities=(1,))
    for cube in (emerged, beside, more):
        assert growth(cube) == pytest.approx(grown_by(20.0), rel=1e-3)


def test_a_bipole_that_moves_is_lost_where_it_was() -> None:
    """Of the five squares around column 5, three contain its cells, and one and two the cells from which they came.

    The leading polarity moves from column 3 to 5: (3 − 2) / 3 of 20 G are new around the place.
    """
    assert growth(moved(2)) == pytest.approx(grown_by(20.0 / 3.0), rel=1e-3)


def test_a_bipole_that_comes_from_far_away_is_new() -> None:
    """Four columns away, no square around the place contains what was lost."""
    assert growth(moved(4)) == pytest.approx(grown_by(20.0), rel=1e-3)


@pytest.mark.parametrize(("column", "gauss"), [(1, 20.0), (0, 10.0)])
def test_at_the_edge_of_the_patch_fewer_squares_share_a_cell(column: int, gauss: float) -> None:
    """A place at the edge shares its central cell with six squares; three contain the outermost cell."""
    assert growth(add(quiet(), column, frames=slice(APPEARS, None))) == pytest.approx(grown_by(gauss), rel=1e-3)


def test_what_is_not_on_the_disk_adds_nothing() -> None:
    """The two last columns are off the disk: one square of three contains the bipole's second cell there."""
    cube = add(quiet(), 5, frames=slice(APPEARS, None))
    cube[:, :, 42:] = np.nan
    assert growth(cube) == pytest.approx(grown_by(20.0 / 3.0), rel=1e-3)


def test_masked_growth_of_a_bipole_that_moves_is_that_of_the_masked_video() -> None:
    """At the end of groups of three frames before, in and after the windows around the move."""
    cube = moved(2)
    masked = masked_growth(FieldVideo(cube, GRID), patch_deg=PATCH_DEG)
    for frame in (44, 59, 62, 68, 74, 89, 119):
        frozen = np.concatenate((cube[: frame + 1], np.repeat(cube[frame : frame + 1], 119 - frame, axis=0)))
        assert masked[frame] == pytest.approx(growth(frozen)), frame
