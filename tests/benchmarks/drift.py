"""How often drift is found in releases that are alike, and in releases that are not; prints two tables.

Run it with ``python -m tests.benchmarks.drift``; half an hour on two cores. A version is trained on one release. Cubes
of other seeds are then measured and scored once each, and releases are drawn from them. It can be interrupted; the same
command continues.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy.stats import binomtest

from helioloop.data.cubes import Cube
from helioloop.data.field_statistics import field_statistics
from helioloop.data.gridding import to_grid
from helioloop.data.loader import Loader
from helioloop.data.release import Release
from helioloop.environment.pools import make_pool
from helioloop.evaluation.audit_sample import scoring_fold
from helioloop.evaluation.drift import DriftSample, find_drift
from helioloop.files import atomic
from helioloop.model.device import CPU
from helioloop.model.ensemble import Ensemble
from helioloop.model.plan import Plan
from helioloop.model.recipes import QUICK
from helioloop.model.runtime import Runtime
from helioloop.records.cubes import CubeInfo
from helioloop.records.field_statistics import FieldStatistics
from helioloop.records.instrument import MDI
from helioloop.records.profiles import BUILT_IN
from helioloop.registry.trained_fields import read_trained_fields
from helioloop.registry.versions import Registry
from helioloop.synthetic import draw_scenario, make_release
from helioloop.synthetic.observation import line_of_sight, observe
from helioloop.synthetic.surface import radial_deposit
from helioloop.workflows.drift import one_per_region
from helioloop.workflows.releases import train_release

TRAINED_SEED = 21
N_TRAINED = 240
POOL_SEEDS = (22, 23)
N_OF_SEED = 240
VARIED_SEED = 22
N_VARIED = 72
N_BLOCK = 60
SIZES = (30, 60, 120, 200)
DRAWS = 2000
RECIPE = replace(QUICK.in_epochs(2), pretrained="quick-flux-transport")
"""The releases are of the other generator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """An instrument: factors to the field and to the noise of the generator."""

    name: str
    field: float
    noise: float


LIKE = Variant(name="alike", field=1.0, noise=1.0)
VARIANTS = (
    Variant(name="noise doubled", field=1.0, noise=2.0),
    Variant(name="field and noise x 1.4", field=1.4, noise=1.4),
    Variant(name="field and noise x 0.7", field=0.7, noise=0.7),
    Variant(name="field / 1.4, noise x 0.4 (as HMI)", field=1.0 / 1.4, noise=0.4),
    Variant(name="field x 1.4, noise the same", field=1.4, noise=1.0),
    Variant(name="field x 0.7, noise the same", field=0.7, noise=1.0),
    Variant(name="field x 2, noise the same", field=2.0, noise=1.0),
)

REASONS = ("noise", "typical", "peaks", "probability")
"""First words of the reasons."""
Row = tuple[float, float, float, float]
"""Noise, typical field and its peaks in gauss, and probability of emergence of one cube."""


@lru_cache(maxsize=1)
def _ensembles(folder: Path) -> tuple[Plan, dict[int, Ensemble]]:
    ensemble = Ensemble.open(folder, device=CPU)
    folds = {member.fold for member in ensemble.plan.members}
    return ensemble.plan, {fold: ensemble.of_fold(fold) for fold in folds}


def measure(version: Path, seed: int, index: int, variants: Sequence[Variant]) -> tuple[str, list[Row]]:
    """Return the region of a cube, and its row for each variant."""
    plan, of_fold = _ensembles(version)
    scenario = draw_scenario(seed, index, MDI)
    clean = line_of_sight(radial_deposit(scenario, MDI), scenario, MDI)
    rows = []
    for variant in variants:
        tracking = replace(scenario.tracking, noise_gauss=scenario.tracking.noise_gauss * variant.noise)
        observed, seconds = observe(clean * np.float32(variant.field), replace(scenario, tracking=tracking), MDI)
        cube = Cube(
            name=scenario.name, observed_gauss=observed, seconds=seconds, start=scenario.start, start_scale="UTC",
            region=scenario.region,
        )  # fmt: skip
        gridded = to_grid(cube, MDI).astype(np.float16)
        found = field_statistics(gridded, clip_gauss=MDI.clip_gauss)
        if found is None:
            continue
        info = CubeInfo(release="r", name=scenario.name, sha256=f"{seed:032x}{index:032x}", region=None)

        def load(_: CubeInfo, gridded: np.ndarray = gridded) -> np.ndarray:
            return gridded

        runtime = Runtime(instrument=MDI, load=load, device=CPU)  # type: ignore[arg-type] - only called
        fold = scoring_fold(info, plan, [plan.folds[known.name] for known in plan.labelled])
        rows.append((*astuple(found), of_fold[fold].score(info, runtime).p_emergence))
    return f"{seed}-{scenario.region}", rows


def measured(folder: Path, version: Path, seed: int, *, n: int, variants: Sequence[Variant]) -> dict[str, list[Row]]:
    """Return the rows of a seed's first n cubes by variant, one cube per region; measured if the file is missing."""
    path = folder / f"seed{seed}-{n}-{len(variants)}.json"
    if not path.exists():
        with make_pool(2) as pool:
            tasks = [pool.submit(measure, version, seed, index, variants) for index in range(n)]
            by_region = dict(task.result() for task in tasks)
        rows = [rows for rows in by_region.values() if len(rows) == len(variants)]
        atomic.write_json(path, {variant.name: [row[k] for row in rows] for k, variant in enumerate(variants)})
        print(f"seed {seed} measured", flush=True)  # noqa: T201
    values: dict[str, list[Row]] = json.loads(path.read_text())
    return values


