"""Ensembles: members trained into a staging folder, each of which scores only cubes it was not trained on.

Call `train_member` for each member of a plan, or `train_all_members` where `trains_together` is true, and
`keep_growth_odds`. Then call `Ensemble.open` and `score_cubes`. Weights are safetensors and are checked against the
plan, because a folder may be damaged or foreign. Needs torch (extra ``worker``).
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import numpy.typing as npt
import torch
from filelock import FileLock
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from helioloop.errors import CubeError, RegistryError, SettingsError
from helioloop.files import atomic
from helioloop.model.architecture import AnyArchitecture, ResidentInputs
from helioloop.model.architectures import find_architecture
from helioloop.model.device import Device
from helioloop.model.growth_odds import EARLIER, ENOUGH_CUBES, GrowthOdds
from helioloop.model.input_cache import GrowthCache, InputCache
from helioloop.model.inputs import FloatArray
from helioloop.model.joint_training import JointMember, can_train_together, train_together
from helioloop.model.plan import Plan, PlannedMember
from helioloop.model.provenance import code_version
from helioloop.model.runtime import Runtime
from helioloop.model.teacher import ask_teacher, labels_as_targets, mixed_targets
from helioloop.model.training import Examples, new_network, train
from helioloop.records.cubes import CubeInfo
from helioloop.records.scores import CubeScore
from helioloop.registry.staging import GROWTH_ODDS_FILE, PLAN_FILE

_CUBES_PER_COPY = 32
"""Cubes copied to the device together."""
_CHUNKS_AHEAD = 3
"""Such chunks that are loaded or loading at a time: 350 MB of MDI cubes."""
_LOADING_THREADS = 8
_CUBES_PER_QUESTION = 32
"""Cubes that the teacher is asked about at a time."""


def train_member(plan: Plan, name: str, staging: Path, runtime: Runtime) -> Path:
    """Train one member of a plan and write its weights into a staging folder, unless the file exists.

    Parameters
    ----------
    plan : Plan
        The round.
    name : str
        Name of the member.
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
        If the file exists and is damaged, or belongs to another plan.
    CubeError
        If a training cube cannot be read.
    TrainingError
        If the training diverges; see `train`.
    """
    member = plan.member(name)
    path = staging / member.file
    if path.exists():
        load_member(plan, member, staging)
        return path
    with runtime.device.deterministic():  # inputs and targets, too: the rounding of sums depends on the threads
        network = _train_member(plan, member, runtime)
    _write_member(plan, member, network, path)
    return path


def _train_member(plan: Plan, member: PlannedMember, runtime: Runtime) -> nn.Module:
    cubes = plan.training_cubes(member)
    architecture = find_architecture(plan.recipe.network)
    prepared = _inputs(plan, runtime)
    arrays = [prepared(cube) for cube in cubes] if architecture.input_format is not None else []

    def read(k: int) -> FloatArray:
        return arrays[k] if arrays else prepared(cubes[k])

    return train(
        Examples(
            inputs=read,
            targets=_targets(plan, cubes, read, runtime),
            groups=_groups(cubes),
        ),
        architecture=architecture,
        recipe=plan.recipe,
        instrument=plan.instrument,
        seed=member.seed,
        dropout=member.dropout,
        device=runtime.device,
        report=runtime.report,
        what=f"epochs of member {member.name}",
    )


def keep_growth_odds(plan: Plan, staging: Path, runtime: Runtime) -> None:
    """Estimate the growth odds of a plan's cubes and write them into its staging folder, unless they are there.

    Needed once, after the members are trained and before the cubes are scored, where the recipe uses the local growth.
    Of a large archive `ENOUGH_CUBES` cubes are measured, chosen by their content, which is as good as at random. Cubes
    that cannot be read are left out.
    """
    if not plan.recipe.local_growth or (staging / GROWTH_ODDS_FILE).exists():
        return
    measure, device = _growth(plan, runtime), runtime.device
    members = Ensemble(plan=plan, networks=_load_members(plan, staging, device), device=device)
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


def trains_together(plan: Plan, device: Device) -> bool:
    """Return whether the members of a plan train together on `device`, a GPU: then use `train_all_members`."""
    return device.kind == "cuda" and can_train_together(plan.recipe, find_architecture(plan.recipe.network))


def train_all_members(plan: Plan, staging: Path, runtime: Runtime) -> None:
    """Train all members of a plan whose weights are not in a staging folder, at the same time.

    The inputs of all labelled cubes stay in the memory of the device meanwhile. The weights of each member are written
    when it is trained. Processes that call this for the same folder do so one after another, so that no member is
    trained twice.

    Parameters
    ----------
    plan : Plan
        The round.
    staging : Path
        The round's staging folder.
    runtime : Runtime
        Its report is called after each epoch, with the epochs of all members.

    Raises
    ------
    RegistryError
        If the weights of a member exist and are damaged, or belong to another plan.
    CubeError
        If a training cube cannot be read.
    """
    path = staging.with_suffix(".members.lock")  # beside the folder, which is renamed when the round is admitted
    with FileLock(path):
        try:
            left = [member for member in plan.members if not (staging / member.file).exists()]
            for member in plan.members:
                if member not in left:
                    load_member(plan, member, staging)
            if left:
                with runtime.device.deterministic():
                    _train_together(plan, left, staging, runtime)
        finally:
            path.unlink(missing_ok=True)  # while locked: a process that waits for it finds that, and opens a new one


def _train_together(plan: Plan, members: Sequence[PlannedMember], staging: Path, runtime: Runtime) -> None:
    architecture = find_architecture(plan.recipe.network)
    cubes = plan.labelled
    inputs = architecture.resident_inputs(len(cubes), instrument=plan.instrument, device=runtime.device)
    if inputs is None:
        raise SettingsError(f"members of the network {plan.recipe.network} cannot train together; use another recipe")
    _fill(inputs, cubes, runtime)
    number, prepared = {cube.name: k for k, cube in enumerate(cubes)}, _inputs(plan, runtime)

    def joint(member: PlannedMember) -> JointMember:
        trained_on = plan.training_cubes(member)
        return JointMember(
            name=member.name,
            seed=member.seed,
            dropout=member.dropout,
            chosen=np.array([number[cube.name] for cube in trained_on], dtype=np.int64),
            targets=_targets(plan, trained_on, lambda k: prepared(trained_on[k]), runtime),
            groups=_groups(trained_on),
        )

    def keep(name: str, network: nn.Module) -> None:
        member = plan.member(name)
        _write_member(plan, member, network, staging / member.file)

    train_together(
        [joint(member) for member in members],
        inputs,
        architecture=architecture,
        recipe=plan.recipe,
        instrument=plan.instrument,
        device=runtime.device,
        report=runtime.report,
        on_trained=keep,
    )


def _fill(inputs: ResidentInputs[Any], cubes: Sequence[CubeInfo], runtime: Runtime) -> None:
    """Load cubes in several threads and store them on the device; the next ones load while a chunk is stored."""
    chunks = [cubes[k : k + _CUBES_PER_COPY] for k in range(0, len(cubes), _CUBES_PER_COPY)]

    def load(cube: CubeInfo) -> npt.NDArray[np.floating]:
        return np.array(runtime.load(cube))  # a copy: an entry of the cache is mapped, and read here, in the thread

    with ThreadPoolExecutor(min(_LOADING_THREADS, joblib.cpu_count())) as pool:
        waiting: deque[list[Future[npt.NDArray[np.floating]]]] = deque()
        try:
            for k in range(len(chunks)):
                while len(waiting) < _CHUNKS_AHEAD and k + len(waiting) < len(chunks):
                    waiting.append([pool.submit(load, cube) for cube in chunks[k + len(waiting)]])
                loaded = [one.result() for one in waiting.popleft()]
                inputs.put(k * _CUBES_PER_COPY, loaded)
                runtime.report(k * _CUBES_PER_COPY + len(loaded), len(cubes), "loading cubes into the GPU's memory")
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _write_member(plan: Plan, member: PlannedMember, network: nn.Module, path: Path) -> None:
    if not path.parent.is_dir():
        raise RegistryError(
            f"{path.parent} is gone, so the weights of {member.name} are not kept: another process has closed the round"
        )
    weights = {key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}
    atomic.write_bytes(path, save(weights, metadata=_metadata(plan, member)))


def _targets(
    plan: Plan, cubes: Sequence[CubeInfo], inputs: Callable[[int], FloatArray], runtime: Runtime
) -> FloatArray:
    """Return the targets of the cubes that a member is trained on; `inputs` returns the network input of cube k.

    The teacher is asked about these cubes only, so that nothing of a fold enters the members that score it.
    """
    recipe = plan.recipe
    if not recipe.has_teacher:
        return labels_as_targets(cubes)
    pretrained = new_network(find_architecture(recipe.network), recipe, plan.instrument, dropout=0.0).eval()
    parts = (range(k, min(k + _CUBES_PER_QUESTION, len(cubes))) for k in range(0, len(cubes), _CUBES_PER_QUESTION))
    with torch.inference_mode():
        logits = torch.cat([pretrained(torch.from_numpy(np.stack([inputs(k) for k in part]))) for part in parts])
    growth = _growth(plan, runtime)
    growths = [growth(cube) if recipe.local_growth else None for cube in cubes]
    taught = ask_teacher(
        logits.numpy(),
        [np.nan if one is None else one for one in growths],
        fraction_emergence=float(labels_as_targets(cubes).mean()),
    )
    return mixed_targets(cubes, taught, crude_label_weight=recipe.crude_label_weight)


def _groups(cubes: Sequence[CubeInfo]) -> list[str]:
    return [cube.region_key or cube.name for cube in cubes]


def load_member(plan: Plan, member: PlannedMember, folder: Path) -> nn.Module:
    """Return one member's network with its weights, in evaluation mode, on the CPU.

    Raises
    ------
    RegistryError
        If the file is missing or damaged, or its weights are not finite or not those of this plan and member.
    """
    path = folder / member.file
    architecture = find_architecture(plan.recipe.network)
    network: nn.Module = architecture.build(plan.recipe, plan.instrument, dropout=member.dropout)
    expected = network.state_dict()
    try:
        with safe_open(path, framework="pt") as file:
            if (file.metadata() or {}) != _metadata(plan, member):
                raise RegistryError(
                    f"{path} was not trained as member {member.name} of this folder's plan; delete it and train again"
                )
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - the file is not a mapping
    except FileNotFoundError:
        raise RegistryError(f"{path} is missing; restore it or train the member again") from None
    except (SafetensorError, OSError) as error:
        raise RegistryError(f"{path} is not a complete safetensors file ({error}); delete it and train again") from None
    fits = weights.keys() == expected.keys() and all(
        weights[key].shape == expected[key].shape
        and weights[key].dtype == expected[key].dtype
        and bool(torch.isfinite(weights[key]).all())
        for key in expected
    )
    if not fits:
        raise RegistryError(
            f"{path} does not contain finite weights of the recipe {plan.recipe.name}; delete it and train again"
        )
    network.load_state_dict(weights)
    return network.eval()


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
        networks = _load_members(plan, folder, device)
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
                growth = _growth(self.plan, runtime)(cube)
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
            x = torch.from_numpy(_inputs(self.plan, runtime)(cube))[None].to(self.device.kind)
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


def _load_members(plan: Plan, folder: Path, device: Device) -> dict[str, nn.Module]:
    return {member.name: load_member(plan, member, folder).to(device.kind) for member in plan.members}


def _inputs(plan: Plan, runtime: Runtime) -> InputCache:
    return InputCache(
        architecture=find_architecture(plan.recipe.network),
        instrument=plan.instrument,
        load=runtime.load,
        folder=runtime.inputs,
    )


def _growth(plan: Plan, runtime: Runtime) -> GrowthCache:
    return GrowthCache(instrument=plan.instrument, patch_deg=plan.patch_deg, load=runtime.load, folder=runtime.inputs)


def _metadata(plan: Plan, member: PlannedMember) -> dict[str, str]:
    return {"fingerprint": plan.fingerprint, "member": member.name}
