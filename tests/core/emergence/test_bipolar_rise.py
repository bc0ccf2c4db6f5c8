"""The bipolar rise of cubes whose rise one can compute by hand."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from helioloop.emergence.bipolar_rise import LEAST_RISE_GAUSS, bipolar_rise, rise_of, rise_onset, window_steps
from helioloop.model.field_video import FieldVideo
from helioloop.records.instrument import MDI

GRID = replace(MDI, n_frames=120, size_px=30, frozen_frames=6)
"""Five by five cells, forty steps, the windows of MDI's grid: eight steps."""


def quiet_cube() -> npt.NDArray[np.float32]:
    """Return a cube without field: 0 G is 0.5 on the grid."""
    return np.full((GRID.n_frames, GRID.size_px, GRID.size_px), 0.5, dtype=np.float32)


def scaled(gauss: float) -> float:
    return 0.5 * (1.0 + gauss / MDI.clip_gauss)


def add_bipole(
    cube: npt.NDArray[np.float32], *, frame: int, positive_gauss: float = 125.0, negative_gauss: float = 125.0
) -> None:
    """Fill the cells in row 2, columns 1 and 2, with a positive and a negative field from `frame` on."""
    cube[frame:, 12:18, 6:12] = scaled(positive_gauss)
    cube[frame:, 12:18, 12:18] = scaled(-negative_gauss)


def test_rise_of_a_bipole_is_its_mean_field_above_the_noise() -> None:
    """A cell of 125 G counts 100 G; a square of nine cells that contains one of each polarity has 100/9 G of each."""
    cube = quiet_cube()
    add_bipole(cube, frame=60)
    found = bipolar_rise(FieldVideo(cube, GRID), patch_deg=5.0)
    assert found is not None
    assert found.gauss == pytest.approx(100.0 / 9.0, rel=1e-3)
    assert found.frame == 60
    assert abs(found.row - 2) <= 1
    assert found.column in {1, 2}


def test_the_weaker_polarity_decides() -> None:
    """With 425 G of one and 65 G of the other polarity, 40/9 G rise."""
    cube = quiet_cube()
    add_bipole(cube, frame=60, positive_gauss=425.0, negative_gauss=65.0)
    found = bipolar_rise(FieldVideo(cube, GRID), patch_deg=5.0)
    assert found is not None
    assert found.gauss == pytest.approx(40.0 / 9.0, rel=1e-2)


def test_one_polarity_alone_does_not_rise() -> None:
    """A unipolar patch, a field below the noise, and a bipole that was there from the start rise by nothing."""
    unipolar, faint, old = quiet_cube(), quiet_cube(), quiet_cube()
    unipolar[60:, 12:18, 6:12] = scaled(500.0)
    add_bipole(faint, frame=60, positive_gauss=24.0, negative_gauss=24.0)
    add_bipole(old, frame=0)
    for cube in (unipolar, faint, old):
        found = bipolar_rise(FieldVideo(cube, GRID), patch_deg=5.0)
        assert found is not None
        assert found.gauss == 0.0


def test_an_older_region_elsewhere_does_not_change_the_rise() -> None:
    """The rise beside a strong old region equals that in an empty patch."""
    alone, crowded = quiet_cube(), quiet_cube()
    crowded[:, :, 24:] = scaled(800.0)
    for cube in (alone, crowded):
        add_bipole(cube, frame=60)
    one, other = (
        bipolar_rise(FieldVideo(alone, GRID), patch_deg=5.0),
        bipolar_rise(FieldVideo(crowded, GRID), patch_deg=5.0),
    )
    assert one is not None
    assert one == other


def test_places_count_only_while_they_stay_on_the_disk() -> None:
    """A bipole that appears where the disk begins at that moment has no rise; without any disk there is no place."""
    cube = quiet_cube()
    add_bipole(cube, frame=60)
    cube[:60, :, :18] = np.nan
    found = bipolar_rise(FieldVideo(cube, GRID), patch_deg=5.0)
    assert found is None or found.gauss == 0.0
    assert bipolar_rise(FieldVideo(np.full_like(cube, np.nan), GRID), patch_deg=5.0) is None


