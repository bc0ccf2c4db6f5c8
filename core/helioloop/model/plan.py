"""The plan of a round: its cubes, folds, members and recipe.

A plan is saved as ``plan.json`` in the staging folder, where each member's training reads it. In the version's folder
it records which member was trained on which cubes. No torch.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

from helioloop.errors import RegistryError, ReleaseError
from helioloop.files import atomic
from helioloop.model.folds import assign_folds
from helioloop.model.provenance import code_version, digest
from helioloop.model.recipes import Recipe
from helioloop.records.cubes import CubeInfo
from helioloop.records.instrument import Instrument
from helioloop.records.profiles import Profile, profile_record
from helioloop.registry.staging import PLAN_FILE


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedMember:
    """One member of the ensemble: the fold it is not trained on, its seed and its dropout rate."""

    name: str
    fold: int
    seed: int
    dropout: float

    @property
    def file(self) -> str:
        """Name of the file with its weights."""
        return f"{self.name}.safetensors"


_NONE: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class _FoldIndex:
    """The folds that contain labelled cubes of a name, of a content hash and of a region; the region of each cube."""

    region_of: dict[str, str]
    by_name: dict[str, set[int]] = field(default_factory=dict)
    by_content: dict[str, set[int]] = field(default_factory=dict)
    by_region: dict[str, set[int]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that a round does. Two plans with the same fingerprint give the same model.

    Parameters
    ----------
    cubes : tuple of CubeInfo
        All cubes to be scored; those with a label are trained on.
    folds : dict
        Fold of each labelled cube, by name; the members of that fold are not trained on it.
    members : tuple of PlannedMember
        The members to train.
    recipe : Recipe
        How the members are trained.
    instrument : Instrument
        The grid.
    parent : str or None
        The version that was published when the round started.
    reason : str
        Why the round was started, one sentence.
    code_version : str
        Package version and digest of the learning modules and the pretrained weights.
    profile : dict
        The profile of the release: {"name", "instrument", "to_mdi_factor", "patch_deg"}.
    saved_fingerprint : str or None
        The fingerprint at the time the plan was saved; None for a new plan. Recomputed after an update that adds fields
        to recipes, the fingerprint would differ from the one in the weights' files.
    """

    cubes: tuple[CubeInfo, ...]
    folds: dict[str, int] = field(repr=False)
    members: tuple[PlannedMember, ...]
    recipe: Recipe
    instrument: Instrument
    parent: str | None
    reason: str
    code_version: str
    profile: dict[str, Any] = field(default_factory=dict)
    saved_fingerprint: str | None = field(default=None, compare=False, repr=False)

    @property
    def labelled(self) -> tuple[CubeInfo, ...]:
        """The cubes that are trained on."""
        return tuple(cube for cube in self.cubes if cube.label is not None)

    @property
    def patch_deg(self) -> float:
        """Side of the release's patches in heliographic degrees."""
        return float(self.profile["patch_deg"])

    @property
    def label_fingerprint(self) -> str:
        """Hash of the labels and verified flags of all labelled cubes."""
        return label_fingerprint(self.cubes)

    @property
    def fingerprint(self) -> str:
        """Hash of everything that decides the members' weights, and of the verified flags; not of parent and reason."""
        return self.saved_fingerprint or digest(
            {
                "labels": self.label_fingerprint,
                "data": sorted((cube.name, cube.sha256, self.folds[cube.name]) for cube in self.labelled),
                "members": [asdict(member) for member in self.members],
                "recipe": self.recipe.as_dict(),
                "instrument": self.instrument.as_dict(),
                "code": self.code_version,
            }
        )

    def member(self, name: str) -> PlannedMember:
        """Return the member called `name`; an unknown name raises `RegistryError`."""
        for member in self.members:
            if member.name == name:
                return member
        raise RegistryError(f"member {name!r} is not in the plan; it has: {', '.join(m.name for m in self.members)}")

    def training_cubes(self, member: PlannedMember) -> tuple[CubeInfo, ...]:
        """Return the cubes that `member` is trained on: all labelled cubes outside its fold."""
        return tuple(cube for cube in self.labelled if self.folds[cube.name] != member.fold)

    def out_of_fold_members(self, cube: CubeInfo) -> tuple[PlannedMember, ...]:
        """Return the out-of-fold members of a cube: those not trained on it or on its region.

        A member was trained on a cube if one of its training cubes has the same name or the same content. The result is
        the fold's members for a labelled cube, because folds keep regions whole, and all members for a cube of a region
        without labels.

        Copies made by hand can spread a region over all folds, so that no member remains. Then members trained on the
        region are returned; members trained on the cube itself never are.

        Raises
        ------
        RegistryError
            If every member was trained on this cube, under its own or another name.
        """
        index = self._folds_of
        region = cube.region_key or index.region_of.get(cube.name)
        same = index.by_name.get(cube.name, _NONE) | index.by_content.get(cube.sha256, _NONE)
        near = index.by_region.get(region, _NONE) if region is not None else _NONE
        # A member of fold f is trained on every labelled cube outside f, so all such cubes must be inside f.
        members = tuple(member for member in self.members if (same | near) <= {member.fold})
        members = members or tuple(member for member in self.members if same <= {member.fold})
        if not members:
            raise RegistryError(
                f"every member was trained on the content of cube {cube.name} ({cube.sha256[:12]}…), under this or "
                "another name; keep one copy of a cube in a release"
            )
        return members

    @cached_property
    def _folds_of(self) -> "_FoldIndex":
        index = _FoldIndex(region_of={cube.name: cube.region_key for cube in self.cubes if cube.region_key is not None})
        for cube in self.labelled:
            fold = self.folds[cube.name]
            index.by_name.setdefault(cube.name, set()).add(fold)
            index.by_content.setdefault(cube.sha256, set()).add(fold)
            if cube.region_key is not None:
                index.by_region.setdefault(cube.region_key, set()).add(fold)
        return index

    def as_dict(self) -> dict[str, Any]:
        """Return the plan as JSON values."""
        return {
            "cubes": [cube.as_dict() for cube in self.cubes],
            "folds": self.folds,
            "members": [asdict(member) for member in self.members],
            "recipe": self.recipe.as_dict(),
            "instrument": self.instrument.as_dict(),
            "parent": self.parent,
            "reason": self.reason,
            "code_version": self.code_version,
            "profile": self.profile,
            "saved_fingerprint": self.fingerprint,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the plan that `as_dict` wrote."""
        instrument = Instrument(**values["instrument"])
        return cls(
            **{
                **values,
                "cubes": tuple(CubeInfo.from_dict(entry) for entry in values["cubes"]),
                "members": tuple(PlannedMember(**entry) for entry in values["members"]),
                "recipe": Recipe.from_dict(values["recipe"]),
                "instrument": instrument,
                # older plans have no profile, or not all of it
                "profile": {**profile_record(None, instrument), **values.get("profile", {})},
            }
        )

    def save(self, folder: Path) -> None:
        """Write ``plan.json`` into `folder`."""
        atomic.write_json(folder / PLAN_FILE, self.as_dict())

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Return the plan in a staging or version folder.

        Raises
        ------
        RegistryError
            If ``plan.json`` is missing or is not a plan.
        """
        path = folder / PLAN_FILE
        try:
            return cls.from_dict(json.loads(path.read_text()))
        except FileNotFoundError:
            raise RegistryError(f"{path} is missing; restore it from a backup or train again") from None
        except (ValueError, TypeError, KeyError) as error:
            raise RegistryError(f"{path} is not a plan ({error!r}); restore it or delete its folder") from None


def make_plan(
    cubes: Sequence[CubeInfo],
    *,
    recipe: Recipe,
    instrument: Instrument,
    seed: int,
    parent: str | None,
    reason: str,
    profile: Profile | None = None,
) -> Plan:
    """Return the plan of a new round.

    Parameters
    ----------
    cubes : sequence of CubeInfo
        All cubes to be scored, with their current labels; the order does not matter.
    recipe : Recipe
        How members are trained.
    instrument : Instrument
        The grid.
    seed : int
        Member k gets the seed ``seed + k``.
    parent : str or None
        The published version.
    reason : str
        Why the round is started, one sentence.
    profile : Profile or None
        Profile of the release; None records the instrument on the MDI scale.

    Raises
    ------
    TooFewLabels
        If a class has too few labelled cubes.
    ReleaseError
        If two cubes have the same name: labels, folds and scores are stored by name.
    """
    ordered = sorted(cubes, key=lambda cube: cube.name)
    for one, other in pairwise(ordered):
        if one.name == other.name:
            raise ReleaseError(
                f"the cube name {one.name} is used twice (releases {one.release} and {other.release}); "
                "names are unique in a project: rename one"
            )
    labelled = [cube for cube in ordered if cube.label is not None]
    members = tuple(
        PlannedMember(name=f"fold{fold}-{variant}", fold=fold, seed=seed + fold * len(recipe.dropouts) + variant,
                      dropout=dropout)
        for fold in range(recipe.folds)
        for variant, dropout in enumerate(recipe.dropouts)
    )  # fmt: skip
    return Plan(
        cubes=tuple(ordered),
        folds=assign_folds(labelled, n_folds=recipe.folds),
        members=members,
        recipe=recipe,
        instrument=instrument,
        parent=parent,
        reason=reason,
        code_version=code_version(),
        profile=profile_record(profile, instrument),
    )


def label_fingerprint(cubes: Sequence[CubeInfo]) -> str:
    """Return the hash of the labels and verified flags of all labelled cubes; their order does not matter."""
    return digest(sorted((cube.name, str(cube.label), cube.verified) for cube in cubes if cube.label is not None))
