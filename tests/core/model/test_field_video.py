"""Tests of the field of a gridded cube, frame by frame and in steps."""

import numpy as np
import numpy.typing as npt
import pytest

from helioloop.errors import CubeError
from helioloop.model.field_video import FieldVideo, zero_level
from helioloop.records.instrument import Instrument

GRID = Instrument(name="tiny", cadence_seconds=5760.0, n_frames=7, size_px=9, clip_gauss=1000.0, frozen_frames=1)


def cube_of(*gauss: float) -> npt.NDArray[np.float32]:
    """Return frames without field but for a pixel in each corner: `gauss` in the first, nothing on the disk there."""
    cube = np.full((len(gauss), 9, 9), 0.5, dtype=np.float32)
    cube[:, 0, 0] = 0.5 + 0.5 * np.array(gauss) / 1000.0
    cube[:, -1, -1] = np.nan
    return cube


def test_the_first_frames_repeat_the_frame_that_follows_them() -> None:
    """Of one frozen frame; the field off-disk is 0."""
    frames = FieldVideo(cube_of(100, 200, 300, 400, 500, 600, 700), GRID).frames
    np.testing.assert_allclose(frames.gauss[:, 0, 0], [200, 200, 300, 400, 500, 600, 700], atol=1e-3)
    assert (frames.gauss[:, -1, -1] == 0.0).all()
    assert not frames.on_disk[:, -1, -1].any()
    assert frames.on_disk.sum() == 7 * 80


def test_a_masked_video_repeats_the_frame_of_the_mask() -> None:
    """A mask at frame 3 leaves frames 1 to 3; one in the frozen start leaves the frame that follows it alone."""
    video = FieldVideo(cube_of(100, 200, 300, 400, 500, 600, 700), GRID)
    for frame, expected in ((3, [200, 200, 300, 400, 400, 400, 400]), (0, [200] * 7), (6, None)):
        field = video.masked(frame).frames.gauss[:, 0, 0]
        np.testing.assert_allclose(field, video.frames.gauss[:, 0, 0] if expected is None else expected, atol=1e-3)
    masked = video.masked(4).cropped(6)
    assert masked.shown.tolist() == [1, 1, 2, 3, 4, 4, 4]
    np.testing.assert_allclose(masked.scaled()[:, 0, 0], [0.6, 0.6, 0.65, 0.7, 0.75, 0.75, 0.75], atol=1e-6)


def test_steps_are_medians_of_three_frames_and_the_last_one_is_filled_up() -> None:
    """Seven frames are three steps. A pixel is on the disk in a step if it is in two of its frames."""
    cube = cube_of(0, 300, -1000, 500, 400, 600, 700)
    cube[[1, 3, 4], 4, 4] = np.nan
    steps = FieldVideo(cube, GRID).steps
    np.testing.assert_allclose(steps.gauss[:, 0, 0], [300, 500, 700], atol=1e-3)
    assert steps.on_disk[:, 4, 4].tolist() == [False, False, True]


def test_the_field_of_a_video_is_computed_once() -> None:
    """Everything that is measured in a cube shares it."""
    video = FieldVideo(cube_of(*range(7)), GRID)
    assert video.frames is video.frames
    assert video.steps is video.steps
    assert video.cropped(9) is video


def test_a_cropped_video_has_a_zero_level_of_its_own() -> None:
    """Its first six rows and columns show 200 G all over, which is an offset."""
    cube = cube_of(*[0.0] * 7)
    cube[:, :6, :6] = 0.6
    assert FieldVideo(cube, GRID).frames.gauss[0, 3, 3] == pytest.approx(200.0, abs=1e-3)
    assert FieldVideo(cube, GRID).cropped(6).frames.gauss.tolist() == np.zeros((7, 6, 6)).tolist()


def test_a_frame_without_disk_has_no_offset() -> None:
    """Nothing is known of it."""
    assert zero_level(np.full((1, 12, 12), np.nan, dtype=np.float32)).tolist() == [0.0]


def test_a_cube_off_the_grid_is_refused() -> None:
    """One frame less, or one row more, is another grid; also where the further rows would be cut off."""
    for shape in ((6, 9, 9), (7, 10, 9)):
        with pytest.raises(CubeError, match=rf"\({shape[0]}, {shape[1]}, {shape[2]}\)"):
            FieldVideo(np.full(shape, 0.5), GRID)
