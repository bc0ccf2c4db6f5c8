"""Ensembles: the members of a plan, each of which scores only cubes it was not trained on.

Train the plan's members (`helioloop.model.members`) and call `keep_growth_odds`. Then call `Ensemble.open` and
`score_cubes`. Needs torch (extra ``worker``).
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from helioloop.errors import CubeError, RegistryError
from helioloop.model.architecture import AnyArchitecture
from helioloop.model.architectures import find_architecture
from helioloop.model.device import Device
from helioloop.model.growth_odds import EARLIER, ENOUGH_CUBES, GrowthOdds
from helioloop.model.input_cache import GrowthCache, InputCache
from helioloop.model.member_weights import load_members
from helioloop.model.plan import Plan
from helioloop.model.provenance import code_version
from helioloop.model.runtime import Runtime
from helioloop.records.cubes import CubeInfo
from helioloop.records.scores import CubeScore
from helioloop.registry.staging import GROWTH_ODDS_FILE, PLAN_FILE


def keep_growth_odds(plan: Plan, staging: Path, runtime: Runtime) -> None:
    """Estimate the growth odds of a plan's cubes and write them into its staging folder, unless they are there.

    Needed once, after the members are trained and before the cubes are scored, where the recipe uses the local growth.
    Of a large archive `ENOUGH_CUBES` cubes are measured, chosen by their content, which is as good as at random. Cubes
    that cannot be read are left out.
    """
    if not plan.recipe.local_growth or (staging / GROWTH_ODDS_FILE).exists():
        return
    measure, device = GrowthCache.of(plan, runtime), runtime.device
    members = Ensemble(plan=plan, networks=load_members(plan, staging, device), device=device)
    growths, p_networks = [], []
    chosen = sorted(plan.cubes, key=lambda cube: cube.sha256)[:ENOUGH_CUBES]
    for done, cube in enumerate(chosen, start=1):
        with suppress(CubeError), device.deterministic():  # it is excluded, with the reason, where it is scored
            growth = measure(cube)
            p_networks.append(float(members.p_networks(cube, runtime).mean()))
            growths.append(np.nan if growth is None else growth)
        runtime.report(done, len(chosen), "measuring local growth")
    odds = GrowthOdds.estimate([growth for growth in growths if not np.isnan(growth)])
    odds.shifted(p_networks, growths).write(staging)


@dataclass(frozen=True, kw_only=True)
class Ensemble:
    """The loaded members of one staging or version folder.

    Parameters
    ----------
    plan : Plan
        The folder's plan.
    networks : dict
        Network of each member by name, in evaluation mode.
    device : Device
        The device of the networks.
    growth_odds : GrowthOdds
        What the local growth of a cube says, where the recipe uses it.
    """

    plan: Plan
    networks: Mapping[str, nn.Module]
    device: Device
    growth_odds: GrowthOdds = EARLIER

    @classmethod
    def open(cls, folder: Path, *, device: Device) -> "Ensemble":
        """Return the ensemble of all members of a staging or version folder, loaded.

        Raises
        ------
        RegistryError
            If the plan, a member, or the growth odds are missing or damaged. A version of an earlier helioloop has no
            growth odds; it was made with `EARLIER`.
        """
        plan = Plan.read(folder)
        networks = load_members(plan, folder, device)
        odds = GrowthOdds.read(folder)
        if odds is None and plan.recipe.local_growth and plan.code_version == code_version():
            raise RegistryError(f"{folder / GROWTH_ODDS_FILE} is missing; restore it or train again")
        return cls(plan=plan, networks=networks, device=device, growth_odds=odds or EARLIER)

    @property
    def architecture(self) -> AnyArchitecture:
        """The architecture that the plan's recipe names."""
        return find_architecture(self.plan.recipe.network)

    def of_fold(self, fold: int) -> "Ensemble":
        """Return the ensemble that has only the members of one fold."""
        members = tuple(member for member in self.plan.members if member.fold == fold)
        return replace(self, plan=replace(self.plan, members=members))

    def score(self, cube: CubeInfo, runtime: Runtime) -> CubeScore:
        """Return P(emergence) of one cube by its out-of-fold members; the emergence frame is still None."""
        members = self.plan.out_of_fold_members(cube)
        p_networks = self.p_networks(cube, runtime)
        growth, p = None, p_networks
        if self.plan.recipe.local_growth:
            with self.device.deterministic():
                growth = GrowthCache.of(self.plan, runtime)(cube)
            p = self.growth_odds.combine(p_networks, np.nan if growth is None else growth)
        return CubeScore(
            cube=cube.name,
            sha256=cube.sha256,
            p_emergence=float(p.mean()),
            p_spread=float(p.std()) if len(p) > 1 else None,
            members=tuple(member.name for member in members),
            p_networks=float(p_networks.mean()) if self.plan.recipe.local_growth else None,
            growth=growth,
        )

    def p_networks(self, cube: CubeInfo, runtime: Runtime) -> npt.NDArray[np.float64]:
        """Return P(emergence) of one cube by each of its out-of-fold members, without the local growth."""
        with self.device.deterministic(), torch.inference_mode(), self.device.autocast():
            # One cube at a time, because in a batch its score would depend on the other cubes.
            x = torch.from_numpy(InputCache.of(self.plan, runtime)(cube))[None].to(self.device.kind)
            logits = [self.networks[member.name](x).float() for member in self.plan.out_of_fold_members(cube)]
            return torch.sigmoid(torch.cat(logits)).cpu().double().numpy()


class EnsembleCache:
    """Keeps the ensembles used last loaded between jobs. A folder whose plan file has changed is loaded again.

    Parameters
    ----------
    device : Device
        The device of the networks.
    size : int
        Number of ensembles kept.
    """

    def __init__(self, *, device: Device, size: int = 2) -> None:
        @lru_cache(maxsize=size)
        def load(folder: Path, _stamp: tuple[int, int]) -> Ensemble:
            return Ensemble.open(folder, device=device)

        self._load = load
        self._device = device

    def open(self, folder: Path) -> Ensemble:
        """Return the ensemble of a staging or version folder, from the cache where possible.

        Raises
        ------
        RegistryError
            If the plan or a member is missing or damaged.
        """
        try:
            stat = (folder / PLAN_FILE).stat()
        except FileNotFoundError:
            return Ensemble.open(folder, device=self._device)  # raises the error that names the remedy
        return self._load(folder, (stat.st_mtime_ns, stat.st_ino))


def score_cubes(ensemble: Ensemble, cubes: Sequence[CubeInfo], runtime: Runtime) -> list[CubeScore]:
    """Return the scores of cubes by their out-of-fold members; emergence frames are still None.

    Parameters
    ----------
    ensemble : Ensemble
        All members of a staging or version folder.
    cubes : sequence of CubeInfo
        The cubes to score.
    runtime : Runtime
        Its report is called after each cube, its `on_excluded` for each cube that cannot be read.

    Returns
    -------
    list of CubeScore
        In the order of `cubes`, without excluded cubes.
    """
    return each_cube(cubes, lambda cube: ensemble.score(cube, runtime), runtime, what="scoring cubes")


def each_cube(
    cubes: Sequence[CubeInfo], one: Callable[[CubeInfo], CubeScore], runtime: Runtime, *, what: str
) -> list[CubeScore]:
    """Return the result of `one` for each cube, in order, without excluded cubes."""
    done = []
    for k, cube in enumerate(cubes):
        try:
            done.append(one(cube))
        except CubeError as error:
            if runtime.on_excluded is None:
                raise
            runtime.on_excluded(cube.name, error)
        runtime.report(k + 1, len(cubes), what)
    return done
