"""The benchmark's work folder: releases, model folders and measured figures.

An interrupted benchmark continues: releases and rounds where they stopped, parts because their figures are files.
Stored figures are valid as long as code, recipe and release are those that they were measured with.
"""

import json
import platform
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import click
import joblib
import numpy as np
import torch

from helioloop import synthetic
from helioloop.data.release import Release
from helioloop.files import atomic
from helioloop.model.provenance import code_version, digest
from helioloop.model.recipes import Recipe
from helioloop.model.runtime import Runtime
from helioloop.registry.versions import Registry
from helioloop.synthetic import Generator
from helioloop.synthetic.making import EDITIONS
from helioloop.workflows.experiment import Experiment, Trained

MEASURING_MODULES = (
    "data/truth",
    "evaluation/audit",
    "evaluation/audit_order",
    "evaluation/audit_sample",
    "evaluation/calibration",
    "evaluation/estimates",
    "evaluation/metrics",
    "evaluation/probabilities",
    "evaluation/random_checks",
    "evaluation/risk_control",
    "workflows/experiment",
    "workflows/prelabel",
    "workflows/prelabel_report",
    "workflows/simulate",
)
"""The core's modules that decide what is measured on a version; the code version covers the learning ones."""
MEASURING_HERE = ("parts", "reference", "version_figures", "frame_figures", "probability_figures", "emerging_flux")
"""The modules of this package that do so."""

MEASURED_ON = (Generator.ELEMENTS, Generator.FLUX_TRANSPORT)
"""The generators of the releases that are measured; networks are pretrained on all."""

Figures = dict[str, Any]
Part = Callable[["Bench", int], Figures]
"""Measures one thing on the release of a data seed: plain JSON values, None for an undefined figure."""


