"""The folders in a watched folder: releases, series of full-disk files, and whether they are complete.

Folders are listed again and again (polling). Notifications of the kernel (inotify) would miss what other machines
write to a network file system.
"""

import os
import re
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from helioloop.archive.recognition import find_fits_files
from helioloop.data.release import LABELS_FILE, Release
from helioloop.data.release_profile import PROFILE_FILE
from helioloop.errors import ReleaseError
from helioloop.files.access import is_folder
from helioloop.files.checksums import CHECKSUMS_FILE, checksum_problem
from helioloop.files.kinds import why_not_a_file
from helioloop.progress import Report
from helioloop_worker.watch.content import hash_files

REGIONS_TABLES = tuple(f"regions.{ending}" for ending in ("csv", "ecsv", "vot", "xml", "votable"))
CUBES_SUFFIX = "-cubes"
"""Ending of the release that is made from a series."""
_FITS_NAME = re.compile(r"(\.(fits|fts|fit)(\.(gz|fz))?|\.fz)\Z", re.IGNORECASE)


class Kind(StrEnum):
    """What a folder holds."""

    RELEASE = "release"
    SERIES = "series of full-disk files"


@dataclass(frozen=True, slots=True)
class Complete:
    """A folder that can be taken, and how that is known."""

    how: str


@dataclass(frozen=True, slots=True)
class Incomplete:
    """A folder whose files may still be arriving."""

    why: str


@dataclass(frozen=True, slots=True)
class Faulty:
    """A folder that did not change any more and is not complete."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A folder in a watched folder.

    Parameters
    ----------
    folder : Path
        Absolute path.
    kind : Kind
        What it holds.
    """

    folder: Path
    kind: Kind

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.folder.name

    @property
    def regions_table(self) -> Path:
        """The table of regions of a series; a link that leads nowhere counts."""
        tables = [self.folder / name for name in REGIONS_TABLES]
        return next((path for path in tables if os.path.lexists(path)), tables[0])

    @property
    def has_checksums(self) -> bool:
        """True if the folder has a list of hashes; a link that leads nowhere counts."""
        return os.path.lexists(self.folder / CHECKSUMS_FILE)

    def files(self) -> list[Path]:
        """Return the files on which the outcome depends."""
        if self.kind is Kind.SERIES:
            own = [self.regions_table, self.folder / PROFILE_FILE, self.folder / CHECKSUMS_FILE]
            return [*(path for path in own if os.path.lexists(path)), *find_fits_files(self.folder)]
        names = {LABELS_FILE, PROFILE_FILE, CHECKSUMS_FILE}
        return sorted(path for path in self.folder.iterdir() if path.name in names or is_fits(path))

    def content(self, files: Sequence[Path] | None = None) -> str:
        """Return a hash of names, sizes and times of change of `files`, by default of all."""
        return hash_files(self.folder, self.files() if files is None else files)

    def why_not_read(self) -> str | None:
        """Return which of its files cannot be opened, such as a link that leads nowhere or a table that is a pipe.

        Of a release, a pipe or folder with the name of a cube is not meant: the ingestion excludes it alone.
        """
        for path in self.files():
            if not path.is_file() and not (path.exists() and is_fits(path)):
                return f"{path.name} {why_not_a_file(path)}"
        return None

    def settled_files(self, *, quiet_seconds: float, now: float) -> list[Path]:
        """Return the files that were not changed for `quiet_seconds`."""
        return [path for path in self.files() if now - path.stat().st_ctime >= quiet_seconds]

    def completeness(
        self, *, quiet_seconds: float, now: float, problems: MutableMapping[str, str | None], report: Report
    ) -> Complete | Incomplete | Faulty:
        """Return whether a folder can be taken: its list of hashes fits, or it did not change for `quiet_seconds`.

        A folder with a file that cannot be opened is not complete.

        Parameters
        ----------
        quiet_seconds : float
            Time without a change after which files count as complete.
        now : float
            Seconds since 1970.
        problems : mutable mapping
            Content -> what does not fit the list of hashes; files with the same content are not read again.
        report : Report
            Called after each file whose hash is computed.
        """
        unchanged = now - max(_changes(self.folder))
        quiet = unchanged >= quiet_seconds
        problem = self.why_not_read()
        if problem is None and self.has_checksums:
            content = self.content()
            if content not in problems:
                listed = checksum_problem(self.folder, needed=self._needed(), report=report)
                problems[content] = listed or self._labels_problem()
            problem = problems[content]
        if problem is not None:
            return Faulty(problem) if quiet else Incomplete(problem)
        if self.has_checksums:
            return Complete(f"complete by {CHECKSUMS_FILE}")
        if quiet:
            return Complete(f"unchanged for {unchanged:.0f} s")
        return Incomplete(f"it is taken when it has not changed for {quiet_seconds:g} s")

    def _needed(self) -> list[str]:
        """Return the files that a list of hashes must contain."""
        needed = {str(path.relative_to(self.folder)) for path in self.files()}
        if self.kind is Kind.RELEASE:
            needed.add(LABELS_FILE)
        return sorted(needed - {CHECKSUMS_FILE})

    def _labels_problem(self) -> str | None:
        """Return which cube of the label table is not there: the list of hashes may itself be half copied."""
        if self.kind is Kind.SERIES:
            return None
        try:
            missing = Release.open(self.folder).missing
        except ReleaseError as error:
            return str(error)
        return f"{LABELS_FILE} lists the cube {missing[0]}, whose file is not there: copy it" if missing else None


