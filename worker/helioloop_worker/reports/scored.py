"""What the published version says about a project: its scores, and the audit sample that they are calibrated on."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from helioloop.evaluation.audit_sample import AuditSample
from helioloop.evaluation.project_sample import find_unmoved, read_sample
from helioloop.model.plan import Plan
from helioloop.records.cubes import Key
from helioloop.records.scores import CubeScore
from helioloop.registry.card import Card
from helioloop.registry.versions import Registry
from helioloop_worker.labelstudio.project import ProjectState


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """What the published version says about a project.

    Parameters
    ----------
    card : Card
        How the version was trained.
    scores : mapping of (name, sha256) to CubeScore
        Its scores; cubes that it has not scored are absent.
    sample : AuditSample
        The cubes of the project that were answered blind in audit order, with these scores.
    unmoved : collection of str
        Cubes whose verified frame is the one that a version had proposed.
    """

    card: Card
    scores: Mapping[Key, CubeScore] = field(repr=False)
    sample: AuditSample
    unmoved: Collection[str]


def read_scored(state: ProjectState, registry: Registry, *, curves: bool = True) -> Scored | None:
    """Return what the published version says about a project; None before the first version.

    Parameters
    ----------
    state : ProjectState
        The project as read from Label Studio. Cubes without a task do not count.
    registry : Registry
        Its model folder.
    curves : bool
        False leaves the masking curves out, which makes reading faster.

    Raises
    ------
    RegistryError
        Where a file of the model folder is damaged.
    """
    version = registry.published()
    if version is None:
        return None
    scores = registry.scores(version, curves=curves)
    labels = {cube: label for cube, label in state.snapshot.cubes.items() if cube in state.tasks}
    unmoved = find_unmoved(labels, registry)
    sample = read_sample(Plan.read(registry.folder(version)), scores, labels, unmoved=unmoved)
    return Scored(card=registry.card(version), scores=scores, sample=sample, unmoved=unmoved)
