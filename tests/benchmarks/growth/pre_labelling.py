"""The fraction of pre-labelling by a new version in which its networks compute, on cubes of MDI's grid.

The cubes are fifty made ones under as many names as wanted. A first version has scores of all cubes. Then the jobs of a
round run as in a worker, after its ten members of `quick` (random weights): all cubes are scored and located, the round
is closed, and the version is written back. Prepared inputs and local growths of the cubes are kept from training.
"""

import os
import tempfile
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import click
import torch

from helioloop.model.architectures import find_architecture
from helioloop.model.input_cache import GrowthCache, InputCache
from helioloop.model.member_weights import write_member
from helioloop.model.plan import Plan
from helioloop.model.recipes import QUICK
from helioloop.model.training import preload
from helioloop.records.instrument import MDI
from helioloop.records.profiles import BUILT_IN
from helioloop.registry.project_profile import write_project_profile
from helioloop_worker import jobs
from helioloop_worker.context import Context
from helioloop_worker.loop import rounds
from helioloop_worker.loop.media_names import MediaNames
from helioloop_worker.loop.round_requests import request_round
from tests.benchmarks.growth.archive import DIFFERENT, RELEASE, Archive
from tests.benchmarks.growth.cost import Cost, cost_of
from tests.benchmarks.growth.document import running_redis
from tests.benchmarks.growth.network_clock import Clock, network_clock
from tests.benchmarks.growth.networks import no_networks
from tests.benchmarks.speed.work import Work, random_networks


@dataclass
class RealArchive(Archive):
    """An archive of cubes of MDI's grid, which are links to those of `work`."""

    work: Work

    @cached_property
    def context(self) -> Context:
        """The worker's context, with the recipe quick."""
        return Context(
            self.settings,
            open_redis=lambda _: self.connection,
            open_label_studio=lambda _: self.label_studio,  # type: ignore[arg-type, return-value]
            recipe_for=lambda *_: QUICK,
        )

    @cached_property
    def project(self) -> int:
        """The project, without tasks."""
        project = super().project
        write_project_profile(self.settings.model_dir(project), BUILT_IN["mdi"])
        return project

    def names(self, cube: Any) -> MediaNames:
        """Return the names of a cube's files of the labelling screen."""
        media = self.settings.media_dir(self.project)
        return MediaNames(media=media, release=RELEASE, cube=cube.name, sha256=cube.sha256, instrument=MDI)

    def make_release(self) -> Path:
        """Link the files, cache entries, inputs and growths of the cubes to those of the fifty."""
        runtime, folder = self.work.runtime, self.folder / "releases" / RELEASE
        folder.mkdir(parents=True)
        facts = self._write_first_facts(self.folder / "first.fits")
        inputs = InputCache(
            architecture=find_architecture(QUICK.network), instrument=MDI, load=runtime.load, folder=runtime.inputs
        )
        patch_deg = BUILT_IN["mdi"].patch_deg
        growth = GrowthCache(instrument=MDI, patch_deg=patch_deg, load=runtime.load, folder=runtime.inputs)
        for first in self.work.cubes:
            inputs(first)
            growth(first)
        for k, cube in enumerate(self.cubes):
            first = self.work.cubes[k % len(self.work.cubes)]
            os.link(self.work.release.folder / f"{first.name}.fits", folder / f"{cube.name}.fits")
            cache = self.settings.cache_root / cube.sha256[:2]
            for entry in (self.work.folder / "cubes" / first.sha256[:2]).glob(f"{first.sha256}*"):
                _link(entry, cache / entry.name.replace(first.sha256, cube.sha256))
            for kept in self.work.folder.glob(f"inputs/*/{first.sha256}.npy"):
                _link(kept, self.settings.cache_root / "inputs" / kept.parent.name / f"{cube.sha256}.npy")
            _link(facts, self.names(cube).facts)
        return folder

    def planned(self) -> Plan:
        """Return the plan of a new round, after its members were trained: they have random weights."""
        request_round(self.context, self.project, forced=True)
        jobs.plan_round(self.context, self.project)
        running = self.context.state.running(self.project)
        assert running is not None
        folder = self.registry.staging(running.fingerprint)
        plan = Plan.read(folder)
        _, networks = random_networks(QUICK)
        for member, network in zip(plan.members, networks, strict=True):
            write_member(plan, member, network, folder / member.file)
        return plan

    def label_all(self, plan: Plan) -> str:
        """Score, locate, close and write back, as the jobs of a worker do, and return the version."""
        steps = rounds.steps_of(self.project, plan)
        jobs.score_round(self.context, self.project, plan.fingerprint)
        for one in steps.locating:
            jobs.locate(self.context, self.project, plan.fingerprint, one.chunk, one.chunks)
        jobs.close_round(self.context, self.project, plan.fingerprint)
        version = str(self.registry.published())
        jobs.write_back(self.context, self.project, version)
        return version


def measure(n: int) -> tuple[Cost, Clock, int]:
    """Return what pre-labelling `n` cubes costs, the time in networks, and the number of cubes that were located."""
    with (
        tempfile.TemporaryDirectory(prefix="helioloop-growth-") as name,
        running_redis(Path(name)) as connection,
        closing(Work(Path(name) / "work", DIFFERENT)) as work,
    ):
        work.folder.mkdir()
        archive = RealArchive(Path(name) / "archive", n, connection, work)
        archive.folder.mkdir()
        click.echo(f"making {DIFFERENT} cubes, and {n:,} of them …", err=True)
        archive.make_release()
        archive.import_tasks()
        click.echo("making a first version, without networks …", err=True)
        with no_networks(archive):
            first = archive.label_all(archive.planned())
        plan = archive.planned()
        click.echo("pre-labelling by a second version …", err=True)
        with network_clock() as clock:
            cost = cost_of(archive.label_studio, lambda: archive.label_all(plan))
        version = str(archive.registry.published())
        if version == first:
            raise RuntimeError(f"the second version was not published: {archive.registry.latest()}")
        scores = archive.registry.scores(version, curves=True)
        return cost, clock, sum(score.curve is not None for score in scores.values())


def _link(file: Path, at: Path) -> None:
    at.parent.mkdir(parents=True, exist_ok=True)
    os.link(file, at)


@click.command()
@click.argument("cubes", default=1_000, type=click.IntRange(min=60))
def main(cubes: int) -> None:
    """Measure the fraction of pre-labelling CUBES by a new version in which its networks compute."""
    torch.set_num_threads(1)
    preload()  # as a worker does at its start
    cost, clock, located = measure(cubes)
    for what, inside, own in (
        ("wall time", clock.seconds, cost.own_seconds),
        ("CPU time", clock.cpu_seconds, cost.cpu_seconds),
    ):
        fraction = inside / (own + cost.server_seconds)
        click.echo(
            f"{what}: {inside:.0f} s in networks, {own - inside:.0f} s in the rest of helioloop, "
            f"{cost.server_seconds:.0f} s in Label Studio (computed): {fraction:.1%} in networks"
        )
    click.echo(f"{located:,} of {cubes:,} cubes were located, load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