def find_arrivals(top: Path, roots: Sequence[Path], *, is_foreign: Callable[[Path], bool]) -> Iterator[Arrival]:
    """Yield the folders in the release roots that a watched folder is or contains, series first, by name.

    Parameters
    ----------
    top : Path
        The watched folder; if it is no release root itself, series may lie beside the roots in it.
    roots : sequence of Path
        Release roots that are `top` or in it.
    is_foreign : callable
        True for folders to pass over, such as model folders.
    """
    series: list[Path] = []
    releases: list[Path] = []
    for place in dict.fromkeys((top, *roots)):
        for folder in sorted(place.iterdir()):
            if folder.name.startswith(".") or not is_folder(folder) or folder in roots or is_foreign(folder):
                continue
            names = _names(folder)
            if LABELS_FILE not in names and not names.isdisjoint(REGIONS_TABLES):
                series.append(folder)
            elif place in roots:
                releases.append(folder)
    yield from (Arrival(folder=folder, kind=Kind.SERIES) for folder in series)
    yield from (Arrival(folder=folder, kind=Kind.RELEASE) for folder in releases)


def loose_fits_files(folders: Sequence[Path]) -> list[Path]:
    """Return the FITS files that are directly in one of the folders."""
    paths = (path for folder in folders for path in sorted(folder.iterdir()))
    return [path for path in paths if is_fits(path) and why_not_a_file(path) is None]


def broken_links(folders: Sequence[Path]) -> list[Path]:
    """Return the links directly in one of the folders that lead nowhere, or where this user may not look, by name."""
    links = (path for folder in folders for path in sorted(folder.iterdir()) if path.is_symlink())
    shown = (path for path in links if not path.name.startswith("."))
    return [path for path in shown if not is_folder(path) and why_not_a_file(path) is not None]


def is_fits(path: Path) -> bool:
    """Return True for the name of a FITS file that is not hidden."""
    return _FITS_NAME.search(path.name) is not None and not path.name.startswith(".")


def _names(folder: Path) -> set[str]:
    """Return the names in a folder; none where it cannot be read, which is said when it is visited."""
    try:
        return {path.name for path in folder.iterdir()}
    except OSError:
        return set()


def _changes(folder: Path) -> Iterator[float]:
    """Yield when the folder, its files and subfolders were last changed; copying tools cannot set this time (ctime)."""
    yield folder.stat().st_ctime
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            yield (Path(place) / name).stat(follow_symlinks=False).st_ctime
