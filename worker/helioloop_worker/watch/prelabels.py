"""The pre-labels of a release: how many cubes have their prediction in Label Studio, and what follows once all have.

Then its labels are accepted as far as the audit sample supports a guarantee.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from helioloop.errors import ServiceError
from helioloop.labelstudio.tasks import cube_tasks
from helioloop.messaging import messages, queues
from helioloop.progress import Report
from helioloop.registry.label_snapshot import Snapshot
from helioloop.registry.random_checks import blind_cubes
from helioloop.registry.unscorable import read_unscorable
from helioloop.registry.watched import WatchedFolder, WatchState
from helioloop.words import count
from helioloop_worker.context import Context
from helioloop_worker.watch.following import run_job
from helioloop_worker.watch.journal import OF_THE_FOLDER, Journal, first_line


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

    def in_words(self) -> str:
        """Return how many cubes are pre-labelled, cannot be scored, and wait for a blind answer."""
        failed = f", {self.unscorable} cannot be scored" if self.unscorable else ""
        have = "has" if self.blind == 1 else "have"
        blind = (
            f"; {count(self.blind, 'random check')} {have} no prediction until somebody answers blind"
            if self.blind
            else ""
        )
        return f"{count(self.predicted, 'cube')} pre-labelled by {self.version}{failed}{blind}"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class PreLabelling:
    """Follows the releases of one project.

    Parameters
    ----------
    context : Context
        Settings, Redis, Label Studio, model folders.
    project : int
        Label Studio project.
    journal : Journal
        Receives events and rows.
    rate, confidence : float
        Largest error rate of the accepted labels, and the probability with which that shall hold.
    report : Report
        Called with the progress of acceptances.
    """

    context: Context
    project: int
    journal: Journal
    rate: float
    confidence: float
    report: Report

    def follow(self, ingested: Iterable[WatchedFolder]) -> None:
        """Record the releases whose predictions are in Label Studio."""
        for row in ingested:
            name = Path(row.folder).name
            found = read_pre_labels(self.context, self.project, name)
            if found.version is None:
                self.journal.say_once(name, "no version is published yet; the first round trains on the crude labels")
            elif found.lacking and not has_scoring_worker(self.context):
                self.journal.say_once(name, "no worker scores; start one with `helioloop worker --role score`")
            elif not found.lacking:
                self._accept(name)
                after = read_pre_labels(self.context, self.project, name)  # the acceptance may add random checks
                self.journal.say(f"{name}: {(after if after.version == found.version else found).in_words()}")
                self.journal.record(Path(row.folder), WatchState.PRE_LABELLED, row.content)

    def _accept(self, name: str) -> None:
        """Have the labels accepted for which the audit sample supports a guarantee, and say the outcome."""
        message = messages.Accept(project=self.project, release=name, rate=self.rate, confidence=self.confidence)
        try:
            found = run_job(self.context.connection, message, self.report)
        except OF_THE_FOLDER as error:
            self.journal.say(f"{name}: no label is accepted: {first_line(error)}")
            return
        if found["version"] is None:
            raise ServiceError(f"{name}: another version was published meanwhile; its labels are accepted next")
        self.journal.say(
            f"{name}: {count(found['accepted'], 'label')} accepted by {found['version']}. {found['sentences'][0]}"
        )
