"""Workflows over a release: its cubes are read once, whatever comes after."""

import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helioloop.data import cache
from helioloop.data.cubes import CubeFiles, write_cube
from helioloop.data.gridding import to_grid
from helioloop.data.loader import Loader
from helioloop.data.release import LabelRow, Release, write_labels
from helioloop.errors import CubeError, ReleaseError, TooFewLabels, UnknownVersion
from helioloop.model.device import choose_device
from helioloop.model.recipes import find_recipe
from helioloop.model.runtime import Runtime
from helioloop.records.instrument import Instrument
from helioloop.records.labels import Label
from helioloop.registry.versions import Registry
from helioloop.workflows.readable_cubes import readable_cubes
from helioloop.workflows.releases import train_release

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


def _runtime(folder: Path, excluded: dict[str, CubeError]) -> Runtime:
    return Runtime(
        instrument=TOY,
        load=Loader(roots=(folder,), cache=folder / "cache", instrument=TOY),
        device=choose_device("cpu"),
        on_excluded=excluded.__setitem__,
    )


def test_where_no_cube_is_readable_the_most_frequent_reason_is_given(tmp_path: Path, release: Release) -> None:
    """And not that labels are few."""
    for name in "AB":
        (tmp_path / "r" / f"{name}.fits").write_text("<html>")
    excluded: dict[str, CubeError] = {}
    with pytest.raises(
        ReleaseError, match=r"all 3 cubes of release r were refused; the reason of 2 of 3: B\.fits: it beg"
    ):
        readable_cubes(release, _runtime(tmp_path, excluded))
    assert list(excluded) == ["B", "C", "A"]


def test_any_error_of_one_cube_excludes_it_alone(
    tmp_path: Path, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = CubeFiles.read

    def failing(path: Path) -> CubeFiles:
        if path.name == "B.fits":
            raise OSError(36, "File name too long")
        return read(path)

    monkeypatch.setattr(CubeFiles, "read", failing)
    excluded: dict[str, CubeError] = {}
    assert [cube.name for cube in readable_cubes(release, _runtime(tmp_path, excluded))] == ["A"]
    assert "B cannot be prepared (OSError: [Errno 36] File name too long)" in str(excluded["B"])


def test_too_few_labels_name_the_cubes_that_were_excluded(tmp_path: Path, release: Release) -> None:
    with pytest.raises(
        TooFewLabels, match="1 of 3 cubes of release r were excluded; of the others, 2 cubes are labelled"
    ):
        train_release(
            release,
            Registry(tmp_path / "models"),
            _runtime(tmp_path, {}),
            recipe=find_recipe("quick", gpu=False),
            seed=0,
            forced=False,
        )


def test_a_published_version_that_is_missing_is_named_before_anything_is_read(
    tmp_path: Path, release: Release, counted: Counter[str]
) -> None:
    """Training takes hours, and nothing could be published after it."""
    registry = Registry(tmp_path / "models")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "published.json").write_text('{"version": "v0001"}')
    loader = Loader(roots=(tmp_path,), cache=tmp_path / "cache", instrument=TOY)
    runtime = Runtime(instrument=TOY, load=loader, device=choose_device("cpu"))
    recipe = find_recipe("quick", gpu=False)
    with pytest.raises(UnknownVersion, match="has published v0001 and no folder of it"):
        train_release(release, registry, runtime, recipe=recipe, seed=0, forced=False)
    assert not counted


def test_each_cube_is_read_once_and_gridded_if_it_is_not_cached(
    tmp_path: Path, release: Release, counted: Counter[str]
) -> None:
    """Cubes come in the order of the table with its labels; the one without a file is excluded with the reason."""
    excluded: dict[str, CubeError] = {}
    runtime = _runtime(tmp_path, excluded)
    cubes = readable_cubes(release, runtime)
    assert [(cube.name, cube.label, cube.verified) for cube in cubes] == [
        ("B", Label.EMERGENCE, True), ("A", Label.EMERGENCE, False),
    ]  # fmt: skip
    assert list(excluded) == ["C"]
    assert "cube 'C' of release 'r' is in none of the release roots" in str(excluded["C"])
    assert counted == {"read A.fits": 1, "read B.fits": 1, "grid": 2}
    assert readable_cubes(release, runtime) == cubes
    assert counted == {"read A.fits": 2, "read B.fits": 2, "grid": 2}


@pytest.mark.parametrize(
    ("rows", "counts", "words"),
    [
        ({"A": (None, False), "copy": (None, False)}, "A", "the content of cube A"),
        ({"A": (None, False), "copy": (Label.EMERGENCE, False)}, "copy", "none of A is not used, emergence of copy is"),
        ({"A": (Label.NON_EMERGENCE, False), "copy": (Label.EMERGENCE, True)}, "copy", "non-emergence of A is not"),
    ],
)
def test_of_copies_under_two_names_one_counts(
    tmp_path: Path, release: Release, rows: dict[str, tuple[Label | None, bool]], counts: str, words: str
) -> None:
    """The verified one, else the labelled one, else the first; the other is excluded and differing labels are named."""
    shutil.copy(release.folder / "A.fits", release.folder / "copy.fits")
    given = tuple(LabelRow(cube=cube, label=label, verified=verified) for cube, (label, verified) in rows.items())
    excluded: dict[str, CubeError] = {}
    cubes = readable_cubes(replace(release, rows=(*given, release.rows[0])), _runtime(tmp_path, excluded))
    assert [cube.name for cube in cubes] == [counts, "B"]
    ((other, error),) = excluded.items()
    assert {other, counts} == {"A", "copy"}
    assert words in str(error)
