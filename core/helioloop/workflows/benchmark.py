"""Recipes compared on one release: trained on its crude labels, evaluated against its truth.

Figures of one release show which recipe is better on it. Figures of different releases cannot be compared.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from statistics import fmean, stdev
from typing import Literal

from helioloop.errors import WrongUsage
from helioloop.evaluation.metrics import Evaluation
from helioloop.model.recipes import Recipe
from helioloop.records.cubes import CubeInfo
from helioloop.registry.versions import Registry
from helioloop.workflows.experiment import Experiment

TEST_MONTHS = (11, 12)
"""Months of the held-out test split of Chatterjee et al. 2022."""
SEED_STEP = 1000
"""Distance between the seeds of two runs: member k of a run adds k, and no two runs share a member."""

Protocol = Literal["all", "paper"]
"""``all``: every cube is trained on and evaluated out of fold. ``paper``: only cubes of `TEST_MONTHS` are evaluated,
and no member is trained on any of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One recipe trained with one seed.

    Parameters
    ----------
    recipe : str
        Its name.
    seed : int
        Seed of the first member.
    version : str
        The version in its model folder.
    seconds : float or None
        Duration of the round; None if the version existed already.
    evaluation : Evaluation
        Against the truth, on crude labels.
    """

    recipe: str
    seed: int
    version: str
    seconds: float | None
    evaluation: Evaluation

    def figures(self) -> dict[str, float | None]:
        """Return all figures by name, with the seconds."""
        return {**self.evaluation.figures(), "seconds": self.seconds}

    def row(self) -> dict[str, str | float | None]:
        """Return the run as a row of the comparison's table."""
        return {"recipe": self.recipe, "seed": self.seed, "version": self.version, **self.figures()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Mean and sample standard deviation of a figure over seeds; deviation None for one seed or an infinite value."""

    mean: float
    deviation: float | None


def compare(
    experiment: Experiment, recipes: Sequence[Recipe], *, seed: int, seeds: int, protocol: Protocol, model_dir: Path
) -> Iterator[Run]:
    """Train and evaluate each recipe with each seed, and yield each run as it ends.

    Parameters
    ----------
    experiment : Experiment
        The release and its truth.
    recipes : sequence of Recipe
        What to compare.
    seed, seeds : int
        First seed, and how many.
    protocol : {"all", "paper"}
        Which cubes are trained on, and which are evaluated.
    model_dir : Path
        Versions go to ``<model_dir>/<recipe>-seed<seed>``; a version that exists is not trained again.

    Raises
    ------
    WrongUsage
        If the protocol has no test cube.
    TooFewLabels
        If a class has too few labelled cubes.
    """
    held_out = held_out_test_split(experiment.cubes) if protocol == "paper" else set()
    if protocol == "paper" and not held_out:
        raise WrongUsage(
            "no cube begins in November or December, the test months of protocol 'paper'; use --protocol all"
        )
    cubes = [replace(cube, label=None) if cube.name in held_out else cube for cube in experiment.cubes]
    evaluated = held_out or set(experiment.crude)
    labels = {cube: label for cube, label in experiment.crude.items() if cube in evaluated}
    for recipe in recipes:
        for first in range(seed, seed + seeds * SEED_STEP, SEED_STEP):
            trained = experiment.with_prefix(f"{recipe.name}, seed {first}").train(
                cubes,
                Registry(model_dir / f"{recipe.name}-seed{first}"),
                recipe=recipe,
                seed=first,
                parent=None,
                reason="compared on crude labels",
            )
            yield Run(
                recipe=recipe.name,
                seed=first,
                version=trained.version,
                seconds=trained.seconds,
                evaluation=experiment.evaluate((trained.scores[cube] for cube in sorted(evaluated)), labels),
            )


def held_out_test_split(cubes: Sequence[CubeInfo]) -> set[str]:
    """Return the cubes whose grid frame 0 is in `TEST_MONTHS`; cubes without a date are trained on."""
    return {cube.name for cube in cubes if cube.start and datetime.fromisoformat(cube.start).month in TEST_MONTHS}


def over_seeds(runs: Sequence[Run]) -> dict[str, Spread | None]:
    """Return mean and spread of each figure over the runs of one recipe; None if no run has the figure."""
    summary: dict[str, Spread | None] = {}
    for name in runs[0].figures():
        values = [value for run in runs if (value := run.figures()[name]) is not None]
        finite = len(values) > 1 and all(map(math.isfinite, values))
        summary[name] = Spread(mean=fmean(values), deviation=stdev(values) if finite else None) if values else None
    return summary
