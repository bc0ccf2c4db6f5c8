"""Growth of places that have just come onto the disk, where flux around them counts as there before."""

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from helioloop.model.field_video import FieldVideo
from helioloop.model.local_growth import (
    FLOOR_GAUSS,
    LIMB_SECONDS,
    SURROUNDING_CELLS,
    WINDOW_SECONDS,
    local_growth,
    masked_growth,
)
from helioloop.model.weaker_polarity import arrival_steps
from helioloop.records.instrument import MDI

GRID = replace(MDI, n_frames=120, size_px=54, frozen_frames=6)
"""Nine by nine cells of six pixels, forty steps, windows of five steps."""
PATCH_DEG = 9.0
ARRIVES = 15
"""The patch comes onto the disk in step 5, so that the first day before a time ends at frame 30."""

Cube = npt.NDArray[np.float32]


def quiet(*, arrives: int = ARRIVES) -> Cube:
    """Return a cube without field that is off the disk before a frame."""
    cube = np.full((GRID.n_frames, GRID.size_px, GRID.size_px), 0.5, dtype=np.float32)
    cube[:arrives] = np.nan
    return cube


def add(cube: Cube, *, column: int, frame: int = 0, polarities: tuple[int, ...] = (1, -1)) -> Cube:
    """Add cells of 205 G side by side in row 2, one per polarity, from a frame on; a square has 20 G of each."""
    for k, sign in enumerate(polarities):
        first = 6 * (column + k)
        cube[frame:, 12:18, first : first + 6] += sign * 0.5 * 205.0 / MDI.clip_gauss
    return cube


def growth(cube: Cube) -> float | None:
    """Return the growth on the grid of these tests."""
    return local_growth(FieldVideo(cube, GRID), patch_deg=PATCH_DEG)


OUT_OF_NOTHING = (20.0 + FLOOR_GAUSS) / FLOOR_GAUSS
"""Growth of a bipole of 20 G where nothing was before."""


def test_an_emergence_near_the_limb_grows_out_of_nothing() -> None:
    """A day after the quiet patch came onto the disk, as at any other time."""
    for frame in (30, 60, 90):
        assert growth(add(quiet(), column=1, frame=frame)) == pytest.approx(OUT_OF_NOTHING, rel=1e-3)


@pytest.mark.parametrize(("frame", "days"), [(30, 1.0), (45, 2.0), (75, 4.0)])
def test_a_region_around_a_place_was_there_before_the_place_grew(frame: int, days: float) -> None:
    """Three cells away are 20 G of both polarities; their weight falls with the time since the limb."""
    beside = add(add(quiet(), column=4), column=1, frame=frame)
    there = 20.0 * math.exp(-days * WINDOW_SECONDS / LIMB_SECONDS)
    assert growth(beside) == pytest.approx(1.0 + 20.0 / (there + FLOOR_GAUSS), rel=1e-3)


def test_an_older_region_counts_nothing_where_the_video_shows_no_limb() -> None:
    """The same two bipoles in a patch that is on the disk from the first frame on."""
    beside = add(add(quiet(arrives=0), column=4), column=1, frame=30)
    assert growth(beside) == pytest.approx(OUT_OF_NOTHING, rel=1e-3)


def test_one_polarity_around_a_place_is_no_region() -> None:
    """Plage of one polarity near the limb leaves an emergence beside it as it is."""
    beside = add(add(quiet(), column=4, polarities=(1, 1)), column=1, frame=30)
    assert growth(beside) == pytest.approx(OUT_OF_NOTHING, rel=1e-3)


def test_a_region_farther_away_counts_nothing() -> None:
    """The second polarity of the older region is one cell too far from one of the new region's squares."""
    beside = add(add(quiet(), column=2 + SURROUNDING_CELLS), column=1, frame=30)
    assert growth(beside) == pytest.approx(OUT_OF_NOTHING, rel=1e-3)


def test_a_polarity_that_was_hidden_behind_the_limb_does_not_emerge() -> None:
    """One polarity of an old region is seen at once, and three cells away the other; then the hidden ones appear."""
    region = add(add(quiet(), column=1, polarities=(1,)), column=4, polarities=(-1,))
    region = add(add(region, column=1, frame=30), column=2, frame=30, polarities=(-1,))
    hidden, seen = growth(region), growth(add(add(quiet(), column=1, frame=30), column=2, frame=30, polarities=(-1,)))
    assert hidden is not None
    assert seen is not None
    assert hidden < 0.6 * seen


def test_masked_growth_near_the_limb_is_that_of_the_masked_video() -> None:
    """Each masked video is compared with the same surroundings, at the end of each group of three frames."""
    cube = add(add(add(quiet(), column=4), column=1, frame=33), column=1, frame=60)
    masked = masked_growth(FieldVideo(cube, GRID), patch_deg=PATCH_DEG)
    for frame in (29, 35, 38, 47, 62, 119):
        frozen = np.concatenate((cube[: frame + 1], np.repeat(cube[frame : frame + 1], 119 - frame, axis=0)))
        assert masked[frame] == pytest.approx(growth(frozen)), frame
    assert masked[29] == pytest.approx(1.0, abs=1e-4)
    assert 1.0 < masked[35] < OUT_OF_NOTHING


def test_a_square_arrives_when_its_last_cell_does() -> None:
    """The limb crosses the patch by a column of cells every six frames, from the first frame on, west first."""
    cube = quiet(arrives=0)
    for cell in range(9):
        cube[: 6 * (8 - cell), :, 6 * cell : 6 * cell + 6] = np.nan
    arrival = arrival_steps(FieldVideo(cube, GRID), patch_deg=PATCH_DEG)
    assert arrival.shape == (7, 7)
    assert (arrival == np.array([16.0, 14.0, 12.0, 10.0, 8.0, 6.0, 4.0])).all()


def test_frozen_frames_do_not_hide_the_arrival() -> None:
    """On the disk from frame 3 on, though six frames are frozen; frame 0 on the disk says nothing about the limb."""
    assert (arrival_steps(FieldVideo(quiet(arrives=3), GRID), patch_deg=PATCH_DEG) == 1.0).all()
    assert (arrival_steps(FieldVideo(quiet(arrives=0), GRID), patch_deg=PATCH_DEG) == -np.inf).all()


def test_a_place_that_leaves_the_disk_and_comes_back_was_there_at_once() -> None:
    """Lost data in the middle of a video are not the limb."""
    cube = quiet(arrives=0)
    cube[40:50] = np.nan
    assert (arrival_steps(FieldVideo(cube, GRID), patch_deg=PATCH_DEG) == -np.inf).all()


@pytest.mark.parametrize(("size_px", "patch_deg"), [(18, 9.0), (12, 2.0)])
def test_without_squares_there_are_no_arrivals(size_px: int, patch_deg: float) -> None:
    """Two pixels per degree; a patch of two degrees."""
    cube = np.full((GRID.n_frames, size_px, size_px), 0.5, dtype=np.float32)
    assert arrival_steps(FieldVideo(cube, replace(GRID, size_px=size_px)), patch_deg=patch_deg).shape == (0, 0)
