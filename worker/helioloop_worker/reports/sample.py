"""The audit sample of a project: the verified cubes at the start of the audit order, with their out-of-fold scores."""

from collections.abc import Collection, Mapping
from datetime import datetime

from helioloop.data.truth import TrueCube
from helioloop.evaluation.audit_order import audit_order, sampled_prefix
from helioloop.evaluation.audit_sample import AuditSample
from helioloop.model.plan import Plan
from helioloop.records.labels import CurrentLabel
from helioloop.records.scores import CubeScore
from helioloop.registry.versions import Registry


def read_sample(
    plan: Plan,
    scores: Mapping[tuple[str, str], CubeScore],
    labels: Mapping[str, CurrentLabel],
    *,
    unmoved: Collection[str] = (),
) -> AuditSample:
    """Return the longest fully verified run from the start of the audit order.

    Parameters
    ----------
    plan : Plan
        The plan of the version whose scores are used; the sample is taken from its labelled cubes.
    scores : mapping of (str, str) to CubeScore
        That version's out-of-fold scores, by name and content hash.
    labels : mapping of str to CurrentLabel
        The current labels, by cube.
    unmoved : collection of str
        Cubes whose verified frame is left out of the sample; see `find_unmoved`.

    Notes
    -----
    The audit order is a hash of the cubes' content. Cubes that are labelled in this order are therefore a random
    sample. A verified cube after the first gap was chosen for some reason and does not count.
    """
    cubes = {cube.name: cube for cube in plan.labelled if cube.key in scores}
    verified = {name: label for name in cubes if (label := labels.get(name)) is not None and label.verified}
    sampled = sorted(sampled_prefix(audit_order(cubes.values()), verified))
    return AuditSample(
        cubes=tuple(
            (scores[cubes[name].key], _verified_cube(verified[name], with_frame=name not in unmoved))
            for name in sampled
        ),
        folds=tuple(plan.folds[name] for name in sampled),
    )


def find_unmoved(labels: Mapping[str, CurrentLabel], registry: Registry) -> set[str]:
    """Return the cubes whose verified frame equals one that an earlier version had proposed.

    Label Studio fills predictions in, so an emergence that is submitted unchanged returns with the model's own frame.
    Such a frame says little about where a human would have put it. Versions created after the submission do not count:
    if one finds the human's frame by itself, the frame is confirmed, not copied.
    """
    verified = {cube: label.verified_frame for cube, label in labels.items() if label.verified_frame is not None}
    submitted = {cube: datetime.fromisoformat(frame.at) for cube, frame in verified.items()}
    unmoved = set()
    for version in registry.versions():
        created = datetime.fromisoformat(registry.card(version).created_at)
        unmoved |= {
            cube
            for (cube, _), score in registry.scores(version).items()
            if cube in verified
            and score.emergence is not None
            and score.emergence.frame == verified[cube].frame
            and created <= submitted[cube]
        }
    return unmoved


def _verified_cube(label: CurrentLabel, *, with_frame: bool) -> TrueCube:
    if label.label is None:
        raise TypeError(f"the verified cube {label.cube} has no label")
    frame = label.verified_frame.frame if with_frame and label.verified_frame is not None else None
    return TrueCube(cube=label.cube, label=label.label, frame=frame, kind="")
