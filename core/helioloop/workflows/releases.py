"""Train on a release, or score one, without Label Studio or Redis: ``helioloop train`` and ``helioloop score``.

The worker runs the same rounds with a project's labels instead of a release's table. Needs the extra ``worker``.
"""

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from helioloop.data.release import Release
from helioloop.emergence.locate import locate_emergences
from helioloop.errors import RegistryError, RejectedVersion, TooFewLabels
from helioloop.model.ensemble import Ensemble, score_cubes
from helioloop.model.plan import Plan, make_plan
from helioloop.model.recipes import Recipe
from helioloop.model.runtime import Runtime
from helioloop.records.cubes import CubeInfo
from helioloop.records.profiles import cube_values, differences, profile_record
from helioloop.records.scores import CubeScore
from helioloop.registry.card import Card
from helioloop.registry.label_snapshot import Snapshot
from helioloop.registry.project_profile import profile_conflict, write_project_profile
from helioloop.registry.versions import Registry
from helioloop.workflows.damaged_version import copy_sound_members, version_damage
from helioloop.workflows.parallel import process_count
from helioloop.workflows.readable_cubes import readable_cubes
from helioloop.workflows.rounds import run_round

log = logging.getLogger(__name__)


def train_release(
    release: Release, registry: Registry, runtime: Runtime, *, recipe: Recipe, seed: int, forced: bool
) -> Card | None:
    """Train a version on a release's labels and publish it; None if nothing changed since the newest version.

    Where the newest version is damaged or lacks a part, an equal one is made, with what of its weights is sound.

    If the newest version was made from the same data and never published, because the command was interrupted, it is
    published now.

    Parameters
    ----------
    release : Release
        Cubes and labels.
    registry : Registry
        Where the version goes; its parent is the published one.
    runtime : Runtime
        Device, loader and reports.
    recipe : Recipe
        How to train.
    seed : int
        Seed of the first member.
    forced : bool
        Train even if labels, data, recipe and code are those of the newest version, and publish even a version that
        is worse.

    Raises
    ------
    TooFewLabels
        If a class has too few labelled cubes that can be read.
    RejectedVersion
        If the promotion check rejects the version, or somebody published another one while it was trained; it stays
        in the registry.
    RegistryError
        If the model folder has another profile than the release, or its published version is missing or damaged.
    """
    check_profile(registry, runtime)
    parent = registry.published()
    if parent is not None:
        # Before hours of work: without these no other version can be compared with it and published.
        registry.card(parent)
        registry.scores(parent, curves=False)
    cubes = readable_cubes(release, runtime)
    try:
        plan = make_plan(
            cubes,
            recipe=recipe,
            instrument=runtime.instrument,
            profile=runtime.profile,
            seed=seed,
            parent=parent,
            reason="trained by hand with --force" if forced else "trained by hand",
        )
    except TooFewLabels as error:
        n_excluded = len(release.rows) - len(cubes)
        if not n_excluded:
            raise
        raise TooFewLabels(
            f"{n_excluded} of {len(release.rows)} cubes of release {release.name} were excluded; of the others, {error}"
        ) from None
    newest = registry.latest()
    damage = None
    if newest is not None and newest.fingerprint == plan.fingerprint and not forced:
        damage = version_damage(registry, newest.version)
        if damage is None:
            interrupted = registry.unpublished()
            return None if interrupted is None else _publish(interrupted, registry, forced=forced)
    set_profile(registry, runtime)
    if newest is not None and damage is not None:
        log.warning("%s is damaged and is made again: %s", newest.version, damage)
        plan = replace(plan, reason=f"{newest.version} is damaged")
        copy_sound_members(registry, newest.version, plan)
    card = run_round(plan, registry, runtime, processes=process_count(plan, runtime.device), forced=forced)
    return _publish(card, registry, forced=forced)


def check_profile(registry: Registry, runtime: Runtime) -> None:
    """Refuse to train on a release of another profile than that of the model folder.

    Raises
    ------
    RegistryError
        If the profile of the folder, or of one of its versions, differs.
    """
    if runtime.profile is None:
        return
    snapshot = Snapshot.read(registry.root)
    has_cubes = snapshot is not None and bool(snapshot.cubes)
    conflict = profile_conflict(registry, runtime.profile, has_cubes=has_cubes)
    if conflict is not None:
        raise RegistryError(
            f"the release has profile {runtime.profile.name!r}, but {registry.root} has {conflict}, and all versions "
            "in a model folder have one profile; give another --model-dir"
        )


