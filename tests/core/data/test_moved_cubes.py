"""Cubes are found by content where their release was renamed or they were moved."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from helioloop.data.cubes import CubeFiles, write_cube
from helioloop.data.loader import Loader
from helioloop.data.moved_cubes import missing_sentence, other_places
from helioloop.errors import CubeError
from helioloop.records.cubes import CubeInfo
from helioloop.records.instrument import Instrument

SMALL = Instrument(name="small", cadence_seconds=5760.0, n_frames=6, size_px=8, clip_gauss=1000.0, frozen_frames=1)


def write(path: Path, seed: int = 0) -> Path:
    """Write a cube of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    field = np.random.default_rng(seed).normal(0.0, 20.0, (SMALL.n_frames, SMALL.size_px, SMALL.size_px))
    seconds = np.arange(SMALL.n_frames) * SMALL.cadence_seconds
    write_cube(path, field, seconds, start="2001-01-01T00:00:00", region="r", instrument=SMALL)
    return path


@pytest.fixture
def cube(tmp_path: Path) -> CubeInfo:
    """The cube ``a`` of the release ``first``, with nothing in the cache."""
    sha256 = CubeFiles.read(write(tmp_path / "one" / "first" / "a.fits")).sha256
    return CubeInfo(release="first", name="a", sha256=sha256, start=None, region="r")


@pytest.fixture
def loader(tmp_path: Path) -> Loader:
    """A loader of two roots."""
    return Loader(roots=(tmp_path / "one", tmp_path / "two"), cache=tmp_path / "cache", instrument=SMALL)


@pytest.mark.parametrize("place", ["one/second", "two/second", "two/first"])
def test_a_renamed_or_moved_release_is_read(tmp_path: Path, loader: Loader, cube: CubeInfo, place: str) -> None:
    """Also where its cubes are not in the cache."""
    (tmp_path / "two").mkdir()
    (tmp_path / "one" / "first").rename(tmp_path / place)
    assert loader(cube).shape == (6, 8, 8)


@pytest.mark.parametrize("place", ["one/second", "two/second", "two/first"])
def test_a_moved_cube_in_the_cache_is_kept(tmp_path: Path, loader: Loader, cube: CubeInfo, place: str) -> None:
    """It needs no other process; without any file of its name, or out of the cache, it is not."""
    (tmp_path / "two").mkdir()
    release = (tmp_path / "one" / "first").rename(tmp_path / place)
    assert not loader.is_kept(cube)
    loader(cube)
    assert loader.is_kept(cube)
    assert not loader.is_kept(replace(cube, sha256="0" * 64))
    assert not loader.is_kept(replace(cube, sha256="no hash"))
    (release / "a.fits").unlink()
    assert not loader.is_kept(cube)


def test_of_files_of_one_name_the_one_with_the_content_is_read(tmp_path: Path, loader: Loader, cube: CubeInfo) -> None:
    """The file in the release was replaced, and another release has another cube of this name."""
    (tmp_path / "one" / "first").rename(tmp_path / "one" / "third")
    write(tmp_path / "one" / "first" / "a.fits", seed=1)
    write(tmp_path / "one" / "second" / "a.fits", seed=2)
    found = loader(cube)
    files = CubeFiles.read(tmp_path / "one" / "third" / "a.fits")
    np.testing.assert_array_equal(found, loader.parse(files)[1])


def test_a_cube_that_is_nowhere_is_refused_as_before(tmp_path: Path, loader: Loader, cube: CubeInfo) -> None:
    """The sentence is about its own place."""
    (tmp_path / "one" / "first" / "a.fits").unlink()
    write(tmp_path / "one" / "second" / "a.fits", seed=2)
    with pytest.raises(CubeError, match="cube 'a' of release 'first' is in none of the release roots"):
        loader(cube)
    write(tmp_path / "one" / "first" / "a.fits", seed=1)
    with pytest.raises(CubeError, match="as when it was ingested"):
        loader(cube)


def test_nothing_outside_the_roots_and_nothing_hidden_is_read(tmp_path: Path) -> None:
    """Also with wildcards in the name of a cube."""
    outside = write(tmp_path / "outside" / "a.fits")
    write(tmp_path / "one" / ".hidden" / "a.fits")
    (tmp_path / "one" / "linked").mkdir()
    (tmp_path / "one" / "linked" / "a.fits").symlink_to(outside)
    write(tmp_path / "one" / "second" / "b.fits")
    assert other_places([tmp_path / "one"], "first", "a") == []
    assert other_places([tmp_path / "one"], "first", "*") == []
    assert other_places([tmp_path / "one"], "first", "b") == [tmp_path / "one" / "second" / "b.fits"]


def test_what_follows_from_a_release_without_a_folder() -> None:
    assert "release old, older is in none of the release roots" in missing_sentence(["old", "older"])
