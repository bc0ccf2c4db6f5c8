"""A run over many files: each is read once, in several processes, kept in the spool, and the release is written."""

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

import joblib

from helioloop.archive.mixed_instruments import without_other_instruments
from helioloop.archive.regions import Region
from helioloop.archive.release import MadeRelease, write_release
from helioloop.archive.spool import Patch, Spool, SpooledFile, key_of
from helioloop.data.making_lock import is_of_lock, only_maker
from helioloop.data.release import LABELS_FILE
from helioloop.environment.pools import make_pool
from helioloop.errors import MagnetogramError, ReleaseError
from helioloop.files.walking import walk
from helioloop.progress import Report, silent
from helioloop.records.profiles import Profile

Item = TypeVar("Item")
Result = TypeVar("Result")

FITS_ENDINGS = (".fits", ".fts", ".fit", ".fits.gz", ".fts.gz", ".fit.gz", ".fits.fz", ".fz")


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What to do with one file; a plain value, so that another process can receive it.

    Parameters
    ----------
    place : str
        Path or URL.
    regions : tuple of Region
        Regions to look for in it.
    passages : mapping of str to int
        The one passage wanted of a region, by name; regions that are not there are wanted whenever they show.
    profile : Profile
        Grid.
    reason : str or None
        Why it is excluded although it can be read; None where it is to be cut.
    """

    place: str
    regions: tuple[Region, ...]
    passages: Mapping[str, int]
    profile: Profile
    reason: str | None = None


Cut = Callable[[Work], tuple[SpooledFile, Mapping[str, Patch]]]
"""Reads one file and cuts it; its `SpooledFile` has an empty key. Raises MagnetogramError with the reason."""


def find_files(places: Sequence[str]) -> list[str]:
    """Return the FITS files that paths, folders with their subfolders, glob patterns and fsspec URLs name, each once.

    A file that is named itself is returned whatever its ending; in folders `FITS_ENDINGS` count, hidden files do not.

    Raises
    ------
    ReleaseError
        If a place names no file.
    """
    found: dict[str, None] = {}
    for place in places:
        here = list(_files_at(place))
        if not here:
            raise ReleaseError(
                f"{place} names no FITS file; give files ending in {', '.join(FITS_ENDINGS)}, a folder or a pattern"
            )
        found.update(dict.fromkeys(here))
    return list(found)


def make_release(
    out: Path,
    work: Sequence[Work],
    cut: Cut,
    regions: Sequence[Region],
    profile: Profile,
    *,
    command: str,
    report: Report = silent,
    processes: int | None = None,
) -> MadeRelease:
    """Cut all files and write the release, or finish one that was interrupted.

    Parameters
    ----------
    out : Path
        The release's folder: absent, empty, or left by an interrupted run.
    work : sequence of Work
        One entry per file.
    cut : callable
        Reads and cuts one file; a function of a module, so that another process finds it.
    regions : sequence of Region
        All regions.
    profile : Profile
        Grid.
    command : str
        Name of the command, for the hidden folder and the table of excluded files.
    report : Report
        Called after each file and each cube.
    processes : int or None
        Processes; all cores by default.

    Raises
    ------
    ReleaseError
        If `out` holds something else, another run makes it now, or no cube could be made: then the first reason is
        named.
    """
    spool = Spool(out / f".{command}")
    excluded_table = f"{command}-excluded.csv"
    recipe = {
        "command": command,
        "profile": profile.as_dict(),
        "regions": [[region.name, region.lon_deg, region.lat_deg, region.first_seen_tai] for region in regions],
    }
    with only_maker(out):
        _refuse_other_content(out, spool, excluded_table)
        spool.claim(recipe)
        files = without_other_instruments(_cut_all(work, cut, spool, report=report, processes=processes), profile)
        made = write_release(out, spool, files, regions, profile, command=command, report=report)
        shutil.rmtree(spool.folder)
    if not made.cubes:
        place, reason = next(iter(made.excluded.items()))
        raise ReleaseError(
            f"no cube could be made from {made.n_files} file{'' if made.n_files == 1 else 's'}: {Path(place).name}: "
            f"{reason}; {out / excluded_table} lists all reasons"
        )
    return made


def _refuse_other_content(out: Path, spool: Spool, excluded_table: str) -> None:
    """Raise a `ReleaseError` where the folder has a finished release, or what no interrupted run has left."""
    present = {path.name for path in out.iterdir() if not is_of_lock(path.name)}
    if {excluded_table, LABELS_FILE} <= present:
        # The label table is written last. A run that ended just after it has left its hidden folder.
        shutil.rmtree(spool.folder, ignore_errors=True)
        raise ReleaseError(
            f"{out} is a finished release, and its cubes may be labelled already: make a new one elsewhere, or have "
            "files that keep coming followed by `helioloop watch`"
        )
    others = sorted(present - {excluded_table})
    if others and not spool.folder.exists():
        raise ReleaseError(
            f"{out} is not empty (it has {others[0]!r}); a release is made in a folder of its own: name another one"
        )


def _cut_all(
    work: Sequence[Work], cut: Cut, spool: Spool, *, report: Report, processes: int | None
) -> list[SpooledFile]:
    """Return what all files gave, in their order; those that are in the spool already are not read again."""
    done: dict[str, SpooledFile] = {}
    missing: list[Work] = []
    for item in work:
        kept = spool.find(key_of(item.place))
        if kept is None:
            missing.append(item)
        else:
            done[item.place] = kept
    report(len(done), len(work), "reading files")
    for file in spread(partial(_cut_one, cut=cut, spool=spool), missing, processes=processes):
        done[file.place] = file
        report(len(done), len(work), "reading files")
    return [done[item.place] for item in work]


def spread(task: Callable[[Item], Result], items: Sequence[Item], *, processes: int | None) -> Iterator[Result]:
    """Do a task on each item in several processes, all cores by default; results come as they are finished.

    Parameters
    ----------
    task : callable
        A function of a module, or a `functools.partial` of one, so that another process finds it.
    items : sequence
        Plain values.
    processes : int or None
        Processes; with one, the work is done in this one, in order.
    """
    processes = min(processes or joblib.cpu_count(), len(items))
    if processes <= 1:
        yield from map(task, items)
        return
    pool = make_pool(processes, ignores_interrupt=True)
    try:
        # A few per process at a time: the queue, and what it holds, does not grow with the number of files.
        waiting = iter(items)
        futures = {pool.submit(task, item) for item in islice(waiting, 4 * processes)}
        while futures:
            finished, futures = wait(futures, return_when=FIRST_COMPLETED)
            futures |= {pool.submit(task, item) for item in islice(waiting, len(finished))}
            for future in finished:
                yield future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _cut_one(item: Work, *, cut: Cut, spool: Spool) -> SpooledFile:
    """Cut one file and keep what it gave, or the reason why it gave nothing."""
    key = key_of(item.place)
    patches: Mapping[str, Patch] = {}
    try:
        file, patches = cut(item)
    except MagnetogramError as error:
        file = SpooledFile(place=item.place, key=key, reason=str(error))
    except Exception as error:  # noqa: BLE001 - whatever one file does, the others go on
        said = str(error).split("\n", 1)[0]
        file = SpooledFile(place=item.place, key=key, reason=f"it could not be read ({type(error).__name__}: {said})")
    return spool.keep(replace(file, key=key), patches)


def _files_at(place: str) -> Iterable[str]:
    if not place.strip():
        raise ReleaseError(
            "the name of a file or folder is empty, as of a shell variable that is not set; give a name, or . for this "
            "folder"
        )
    if "://" in place:
        import fsspec  # noqa: PLC0415 - only URLs need it

        return [file.full_name for file in fsspec.open_files(place)] if "*" in place else [place]
    path = Path(place)
    if path.is_dir():
        files = (found / name for found, names in walk(path) for name in names if name.lower().endswith(FITS_ENDINGS))
        return sorted(str(file) for file in files if file.is_file())
    if path.exists():
        return [place]
    pattern = path.relative_to(path.anchor) if path.anchor else path
    try:
        return sorted(str(file) for file in Path(path.anchor or ".").glob(str(pattern)) if file.is_file())
    except ValueError as error:
        raise ReleaseError(
            f"{place!r} is neither a file nor a pattern ({error}); ** stands for whole folders"
        ) from None
