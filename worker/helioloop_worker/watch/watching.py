"""The watch: each look takes what is complete, and one line is written per event.

For a series of full-disk files, disk passages that are over become cubes of a release. A release is checked
and ingested by a worker, and the watch waits until the published version's predictions are in
Label Studio. What was done with each folder is a row of ``watched.csv`` in the project's model folder.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import redis

from helioloop.data.release import why_not_a_name
from helioloop.errors import HelioloopError, LabelStudioError, RegistryError, ServiceError, WrongUsage
from helioloop.files.kinds import why_not_a_file
from helioloop.files.names import shown_name
from helioloop.progress import Report, silent
from helioloop.registry.watched import WatchedFolder, WatchState
from helioloop_worker.context import Context
from helioloop_worker.watch.arrivals import (
    CUBES_SUFFIX,
    Arrival,
    Faulty,
    Incomplete,
    Kind,
    broken_links,
    find_arrivals,
    loose_fits_files,
)
from helioloop_worker.watch.content import hash_with
from helioloop_worker.watch.cutting import cut_series, has_cubes, is_made, release_state
from helioloop_worker.watch.journal import OF_THE_FOLDER, Journal, first_line
from helioloop_worker.watch.prelabels import PreLabelling, has_scoring_worker
from helioloop_worker.watch.taking import Taking

RETRY_SECONDS = 300.0
"""Pause before a step that failed because of a service is repeated."""
SCORED_EVERY_SECONDS = 2.0
"""Pause between two looks at the predictions of one release, with ``--once``."""
_OF_A_SERVICE = (ServiceError, LabelStudioError, RegistryError, redis.RedisError)


@dataclass(eq=False, slots=True, kw_only=True)
class Watch:
    """A watched folder and the project that its releases go to.

    From one look to the next it keeps what the hashes of each folder showed, until when a folder waits after a service
    failed, and what was said last.

    Parameters
    ----------
    context : Context
        Settings, Redis, Label Studio, model folders.
    project : int
        Label Studio project.
    folder : Path
        A release root, or the folder that contains release roots; absolute.
    quiet_seconds : float
        A folder without a list of hashes is complete when it has not changed for this long.
    say : callable
        Receives one line per event.
    rate, confidence : float
        Largest error rate of the accepted labels, and the probability with which that shall hold.
    report : Report
        Called with the progress of long steps.
    processes : int or None
        Processes that cut full-disk files; all cores by default.
    """

    context: Context
    project: int
    folder: Path
    quiet_seconds: float
    say: Callable[[str], None]
    rate: float = 0.02
    confidence: float = 0.9
    report: Report = silent
    processes: int | None = None
    _problems: dict[str, str | None] = field(default_factory=dict, init=False, repr=False)
    _again_at: dict[Path, float] = field(default_factory=dict, init=False, repr=False)
    _journal: Journal = field(init=False, repr=False)
    _taking: Taking = field(init=False, repr=False)
    _pre_labelling: PreLabelling = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Refuse a folder whose releases a worker would not find, and a project without a model folder.

        Raises
        ------
        WrongUsage
            If one of the two is given.
        """
        settings = self.context.settings
        if not self._roots():
            listed = ", ".join(map(str, settings.release_roots)) or "empty"
            raise WrongUsage(
                f"{self.folder} is not in HELIOLOOP_RELEASE_ROOTS ({listed}) and contains none of these folders, so "
                "the workers would not find its releases: watch one of them, or add it to that setting"
            )
        if not settings.model_dir(self.project).is_dir():
            raise WrongUsage(
                f"project {self.project} has no model folder {settings.model_dir(self.project)}: set it up with "
                "`helioloop init`, or correct the number"
            )
        self._journal = Journal(settings.model_dir(self.project), self.say)
        self._taking = Taking(context=self.context, project=self.project, journal=self._journal, report=self.report)
        self._pre_labelling = PreLabelling(
            context=self.context,
            project=self.project,
            journal=self._journal,
            rate=self.rate,
            confidence=self.confidence,
            report=self.report,
        )

    def run(self, *, every_seconds: float) -> None:
        """Look again and again; an unreachable service or file system is said once and tried again."""
        self._journal.say(
            f"watching {self.folder} for project {self.project}, every {every_seconds:g} s; Ctrl-C ends it"
        )
        while True:
            try:
                self.look()
            except (*_OF_A_SERVICE, OSError) as error:
                self._journal.say_once("the watch", f"{first_line(error)}; trying again")
            time.sleep(every_seconds)

    def run_once(self) -> None:
        """Take everything that is complete now, and wait for its predictions.

        Raises
        ------
        HelioloopError
            If a service is not reachable, or an ingestion failed because of one.
        """
        failed = self.look()
        while self._ingested() and self.context.registry(self.project).published() is not None:
            if not has_scoring_worker(self.context):
                break
            time.sleep(SCORED_EVERY_SECONDS)
            self._pre_labelling.follow(self._ingested())
        if failed:
            raise failed[0]

    def look(self) -> list[HelioloopError]:
        """Look once; return the errors of services, whose folders are taken again later."""
        roots = self._roots()
        loose = loose_fits_files(roots)
        if loose:
            self._journal.say_once(
                str(self.folder),
                f"passed over {loose[0].name}{_others(len(loose))}, directly in {loose[0].parent}: put each release in "
                "a folder of its own",
            )
        for link in broken_links(roots):
            self._journal.say_once(link.name, f"passed over: it {why_not_a_file(link)}")
        failed: list[HelioloopError] = []
        for arrival in find_arrivals(self.folder, roots, is_foreign=self._is_foreign):
            if time.monotonic() < self._again_at.get(arrival.folder, 0.0):
                continue
            if (reason := why_not_a_name(arrival.name, what="release")) is not None:
                self._journal.say_once(arrival.name, f"passed over: {reason}")
                continue
            try:
                self._visit(arrival)
            except FileNotFoundError:
                continue  # files are being renamed or removed: look again later
            except PermissionError as error:
                self._journal.say_once(arrival.name, f"passed over, it cannot be read: {first_line(error)}")
            except (*_OF_A_SERVICE, OSError) as error:
                self._again_at[arrival.folder] = time.monotonic() + RETRY_SECONDS
                self._journal.say_once(arrival.name, f"not taken yet: {first_line(error)}")
                failed.append(error if isinstance(error, HelioloopError) else ServiceError(first_line(error)))
            except Exception as error:  # noqa: BLE001 - whatever one folder does, the others are taken
                self._journal.set_aside(
                    arrival.folder, self._content_if_known(arrival), f"{type(error).__name__}: {first_line(error)}"
                )
        self._pre_labelling.follow(self._ingested())
        return failed

    # -- one folder ------------------------------------------------------------------------------

    def _visit(self, arrival: Arrival) -> None:
        """Take a folder if it is new or was changed, and complete; set it aside if it cannot be used."""
        row = self._journal.row(arrival.folder)
        own = arrival.content()
        content = hash_with(own, self._elsewhere(arrival))
        if row is not None and row.content == content:
            return
        if arrival.kind is Kind.SERIES:
            self._visit_series(arrival, row, own)
            return
        if is_made(arrival.folder) and not has_cubes(arrival.folder):
            return  # the release of a series whose first passage is not over
        state = arrival.completeness(
            quiet_seconds=self.quiet_seconds, now=time.time(), problems=self._problems, report=self.report
        )
        if isinstance(state, Incomplete):
            self._journal.say_once(arrival.name, f"arriving: {state.why}")
            return
        if isinstance(state, Faulty):
            self._journal.set_aside(arrival.folder, content, state.why)
            return
        self._journal.say(f"{arrival.name}: {'new' if row is None else 'changed'}, {state.how}")
        self._taking.take(arrival, content)

    def _visit_series(self, arrival: Arrival, row: WatchedFolder | None, own: str) -> None:
        """Cut a series with a content of its `own`, and take the release that got new cubes."""
        out = Arrival(folder=self._release_of(arrival), kind=Kind.RELEASE)
        try:
            has_new = cut_series(
                arrival,
                row,
                out.folder,
                journal=self._journal,
                quiet_seconds=self.quiet_seconds,
                problems=self._problems,
                report=self.report,
                processes=self.processes,
            )
        except OF_THE_FOLDER as error:
            content = hash_with(own, self._elsewhere(arrival))  # its release may have been begun
            self._journal.set_aside(arrival.folder, content, first_line(error))
            return
        if has_new:
            self._taking.take(out, hash_with(out.content(), self._elsewhere(out)))

    def _elsewhere(self, arrival: Arrival) -> str:
        """Return what decides about a folder and is not in it; empty where nothing does."""
        if arrival.kind is Kind.SERIES:
            return release_state(self._release_of(arrival))
        return self._taking.read_instead(arrival)

    def _content_if_known(self, arrival: Arrival) -> str:
        """Return the content of a folder; empty where it cannot be read, so that the folder is tried at each look."""
        try:
            return hash_with(arrival.content(), self._elsewhere(arrival))
        except Exception:  # noqa: BLE001 - whatever one folder does, the others are taken
            return ""

    def _ingested(self) -> list[WatchedFolder]:
        """Return the releases in this folder whose predictions are waited for."""
        places = {shown_name(str(root)) for root in self._roots()}
        return [
            row
            for row in self._journal.rows().values()
            if row.state is WatchState.INGESTED and str(Path(row.folder).parent) in places
        ]

    # -- places ----------------------------------------------------------------------------------

    def _release_of(self, series: Arrival) -> Path:
        """Return the release that is made from a series."""
        roots = self._roots()
        root = series.folder.parent if series.folder.parent in roots else roots[0]
        return root / f"{series.name}{CUBES_SUFFIX}"

    def _roots(self) -> list[Path]:
        """Return the release roots that the watched folder is or contains."""
        roots = [root.resolve() for root in self.context.settings.release_roots]
        return [root for root in roots if root.is_dir() and self.folder in {root, root.parent}]

    def _is_foreign(self, folder: Path) -> bool:
        """Return True for folders of helioloop itself."""
        settings = self.context.settings
        own = (settings.model_root, settings.media_root, settings.cache_root)
        return any(place.resolve().is_relative_to(folder) for place in own)


def _others(n: int) -> str:
    return f" and {n - 1} more" if n > 1 else ""
