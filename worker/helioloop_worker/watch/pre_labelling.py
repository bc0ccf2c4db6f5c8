"""Follows ingested releases until their predictions are in Label Studio, and has their labels accepted."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from helioloop.errors import ServiceError
from helioloop.messaging import messages
from helioloop.progress import Report
from helioloop.registry.watched import WatchedFolder, WatchState
from helioloop.words import count
from helioloop_worker.context import Context
from helioloop_worker.watch.following import run_job
from helioloop_worker.watch.journal import OF_THE_FOLDER, Journal, first_line
from helioloop_worker.watch.prelabels import PreLabels, has_scoring_worker, read_pre_labels


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
        Largest fraction of wrong labels among the accepted ones, and the probability with which that shall hold.
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
                self.journal.say(f"{name}: {_in_words(after if after.version == found.version else found)}")
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


def _in_words(found: PreLabels) -> str:
    """Return how many cubes of a release are pre-labelled, cannot be scored, and wait for a blind answer."""
    failed = f", {found.unscorable} cannot be scored" if found.unscorable else ""
    have = "has" if found.blind == 1 else "have"
    blind = (
        f"; {count(found.blind, 'random check')} {have} no prediction until somebody answers blind"
        if found.blind
        else ""
    )
    return f"{count(found.predicted, 'cube')} pre-labelled by {found.version}{failed}{blind}"
