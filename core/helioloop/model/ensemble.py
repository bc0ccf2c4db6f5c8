"""The ensemble: members trained one by one into a staging folder; each scores only cubes it was not trained on.

`train_member` is called for each member of a plan, then `Ensemble.open` and `score_cubes`. Folders are read without
trusting them: weights are safetensors, checked against the plan. Needs torch (extra ``worker``).
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from helioloop import atomic
from helioloop.errors import CubeError, RegistryError
from helioloop.model.device import Device
from helioloop.model.inputs import FloatArray, InputCache
from helioloop.model.networks import Network, build
from helioloop.model.plan import Plan, PlannedMember
from helioloop.model.runtime import Runtime
from helioloop.model.training import Examples, train
from helioloop.records import CubeInfo, CubeScore, Label
from helioloop.registry.staging import PLAN_FILE


def train_member(plan: Plan, name: str, staging: Path, runtime: Runtime) -> Path:
    """Train one member of a plan and write its weights into a staging folder; a whole file that exists is kept.

    Parameters
    ----------
    plan : Plan
        The round.
    name : str
        Which member.
    staging : Path
        The round's staging folder.
    runtime : Runtime
        Its report is called after each epoch.

    Returns
    -------
    Path
        The weights' file.

    Raises
    ------
    RegistryError
        If the file exists and is truncated, or belongs to another plan.
    CubeError
        If a cube of the plan cannot be read any more.
    """
    member = plan.member(name)
    path = staging / member.file
    if path.exists():
        load_member(plan, member, staging)
        return path
    cubes = plan.training_cubes(member)
    prepared = InputCache(recipe=plan.recipe, instrument=plan.instrument, load=runtime.load, folder=runtime.inputs)
    # The per-frame network's inputs are small enough to hold all.
    arrays = [prepared(cube) for cube in cubes] if plan.recipe.network == "per-frame" else []

    def read(k: int) -> FloatArray:
        return arrays[k] if arrays else prepared(cubes[k])

    network = train(
        Examples(
            inputs=read,
            targets=np.array([cube.label is Label.EMERGENCE for cube in cubes], dtype=np.float32),
            groups=[cube.region or cube.name for cube in cubes],
        ),
        recipe=plan.recipe,
        instrument=plan.instrument,
        seed=member.seed,
        dropout=member.dropout,
        device=runtime.device,
        report=runtime.report,
        what=f"training {name}",
    )
    weights = {key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}
    atomic.write_bytes(path, save(weights, metadata=_metadata(plan, member)))
    return path


def load_member(plan: Plan, member: PlannedMember, folder: Path) -> Network:
    """Read one member's weights, in evaluation mode, on the CPU; anything but the plan's own is a `RegistryError`."""
    path = folder / member.file
    network = build(plan.recipe, plan.instrument, dropout=member.dropout)
    expected = network.state_dict()
    try:
        with safe_open(path, framework="pt") as file:
            if (file.metadata() or {}) != _metadata(plan, member):
                raise RegistryError(
                    f"{path} was not trained under this folder's plan for {member.name}; delete it and train again"
                )
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - the file is no mapping
    except FileNotFoundError:
        raise RegistryError(f"{path} is missing; the version is not whole: restore it or train again") from None
    except (SafetensorError, OSError) as error:
        raise RegistryError(f"{path} is no whole safetensors file ({error}); delete it and train again") from None
    fits = weights.keys() == expected.keys() and all(
        weights[key].shape == expected[key].shape
        and weights[key].dtype == expected[key].dtype
        and bool(torch.isfinite(weights[key]).all())
        for key in expected
    )
    if not fits:
        raise RegistryError(f"{path} does not hold finite weights of a {plan.recipe.name} network; delete it")
    network.load_state_dict(weights)
    return network.eval()


@dataclass(frozen=True, kw_only=True)
class Ensemble:
    """The members of one staging or version folder, loaded; keep it to stay warm.

    Parameters
    ----------
    plan : Plan
        The folder's plan.
    networks : dict
        Member name -> network in evaluation mode.
    device : Device
        Where they are.
    """

    plan: Plan
    networks: Mapping[str, Network]
    device: Device

    @classmethod
    def open(cls, folder: Path, *, device: Device) -> "Ensemble":
        """Load all members of a staging or version folder."""
        plan = Plan.read(folder)
        networks = {member.name: load_member(plan, member, folder).to(device.kind) for member in plan.members}
        return cls(plan=plan, networks=networks, device=device)

    def of_fold(self, fold: int) -> "Ensemble":
        """Return the ensemble of one fold's members alone."""
        members = tuple(member for member in self.plan.members if member.fold == fold)
        return replace(self, plan=replace(self.plan, members=members))

    def score(self, cube: CubeInfo, runtime: Runtime) -> CubeScore:
        """Return P(emergence), its spread and the members of one cube; no emergence frame yet.

        The members are the cube's out-of-fold members.
        """
        members = self.plan.out_of_fold_members(cube)
        prepared = InputCache(
            recipe=self.plan.recipe, instrument=self.plan.instrument, load=runtime.load, folder=runtime.inputs
        )
        with self.device.deterministic(), torch.inference_mode(), self.device.autocast():
            # One cube at a time: its score must not depend on which others were asked for with it.
            x = torch.from_numpy(prepared(cube))[None].to(self.device.kind)
            logits = torch.cat([self.networks[member.name](x).float() for member in members])
        p = torch.sigmoid(logits).cpu().double().numpy()
        return CubeScore(
            cube=cube.name,
            sha256=cube.sha256,
            p_emergence=float(p.mean()),
            p_spread=float(p.std()) if len(p) > 1 else None,
            members=tuple(member.name for member in members),
        )


