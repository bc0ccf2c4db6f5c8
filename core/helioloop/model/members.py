"""Trains the members of a plan, one by one or together, into a staging folder. Needs torch (extra ``worker``)."""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import numpy.typing as npt
import torch
from filelock import FileLock
from torch import nn

from helioloop.errors import SettingsError
from helioloop.model.architecture import ResidentInputs
from helioloop.model.architectures import find_architecture
from helioloop.model.device import Device
from helioloop.model.input_cache import GrowthCache, InputCache
from helioloop.model.inputs import FloatArray
from helioloop.model.joint_training import JointMember, can_train_together, train_together
from helioloop.model.member_weights import load_member, write_member
from helioloop.model.plan import Plan, PlannedMember
from helioloop.model.runtime import Runtime
from helioloop.model.teacher import ask_teacher, labels_as_targets, mixed_targets
from helioloop.model.training import Examples, new_network, train
from helioloop.records.cubes import CubeInfo

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
    write_member(plan, member, network, path)
    return path


def _train_member(plan: Plan, member: PlannedMember, runtime: Runtime) -> nn.Module:
    cubes = plan.training_cubes(member)
    architecture = find_architecture(plan.recipe.network)
    prepared = InputCache.of(plan, runtime)
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
    number, prepared = {cube.name: k for k, cube in enumerate(cubes)}, InputCache.of(plan, runtime)

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
        write_member(plan, member, network, staging / member.file)

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
    growth = GrowthCache.of(plan, runtime)
    growths = [growth(cube) if recipe.local_growth else None for cube in cubes]
    taught = ask_teacher(
        logits.numpy(),
        [np.nan if one is None else one for one in growths],
        fraction_emergence=float(labels_as_targets(cubes).mean()),
    )
    return mixed_targets(cubes, taught, crude_label_weight=recipe.crude_label_weight)


def _groups(cubes: Sequence[CubeInfo]) -> list[str]:
    return [cube.region_key or cube.name for cube in cubes]