def train(folder: Path) -> Path:
    """Train a version of two epochs on a release, unless it is there, and return its folder."""
    registry = Registry(folder / "models")
    if registry.published() is None:
        make_release(folder / "trained", n=N_TRAINED, seed=TRAINED_SEED)
        runtime = Runtime(
            instrument=MDI,
            profile=BUILT_IN["mdi"],
            load=Loader(roots=(folder,), cache=folder / "cache", instrument=MDI),
            device=CPU,
            inputs=folder / "cache" / "inputs",
            on_excluded=lambda cube, error: print(f"{cube} is excluded: {error}"),  # noqa: T201
        )
        train_release(
            Release.open(folder / "trained"), registry, runtime, recipe=RECIPE, seed=0, forced=False
        )  # fmt: skip
    return registry.folder("v0001")


def sample(rows: np.ndarray) -> DriftSample:
    """Return rows as a sample."""
    return DriftSample(noise_gauss=rows[:, 0], typical_gauss=rows[:, 1], peak_gauss=rows[:, 2], p_emergence=rows[:, 3])


def trained_sample(version: Path) -> DriftSample:
    """Return the sample of the cubes that the version was trained on."""
    fields = read_trained_fields(version) or {}
    scores = Registry(version.parents[1]).scores(version.name)
    cubes = [cube for cube in one_per_region(Plan.read(version).labelled) if cube.key in fields]
    values: list[FieldStatistics] = [fields[cube.key] for cube in cubes]
    return sample(np.array([(*astuple(v), scores[c.key].p_emergence) for v, c in zip(values, cubes, strict=True)]))


def flagged(draw: Callable[[], np.ndarray], trained: DriftSample, draws: int) -> tuple[int, dict[str, int]]:
    """Return how many drawn releases are flagged, and for which reason how often."""
    n, by_reason = 0, dict.fromkeys(REASONS, 0)
    for _ in range(draws):
        reasons = find_drift(sample(draw()), trained).reasons
        n += bool(reasons)
        for reason in reasons:
            by_reason[reason.split()[0]] += 1
    return n, by_reason


def flagged_pairs(pool: np.ndarray, size: int, rng: np.random.Generator) -> tuple[int, dict[str, int]]:
    """Return as `flagged`, for two drawn releases without common cubes, one of them as if trained on.

    Both are drawn anew, so that no version that happens to be typical or not decides the result.
    """
    n, by_reason = 0, dict.fromkeys(REASONS, 0)
    for _ in range(DRAWS):
        order = rng.permutation(len(pool))
        reasons = find_drift(sample(pool[order[:size]]), sample(pool[order[size : 2 * size]])).reasons
        n += bool(reasons)
        for reason in reasons:
            by_reason[reason.split()[0]] += 1
    return n, by_reason


def line(name: str, size: int, n: int, draws: int, by_reason: dict[str, int]) -> str:
    """Return a row of a table."""
    interval = binomtest(n, draws).proportion_ci(method="exact")
    parts = "  ".join(f"{reason} {count / draws:.3f}" for reason, count in by_reason.items())
    return f"{name:36s} {size:5d} {n / draws:8.4f}  [{interval.low:.4f}, {interval.high:.4f}]   {parts}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("bench-data/drift"))
    folder = parser.parse_args().folder
    version = train(folder)
    trained = trained_sample(version)
    varied = measured(folder, version, VARIED_SEED, n=N_VARIED, variants=VARIANTS)
    alike = [
        row for seed in POOL_SEEDS for row in measured(folder, version, seed, n=N_OF_SEED, variants=(LIKE,))[LIKE.name]
    ]
    blocks = [alike[k : k + N_BLOCK] for k in range(0, len(alike) - N_BLOCK + 1, N_BLOCK)]
    rng = np.random.default_rng(0)
    print(f"{'releases':36s} cubes  flagged  95 % interval      by reason")  # noqa: T201
    whole, pool = iter(blocks), np.array(alike)
    n, reasons = flagged(lambda: np.array(next(whole)), trained, len(blocks))
    print(line("alike, blocks without overlap", N_BLOCK, n, len(blocks), reasons))  # noqa: T201
    for size in SIZES:
        n, reasons = flagged_pairs(pool, size, rng)
        print(line("alike, each against another one", size, n, DRAWS, reasons))  # noqa: T201
    for size in SIZES:
        n, reasons = flagged(lambda size=size: rng.choice(pool, size, replace=False), trained, DRAWS)  # type: ignore[misc]
        print(line("alike, drawn from the pool", size, n, DRAWS, reasons))  # noqa: T201
    n, reasons = flagged(lambda: pool, trained, 1)
    print(line("alike, the whole pool", len(pool), n, 1, reasons))  # noqa: T201
    for variant in VARIANTS:
        other = np.array(varied[variant.name])
        for size in (30, 60, len(other)):
            draws = 1 if size == len(other) else 500
            n, reasons = flagged(lambda size=size, other=other: rng.choice(other, size, replace=False), trained, draws)  # type: ignore[misc]
            print(line(variant.name, size, n, draws, reasons))  # noqa: T201


if __name__ == "__main__":
    main()