class EnsembleCache:
    """Ensembles that stay loaded between jobs, the latest used ones; the folder's plan file tells whether one is stale.

    Parameters
    ----------
    device : Device
        Where their networks are.
    size : int
        How many are kept.
    """

    def __init__(self, *, device: Device, size: int = 2) -> None:
        self._device = device
        self._size = size
        self._kept: OrderedDict[Path, tuple[tuple[int, int], Ensemble]] = OrderedDict()

    def open(self, folder: Path) -> Ensemble:
        """Return the ensemble of a staging or version folder, loaded or from the cache.

        Raises
        ------
        RegistryError
            If the plan or a member is missing or damaged.
        """
        try:
            stat = (folder / PLAN_FILE).stat()
        except FileNotFoundError:
            return Ensemble.open(folder, device=self._device)  # which raises the error that names the remedy
        stamp = (stat.st_mtime_ns, stat.st_ino)
        kept = self._kept.get(folder)
        if kept is None or kept[0] != stamp:
            kept = (stamp, Ensemble.open(folder, device=self._device))
        self._kept[folder] = kept
        self._kept.move_to_end(folder)
        while len(self._kept) > self._size:
            self._kept.popitem(last=False)
        return kept[1]


def score_cubes(ensemble: Ensemble, cubes: Sequence[CubeInfo], runtime: Runtime) -> list[CubeScore]:
    """Return the score of each cube by its out-of-fold members; no emergence frame yet.

    Parameters
    ----------
    ensemble : Ensemble
        All members of a staging or version folder.
    cubes : sequence of CubeInfo
        Which cubes.
    runtime : Runtime
        Its report is called after each cube; its `on_excluded` for cubes that cannot be read.

    Returns
    -------
    list of CubeScore
        In the order of `cubes`, without excluded ones.
    """
    return each_cube(cubes, lambda cube: ensemble.score(cube, runtime), runtime, what="scoring cubes")


def each_cube(
    cubes: Sequence[CubeInfo], one: Callable[[CubeInfo], CubeScore], runtime: Runtime, *, what: str
) -> list[CubeScore]:
    """Return `one` of each cube, in order, without excluded cubes."""
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


def _metadata(plan: Plan, member: PlannedMember) -> dict[str, str]:
    return {"fingerprint": plan.fingerprint, "member": member.name}
