"""The per-frame network's input, on arrays one can check by hand."""

from dataclasses import replace

import numpy as np
import pytest

from helioloop.model.cells import FIELD_SCALE_GAUSS, cell_flux, cell_steps
from helioloop.model.field_video import FieldVideo
from helioloop.records.instrument import Instrument

TINY = Instrument(name="tiny", cadence_seconds=5760.0, n_frames=6, size_px=12, clip_gauss=1000.0, frozen_frames=2)


def level_cube(*fields_gauss: float) -> np.ndarray:
    """Frames of one value each, on TINY's grid."""
    frames = [np.full((12, 12), 0.5 * (1 + gauss / 1000.0)) for gauss in fields_gauss]
    return np.array(frames, dtype=np.float16)


def spotted_cube(*fields_gauss: float) -> np.ndarray:
    """Quiet frames with a spot of one value each in the first cell of TINY's grid."""
    cube = level_cube(*[0.0] * len(fields_gauss))
    cube[:, :6, :6] = level_cube(*fields_gauss)[:, :6, :6]
    return cube


def test_pixels_that_do_not_fill_a_cell_are_left_out() -> None:
    """17 px give the two cells of the first 12 px, whatever the others show."""
    odd = replace(TINY, size_px=17)
    cube = np.full((6, 17, 17), 0.95)
    cube[:, :12, :12] = spotted_cube(0, 0, 300, 300, 300, 300)
    np.testing.assert_array_equal(
        cell_steps(FieldVideo(cube, odd)), cell_steps(FieldVideo(cube[:, :12, :12], TINY))
    )  # fmt: skip


def test_a_step_is_the_median_of_three_frames() -> None:
    """A single bad frame has no effect; positive and negative fields have separate channels."""
    steps = cell_steps(FieldVideo(spotted_cube(0, 0, 0, 300, -1000, 300), TINY))
    assert steps.shape == (2, 3, 2, 2)
    np.testing.assert_allclose(steps[1, 0, 0, 0], np.arcsinh(300 / FIELD_SCALE_GAUSS), rtol=1e-3)
    np.testing.assert_allclose(steps[1, 1], 0)
    np.testing.assert_allclose(steps[:, 2], 1)


def test_off_disk_pixels_have_no_field_and_lower_the_on_disk_fraction() -> None:
    """A quarter of one cell is off-disk: its mean field and its fraction are three quarters."""
    cube = spotted_cube(*[400] * 6)
    cube[:, :3, :3] = np.nan
    steps = cell_steps(FieldVideo(cube, TINY))
    assert steps[0, 2, 0, 0] == pytest.approx(0.75)
    assert steps[0, 0, 0, 0] == pytest.approx(np.arcsinh(300 / FIELD_SCALE_GAUSS), rel=1e-3)
    assert steps[0, 2, 1, 1] == 1


def test_the_zero_level_of_a_frame_is_subtracted() -> None:
    """A spot on offsets of 0, −8 and 24 G gives the same input in each step."""
    offsets = np.repeat([0.0, -8.0, 24.0], 3)[:, None, None] / 2000.0
    instrument = Instrument(**{**TINY.as_dict(), "n_frames": 9})
    steps = cell_steps(FieldVideo((spotted_cube(*[400] * 9) + offsets).astype(np.float16), instrument))
    np.testing.assert_allclose(steps, np.broadcast_to(steps[:1], steps.shape), atol=2e-3)


def test_flux_is_the_mean_unsigned_field_of_whole_cells_on_the_disk() -> None:
    """Both polarities count; pixels beyond the last whole cell do not; a cell mostly off-disk is NaN."""
    odd = replace(TINY, size_px=17)
    cube = np.full((6, 17, 17), 0.5)
    cube[:, 0:6, 0:3], cube[:, 0:6, 3:6] = 0.55, 0.475
    cube[:, 12:] = 0.95
    cube[:, 6:12, 0:4] = np.nan
    flux = cell_flux(FieldVideo(cube, odd))
    assert flux.shape == (2, 2, 2)
    np.testing.assert_allclose(flux[1], [[75.0, 0.0], [np.nan, 0.0]], atol=1e-3)
