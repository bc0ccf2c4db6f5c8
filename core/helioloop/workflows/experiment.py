"""A release whose truth is known, with all that is needed to train on it and to judge what comes out.

Above `offline`, below `campaign` and `compare`: both train versions on labels of their choosing and look the answers
up in the truth. Needs the extra ``worker``.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from helioloop import tables
from helioloop.data.release import Release
from helioloop.data.truth import TrueCube, read_truth
from helioloop.errors import WrongUsage
from helioloop.evaluation.metrics import Evaluation, evaluate
from helioloop.model.plan import Plan, make_plan
from helioloop.model.recipes import Recipe
from helioloop.model.runtime import Runtime
from helioloop.records import CubeInfo, CubeScore, Label
from helioloop.registry.versions import Registry
from helioloop.workflows.releases import readable_cubes, side_by_side
from helioloop.workflows.rounds import run_round


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A version on some labels.

    Parameters
    ----------
    version : str
        Its name in the model folder.
    scores : mapping of str to CubeScore
        Out of fold, by cube.
    seconds : float or None
        How long training, scoring and locating took; None where the version was there already.
    """

    version: str
    scores: Mapping[str, CubeScore] = field(repr=False)
    seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """A release with its truth.

    Parameters
    ----------
    cubes : tuple of CubeInfo
        Those that can be read and have a crude label, by name, none of them verified.
    truth : mapping of str to TrueCube
        Truth by cube, of these and possibly more.
    runtime : Runtime
        What to work with.
    """

    cubes: tuple[CubeInfo, ...] = field(repr=False)
    truth: Mapping[str, TrueCube] = field(repr=False)
    runtime: Runtime

    @classmethod
    def open(cls, release: Release, truth: Path, runtime: Runtime) -> Self:
        """Read a release and its truth; every label counts as crude, also where the release's table says verified.

        Raises
        ------
        ReleaseError
            If the truth table cannot be used.
        WrongUsage
            If it lacks a labelled cube of the release, or no cube is labelled.
        """
        known = read_truth(truth)
        labelled = tuple(row for row in release.rows if row.label is not None)
        if not labelled:
            raise WrongUsage(f"release {release.name} has no labelled cube; there is nothing to verify: label some")
        absent = [row.cube for row in labelled if row.cube not in known]
        if absent:
            raise WrongUsage(
                f"{truth} has no row for cube {absent[0]}; the truth names every labelled cube of the release: give "
                f"the table that was written with release {release.name}, or add {len(absent)} rows"
            )
        cubes = readable_cubes(replace(release, rows=labelled), runtime)
        crude = tuple(replace(cube, verified=False) for cube in sorted(cubes, key=lambda cube: cube.name))
        return cls(cubes=crude, truth=known, runtime=runtime)

    @property
    def crude(self) -> dict[str, Label]:
        """Crude label by cube."""
        return {cube.name: cube.label for cube in self.cubes if cube.label is not None}

    def wrong(self, labels: Mapping[str, Label]) -> set[str]:
        """Return the cubes whose label is not the true one."""
        return {cube for cube, label in labels.items() if label is not self.truth[cube].label}

    def train(
        self,
        cubes: Sequence[CubeInfo],
        registry: Registry,
        *,
        recipe: Recipe,
        seed: int,
        parent: str | None,
        reason: str,
    ) -> Trained:
        """Train a version on `cubes`, or find it in the registry: the same labels are not trained on twice.

        Nothing is published. A folder that holds a published version is refused: whoever works with it takes its newest
        version for the last candidate.

        Raises
        ------
        TooFewLabels
            If a class has too few labelled cubes.
        WrongUsage
            If the model folder is in use.
        """
        if (published := registry.published()) is not None:
            raise WrongUsage(
                f"{registry.root} is in use, it holds the published version {published}; "
                "experiments leave versions of made-up campaigns: give a --model-dir of their own"
            )
        plan = make_plan(
            cubes, recipe=recipe, instrument=self.runtime.instrument, seed=seed, parent=parent, reason=reason
        )  # fmt: skip
        begun = time.perf_counter()
        version = _find(registry, plan)
        found = version is not None
        if version is None:
            processes = side_by_side(plan, self.runtime.device)
            version = run_round(plan, registry, self.runtime, processes=processes).version
        stored = registry.scores(version)
        return Trained(
            version=version,
            scores={cube.name: stored[cube.key] for cube in plan.cubes},
            seconds=None if found else time.perf_counter() - begun,
        )

    def judge(self, scores: Iterable[CubeScore], labels: Mapping[str, Label]) -> Evaluation:
        """Judge scores against the truth, and how well they find the wrong ones of `labels`."""
        return evaluate(scores, self.truth, labels=labels)

    def saying(self, prefix: str) -> Self:
        """Return the experiment with `prefix` before all that it reports."""
        report = self.runtime.report

        def prefixed(done: int, total: int, what: str) -> None:
            report(done, total, f"{prefix}: {what}")

        return replace(self, runtime=replace(self.runtime, report=prefixed))


def _find(registry: Registry, plan: Plan) -> str | None:
    """Return a version that was made by the same plan and scored all its cubes, also the unlabelled ones."""
    wanted = {cube.key for cube in plan.cubes}
    for version in registry.versions():
        if registry.card(version).fingerprint == plan.fingerprint and wanted <= registry.scores(version).keys():
            return version
    return None


def write_rows(path: Path, rows: Sequence[Mapping[str, str | float | None]]) -> None:
    """Write rows of figures as CSV in one step, columns as the first row names them; empty means undefined."""
    tables.write_table(path, list(rows[0]), ({name: _cell(value) for name, value in row.items()} for row in rows))


def _cell(value: str | float | None) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
