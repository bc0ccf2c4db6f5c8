"""A release whose truth is known: versions are trained on chosen labels and evaluated against the truth.

`simulate` and `benchmark` are built on it. Needs the extra ``worker``.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from helioloop.data.release import Release
from helioloop.data.truth import TrueCube, contradiction, read_truth
from helioloop.errors import WrongUsage
from helioloop.evaluation.metrics import Evaluation, evaluate
from helioloop.files import tables
from helioloop.files.tables import OnDoubt, log_doubt
from helioloop.model.plan import Plan, make_plan
from helioloop.model.recipes import Recipe
from helioloop.model.runtime import Runtime
from helioloop.records.cubes import CubeInfo
from helioloop.records.labels import Label
from helioloop.records.scores import CubeScore
from helioloop.registry.versions import Registry
from helioloop.workflows.parallel import process_count
from helioloop.workflows.readable_cubes import readable_cubes
from helioloop.workflows.releases import check_profile, set_profile
from helioloop.workflows.rounds import run_round


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A version and its scores.

    Parameters
    ----------
    version : str
        Its name in the model folder.
    scores : mapping of str to CubeScore
        Out of fold, by cube.
    seconds : float or None
        Duration of training, scoring and locating; None if the version existed already.
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
        The readable cubes with a crude label, by name, none of them verified.
    truth : mapping of str to TrueCube
        Truth by cube; it may contain more cubes.
    runtime : Runtime
        Device, loader and reports.
    """

    cubes: tuple[CubeInfo, ...] = field(repr=False)
    truth: Mapping[str, TrueCube] = field(repr=False)
    runtime: Runtime

    @classmethod
    def open(cls, release: Release, truth: Path, runtime: Runtime, *, on_doubt: OnDoubt = log_doubt) -> Self:
        """Read a release and its truth; every label counts as crude, even if the release's table marks it as verified.

        `on_doubt` is called with a sentence for each doubtful value of the truth that was read nevertheless, and where
        it contradicts verified labels of the release.

        Raises
        ------
        ReleaseError
            If the truth table cannot be used.
        WrongUsage
            If the truth lacks a labelled cube of the release, or no cube is labelled.
        """
        known = read_truth(truth, cubes=[row.cube for row in release.rows], on_doubt=on_doubt)
        labelled = tuple(row for row in release.rows if row.label is not None)
        if not labelled:
            raise WrongUsage(f"release {release.name} has no labelled cube, so there is nothing to verify: label some")
        absent = [row.cube for row in labelled if row.cube not in known]
        if absent:
            raise WrongUsage(
                f"{truth} has no row for cube {absent[0]}; the truth must contain every labelled cube of the release: "
                f"give the table that was written with release {release.name}, or add {len(absent)} rows"
            )
        human = [(row.cube, row.label) for row in labelled if row.verified and row.label is not None]
        if (clause := contradiction(known, human)) is not None:
            on_doubt(
                f"{truth}: {clause} in release {release.name}; the figures count that of the truth: correct the table "
                "that is wrong"
            )
        cubes = readable_cubes(replace(release, rows=labelled), runtime)
        crude = tuple(replace(cube, verified=False) for cube in sorted(cubes, key=lambda cube: cube.name))
        return cls(cubes=crude, truth=known, runtime=runtime)

    @property
    def crude(self) -> dict[str, Label]:
        """Crude label by cube."""
        return {cube.name: cube.label for cube in self.cubes if cube.label is not None}

    def wrong(self, labels: Mapping[str, Label]) -> set[str]:
        """Return the cubes whose label differs from the true one."""
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
        """Return a version trained on `cubes`: one that the registry contains already, or a new one.

        Nothing is published. A model folder with a published version is refused, because its users would take the
        newest version for the last candidate.

        Raises
        ------
        TooFewLabels
            If a class has too few labelled cubes.
        WrongUsage
            If the model folder is in use.
        RegistryError
            If the model folder has another profile than the release.
        """
        if (published := registry.published()) is not None:
            raise WrongUsage(
                f"{registry.root} is in use, it has the published version {published}; "
                "experiments leave versions of simulated campaigns: give a --model-dir of their own"
            )
        check_profile(registry, self.runtime)
        plan = make_plan(
            cubes,
            recipe=recipe,
            instrument=self.runtime.instrument,
            profile=self.runtime.profile,
            seed=seed,
            parent=parent,
            reason=reason,
        )
        begun = time.perf_counter()
        version = _find(registry, plan)
        found = version is not None
        if version is None:
            set_profile(registry, self.runtime)
            processes = process_count(plan, self.runtime.device)
            version = run_round(plan, registry, self.runtime, processes=processes).version
        stored = registry.scores(version)
        return Trained(
            version=version,
            scores={cube.name: stored[cube.key] for cube in plan.cubes},
            seconds=None if found else time.perf_counter() - begun,
        )

    def evaluate(self, scores: Iterable[CubeScore], labels: Mapping[str, Label]) -> Evaluation:
        """Evaluate scores against the truth, and how well they find the wrong ones among `labels`."""
        return evaluate(scores, self.truth, labels=labels)

    def with_prefix(self, prefix: str) -> Self:
        """Return the experiment with `prefix` before everything that it reports."""
        report = self.runtime.report

        def prefixed(done: int, total: int, what: str) -> None:
            report(done, total, f"{prefix}: {what}")

        return replace(self, runtime=replace(self.runtime, report=prefixed))


def _find(registry: Registry, plan: Plan) -> str | None:
    """Return a version made by the same plan that has scores of all its cubes, unlabelled ones included."""
    wanted = {cube.key for cube in plan.cubes}
    for version in registry.versions():
        if registry.card(version).fingerprint == plan.fingerprint and wanted <= registry.scores(version).keys():
            return version
    return None


def write_rows(path: Path, rows: Sequence[Mapping[str, str | float | None]]) -> None:
    """Write rows of figures as CSV in one step, with the columns of the first row; empty means undefined."""
    tables.write_table(path, list(rows[0]), ({name: _cell(value) for name, value in row.items()} for row in rows))


def _cell(value: str | float | None) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
