"""The audit sample of a project: the cubes answered blind at the start of the audit order, with out-of-fold scores."""

from collections.abc import Collection, Mapping
from datetime import datetime

from helioloop.data.truth import TrueCube
from helioloop.evaluation.audit_order import audit_order, sampled_prefix
from helioloop.evaluation.audit_sample import AuditSample
from helioloop.model.plan import Plan
from helioloop.records.labels import BlindAnswer, CurrentLabel
from helioloop.records.scores import CubeScore
from helioloop.registry.versions import Registry


def read_sample(
    plan: Plan,
    scores: Mapping[tuple[str, str], CubeScore],
    labels: Mapping[str, CurrentLabel],
    *,
    unmoved: Collection[str] = (),
    releases: Collection[str] | None = None,
) -> AuditSample:
    """Return the longest run of cubes answered blind from the start of the audit order.

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
    releases : collection of str or None
        Take the sample from the cubes of these releases; None for all.

    Notes
    -----
    The audit order is a hash of the cubes' content. Cubes that are labelled in this order are therefore a random
    sample. A verified cube after the first gap was chosen for some reason and does not count.

    A cube that was verified with the prediction visible is such a gap. It must not be skipped: the ranking chose most
    of these cubes, so a sample without them has fewer errors than a new release.
    """
    cubes = {
        cube.name: cube
        for cube in plan.labelled
        if cube.key in scores and (releases is None or cube.release in releases)
    }
    answers = {name: label.blind for name in cubes if (label := labels.get(name)) is not None and label.blind}
    sampled = sorted(sampled_prefix(audit_order(cubes.values()), answers))
    return AuditSample(
        cubes=tuple(
            (scores[cubes[name].key], _true_cube(name, answers[name], with_frame=name not in unmoved))
            for name in sampled
        ),
        folds=tuple(plan.folds[name] for name in sampled),
    )


def read_earlier_sample(
    plan: Plan, scores: Mapping[tuple[str, str], CubeScore], labels: Mapping[str, CurrentLabel], *, release: str
) -> AuditSample:
    """Return the audit sample that risk control of a release uses: the largest one of other releases.

    A release that joined a round later has cubes early in the audit order that nobody has verified, and they would end
    the sample there. The cubes of the earlier releases alone are in a random order too, so the sample is taken from all
    other releases together, or from one of them, whichever has more cubes. The choice depends on which cubes are
    answered, and not on what their labels are.

    Parameters
    ----------
    plan, scores, labels
        See `read_sample`.
    release : str
        The release whose labels are to be accepted.
    """
    others = sorted({cube.release for cube in plan.labelled} - {release})
    samples = [read_sample(plan, scores, labels, releases=chosen) for chosen in (others, *([one] for one in others))]
    return max(samples, key=lambda sample: len(sample.cubes))


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
            for (cube, _), score in registry.scores(version, curves=False).items()
            if cube in verified
            and score.emergence is not None
            and score.emergence.frame == verified[cube].frame
            and created <= submitted[cube]
        }
    return unmoved


def _true_cube(name: str, answer: BlindAnswer, *, with_frame: bool) -> TrueCube:
    frame = answer.frame.frame if with_frame and answer.frame is not None else None
    return TrueCube(cube=name, label=answer.label, frame=frame, kind="")
