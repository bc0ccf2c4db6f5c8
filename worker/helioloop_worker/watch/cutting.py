"""Cuts a series of full-disk files: its settled files are read, and disk passages that are over become cubes."""

import time
from collections import Counter
from collections.abc import MutableMapping, Sequence
from pathlib import Path

from helioloop.archive.labelling import label_release, lacks_crude_labels
from helioloop.archive.regions import read_regions
from helioloop.archive.series import EXCLUDED_TABLE, Extended, extend_release, series_profile
from helioloop.data.cubes import is_cube_file
from helioloop.data.release import LABELS_FILE
from helioloop.data.release_profile import PROFILE_FILE
from helioloop.errors import ReleaseError
from helioloop.progress import Report
from helioloop.registry.watched import WatchedFolder, WatchState
from helioloop.words import count
from helioloop_worker.watch.arrivals import Arrival, Faulty, Incomplete, is_fits
from helioloop_worker.watch.content import describe_state, hash_with
from helioloop_worker.watch.journal import Journal
from helioloop_worker.watch.notes import new_notes, notes_on_unread, notes_with_counts

_SPOOL = ".cutouts"


def is_made(folder: Path) -> bool:
    """Return True for a release that a watch makes from a series."""
    return (folder / _SPOOL).is_dir()


def release_state(out: Path) -> str:
    """Return a text that differs once the release of a series comes, goes, or has other tables."""
    places = (out, out / _SPOOL, out / PROFILE_FILE, out / LABELS_FILE)
    return "\n".join(describe_state(place) for place in places)


def has_cubes(folder: Path) -> bool:
    """Return True if a release has a cube."""
    return any(is_cube_file(path) for path in folder.iterdir())


def cut_series(
    arrival: Arrival,
    row: WatchedFolder | None,
    out: Path,
    *,
    journal: Journal,
    quiet_seconds: float,
    problems: MutableMapping[str, str | None],
    report: Report,
    processes: int | None,
) -> bool:
    """Read the settled files of a series and write the cubes of passages that are over, with crude labels.

    Parameters
    ----------
    arrival : Arrival
        The series.
    row : WatchedFolder or None
        What was done with it last.
    out : Path
        The release that is made from it.
    journal : Journal
        Receives events and the row.
    quiet_seconds, problems, report
        See `Arrival.completeness`.
    processes : int or None
        Processes; all cores by default.

    Returns
    -------
    bool
        True if the release has new cubes.

    Raises
    ------
    ReleaseError, SettingsError
        If the series cannot be used.
    """
    now = time.time()
    ended = False
    if (reason := arrival.why_not_read()) is not None:
        raise ReleaseError(reason)
    files = arrival.settled_files(quiet_seconds=quiet_seconds, now=now)
    if arrival.has_checksums:
        state = arrival.completeness(quiet_seconds=quiet_seconds, now=now, problems=problems, report=report)
        if isinstance(state, Faulty):
            raise ReleaseError(state.why)
        if isinstance(state, Incomplete):
            journal.say_once(arrival.name, f"arriving: {state.why}")
        else:
            ended, files = True, arrival.files()
    content = arrival.content(files)
    if row is not None and row.content == hash_with(content, release_state(out)):
        return False
    images = [str(path) for path in files if is_fits(path)]
    doubts = notes_on_unread(arrival.folder, quiet_seconds=0.0 if ended else quiet_seconds, now=now)
    waiting = _why_waiting(arrival, files, quiet_seconds=quiet_seconds, doubts=doubts)
    if waiting is not None:
        journal.say_once(arrival.name, f"arriving: {waiting}")
        return False
    if out.exists() and not is_made(out):
        raise ReleaseError(f"{out} exists and was not made from this series; cubes go there: rename it")
    extended = extend_release(
        images,
        read_regions(arrival.regions_table, on_doubt=doubts.append),
        out,
        profile=series_profile(arrival.folder, out, images),
        ended=ended,
        report=report,
        processes=processes,
    )
    _say(arrival, extended, out, journal)
    notes = notes_with_counts(doubts, extended.assumed)
    for text in new_notes(notes, row):
        journal.say(f"{arrival.name}: note: {text}")
    if has_cubes(out) and lacks_crude_labels(out):
        _label(arrival, out, journal=journal, report=report, processes=processes)
    journal.record(arrival.folder, WatchState.CUT, hash_with(content, release_state(out)), "; ".join(notes))
    return bool(extended.made)


def _why_waiting(arrival: Arrival, files: Sequence[Path], *, quiet_seconds: float, doubts: Sequence[str]) -> str | None:
    """Return why nothing of a series is read yet, of which `files` have settled; None where something is."""
    if arrival.regions_table in files and any(map(is_fits, files)):
        return None
    if any(map(is_fits, arrival.files())):
        return f"files are read when unchanged for {quiet_seconds:g} s"
    return "; ".join((f"it has {arrival.regions_table.name} and no FITS file that is read", *doubts))


def _label(arrival: Arrival, out: Path, *, journal: Journal, report: Report, processes: int | None) -> None:
    """Give new cubes crude labels; labels that are there stay."""
    labelled = label_release(
        out, regions_table=arrival.regions_table, keep_labels=True, report=report, processes=processes
    )
    counts = Counter(crude.label or "no label" for crude in labelled.labels)
    said = ", ".join(f"{n} {label}" for label, n in sorted(counts.items()))
    journal.say(f"{arrival.name}: crude labels of {out.name}: {said}")


def _say(arrival: Arrival, extended: Extended, out: Path, journal: Journal) -> None:
    excluded = f"; {count(len(extended.excluded), 'file')} excluded, listed in {out / EXCLUDED_TABLE}"
    if extended.n_read or extended.made:
        journal.say(
            f"{arrival.name}: {count(extended.n_read, 'file')} read, {count(len(extended.made), 'cube')} made in "
            f"{out.name}{excluded if extended.excluded else ''}"
        )
    for passage in extended.running:
        about = f"{arrival.name}: region {passage.region}"
        journal.say_once(about, f"still on the disk, until {passage.until}; its cube follows")
    for cube, n in extended.late.items():
        journal.say_once(
            f"{arrival.name}: cube {cube}", f"{count(n, 'file')} came after it was made; it stays as it is"
        )
    for cube in extended.outdated:
        journal.say_once(
            f"{arrival.name}: cube {cube}",
            "it was made for an earlier row of its region and stays as it is; for a new one rename the region",
        )