class NotAvailable(Exception):
    """A part cannot be measured here; the message contains what it needs."""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Work folder, settings and runtime of a benchmark.

    Parameters
    ----------
    folder : Path
        Work folder.
    n : int
        Cubes of each release.
    seeds : tuple of int
        Data seeds, one release each.
    recipe : Recipe
        How members are trained.
    member_seed : int
        Seed of the first member.
    real_data : Path or None
        Folder of the real video.
    runtime : Runtime
        Device, loader and reports.
    generator : Generator
        What makes the releases.
    """

    folder: Path
    n: int
    seeds: tuple[int, ...]
    recipe: Recipe
    member_seed: int
    real_data: Path | None
    runtime: Runtime
    generator: Generator = Generator.ELEMENTS
    _opened: dict[int, Experiment] = field(default_factory=dict, init=False, repr=False)

    def on(self, generator: Generator) -> "Bench":
        """Return the bench on another generator's releases, with networks pretrained on cubes of the other one's kinds.

        What is shipped is pretrained on all, so on either it would be measured on an archive of a kind that it knows.
        """
        (other,) = (one for one in MEASURED_ON if one is not generator)
        return replace(self, generator=generator, recipe=replace(self.recipe, pretrained=f"{self.recipe.name}-{other}"))

    def key(self, seed: int) -> str:
        """Return the name of a data seed's release."""
        return f"{self.made_by}-n{self.n}-seed{seed}"

    @property
    def made_by(self) -> str:
        """Name and version of the generator."""
        named = "generator" if self.generator is Generator.ELEMENTS else self.generator
        return f"{named}{EDITIONS[self.generator]}"

    def release(self, seed: int) -> Release:
        """Make the release of a data seed, or find it."""
        folder = self.folder / "releases" / self.key(seed)
        if not ((folder / "labels.csv").exists() and self.truth(seed).exists()):
            synthetic.make_release(
                folder, n=self.n, seed=seed, truth=self.truth(seed), report=self.runtime.report,
                instrument=self.runtime.instrument, generator=self.generator,
            )  # fmt: skip
        return Release.open(folder)

    def is_drawn(self, seed: int) -> bool:
        """Return whether the release of a data seed was made by the generator, not written by hand."""
        return (self.folder / "releases" / self.key(seed) / "made-with.json").exists()

    def truth(self, seed: int) -> Path:
        """Return the path of a release's truth table."""
        return self.folder / "releases" / f"{self.key(seed)}-truth.csv"

    def experiment(self, seed: int) -> Experiment:
        """Open the release of a data seed with its truth; its cubes are then in the cache."""
        if seed not in self._opened:
            self._opened[seed] = Experiment.open(self.release(seed), self.truth(seed), self.runtime)
        return self._opened[seed]

    def registry(self, seed: int) -> Registry:
        """Return the model folder of a release: first round and campaign share it."""
        return Registry(self.folder / "models" / self.key(seed))

    def first(self, seed: int, experiment: Experiment | None = None) -> Trained:
        """Train a version on the crude labels of a release, or find it; it is the first round of every campaign."""
        return (experiment or self.experiment(seed)).train(
            self.experiment(seed).cubes,
            self.registry(seed),
            recipe=self.recipe,
            seed=self.member_seed,
            parent=None,
            reason="first round on crude labels",
        )

    # -- figures ---------------------------------------------------------------------------------

    def figures(self, name: str, part: Part, seed: int) -> Figures:
        """Return a part's figures: the stored ones, or else measure and store them."""
        stored = self.stored(name, seed)
        if stored is None:
            click.echo(f"{name}, {self.generator}, data seed {seed}: begun")
            stored = {
                "stamp": self.stamp(name, seed),
                "figures": part(self, seed),
                "commit": commit(),
                "machine": machine(),
                "date": datetime.now(UTC).date().isoformat(),
            }
            atomic.write_json(self._path(name, seed), plain(stored))
        click.echo(f"{name}, {self.generator}, data seed {seed}: done")
        return dict(stored["figures"])

    def stored(self, name: str, seed: int) -> Figures | None:
        """Return a part's file, with figures and their origin; None if there is no valid one."""
        try:
            stored: Figures = json.loads(self._path(name, seed).read_text())
        except FileNotFoundError:
            return None
        return stored if stored["stamp"] == self.stamp(name, seed) else None

    def next_seed(self, seed: int) -> int | None:
        """Return the data seed whose release is new to the versions of `seed`; None if there is only one."""
        after = self.seeds[(self.seeds.index(seed) + 1) % len(self.seeds)]
        return None if after == seed else after

    def stamp(self, name: str, seed: int) -> dict[str, str | int | None]:
        """Return everything that a part's figures depend on."""
        return {
            "release": self.key(seed),
            "new": self.next_seed(seed) if name == "triage" else None,
            "recipe": digest(self.recipe.as_dict()),
            "instrument": digest(self.runtime.instrument.as_dict()),
            "member_seed": self.member_seed,
            "learning": code_version(),
            "measuring": self._measuring,
        }

    @cached_property
    def _measuring(self) -> str:
        core, here = resources.files("helioloop"), Path(__file__).parent
        return digest(
            [(core / f"{module}.py").read_text() for module in MEASURING_MODULES]
            + [(here / f"{module}.py").read_text() for module in MEASURING_HERE]
        )

    def _path(self, name: str, seed: int) -> Path:
        return self.folder / "figures" / f"{name}-{self.key(seed)}.json"


def plain(value: Any) -> Any:
    """Return `value` as plain JSON values: numpy numbers become Python's, and numbers that are not finite None."""
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value


@lru_cache(maxsize=1)
def commit() -> str:
    """Return git's short name of the current commit, with a note if the source differs from it."""
    try:
        name = _git("rev-parse", "--short", "HEAD")
        return f"{name} with changes" if _git("status", "--porcelain", "--", "core", "tests/benchmarks") else name
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


@lru_cache(maxsize=1)
def machine() -> str:
    """Return the processor, how many cores this process may use, and versions."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        processor = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        processor = platform.processor() or platform.machine()
    return f"{processor}, {joblib.cpu_count()} cores; Python {platform.python_version()}, torch {torch.__version__}"


def _git(*words: str) -> str:
    here = Path(__file__).parents[2]
    return subprocess.run(["git", *words], cwd=here, check=True, capture_output=True, text=True).stdout.strip()
