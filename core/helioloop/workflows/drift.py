"""Whether a release is like those that a version was trained on: field, probabilities and profile.

In go the cubes of a release and a version; out comes a `Drift`. Needs the extra ``worker``.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from helioloop.evaluation.audit_sample import scoring_fold
from helioloop.evaluation.drift import Drift, DriftSample, find_drift
from helioloop.model.ensemble import Ensemble, each_cube
from helioloop.model.plan import Plan
from helioloop.model.runtime import Runtime
from helioloop.records.cubes import CubeInfo, Key
from helioloop.records.field_statistics import FieldStatistics
from helioloop.records.scores import CubeScore
from helioloop.registry.trained_fields import read_trained_fields
from helioloop.registry.versions import Registry
from helioloop.workflows.fields import measure_fields
from helioloop.workflows.releases import profile_difference

FEWEST_OTHERS = 10
"""With fewer trained cubes outside a release, the release is the one that was trained on."""


def release_drift(
    cubes: Sequence[CubeInfo],
    registry: Registry,
    runtime: Runtime,
    *,
    version: str,
    sampled: Collection[str] | None = None,
    p_emergence: Mapping[Key, float] | None = None,
) -> Drift:
    """Return how the cubes of a release differ from those that a version was trained on. Nothing is written.

    Parameters
    ----------
    cubes : sequence of CubeInfo
        The release; it may have been trained on meanwhile.
    registry : Registry
        Model folder.
    runtime : Runtime
        Profile of the release, loader, device and reports. A cube that cannot be read is left out.
    version : str
        The version that scores or scored the release.
    sampled : collection of str or None
        Names of the trained cubes to compare with: the audit sample on which a guarantee is based. With None, these are
        all cubes trained on that are not in the release. If these are fewer than `FEWEST_OTHERS` (a few files of the
        release were replaced since), all cubes trained on are compared with the release's other cubes.
    p_emergence : mapping of (name, sha256) to float, or None
        Probabilities by the members of one fold each, as in `prelabel_release`. With None they are computed for cubes
        that were not trained on: probabilities by all members, which `score_release` and the predictions of a project
        have, are distributed otherwise.

    Raises
    ------
    RegistryError
        If a file of the version is missing or damaged.
    """
    difference = profile_difference(registry, version, runtime)
    profile = () if difference is None else (difference,)
    folder = registry.folder(version)
    plan, kept = Plan.read(folder), read_trained_fields(folder)
    compared = _compared_with(plan.labelled, cubes, sampled)
    known = {cube.sha256 for cube in compared}
    new = one_per_region(cube for cube in cubes if cube.sha256 not in known)
    if not new:
        return Drift(reasons=profile)
    if kept is None:
        return Drift(
            reasons=profile,
            unknown=f"version {version} was made before helioloop kept statistics of the cubes trained on; train again",
        )
    fields = kept | measure_fields([cube for cube in new if cube.key not in kept], runtime)
    stored = {key: score.p_emergence for key, score in registry.scores(version).items()}
    trained = {cube.key for cube in plan.labelled}
    of_trained = {key: p for key, p in stored.items() if key in trained}
    if p_emergence is None:
        untrained = [cube for cube in new if cube.key not in of_trained]
        folds = [plan.folds[cube.name] for cube in compared]
        p_emergence = of_trained | _one_fold_scores(folder, untrained, folds, runtime)
    drift = find_drift(_sample(new, fields, p_emergence), _sample(one_per_region(compared), kept, of_trained))
    return Drift(reasons=(*profile, *drift.reasons), unknown=drift.unknown)


def one_per_region(cubes: Iterable[CubeInfo]) -> list[CubeInfo]:
    """Return one cube of each region, chosen by its content hash; each cube without region counts as a region."""
    chosen: dict[str, CubeInfo] = {}
    for cube in sorted(cubes, key=lambda cube: (cube.sha256, cube.name)):
        chosen.setdefault(cube.region_key or cube.name, cube)
    return list(chosen.values())


def _sample(
    cubes: Sequence[CubeInfo], fields: Mapping[Key, FieldStatistics], p_emergence: Mapping[Key, float]
) -> DriftSample:
    measured = [fields[cube.key] for cube in cubes if cube.key in fields]
    return DriftSample(
        noise_gauss=np.array([field.noise_gauss for field in measured], dtype=np.float64),
        typical_gauss=np.array([field.typical_gauss for field in measured], dtype=np.float64),
        peak_gauss=np.array([field.peak_gauss for field in measured], dtype=np.float64),
        p_emergence=np.array([p_emergence[cube.key] for cube in cubes if cube.key in p_emergence], dtype=np.float64),
    )


def _compared_with(
    trained: Sequence[CubeInfo], release: Iterable[CubeInfo], sampled: Collection[str] | None
) -> list[CubeInfo]:
    """Return the trained cubes that a release is compared with; see `release_drift`."""
    if sampled is not None:
        return [cube for cube in trained if cube.name in sampled]
    own = {cube.sha256 for cube in release}
    others = [cube for cube in trained if cube.sha256 not in own]
    return others if len(others) >= FEWEST_OTHERS else list(trained)


def _one_fold_scores(
    folder: Path, cubes: Sequence[CubeInfo], folds: Sequence[int], runtime: Runtime
) -> dict[Key, float]:
    """Return each cube's probability by the members of one fold, chosen as often as in `folds`."""
    if not cubes:
        return {}
    ensemble = Ensemble.open(folder, device=runtime.device)
    of_fold = {fold: ensemble.of_fold(fold) for fold in {member.fold for member in ensemble.plan.members}}

    def score(cube: CubeInfo) -> CubeScore:
        return of_fold[scoring_fold(cube, ensemble.plan, folds)].score(cube, runtime)

    return {score.key: score.p_emergence for score in each_cube(cubes, score, runtime, what="comparing probabilities")}
