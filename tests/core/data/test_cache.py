"""The cache returns the same arrays as gridding does, whatever happened to its files."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from helioloop.data.cache import CubeCache
from helioloop.data.cubes import hash_cube, read_cube, write_cube
from helioloop.data.gridding import to_grid
from helioloop.errors import CubeError
from helioloop.records.instrument import Instrument

TOY = Instrument(name="TOY", cadence_seconds=100.0, n_frames=5, size_px=8, clip_gauss=1000.0, frozen_frames=1)


@pytest.fixture
def cube(tmp_path: Path) -> tuple[Path, str]:
    """Write a small cube with a corner off the disk; return its path and hash."""
    field = np.random.default_rng(0).normal(0.0, 50.0, (3, 8, 8))
    field[:, 0, :3] = np.nan
    path = tmp_path / "C_20010101.fits"
    write_cube(path, field, np.array([0.0, 200.0, 400.0]), start=None, region=None, instrument=TOY)
    return path, hash_cube(path)


def test_a_cached_cube_needs_no_file(tmp_path: Path, cube: tuple[Path, str]) -> None:
    """The second load equals the first and does not open the cube's file."""
    path, sha256 = cube
    cache = CubeCache(tmp_path / "cache", TOY)
    first = cache.load(path, sha256)
    path.unlink()
    second = cache.load(path, sha256)
    assert first.dtype == second.dtype == np.float16
    np.testing.assert_array_equal(second, first)
    assert not first.flags.writeable
    assert not second.flags.writeable


def test_rounding_is_under_half_a_gauss(tmp_path: Path, cube: tuple[Path, str]) -> None:
    """Half precision costs at most 0.5 G and keeps the off-disk mask."""
    path, sha256 = cube
    exact = to_grid(read_cube(path), TOY)
    cached = CubeCache(tmp_path / "cache", TOY).load(path, sha256).astype(np.float32)
    assert np.nanmax(np.abs(cached - exact)) * 2000.0 <= 0.5
    np.testing.assert_array_equal(np.isnan(cached), np.isnan(exact))
    assert np.isnan(cached).any()


def test_another_grid_is_another_entry(tmp_path: Path, cube: tuple[Path, str]) -> None:
    """Two grids in one folder have separate entries; the name of the instrument is not part of the grid."""
    path, sha256 = cube
    CubeCache(tmp_path / "cache", TOY).load(path, sha256)
    assert CubeCache(tmp_path / "cache", replace(TOY, n_frames=9)).load(path, sha256).shape == (9, 8, 8)
    CubeCache(tmp_path / "cache", replace(TOY, name="OTHER")).load(path, sha256)
    assert len(list((tmp_path / "cache").rglob("*.npy"))) == 2


@pytest.mark.parametrize("damage", ["empty", "truncated", "foreign", "other shape", "pickle"])
def test_broken_entries_are_made_anew(
    tmp_path: Path, cube: tuple[Path, str], damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A broken entry is made anew, and the log has a warning."""
    path, sha256 = cube
    cache = CubeCache(tmp_path / "cache", TOY)
    expected = np.array(cache.load(path, sha256))
    (entry,) = (tmp_path / "cache").rglob("*.npy")
    whole = entry.read_bytes()
    match damage:
        case "empty":
            entry.write_bytes(b"")
        case "truncated":
            entry.write_bytes(whole[:-1])
        case "foreign":
            entry.write_bytes(b"<html>" * 100)
        case "other shape":
            np.save(entry, expected[:2])
        case _:
            np.save(entry, np.array([{}], dtype=object), allow_pickle=True)
    np.testing.assert_array_equal(cache.load(path, sha256), expected)
    assert "made anew" in caplog.text
    assert entry.read_bytes() == whole


def test_a_cube_that_cannot_be_cached_is_gridded_each_time(
    tmp_path: Path, cube: tuple[Path, str], caplog: pytest.LogCaptureFixture
) -> None:
    """If nothing can be written, cubes are loaded all the same, and the log has a warning."""
    path, sha256 = cube
    (tmp_path / "cache").write_text("a file where the folder should be")
    with caplog.at_level(logging.WARNING):
        assert CubeCache(tmp_path / "cache", TOY).load(path, sha256).shape == (5, 8, 8)
    assert "cannot be used (Not a directory), and what it lacks is made again" in caplog.text


def test_changed_content_is_an_error(tmp_path: Path, cube: tuple[Path, str]) -> None:
    """A file with another hash than the one asked for is not cached."""
    path, _ = cube
    with pytest.raises(CubeError, match="when it was ingested"):
        CubeCache(tmp_path / "cache", TOY).load(path, "0" * 64)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("sha256", ["", "../../etc/passwd", "A" * 64, "0" * 63])
def test_only_hashes_are_looked_up(tmp_path: Path, cube: tuple[Path, str], sha256: str) -> None:
    """A value that is not a hash never becomes part of a path."""
    with pytest.raises(CubeError, match="not a content hash"):
        CubeCache(tmp_path / "cache", TOY).load(cube[0], sha256)
