"""The weights of a member: a safetensors file in a staging or version folder, which is checked against the plan.

A folder may be damaged or foreign. Needs torch (extra ``worker``).
"""

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from helioloop.errors import RegistryError
from helioloop.files import atomic
from helioloop.model.architectures import find_architecture
from helioloop.model.device import Device
from helioloop.model.plan import Plan, PlannedMember


def write_member(plan: Plan, member: PlannedMember, network: nn.Module, path: Path) -> None:
    """Write the weights of a trained member.

    Raises
    ------
    RegistryError
        If the folder is gone: another process has closed the round.
    """
    if not path.parent.is_dir():
        raise RegistryError(
            f"{path.parent} is gone, so the weights of {member.name} are not kept: another process has closed the round"
        )
    weights = {key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}
    atomic.write_bytes(path, save(weights, metadata=_metadata(plan, member)))


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


def load_members(plan: Plan, folder: Path, device: Device) -> dict[str, nn.Module]:
    """Return the network of each member by name, on `device`; see `load_member`."""
    return {member.name: load_member(plan, member, folder).to(device.kind) for member in plan.members}


def _metadata(plan: Plan, member: PlannedMember) -> dict[str, str]:
    return {"fingerprint": plan.fingerprint, "member": member.name}
