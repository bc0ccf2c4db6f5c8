"""Whole rounds on a release whose truth is known: what each recipe takes and what it finds.

The release is made as by `helioloop make-release`, so astropy is needed here. One made before, by
``python -m tests.benchmarks.gpu.rounds``, is used.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

import click
import joblib

from helioloop import synthetic
from helioloop.data.loader import Loader
from helioloop.data.release import Release
from helioloop.data.truth import read_truth
from helioloop.environment.pools import make_pool
from helioloop.model.device import CPU, Device
from helioloop.model.plan import make_plan
from helioloop.model.recipes import Recipe
from helioloop.model.runtime import Runtime
from helioloop.progress import silent
from helioloop.records.cubes import CubeInfo
from helioloop.records.instrument import MDI, Instrument
from helioloop.records.labels import Label
from helioloop.registry.versions import Registry
from helioloop.synthetic import Generator
from helioloop.workflows.experiment import Experiment
from helioloop.workflows.readable_cubes import readable_cubes
from helioloop.workflows.rounds import run_round
from tests.benchmarks.gpu.figures import Figures, wait
from tests.benchmarks.parts import PhaseClock
from tests.benchmarks.version_figures import probability_figures, shares

SEED = 0
"""Of the first member."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeRelease:
    """A release in a folder, made from a data seed, and its cubes in the cache.

    Parameters
    ----------
    folder : Path
        Work folder.
    n, seed : int
        Number of cubes, and data seed.
    instrument : Instrument
        The grid.
    generator : Generator
        What makes it.
    """

    folder: Path
    n: int
    seed: int
    instrument: Instrument = MDI
    generator: Generator = Generator.ELEMENTS

    @property
    def path(self) -> Path:
        """Folder of the release."""
        return self.folder / "releases" / f"{self.generator}-{self.n}-{self.seed}"

    @property
    def truth(self) -> Path:
        """Its truth table."""
        return self.path.with_name(f"{self.path.name}-truth.csv")

    def make(self, *, workers: int | None = None) -> None:
        """Make what is missing."""
        synthetic.make_release(
            self.path, n=self.n, seed=self.seed, truth=self.truth, instrument=self.instrument, workers=workers,
            generator=self.generator,
        )  # fmt: skip

    def runtime(self, device: Device) -> Runtime:
        """Return the runtime for its cubes."""
        load = Loader(roots=(self.path.parent,), cache=self.folder / "cache", instrument=self.instrument)
        return Runtime(instrument=self.instrument, load=load, device=device, inputs=self.folder / "cache" / "inputs")

    def open(self, device: Device, *, workers: int) -> Experiment:
        """Read and grid all cubes in several processes, and return them with their truth."""
        release = Release.open(self.path)
        parts = [replace(release, rows=release.rows[k::workers]) for k in range(workers)]
        with make_pool(workers) as pool:
            found = pool.map(readable_cubes, parts, [self.runtime(CPU)] * workers)
            cubes: list[CubeInfo] = [cube for part in found for cube in part]
        truth = read_truth(self.truth, cubes=[row.cube for row in release.rows])
        crude = tuple(replace(cube, verified=False) for cube in sorted(cubes, key=lambda cube: cube.name))
        return Experiment(cubes=crude, truth=truth, runtime=self.runtime(device))


def rounds(
    figures: Figures, made: MadeRelease, device: Device, recipes: Sequence[Recipe], *, processes: Sequence[int]
) -> None:
    """Run a round of each recipe on the crude labels, with every number of processes, and evaluate it."""
    made.make()
    begun = perf_counter()
    experiment = made.open(device, workers=joblib.cpu_count())
    wrong = len(experiment.wrong(experiment.crude))
    figures.add("rounds: release", cubes=len(experiment.cubes), wrong=wrong, opening_seconds=perf_counter() - begun)
    for recipe in recipes:
        for count in processes:
            with figures.step(f"round: {recipe.name}, {count} processes"):
                _round(figures, made, experiment, recipe, processes=count)


def _round(figures: Figures, made: MadeRelease, experiment: Experiment, recipe: Recipe, *, processes: int) -> None:
    clock = PhaseClock(silent)
    plan = make_plan(
        experiment.cubes, recipe=recipe, instrument=made.instrument, seed=SEED, parent=None, reason="benchmark"
    )
    registry = Registry(made.folder / "models" / f"{made.path.name}-{recipe.name}-{processes}")
    begun = perf_counter()
    card = run_round(plan, registry, replace(experiment.runtime, report=clock), processes=processes)
    wait(experiment.runtime.device)
    seconds = perf_counter() - begun
    stored = registry.scores(card.version)
    scores = [stored[cube.key] for cube in plan.cubes]
    found = experiment.evaluate(scores, experiment.crude).figures()
    failed = shares(scores, experiment.truth, experiment.crude, flux_mx={})
    calls = [score.predicted is experiment.truth[score.cube].label for score in scores]
    rotating = [
        score.predicted is Label.EMERGENCE
        for score in scores
        if experiment.truth[score.cube].kind == "growing while rotating in"
    ]
    figures.add(
        f"round: {recipe.name}, {processes} processes", members=len(plan.members), cubes=len(plan.cubes),
        seconds=seconds, phases={name: round(value, 1) for name, value in clock.seconds.items()},
        class_accuracy=sum(calls) / len(calls), growing_while_rotating_in_called_emergences=sum(rotating),
        growing_while_rotating_in=len(rotating), evaluation=found, shares=failed,
        **probability_figures(scores, experiment.truth),
    )  # fmt: skip


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), required=True)
@click.option("--n", type=int, required=True)
@click.option("--seed", type=int, required=True)
@click.option("--workers", type=int, default=None)
def main(folder: Path, n: int, seed: int, workers: int | None) -> None:
    """Make the release of a data seed and grid it, before its rounds are measured."""
    made = MadeRelease(folder=folder, n=n, seed=seed)
    begun = perf_counter()
    made.make(workers=workers)
    click.echo(f"made in {perf_counter() - begun:.1f} s")
    made.open(CPU, workers=workers or joblib.cpu_count())
    click.echo(f"read and gridded after {perf_counter() - begun:.1f} s")


if __name__ == "__main__":
    main()