def set_profile(registry: Registry, runtime: Runtime) -> None:
    """Write the profile of the release into the model folder, before its first training begins."""
    if runtime.profile is not None:
        check_profile(registry, runtime)  # again: an ingestion may have written one meanwhile
        write_project_profile(registry.root, runtime.profile)


def _publish(card: Card, registry: Registry, *, forced: bool) -> Card:
    """Publish a new version, unless it was rejected, or somebody published another one while it was trained."""
    if card.rejected is not None:
        raise RejectedVersion(
            f"{card.version} is {card.rejected}; to publish it anyway run "
            f"`{registry.rollback_command(card.version)}`, or train with --force"
        )
    if forced:
        registry.publish(card.version, why=card.reason)
    elif (overtaken := registry.publish_candidate(card, why=card.reason)) is not None:
        raise RejectedVersion(f"{card.version} is trained and not published, because {overtaken}")
    return card


def score_release(
    release: Release, registry: Registry, runtime: Runtime, *, version: str | None, other_profile: bool = False
) -> tuple[str, list[tuple[CubeInfo, CubeScore]]]:
    """Score all readable cubes of a release with a version, by default the published one.

    Scores in the version's folder are used; others are computed but not added, so the model folder does not change.

    Returns
    -------
    version : str
        The version that scored.
    scored : list of (CubeInfo, CubeScore)
        In the order of the release's table.

    Raises
    ------
    RegistryError
        If nothing is published yet, or the version was trained on another profile.
    UnknownVersion
        If there is no such version.
    """
    version = find_version(registry, version, runtime=runtime, other_profile=other_profile)
    cubes = readable_cubes(release, runtime)
    labels = {cube.name: cube.label for cube in cubes}
    stored = registry.scores(version)
    ensemble = Ensemble.open(registry.folder(version), device=runtime.device)
    fresh = score_cubes(ensemble, [cube for cube in cubes if cube.key not in stored], runtime)
    known = {**stored, **{score.key: score for score in fresh}}
    scores = locate_emergences(ensemble, cubes, [known[cube.key] for cube in cubes], runtime, labels=labels)
    return version, list(zip(cubes, scores, strict=True))


def find_version(registry: Registry, version: str | None, *, runtime: Runtime, other_profile: bool = False) -> str:
    """Return `version`, or the published one for None, if it was trained on the release's profile.

    With `other_profile`, a version trained on another profile with the same grid is returned, too.

    Raises
    ------
    RegistryError
        If nothing is published yet, the version was trained on another profile, or its weights were removed.
    UnknownVersion
        If there is no such version.
    """
    version = version or registry.published()
    if version is None:
        raise RegistryError(f"{registry.root} has no published version; {_remedy(registry)}")
    registry.folder_with_weights(version)
    difference = profile_difference(registry, version, runtime)
    if difference is None:
        return version
    if different := differences(*(_grid(values) for values in _values_of(registry, version, runtime))):
        raise RegistryError(
            f"{difference}, and their grids differ ({different}); train on this release or give another --version"
        )
    if not other_profile:
        raise RegistryError(f"{difference}; give another --version, or --other-profile to score it all the same")
    return version


def profile_difference(registry: Registry, version: str, runtime: Runtime) -> str | None:
    """Return a clause that names the profiles of version and release; None where they are the same."""
    given, trained_on = _values_of(registry, version, runtime)
    if not differences(given, trained_on):
        return None
    return f"version {version} was trained on profile {_profile(trained_on)}, the release has {_profile(given)}"


def _values_of(registry: Registry, version: str, runtime: Runtime) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the `cube_values` of the release and of the release that a version was trained on."""
    plan = Plan.read(registry.folder(version))
    record = profile_record(runtime.profile, runtime.instrument)
    return cube_values(record, runtime.instrument), cube_values(plan.profile, plan.instrument)


def _grid(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values without names and without the factor, which does not change a grid."""
    return {key: value for key, value in values.items() if key not in {"name", "instrument", "to_mdi_factor"}}


def _profile(values: Mapping[str, Any]) -> str:
    return f"{values['name']!r} ({values['instrument']}, {values['to_mdi_factor']:g} to the MDI scale)"


def _remedy(registry: Registry) -> str:
    """Return what to do if nothing is published; with versions present, training again would do nothing."""
    version = registry.last_published()
    if version is None:
        return "run `helioloop train` with this --model-dir"
    return f"give one with --version {version}, or publish it: `{registry.rollback_command(version)}`"
