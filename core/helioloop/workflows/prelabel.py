"""A new release pre-labelled: classes that can be accepted without a human, with a guarantee, and the rest for humans.

In go the release, a published version and the audit sample of an earlier release; out comes a `Prelabelling`. Needs the
extra ``worker``.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from helioloop.data.frame_times import cube_frame_time
from helioloop.data.release import Release
from helioloop.emergence.locate import locate
from helioloop.errors import RegistryError
from helioloop.evaluation.audit_sample import AuditSample, predicted_emergence
from helioloop.evaluation.calibration import IntervalCalibration, ProbabilityCalibration
from helioloop.evaluation.risk_control import make_guarantee, smallest_guarantee, split
from helioloop.files.tables import OnDoubt, log_doubt
from helioloop.model.ensemble import Ensemble
from helioloop.model.plan import Plan
from helioloop.model.runtime import Runtime
from helioloop.records.cubes import CubeInfo
from helioloop.records.labels import Label
from helioloop.records.scores import CubeScore
from helioloop.registry.versions import Registry
from helioloop.workflows.drift import release_drift
from helioloop.workflows.learning_code import other_code
from helioloop.workflows.prelabel_report import Prelabel, Prelabelling, Targets
from helioloop.workflows.readable_cubes import readable_cubes
from helioloop.workflows.releases import find_version


def prelabel_release(
    release: Release,
    registry: Registry,
    runtime: Runtime,
    *,
    sample: Path,
    targets: Targets,
    version: str | None,
    other_profile: bool = False,
    on_doubt: OnDoubt = log_doubt,
) -> Prelabelling:
    """Score a new release and accept the classes for which the audit sample supports a guarantee.

    A label that a human verified is never overruled: such a cube is not accepted, whether the release's table marks it
    as verified or the audit sample contains it.

    If the release is not like the audit sample, or cannot be compared with it, nothing is accepted or calibrated.

    Nothing is written. The scores differ from those in the version's folder: a new cube is scored by the members of one
    fold, as the cubes of the sample were (see `audit_sample`).

    Parameters
    ----------
    release : Release
        The new release; of its labels only whether a human verified them is used.
    registry : Registry
        Model folder.
    runtime : Runtime
        Device, loader and reports.
    sample : Path
        Table ``cube,label[,emergence_frame]`` of *all* cubes of a random sample from an earlier release, as a human
        verified them. If cubes whose label was right are left out, or cubes chosen by disagreement are added, the
        guarantee is void.
    targets : Targets
        What to guarantee; chosen before looking at the labels.
    version : str or None
        The version that scores; None for the published one.
    other_profile : bool
        Accept a version that was trained on another profile with the same grid.
    on_doubt : OnDoubt
        Called with a sentence for each doubtful value of the sample's table that was read nevertheless.

    Raises
    ------
    RegistryError
        If nothing is published yet, or the version was trained on another profile or made by other code.
    ReleaseError, WrongUsage
        If the sample's table cannot be used, or the version has no out-of-fold score of a sampled cube.
    """
    version = find_version(registry, version, runtime=runtime, other_profile=other_profile)
    other = other_code(registry, version)
    if other is not None:
        raise RegistryError(f"{other} with `helioloop train`, and triage the release with it")
    folder = registry.folder(version)
    plan, stored = Plan.read(folder), registry.scores(version)
    audit_sample = AuditSample.read(sample, plan=plan, stored=stored, version=version, on_doubt=on_doubt)
    p, emergence = audit_sample.p_emergence, audit_sample.emergence
    located, frames = audit_sample.timed
    start = plan.instrument.frozen_frames

    cubes = readable_cubes(release, runtime)
    scores = score_by_fold(Ensemble.open(folder, device=runtime.device), audit_sample, cubes, stored, runtime)
    drift = release_drift(
        cubes,
        registry,
        runtime,
        version=version,
        sampled={cube.cube for _, cube in audit_sample.cubes},
        p_emergence={score.key: score.p_emergence for score in scores},
    )
    guarantee, smallest, probabilities, intervals = None, None, None, None
    if drift.alike:
        guarantee = make_guarantee(p, emergence, rate=targets.rate, confidence=targets.confidence)
        smallest = None if guarantee else smallest_guarantee(p, emergence, confidence=targets.confidence)
        probabilities = ProbabilityCalibration.calibrate(p, emergence)
        intervals = IntervalCalibration.calibrate(located, frames, start=start, coverage=targets.coverage)
    new = np.array([score.p_emergence for score in scores], dtype=np.float64)
    verified = _verified(cubes, audit_sample)
    accepted = {k for k in split(new, guarantee)[0].tolist() if not verified[k]}
    calibrated = [None] * len(new) if probabilities is None else [float(q) for q in probabilities.apply(new)]
    prelabels = []
    for k, (cube, score) in enumerate(zip(cubes, scores, strict=True)):
        found = predicted_emergence(score)
        if found is not None and intervals is not None:
            found = intervals.apply(found, start=start, n_frames=plan.instrument.n_frames)
        prelabels.append(
            Prelabel(
                score=score,
                p_calibrated=calibrated[k],
                accepted=k in accepted,
                verified=verified[k],
                emergence=found,
                coverage=None if intervals is None else intervals.coverage,
                time=None
                if found is None
                else cube_frame_time(
                    release.path(cube.name), found.frame, cadence_seconds=runtime.instrument.cadence_seconds
                ),
            )
        )
    return Prelabelling(
        version=version,
        cubes=tuple(prelabels),
        targets=targets,
        guarantee=guarantee,
        smallest=smallest,
        n_sampled=len(audit_sample.cubes),
        probabilities=probabilities,
        intervals=intervals,
        n_frames=len(frames),
        drift=drift,
    )


def _verified(cubes: Sequence[CubeInfo], sample: AuditSample) -> list[bool]:
    """Return for each cube of a release whether a human verified its label, in the release's table or the sample's.

    A cube of the sample is recognised by its content, under whatever name the release has it.
    """
    sampled = {score.sha256 for score, _ in sample.cubes}
    return [cube.verified or cube.sha256 in sampled for cube in cubes]


def score_by_fold(
    ensemble: Ensemble,
    sample: AuditSample,
    cubes: Sequence[CubeInfo],
    stored: Mapping[tuple[str, str], CubeScore],
    runtime: Runtime,
    *,
    located: bool = True,
) -> list[CubeScore]:
    """Return each cube's score by the members of one fold.

    Parameters
    ----------
    ensemble : Ensemble
        All members of the version.
    sample : AuditSample
        The sample whose folds are chosen from.
    cubes : sequence of CubeInfo
        Cubes that can be read.
    stored : mapping of (name, sha256) to CubeScore
        Scores of the version; those of cubes that it was trained on are used.
    runtime : Runtime
        Its report is called after each cube.
    located : bool
        Also locate the emergence frame if emergence is predicted.
    """
    plan = ensemble.plan
    of_fold = {fold: ensemble.of_fold(fold) for fold in {member.fold for member in plan.members}}
    trained = {cube.key for cube in plan.labelled}
    scores = []
    for done, cube in enumerate(cubes, start=1):
        members = of_fold[sample.scoring_fold(cube, plan)]
        known = stored.get(cube.key) if cube.key in trained else None
        score = members.score(cube, runtime) if known is None else known
        if located and score.predicted is Label.EMERGENCE and score.curve is None:
            score = locate(members, cube, score, runtime)
        scores.append(score)
        runtime.report(done, len(cubes), "scoring cubes")
    return scores
