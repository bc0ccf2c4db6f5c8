"""Takes a complete release: it is checked, a worker ingests it, and what came of it is said and recorded."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from helioloop.archive.recognition import describe_image, find_fits_files
from helioloop.data.inspection import is_video
from helioloop.data.release import LABELS_FILE
from helioloop.errors import ReleaseError
from helioloop.files.release_folders import find_release_folder
from helioloop.messaging import messages
from helioloop.progress import Report
from helioloop.registry.watched import WatchState
from helioloop.words import count
from helioloop_worker.context import Context
from helioloop_worker.watch.arrivals import REGIONS_TABLES, Arrival
from helioloop_worker.watch.following import run_job
from helioloop_worker.watch.journal import OF_THE_FOLDER, Journal, first_line

_SHOWN: Final = 5
"""Cubes about which a line is written; the status has all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taking:
    """Has releases ingested into one project.

    Parameters
    ----------
    context : Context
        Settings and Redis.
    project : int
        Label Studio project.
    journal : Journal
        Receives events and rows.
    report : Report
        Called with the progress of ingestions.
    """

    context: Context
    project: int
    journal: Journal
    report: Report

    def take(self, arrival: Arrival, content: str) -> None:
        """Check a complete release and have it ingested."""
        try:
            self._check(arrival)
            found = run_job(
                self.context.connection, messages.Ingest(project=self.project, release=arrival.name), self.report
            )
        except OF_THE_FOLDER as error:
            self.journal.set_aside(arrival.folder, content, first_line(error))
            return
        excluded = found["excluded"]
        if excluded and not found["imported"] and not found["present"]:
            self.journal.set_aside(
                arrival.folder, content, f"no cube can be used; {excluded[0]['cube']}: {excluded[0]['reason']}"
            )
            return
        self.journal.say(
            f"{arrival.name}: {count(found['imported'], 'cube')} imported, {found['present']} already present, "
            f"{len(excluded)} excluded, {len(found['warned'])} warned, "
            f"{count(len(found['relabelled']), 'crude label')} changed"
        )
        details = [f"excluded: {entry['cube']}: {entry['reason']}" for entry in excluded]
        details += [f"warned: {entry['cube']}: {entry['reason']}" for entry in found["warned"]]
        details += found["doubts"]
        details += [
            f"crude label of {change['cube']}: {change['old'] or 'none'} -> {change['new'] or 'none'}"
            for change in found["relabelled"]
        ]
        for detail in details[:_SHOWN]:
            self.journal.say(f"{arrival.name}: {detail}")
        if len(details) > _SHOWN:
            self.journal.say(
                f"{arrival.name}: {len(details) - _SHOWN} more; `helioloop status --project {self.project}` has all"
            )
        self.journal.record(arrival.folder, WatchState.INGESTED, content)

    def read_instead(self, arrival: Arrival) -> str:
        """Return what the workers read under the name of a release if it is not the release, else an empty text."""
        try:
            found = find_release_folder(self.context.roots.roots, arrival.name)
        except OSError:
            return ""  # a root is away for a while; `take` says so
        return "" if found is not None and found.resolve() == arrival.folder.resolve() else str(found)

    def _check(self, arrival: Arrival) -> None:
        """Refuse what no ingestion can use; the worker checks each cube.

        Raises
        ------
        ReleaseError
            If the workers would read another release, or the folder has no cubes.
        """
        found = self.context.roots.folder(arrival.name)
        if found.resolve() != arrival.folder.resolve():
            raise ReleaseError(
                f"the workers read {found}, a release of the same name in an earlier folder of "
                "HELIOLOOP_RELEASE_ROOTS: rename one of the two"
            )
        if not (arrival.folder / LABELS_FILE).exists():
            _refuse_images(arrival.folder)


def _refuse_images(folder: Path) -> None:
    """Refuse a folder without cubes, with the command that makes cubes of what it has."""
    files = find_fits_files(folder)
    if not files:
        raise ReleaseError(
            f"it has neither {LABELS_FILE} nor a FITS file; a release has cubes and {LABELS_FILE}, a series of "
            f"full-disk files has {REGIONS_TABLES[0]}: add what is missing"
        )
    if not is_video(files[0]):
        raise ReleaseError(
            f"{files[0].name}: {describe_image(files[0])}; the watch itself cuts full-disk files in a folder that has "
            f"{REGIONS_TABLES[0]}"
        )
