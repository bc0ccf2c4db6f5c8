"""Scoring and locating by the out-of-fold members of `quick`, against the loop over masks, members and cubes."""

from helioloop.emergence.locate import locate_emergences
from helioloop.model.device import CPU
from helioloop.model.ensemble import Ensemble, score_cubes
from helioloop.model.plan import make_plan
from helioloop.model.recipes import QUICK
from helioloop.records.cubes import CubeInfo
from helioloop.records.instrument import MDI
from helioloop.records.labels import Label
from helioloop.records.scores import CubeScore
from tests.benchmarks.speed.timing import Sides
from tests.benchmarks.speed.work import Work, curves_one_by_one, random_networks

LOCATED = 12


def scoring(work: Work) -> Sides:
    """Return both sides; each cube is located, whatever its label, and the reference finds no emergence frame."""
    plan = make_plan(work.cubes, recipe=QUICK, instrument=MDI, seed=0, parent=None, reason="a benchmark")
    _, networks = random_networks(QUICK)
    by_name = {member.name: network for member, network in zip(plan.members, networks, strict=True)}
    ensemble = Ensemble(plan=plan, networks=by_name, device=CPU)
    some = work.cubes[:LOCATED]
    labels: dict[str, Label | None] = {cube.name: Label.EMERGENCE for cube in some}

    def ours() -> list[CubeScore]:
        return locate_emergences(ensemble, some, score_cubes(ensemble, some, work.runtime), work.runtime, labels=labels)

    def one_by_one(cube: CubeInfo) -> object:
        members = [by_name[member.name] for member in plan.out_of_fold_members(cube)]
        return curves_one_by_one(ensemble.architecture, members, work.gridded(cube))

    ours()  # leaves the inputs in their folder
    return Sides(ours=ours, reference=lambda: [one_by_one(cube) for cube in some], rounds=3, reference_rounds=1)
