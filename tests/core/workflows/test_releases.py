"""Workflows over a release: its cubes are read once, whatever comes after."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helioloop.data import cache
from helioloop.data.cubes import CubeFiles, write_cube
from helioloop.data.gridding import to_grid
from helioloop.data.loader import Loader
from helioloop.data.release import LabelRow, Release, write_labels
from helioloop.errors import CubeError
from helioloop.model.device import choose_device
from helioloop.model.runtime import Runtime
from helioloop.records.instrument import Instrument
from helioloop.records.labels import Label
from helioloop.workflows.releases import readable_cubes

TOY = Instrument(name="TOY", cadence_seconds=100.0, n_frames=5, size_px=8, clip_gauss=1000.0, frozen_frames=1)


@pytest.fixture
def release(tmp_path: Path) -> Release:
    """A release of the cubes B and A, and a row for C without a file."""
    folder = tmp_path / "r"
    for seed, name in enumerate("AB"):
        field = np.random.default_rng(seed).normal(0.0, 50.0, (3, 8, 8))
        write_cube(
            folder / f"{name}.fits", field, np.array([0.0, 200.0, 400.0]), start=None, region=None, instrument=TOY
        )
    rows = [LabelRow(cube=cube, label=Label.EMERGENCE, verified=cube == "B") for cube in "BCA"]
    write_labels(folder / "labels.csv", rows)
    return Release.open(folder)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count how often cubes are read and gridded."""
    calls: Counter[str] = Counter()
    read = CubeFiles.read

    def counting_read(path: Path) -> CubeFiles:
        calls[f"read {path.name}"] += 1
        return read(path)

    def counting_grid(*args: Any) -> Any:
        calls["grid"] += 1
        return to_grid(*args)

    monkeypatch.setattr(CubeFiles, "read", counting_read)
    monkeypatch.setattr(cache, "to_grid", counting_grid)
    return calls


def test_each_cube_is_read_once_and_gridded_if_it_is_not_cached(
    tmp_path: Path, release: Release, counted: Counter[str]
) -> None:
    """Cubes come in the order of the table with its labels; the one without a file is excluded with the reason."""
    excluded: dict[str, CubeError] = {}
    runtime = Runtime(
        instrument=TOY,
        load=Loader(roots=(tmp_path,), cache=tmp_path / "cache", instrument=TOY),
        device=choose_device("cpu"),
        on_excluded=excluded.__setitem__,
    )
    cubes = readable_cubes(release, runtime)
    assert [(cube.name, cube.label, cube.verified) for cube in cubes] == [
        ("B", Label.EMERGENCE, True), ("A", Label.EMERGENCE, False),
    ]  # fmt: skip
    assert list(excluded) == ["C"]
    assert "cube 'C' of release 'r' is in none of the release roots" in str(excluded["C"])
    assert counted == {"read A.fits": 1, "read B.fits": 1, "grid": 2}
    assert readable_cubes(release, runtime) == cubes
    assert counted == {"read A.fits": 2, "read B.fits": 2, "grid": 2}
