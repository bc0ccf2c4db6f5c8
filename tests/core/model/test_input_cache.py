"""Network inputs and local growths kept in a folder."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from helioloop.model.frames_as_channels import FramesAsChannels
from helioloop.model.input_cache import GrowthCache, InputCache
from helioloop.model.per_frame import PerFrame
from helioloop.records.cubes import CubeInfo
from helioloop.records.instrument import MDI, Instrument

TINY = Instrument(name="tiny", cadence_seconds=5760.0, n_frames=6, size_px=12, clip_gauss=1000.0, frozen_frames=2)


CUBE = CubeInfo(release="r", name="c", sha256="ab" * 32)


class CountingLoad:
    """Returns a cube whose field grows, and counts the calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, _: CubeInfo) -> np.ndarray:
        self.calls += 1
        return 0.5 + np.linspace(0.0, 0.2, 6)[:, None, None] * np.ones((6, 12, 12))


def test_a_prepared_input_is_kept_and_a_damaged_file_is_replaced(tmp_path: Path) -> None:
    """The second read loads no cube; a truncated file is prepared again."""
    load = CountingLoad()
    cache = InputCache(architecture=PerFrame(), instrument=TINY, load=load, folder=tmp_path)
    first = cache(CUBE)
    np.testing.assert_array_equal(cache(CUBE), first)
    assert load.calls == 1
    (path,) = tmp_path.rglob("*.npy")
    path.write_bytes(path.read_bytes()[:40])
    np.testing.assert_array_equal(cache(CUBE), first)
    assert load.calls == 2


def test_inputs_without_a_format_are_not_kept(tmp_path: Path) -> None:
    """Those of the authors' network are as large as the cube."""
    load = CountingLoad()
    cache = InputCache(architecture=FramesAsChannels(), instrument=TINY, load=load, folder=tmp_path)
    np.testing.assert_array_equal(cache(CUBE), cache(CUBE))
    assert load.calls == 2
    assert list(tmp_path.iterdir()) == []


GRID = replace(MDI, n_frames=60, size_px=18, frozen_frames=0)


class CountingBipole:
    """Returns a cube with a bipole from frame 30 on, and counts the calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, _: CubeInfo) -> np.ndarray:
        self.calls += 1
        cube = np.full((GRID.n_frames, 18, 18), 0.5)
        cube[30:, 6:12, :6], cube[30:, 6:12, 6:12] = 0.6, 0.4
        return cube


def test_a_growth_is_kept_for_each_grid_and_a_damaged_file_is_replaced(tmp_path: Path) -> None:
    """200 G are 175/9 G in the square. The patch's degrees are a part of the grid; without a folder nothing is kept."""
    load = CountingBipole()
    cache = GrowthCache(instrument=GRID, patch_deg=3.0, load=load, folder=tmp_path)
    first = cache(CUBE)
    assert first == pytest.approx((175.0 / 9.0 + 4.0) / 4.0, rel=1e-3)
    assert (cache(CUBE), load.calls) == (first, 1)
    (path,) = tmp_path.rglob("*.npy")
    path.write_bytes(path.read_bytes()[:40])
    assert (cache(CUBE), load.calls) == (first, 2)
    np.save(path, np.zeros(3))
    assert (cache(CUBE), load.calls) == (first, 3)
    other = replace(cache, patch_deg=4.5)
    assert other(CUBE) != first
    assert load.calls == 4
    nowhere = replace(cache, folder=None)
    assert (nowhere(CUBE), nowhere(CUBE), load.calls) == (first, first, 6)


def test_a_growth_that_is_not_measured_is_kept_as_well(tmp_path: Path) -> None:
    """A patch of nine degrees has two pixels per degree: None is read back without the cube."""
    load = CountingBipole()
    cache = GrowthCache(instrument=GRID, patch_deg=9.0, load=load, folder=tmp_path)
    assert (cache(CUBE), cache(CUBE), load.calls) == (None, None, 1)
