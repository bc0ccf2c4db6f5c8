"""The ensemble: members trained one by one into a staging folder, each speaking only of what it never saw.

Top of the learning floor; the command line and the worker's jobs call these functions and nothing below them:
`train_member` for each member of a plan, `score_cubes`, `locate`, `close_round`; or `run_round` for all of them.
Folders are read without trusting them: weights are safetensors, checked against the plan. Needs torch (extra
``worker``).
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from helioloop import atomic
from helioloop.errors import CubeError, RegistryError
from helioloop.model.device import Device
from helioloop.model.inputs import FloatArray, InputCache, Load
from helioloop.model.networks import Network, build
from helioloop.model.plan import Plan, PlannedMember
from helioloop.model.training import Examples, train
from helioloop.progress import Report
from helioloop.records import CubeRef, CubeScore, Label, PlannedCube

logger = logging.getLogger(__name__)

SetAside = Callable[[CubeRef, CubeError], None]
"""Called with a cube that cannot be read, and why; the rest goes on."""


def train_member(
    plan: Plan,
    name: str,
    staging: Path,
    load: Load,
    *,
    device: Device,
    report: Report,
    inputs: Path | None = None,
) -> Path:
    """Train one member of `plan` and write its weights into `staging`; a member that is there whole is kept.

    Parameters
    ----------
    plan : Plan
        The round.
    name : str
        Which member.
    staging : Path
        The round's staging folder.
    load : Load
        Gives a cube on the grid.
    device : Device
        Where to train.
    report : Report
        Called after each epoch.
    inputs : Path or None
        Folder that keeps prepared inputs between members and rounds; None prepares them anew.

    Returns
    -------
    Path
        The weights' file.

    Raises
    ------
    RegistryError
        If the file is there but truncated, or from another plan.
    CubeError
        If a cube of the plan cannot be read any more.
    """
    member = plan.member(name)
    path = staging / member.file
    if path.exists():
        load_member(plan, member, staging)
        return path
    cubes = plan.training_cubes(member)
    prepared = InputCache(recipe=plan.recipe, instrument=plan.instrument, load=load, folder=inputs)
    # The per-frame network's inputs are small enough to hold all.
    arrays = [prepared(cube.ref) for cube in cubes] if plan.recipe.network == "per-frame" else []

    def read(k: int) -> FloatArray:
        return arrays[k] if arrays else prepared(cubes[k].ref)

    network = train(
        Examples(
            inputs=read,
            targets=np.array([cube.label is Label.EMERGENCE for cube in cubes], dtype=np.float32),
            groups=[cube.region or cube.ref.cube for cube in cubes],
        ),
        recipe=plan.recipe,
        instrument=plan.instrument,
        seed=member.seed,
        dropout=member.dropout,
        device=device,
        report=report,
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

    def score(self, cube: PlannedCube | CubeRef, load: Load, *, inputs: Path | None = None) -> CubeScore:
        """Return P(emergence), spread and members of one cube; the time is left open (see `locate`)."""
        ref = cube.ref if isinstance(cube, PlannedCube) else cube
        members = self.plan.held_out(cube)
        prepared = InputCache(recipe=self.plan.recipe, instrument=self.plan.instrument, load=load, folder=inputs)
        with self.device.deterministic(), torch.inference_mode(), self.device.autocast():
            # One cube at a time: its answer must not depend on which others were asked for with it.
            x = torch.from_numpy(prepared(ref))[None].to(self.device.kind)
            logits = torch.cat([self.networks[member.name](x).float() for member in members])
        p = torch.sigmoid(logits).cpu().double().numpy()
        return CubeScore(
            cube=ref.cube,
            sha256=ref.sha256,
            p_emergence=float(p.mean()),
            p_spread=float(p.std()) if len(p) > 1 else None,
            members=tuple(member.name for member in members),
        )


def score_cubes(
    folder: Path,
    cubes: Sequence[PlannedCube | CubeRef],
    load: Load,
    *,
    device: Device,
    report: Report,
    inputs: Path | None = None,
    set_aside: SetAside | None = None,
) -> list[CubeScore]:
    """Score cubes with a staging or version folder: p, spread and members, no time yet.

    Parameters
    ----------
    folder : Path
        Staging or version folder, all members trained.
    cubes : sequence of PlannedCube or CubeRef
        Which cubes. A cube the ensemble was trained on is scored by its held-out members alone.
    load : Load
        Gives a cube on the grid.
    device : Device
        Where to compute.
    report : Report
        Called after each cube.
    inputs : Path or None
        Folder that keeps prepared inputs.
    set_aside : SetAside or None
        Takes cubes that cannot be read; None lets their error end the call.

    Returns
    -------
    list of CubeScore
        In the order of `cubes`, without those set aside.
    """
    ensemble = Ensemble.open(folder, device=device)
    return each_cube(
        cubes, lambda cube: ensemble.score(cube, load, inputs=inputs), report, what="scoring cubes", set_aside=set_aside
    )


def each_cube(
    cubes: Sequence[PlannedCube | CubeRef],
    one: Callable[[PlannedCube | CubeRef], CubeScore],
    report: Report,
    *,
    what: str,
    set_aside: SetAside | None,
) -> list[CubeScore]:
    """Do `one` for each cube, in order; one that cannot be read goes to `set_aside`, or ends the call without it."""
    done = []
    for k, cube in enumerate(cubes):
        try:
            done.append(one(cube))
        except CubeError as error:
            if set_aside is None:
                raise
            set_aside(cube.ref if isinstance(cube, PlannedCube) else cube, error)
        report(k + 1, len(cubes), what)
    return done


def _metadata(plan: Plan, member: PlannedMember) -> dict[str, str]:
    return {"fingerprint": plan.fingerprint, "member": member.name}
