"""The loader: each file of a cube is opened once, and frames are gridded only if the cache does not have them."""

import io
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helioloop.data import cache
from helioloop.data.cubes import CubeFiles, hash_cube, write_cube
from helioloop.data.gridding import to_grid
from helioloop.data.loader import Loader
from helioloop.errors import CubeError
from helioloop.records.cubes import CubeInfo
from helioloop.records.instrument import Instrument
from helioloop.records.labels import Label

TOY = Instrument(name="TOY", cadence_seconds=100.0, n_frames=5, size_px=8, clip_gauss=1000.0, frozen_frames=1)
NAME = "X_20010203"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Write a small cube into a release."""
    path = tmp_path / "releases" / "r" / f"{NAME}.fits"
    field = np.random.default_rng(0).normal(0.0, 50.0, (3, 8, 8))
    write_cube(path, field, np.array([0.0, 200.0, 400.0]), start="2001-02-03T04:05:06", region="R9", instrument=TOY)
    return path


@pytest.fixture
def loader(tmp_path: Path) -> Loader:
    """A loader of that release with an empty cache."""
    return Loader(roots=(tmp_path / "releases",), cache=tmp_path / "cache", instrument=TOY)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count how often files named ….fits are opened, hashed and gridded."""
    counted: Counter[str] = Counter()
    io_open, grid, sha256 = io.open, to_grid, CubeFiles.sha256

    def counting_open(path: Any, *args: Any, **kwargs: Any) -> Any:
        counted[f"open {Path(path).name}"] += str(path).endswith(".fits")
        return io_open(path, *args, **kwargs)

    def counting_grid(*args: Any) -> Any:
        counted["grid"] += 1
        return grid(*args)

    def counting_hash(files: CubeFiles) -> str:
        counted["hash"] += 1
        return sha256.fget(files)  # type: ignore[attr-defined]

    monkeypatch.setattr(io, "open", counting_open)
    monkeypatch.setattr(cache, "to_grid", counting_grid)
    monkeypatch.setattr(CubeFiles, "sha256", property(counting_hash))
    return counted


def test_a_record_has_what_training_needs(file: Path, loader: Loader) -> None:
    """A cube has its name, hash, start, region and label; its release is its folder."""
    cube, gridded = loader.parse(loader.read_files("r", NAME), label=Label.EMERGENCE, verified=True)
    assert cube == CubeInfo(
        release="r", name=NAME, sha256=hash_cube(file),
        start="2001-02-03T04:05:06", region="R9", label=Label.EMERGENCE, verified=True,
    )  # fmt: skip
    np.testing.assert_array_equal(gridded, loader(cube))


@pytest.mark.usefixtures("file")
def test_a_cube_that_is_not_cached_is_opened_hashed_and_gridded_once(loader: Loader, calls: Counter[str]) -> None:
    """Record and frames come from one reading of the file."""
    _, gridded = loader.parse(loader.read_files("r", NAME))
    assert +calls == {f"open {NAME}.fits": 1, "hash": 1, "grid": 1}
    assert gridded.shape == (5, 8, 8)
    assert not gridded.flags.writeable


@pytest.mark.usefixtures("file")
def test_a_cached_cube_is_opened_once_and_not_gridded(loader: Loader, calls: Counter[str]) -> None:
    """The second reading returns the same record and frames."""
    first_cube, first = loader.parse(loader.read_files("r", NAME))
    calls.clear()
    cube, gridded = loader.parse(loader.read_files("r", NAME))
    assert +calls == {f"open {NAME}.fits": 1, "hash": 1}
    assert cube == first_cube
    np.testing.assert_array_equal(gridded, first)
    assert not gridded.flags.writeable


def test_a_changed_file_is_another_cube(file: Path, loader: Loader) -> None:
    """New content under the same name is gridded anew, though the cache has the old one."""
    old, _ = loader.parse(loader.read_files("r", NAME))
    field = np.random.default_rng(1).normal(0.0, 50.0, (5, 8, 8))
    write_cube(file, field, np.arange(5) * 100.0, start=None, region="R9", instrument=TOY)
    new, gridded = loader.parse(loader.read_files("r", NAME))
    assert new.sha256 == hash_cube(file) != old.sha256
    np.testing.assert_allclose(gridded, 0.5 + field / 2000.0, atol=1e-3)


def test_a_file_outside_the_release_roots_is_not_opened(tmp_path: Path, file: Path, loader: Loader) -> None:
    """A link that leads out of the root is an error, and so is a name that is a path."""
    file.rename(tmp_path / file.name)
    file.symlink_to(tmp_path / file.name)
    with pytest.raises(CubeError, match="link out of its release root"):
        loader.read_files("r", NAME)
    with pytest.raises(CubeError, match="not allowed"):
        loader.read_files("..", NAME)
    with pytest.raises(CubeError, match=r"restore its file, remove it from labels\.csv"):
        loader.read_files("r", "absent")
