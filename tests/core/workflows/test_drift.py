"""Drift in small synthetic releases, with a version that was trained on one of them."""

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from helioloop.data.cubes import CubeFiles, write_cube
from helioloop.data.loader import Loader
from helioloop.data.release import Release
from helioloop.evaluation.drift import NO_DRIFT, Drift
from helioloop.model.device import CPU
from helioloop.model.plan import Plan
from helioloop.model.recipes import QUICK
from helioloop.model.runtime import Runtime
from helioloop.records.cubes import CubeInfo
from helioloop.records.instrument import MDI
from helioloop.records.profiles import BUILT_IN
from helioloop.registry.trained_fields import TRAINED_FIELDS_FILE, read_trained_fields
from helioloop.registry.versions import Registry
from helioloop.synthetic import making
from helioloop.workflows import releases
from helioloop.workflows.drift import one_per_region, release_drift
from helioloop.workflows.fields import Measure, keep_trained_fields, measure_fields
from helioloop.workflows.readable_cubes import readable_cubes

SMALL = replace(MDI, size_px=30, n_frames=75, cadence_seconds=17280.0, frozen_frames=10)
TINY = replace(QUICK, epochs=2, min_steps=0, batch=8, folds=2, dropouts=(0.2,))
N_TRAINED, N_NEW = 30, 18


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A version, the release it was trained on and another one of the same generator."""

    folder: Path
    registry: Registry
    runtime: Runtime

    def cubes(self, name: str) -> list[CubeInfo]:
        return readable_cubes(Release.open(self.folder / name), self.runtime)

    def drift(self, name: str) -> Drift:
        return release_drift(self.cubes(name), self.registry, self.runtime, version="v0001")

    def altered(self, name: str, change: Callable[[np.ndarray], np.ndarray]) -> str:
        """Write the new release with another field, and return its name."""
        (self.folder / name).mkdir()
        shutil.copy(self.folder / "new" / "labels.csv", self.folder / name)
        for path in sorted((self.folder / "new").glob("*.fits")):
            cube = CubeFiles.read(path).cube()
            field = np.where(cube.observed_gauss > -1999.0, change(cube.observed_gauss), cube.observed_gauss)
            write_cube(
                self.folder / name / path.name, field, cube.seconds, start=cube.start, region=cube.region,
                instrument=SMALL,
            )  # fmt: skip
        return name


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trained]:
    """Two releases, and two members that were trained on one of them for two epochs."""
    folder = tmp_path_factory.mktemp("drift")
    runtime = Runtime(
        instrument=SMALL,
        profile=replace(BUILT_IN["mdi"], name="small", instrument=SMALL),
        load=Loader(roots=(folder,), cache=folder / "cache", instrument=SMALL),
        device=CPU,
        inputs=folder / "cache" / "inputs",
    )
    registry = Registry(folder / "models")
    with pytest.MonkeyPatch.context() as patch:
        # starting processes takes longer than what they do here
        patch.setattr(making, "make_pool", lambda *_, **__: ThreadPoolExecutor(1))
        patch.setattr(releases, "process_count", lambda *_: 1)
        making.make_release(folder / "old", n=N_TRAINED, seed=3, instrument=SMALL)
        making.make_release(folder / "new", n=N_NEW, seed=4, instrument=SMALL)
        old = Release.open(folder / "old")
        releases.train_release(old, registry, runtime, recipe=TINY, seed=0, forced=False)
        yield Trained(folder=folder, registry=registry, runtime=runtime)


def test_the_statistics_of_the_cubes_trained_on_are_kept_with_the_version(trained: Trained) -> None:
    """Written once: a repeated step reads no cube."""
    folder = trained.registry.folder("v0001")
    plan, fields = Plan.read(folder), read_trained_fields(folder)
    assert fields is not None
    assert fields.keys() == {cube.key for cube in plan.labelled}
    assert 10.0 < np.median([field.noise_gauss for field in fields.values()]) < 25.0
    keep_trained_fields(plan, folder, _unreadable(trained))


def test_the_next_round_measures_only_cubes_that_its_parent_lacks(trained: Trained) -> None:
    """Here none, because all are the same; with another code all of them, and no cube may be read here."""
    old = Plan.read(trained.registry.folder("v0001"))
    plan = replace(old, parent="v0001", saved_fingerprint=None)
    folder = trained.registry.staging("ab" * 32)
    keep_trained_fields(plan, folder, _unreadable(trained))
    assert read_trained_fields(folder) == read_trained_fields(trained.registry.folder("v0001"))
    other = trained.registry.staging("cd" * 32)
    for different in (replace(plan, code_version="another"), replace(plan, parent=None), replace(plan, parent="v0007")):
        with pytest.raises(AssertionError):
            keep_trained_fields(different, other, _unreadable(trained))


def test_a_release_of_another_seed_is_alike(trained: Trained) -> None:
    assert trained.drift("new") == NO_DRIFT


def test_noise_that_is_added_until_it_is_doubled_is_found(trained: Trained) -> None:
    """The values are those of the two releases."""
    rng = np.random.default_rng(1)
    name = trained.altered("noisy", lambda field: field + rng.normal(0.0, 28.0, field.shape))
    reasons = trained.drift(name).reasons
    assert reasons[0].startswith("noise ")
    now, before = (float(part.split(" G")[0].split()[-1]) for part in reasons[0].split(", and "))
    assert 1.7 < now / before < 2.6


@pytest.mark.parametrize(("name", "factor"), [("strong", 1.4), ("weak", 0.7)])
def test_a_scaled_field_is_found(trained: Trained, name: str, factor: float) -> None:
    reasons = trained.drift(trained.altered(name, lambda field: field * factor)).reasons
    assert any(reason.startswith("noise ") for reason in reasons)


def test_the_release_trained_on_is_alike_and_no_cube_of_it_is_measured(trained: Trained) -> None:
    cubes = trained.cubes("old")
    runtime = replace(trained.runtime, load=_no_cube)
    assert release_drift(cubes, trained.registry, runtime, version="v0001") == NO_DRIFT


def test_cubes_that_joined_the_release_are_compared_with_those_trained_on(trained: Trained) -> None:
    """The release has grown by cubes with another field."""
    grown = trained.cubes("old") + trained.cubes(trained.altered("grown", lambda field: field * 2.5))
    assert release_drift(grown, trained.registry, trained.runtime, version="v0001").found


def test_a_few_replaced_files_do_not_prevent_the_comparison(trained: Trained) -> None:
    """Three cubes trained on are no longer in the release; the cubes that joined are compared with all trained on."""
    grown = trained.cubes("old")[3:] + trained.cubes("new")
    assert release_drift(grown, trained.registry, trained.runtime, version="v0001") == NO_DRIFT


def test_a_release_is_compared_with_the_sample_that_is_given(trained: Trained) -> None:
    """With cubes of its own it is alike; ten cubes and a few others are enough for that."""
    cubes = trained.cubes("old")
    drift = release_drift(
        cubes, trained.registry, trained.runtime, version="v0001", sampled={cube.name for cube in cubes[::2]}
    )
    assert drift == NO_DRIFT


def test_another_profile_is_a_reason(trained: Trained) -> None:
    other = replace(trained.runtime, profile=replace(BUILT_IN["hmi"], instrument=SMALL))
    (reason, *_) = release_drift(trained.cubes("new"), trained.registry, other, version="v0001").reasons
    assert "was trained on profile 'small' (MDI, 1 to the MDI scale), the release has 'hmi'" in reason


def test_drift_from_a_version_without_statistics_is_unknown(trained: Trained, tmp_path: Path) -> None:
    """Made by an earlier helioloop; nothing is found, and the reason is given."""
    shutil.copytree(trained.registry.root, tmp_path / "models")
    registry = Registry(tmp_path / "models")
    (registry.folder("v0001") / TRAINED_FIELDS_FILE).unlink()
    drift = release_drift(trained.cubes("new"), registry, trained.runtime, version="v0001")
    assert not drift.found
    assert "v0001 was made before helioloop kept statistics" in drift.sentences()[0]


def test_a_region_counts_once() -> None:
    """Whatever the order; each cube without region counts by itself."""
    cubes = [
        CubeInfo(release="r", name=name, sha256=sha256 * 64, region=region)
        for name, sha256, region in (("a", "2", "x"), ("b", "1", "x"), ("c", "3", None), ("d", "4", None))
    ]
    assert [cube.name for cube in one_per_region(cubes)] == ["b", "c", "d"]
    assert one_per_region(cubes[::-1]) == one_per_region(cubes)


def _unreadable(trained: Trained) -> Measure:
    """Measures the fields of cubes of which none can be read."""
    return lambda cubes: measure_fields(cubes, replace(trained.runtime, load=_no_cube))


def _no_cube(_: CubeInfo) -> np.ndarray:
    """Fail: no cube is needed."""
    raise AssertionError
