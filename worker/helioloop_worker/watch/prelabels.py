"""How many cubes of a release have their prediction in Label Studio."""

from dataclasses import dataclass

from helioloop.labelstudio.tasks import cube_tasks
from helioloop.messaging import messages, queues
from helioloop.registry.label_snapshot import Snapshot
from helioloop.registry.random_checks import blind_cubes
from helioloop.registry.unscorable import read_unscorable
from helioloop_worker.context import Context


@dataclass(frozen=True, slots=True, kw_only=True)
class PreLabels:
    """The pre-labels of a release.

    Parameters
    ----------
    version : str or None
        The published version; None before the first.
    cubes : int
        Cubes of the release that have a task.
    lacking : int
        Cubes whose tasks lack the version's prediction and will get one; random checks get none until they are
        answered.
    unscorable : int
        Cubes that the version could not score.
    blind : int
        Random checks that nobody has answered; they have no prediction.
    """

    version: str | None
    cubes: int
    lacking: int
    unscorable: int
    blind: int = 0

    @property
    def predicted(self) -> int:
        """Cubes that have the version's prediction once none is lacking."""
        return self.cubes - self.unscorable - self.blind


def read_pre_labels(context: Context, project: int, release: str) -> PreLabels:
    """Return how many cubes of a release have the published version's prediction.

    Predictions are read from Label Studio only when all scores are there.
    """
    version = context.registry(project).published()
    tasks = [task for task in cube_tasks(context.label_studio.tasks(project)).values() if task.cube.release == release]
    if version is None:
        return PreLabels(version=None, cubes=len(tasks), lacking=len(tasks), unscorable=0)
    failed = read_unscorable(context.settings.model_dir(project), version)
    scores = context.registry(project).scores(version)
    expected = [task for task in tasks if task.cube.key in scores or task.cube.sha256 not in failed]
    lacking = sum(task.cube.key not in scores for task in expected)
    snapshot = Snapshot.read(context.settings.model_dir(project))
    hidden = blind_cubes(context.settings.model_dir(project), {} if snapshot is None else snapshot.cubes)
    shown = [task for task in expected if task.cube.name not in hidden]
    if not lacking:
        rows = context.label_studio.predictions(project)
        have = {row.task for row in rows if row.model_version == version}
        lacking = sum(not have.issuperset(task.ids) for task in shown)
    return PreLabels(
        version=version,
        cubes=len(tasks),
        lacking=lacking,
        unscorable=len(tasks) - len(expected),
        blind=len(expected) - len(shown),
    )


def has_scoring_worker(context: Context) -> bool:
    """Return whether a worker of the role score is there."""
    return queues.has_worker(context.connection, messages.QUEUE_BULK)