def test_single_faulty_frames_do_not_rise() -> None:
    """Medians of three frames remove a bipole that is in one frame only."""
    cube = quiet_cube()
    shown = quiet_cube()
    add_bipole(shown, frame=0, positive_gauss=900.0, negative_gauss=900.0)
    cube[61] = shown[61]
    found = bipolar_rise(FieldVideo(cube, GRID), patch_deg=5.0)
    assert found is not None
    assert found.gauss == 0.0


def test_rise_is_the_difference_of_the_means_of_two_windows() -> None:
    """For 0, 1, 2, … at one place, windows of three steps differ by three; one step off-disk voids six windows."""
    weaker = np.arange(12, dtype=np.float32)[:, None, None]
    on_disk = np.ones(weaker.shape, dtype=np.bool_)
    assert np.array_equal(rise_of(weaker, on_disk, length=3)[:, 0, 0], np.full(7, 3.0))
    on_disk[0] = False
    rises = rise_of(weaker, on_disk, length=3)[:, 0, 0]
    assert np.isnan(rises[0])
    assert np.array_equal(rises[1:], np.full(6, 3.0))
    assert rise_of(weaker, on_disk, length=7).shape == (0, 1, 1)


def test_windows_are_a_day_and_a_half_on_every_grid() -> None:
    """MDI's grid has windows of 24 frames, one of twice the cadence half as many; short videos have shorter ones."""
    assert window_steps(MDI) == 8
    assert window_steps(replace(MDI, cadence_seconds=11520.0)) == 4
    assert window_steps(replace(MDI, n_frames=30)) == 3


def test_the_rise_is_measured_in_degrees() -> None:
    """Pixels twice as wide and half as wide give the same rise at the same place; two per degree give none."""
    cube = quiet_cube()
    add_bipole(cube, frame=60)
    found = bipolar_rise(FieldVideo(cube, GRID), patch_deg=5.0)
    assert found is not None
    finer = np.repeat(np.repeat(cube, 2, axis=1), 2, axis=2)
    assert bipolar_rise(FieldVideo(finer, replace(GRID, size_px=60)), patch_deg=5.0) == found
    coarser = bipolar_rise(FieldVideo(cube[:, ::2, ::2], replace(GRID, size_px=15)), patch_deg=5.0)
    assert coarser is not None
    assert replace(coarser, gauss=found.gauss) == found
    assert coarser.gauss == pytest.approx((125.0 - 12.5) / 9.0, rel=1e-3)
    assert bipolar_rise(FieldVideo(cube[:, ::3, ::3], replace(GRID, size_px=10)), patch_deg=5.0) is None


def test_onset_of_the_rise_is_just_before_its_middle() -> None:
    """A bipole that appears at frame 60 has the frame 57, and an interval of a window on both sides of 60."""
    cube = quiet_cube()
    add_bipole(cube, frame=60)
    found = rise_onset(FieldVideo(cube, GRID), patch_deg=5.0)
    assert found is not None
    assert (found.frame, found.frame_lo, found.frame_hi) == (57, 36, 84)


def test_a_rise_below_the_smallest_active_region_has_no_onset() -> None:
    """110 G in one cell are 85/9 G, less than the least rise; 125 G are more."""
    faint, strong = quiet_cube(), quiet_cube()
    add_bipole(faint, frame=60, positive_gauss=110.0, negative_gauss=110.0)
    add_bipole(strong, frame=60)
    assert 85.0 / 9.0 < LEAST_RISE_GAUSS < 100.0 / 9.0
    assert rise_onset(FieldVideo(faint, GRID), patch_deg=5.0) is None
    assert rise_onset(FieldVideo(strong, GRID), patch_deg=5.0) is not None
    assert rise_onset(FieldVideo(np.full_like(faint, np.nan), GRID), patch_deg=5.0) is None
