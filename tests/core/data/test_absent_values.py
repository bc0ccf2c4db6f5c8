"""Values that a cube lacks: what is counted as which, and cubes that lack too many."""

from pathlib import Path

import numpy as np
import pytest

from helioloop.data.absent_values import UNCHANGED_FRAMES, AbsentValues, absent_values
from helioloop.data.cube_report import CubeReport, Verdict
from helioloop.data.cubes import read_cube, write_cube
from helioloop.data.gridding import to_grid
from helioloop.data.inspection import inspect_cube
from helioloop.data.off_disk import corner_regions
from helioloop.errors import CubeError
from helioloop.records.instrument import MDI

N_FRAMES = 40  # beyond the 30 that may be equal
FIELD = np.random.default_rng(0).normal(0.0, 20.0, (N_FRAMES, 90, 90)).astype(np.float32)


def _absent(values: np.ndarray, *, n_frozen: int = 0) -> AbsentValues:
    values = values.astype(np.float32)
    return absent_values(values, corner_regions(values, clip_gauss=1000.0), n_frozen=n_frozen)


def _frames(n: int) -> np.ndarray:
    """Return n frames of 4 × 5 pixels, all of which change."""
    return np.arange(1.0, 1.0 + n * 20).reshape(n, 4, 5)


def _check(folder: Path, field: np.ndarray) -> CubeReport:
    seconds = np.arange(N_FRAMES) * 5760.0
    write_cube(folder / "C.fits", field, seconds, start="2001-03-07", region="A", instrument=MDI)
    return inspect_cube(folder / "C.fits", MDI)


def test_a_whole_cube_lacks_nothing() -> None:
    assert _absent(_frames(8)) == AbsentValues(off_disk=0.0, without_value=0.0, missing=0.0, unchanged=0.0)


@pytest.mark.parametrize("code", [np.nan, 0.0, -32768.0])
def test_pixels_without_any_value_are_counted_once(code: float) -> None:
    """Two of 20 pixels; they are no missing values, and zeros are no unchanged ones."""
    values = _frames(8)
    values[:, 1, 1:3] = code
    assert _absent(values) == AbsentValues(off_disk=0.0, without_value=0.1, missing=0.0, unchanged=0.0)


def test_a_pixel_that_is_missing_in_some_frames_and_0_in_the_others_has_no_value() -> None:
    values = _frames(8)
    values[:, 1, 1] = 0.0
    values[::2, 1, 1] = np.nan
    assert _absent(values).without_value == 0.05


def test_a_pixel_with_one_value_lacks_the_others() -> None:
    """Seven of 160 values are missing, as where a hole begins with the second frame."""
    values = _frames(8)
    values[1:, 1, 1] = np.nan
    assert _absent(values) == AbsentValues(off_disk=0.0, without_value=0.0, missing=7 / 160, unchanged=0.0)


def test_values_are_unchanged_where_enough_equal_ones_follow_each_other() -> None:
    values = _frames(9)
    values[1 : 1 + UNCHANGED_FRAMES, 1, 1] = 999.0
    values[: UNCHANGED_FRAMES - 1, 2, 2] = 999.0  # one too few
    assert _absent(values).unchanged == UNCHANGED_FRAMES / 180


def test_a_short_cube_and_copies_at_the_beginning_are_not_unchanged() -> None:
    """The authors' first frames are copies of one."""
    values = np.concatenate([_frames(1)] * 10 + [_frames(8) + 0.5])
    assert _absent(values[: UNCHANGED_FRAMES - 1]).unchanged == 0.0
    assert _absent(values, n_frozen=9).unchanged == 0.0
    assert _absent(values, n_frozen=0).unchanged == 10 / 18


def test_off_disk_pixels_are_not_missing() -> None:
    """A corner of 6 pixels in all frames, and 2 more in the first two."""
    values = _frames(8)
    values[:, :2, :3] = np.nan
    values[:2, 2, :2] = np.nan
    assert _absent(values) == AbsentValues(off_disk=0.3, without_value=0.0, missing=0.0, unchanged=0.0)


@pytest.mark.parametrize("code", [np.nan, 0.0])
@pytest.mark.parametrize(("size", "verdict"), [(8, "ok"), (10, "warned"), (56, "warned"), (58, "refused")])
def test_a_hole_is_said_with_its_fraction_and_a_large_one_is_refused(
    tmp_path: Path, code: float, size: int, verdict: str
) -> None:
    """Bounds of 1 % and 40 % of 8100 pixels: 81 and 3240."""
    field = FIELD.copy()
    field[:, 20 : 20 + size, 20 : 20 + size] = code
    report = _check(tmp_path, field)
    assert report.verdict == Verdict(verdict)
    if verdict != "ok":
        assert f"{size**2 / 8100:.0%} of its on-disk pixels have no value in any frame" in report.reasons[0]


def test_a_cube_that_check_refuses_is_not_gridded(tmp_path: Path) -> None:
    """Every other row is missing; training and scoring get the same sentence."""
    field = FIELD.copy()
    field[:, 1::2] = np.nan
    report = _check(tmp_path, field)
    with pytest.raises(CubeError) as refused:
        to_grid(read_cube(tmp_path / "C.fits"), MDI)
    assert report.reasons == (str(refused.value),)
    assert "C: 49% of its on-disk pixels" in report.reasons[0]  # the last row is off-disk by its corners


def test_a_hole_that_begins_late_and_a_video_that_stands_still_are_warned(tmp_path: Path) -> None:
    """Of the 40 frames the last 10 of the half, or of the whole, are concerned."""
    hole, zeros, still, left = FIELD.copy(), FIELD.copy(), FIELD.copy(), FIELD.copy()
    hole[30:, 20:65] = np.nan
    zeros[30:, 20:65] = 0.0
    still[30:] = still[30]
    left[:, :, :30] = np.nan
    found = [_check(tmp_path, field) for field in (hole, zeros, still, left)]
    assert [report.verdict for report in found] == [Verdict.WARNED] * 4
    assert [report.reasons[0].split(":")[0] for report in found] == [
        "12% of its on-disk values are missing and interpolated from other frames",
        "12% of its on-disk values stay exactly the same for 6 frames or more, and noise changes them in an observed "
        "video",
        "25% of its on-disk values stay exactly the same for 6 frames or more, and noise changes them in an observed "
        "video",
        "33% of its pixels are coded as off-disk in all frames",
    ]


def test_a_patch_at_the_limb_is_ok(tmp_path: Path) -> None:
    """The limb crosses the patch; at most half of it is off-disk at first, and nothing at last."""
    field = np.where(np.arange(90) < 45 - 3 * np.arange(N_FRAMES)[:, None, None], np.nan, FIELD)
    report = _check(tmp_path, field.astype(np.float32))
    assert (report.verdict, report.reasons) == (Verdict.OK, ())
