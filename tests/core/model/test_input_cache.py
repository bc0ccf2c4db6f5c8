"""Network inputs kept in a folder."""

from pathlib import Path

import numpy as np

from helioloop.model.frames_as_channels import FramesAsChannels
from helioloop.model.input_cache import InputCache
from helioloop.model.per_frame import PerFrame
from helioloop.records.cubes import CubeInfo
from helioloop.records.instrument import Instrument

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
