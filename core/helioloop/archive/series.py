"""A growing series of full-disk magnetograms: each disk passage that is over becomes a cube of one growing release.

A cube is written once and never changed, because it may be labelled already. Each file is read once. What it gave is
kept in the hidden folder of the release, so that a run can be interrupted at any moment, and full-disk files may be
removed from the series once they were read.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from helioloop.archive.cutouts import cut_regions
from helioloop.archive.ended_passages import ended_passages, last_slot
from helioloop.archive.fulldisk import profile_for
from helioloop.archive.made_cubes import noted_cubes, read_note, write_note
from helioloop.archive.making import Work, spread
from helioloop.archive.mixed_instruments import without_other_instruments
from helioloop.archive.passages import first_seen_passages, passage_of, slot_start, time_of
from helioloop.archive.regions import Region
from helioloop.archive.release import (
    EXCLUDED_COLUMNS,
    Passage,
    count_assumed,
    cube_name,
    sort_into_passages,
    unused_reasons,
    write_passage,
)
from helioloop.archive.spool import Patch, Spool, SpooledFile, key_of
from helioloop.data.crude_label_tables import update_labels
from helioloop.data.release import LABELS_FILE, LabelRow, read_labels, write_labels
from helioloop.data.release_profile import PROFILE_FILE, read_release_profile, write_release_profile
from helioloop.errors import MagnetogramError
from helioloop.files import tables
from helioloop.progress import Report, silent
from helioloop.records.profiles import Profile

EXCLUDED_TABLE = "cutouts-excluded.csv"
_HIDDEN = ".cutouts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A region whose disk passage is not over: its frames so far, and the day (ISO 8601) until which it is in view."""

    region: str
    frames: int
    until: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Extended:
    """What a run added to a release.

    Parameters
    ----------
    n_read : int
        Files that were read now.
    made : mapping of str to int
        Frames of each cube that was written now.
    running : tuple of Running
        Passages that are waited for.
    late : mapping of str to int
        Cubes with the number of usable files that came after they were written.
    outdated : tuple of str
        Cubes that were written for an earlier row of their region.
    excluded : mapping of str to str
        Reason for each file of which nothing is used, of all runs.
    assumed : mapping of str to int
        What usable files do not say and was assumed, a sentence each, with the number of files of all runs. The header
        of a cube has what was assumed of its files.
    """

    n_read: int
    made: Mapping[str, int]
    running: tuple[Running, ...]
    late: Mapping[str, int]
    outdated: tuple[str, ...]
    excluded: Mapping[str, str]
    assumed: Mapping[str, int]


def series_profile(series: Path, release: Path, files: Sequence[str]) -> Profile:
    """Return the profile of a series: that of ``release.toml`` in its folder or in its release, else by instrument.

    Raises
    ------
    ReleaseError
        If there is no such file, and files name instruments of which none has a profile.
    """
    for folder in (series, release):
        if os.path.lexists(folder / PROFILE_FILE):
            return read_release_profile(folder)
    return profile_for(files)


def extend_release(
    files: Sequence[str],
    regions: Sequence[Region],
    out: Path,
    *,
    profile: Profile,
    ended: bool = False,
    report: Report = silent,
    processes: int | None = None,
) -> Extended:
    """Read the files that are new and add a cube for each disk passage that is over.

    A passage is over when an observation after it is there: the last pixel of the patch has left the disk, or the grid
    has ended. Rows of ``labels.csv`` are added and never changed.

    Parameters
    ----------
    files : sequence of str
        All files of the series that are there and complete.
    regions : sequence of Region
        All regions; for one that was added or corrected, files that are still there are read again.
    out : Path
        The release: absent, or made by earlier runs.
    profile : Profile
        Grid; the same in all runs.
    ended : bool
        True if no further file will come: then all passages are over.
    report : Report
        Called after each file and each cube.
    processes : int or None
        Processes; all cores by default.

    Raises
    ------
    ReleaseError
        If the earlier runs had another profile, or a region was behind the limb at its first detection.
    """
    spool = Spool(out / _HIDDEN)
    spool.claim({"command": "watch", "profile": profile.as_dict()})
    work = _missing_work(files, regions, spool, profile)
    report(0, len(work), "reading files")
    for done, _ in enumerate(spread(partial(_cut_one, spool=spool), list(work.items()), processes=processes), start=1):
        report(done, len(work), "reading files")

    records = without_other_instruments(_of_regions(spool.all(), regions), profile)
    usable = [record for record in records if record.reason is None]
    passages = sort_into_passages(usable, regions, profile)
    over = ended_passages(usable, passages, profile, ended=ended)
    made: dict[str, int] = {}
    late: dict[str, list[str]] = {}
    outdated: list[str] = []
    for done, passage in enumerate(over):
        report(done, len(over), "writing cubes")
        name = cube_name(passage, profile)
        used = read_note(spool, name)
        if used is None:
            write_passage(out / f"{name}.fits", passage, spool, profile)
            made[name] = len(passage.files)
            write_note(spool, name, passage)
        elif used["row"] != passage.region.row:
            outdated.append(name)
        elif came_later := [file.place for file in passage.files if file.place not in used["files"]]:
            late[name] = came_later
    report(len(over), len(over), "writing cubes")
    _drop_patches(spool, usable, passages, over)
    excluded = _excluded(records, passages, late, profile)
    _write_tables(out, spool, profile, excluded)
    return Extended(
        n_read=len(work),
        made=made,
        running=tuple(_running(passage, profile) for passage in passages if passage not in over),
        late={cube: len(places) for cube, places in late.items()},
        outdated=tuple(outdated),
        excluded=excluded,
        assumed=count_assumed(usable),
    )


def _missing_work(
    files: Sequence[str], regions: Sequence[Region], spool: Spool, profile: Profile
) -> dict[str, tuple[Work, str]]:
    """Return what is to be read, by place, with the key of its record; records of files that were changed are removed.

    A file is read for the regions that were not yet looked for in it.
    """
    records: dict[str, list[SpooledFile]] = {}
    for record in spool.all():
        records.setdefault(record.place, []).append(record)
    passages = first_seen_passages(tuple(regions))
    work = {}
    for place in files:
        key, asked = key_of(place), set()
        for record in records.get(place, ()):
            if record.key.partition("-")[0] == key:
                asked |= set(record.asked)
            else:
                spool.drop(record)
        wanted = tuple(region for region in regions if region.row not in asked)
        if wanted:
            n = sum(record.key.partition("-")[0] == key for record in records.get(place, ()))
            work[place] = (Work(place=place, regions=wanted, passages=passages, profile=profile), f"{key}-{n}")
    return work


def _cut_one(entry: tuple[str, tuple[Work, str]], *, spool: Spool) -> SpooledFile:
    """Cut one file and keep what it gave, or the reason why it gave nothing."""
    place, (item, key) = entry
    patches: Mapping[str, Patch] = {}
    try:
        file, patches = cut_regions(item)
    except MagnetogramError as error:
        file = SpooledFile(place=place, key=key, reason=str(error))
    except Exception as error:  # noqa: BLE001 - whatever one file does, the others go on
        said = str(error).split("\n", 1)[0]
        file = SpooledFile(place=place, key=key, reason=f"it could not be read ({type(error).__name__}: {said})")
    return spool.keep(replace(file, key=key, asked=tuple(region.row for region in item.regions)), patches)


def _of_regions(records: Iterable[SpooledFile], regions: Sequence[Region]) -> list[SpooledFile]:
    """Return the records without the patches of regions whose row was corrected or removed since."""
    rows = {region.name: region.row for region in regions}
    return [
        replace(record, regions=tuple(name if rows.get(name) in record.asked else "" for name in record.regions))
        for record in records
    ]


def _running(passage: Passage, profile: Profile) -> Running:
    until = time_of(slot_start(last_slot(passage, profile) + 1, profile))
    return Running(region=passage.region.name, frames=len(passage.files), until=str(until.strftime("%Y-%m-%d")))


def _drop_patches(
    spool: Spool, usable: Sequence[SpooledFile], passages: Sequence[Passage], over: Sequence[Passage]
) -> None:
    """Remove the patches that no running passage needs."""
    running = {(passage.region.name, passage.rotation) for passage in passages if passage not in over}
    lon_deg = {passage.region.name: passage.region.lon_deg for passage in passages}
    for file in usable:
        shown = {(name, passage_of(lon_deg[name], file.rotations)) for name in file.regions if name in lon_deg}
        if not shown & running:
            spool.drop_patches(file)


def _excluded(
    records: Sequence[SpooledFile], passages: Sequence[Passage], late: Mapping[str, Sequence[str]], profile: Profile
) -> dict[str, str]:
    """Return why files are in no cube and in no running passage."""
    usable = [record for record in records if record.reason is None]
    reasons = {record.place: record.reason for record in records if record.reason is not None}
    reasons |= unused_reasons(usable, passages, profile)
    in_other = {file.place for passage in passages if cube_name(passage, profile) not in late for file in passage.files}
    for cube, places in late.items():
        for place in set(places) - in_other:
            reasons[place] = f"it came after {cube} was made, and a cube that may be labelled is not changed"
    return dict(sorted(reasons.items()))


def _write_tables(out: Path, spool: Spool, profile: Profile, excluded: Mapping[str, str]) -> None:
    """Write the table of excluded files and, where there is a cube, the profile and the label table."""
    rows = [{"file": place, "reason": reason} for place, reason in excluded.items()]
    tables.write_table(out / EXCLUDED_TABLE, EXCLUDED_COLUMNS, rows)
    there = [cube for cube in noted_cubes(spool) if (out / f"{cube}.fits").exists()]
    if not there:
        return
    if not os.path.lexists(out / PROFILE_FILE):
        write_release_profile(out, profile)
    path = out / LABELS_FILE
    if not os.path.lexists(path):
        write_labels(path, (LabelRow(cube=cube, label=None, verified=False) for cube in there))
    elif not set(there) <= read_labels(path, cubes=there).keys():
        update_labels(out, ())  # adds rows, and keeps what others wrote into the table
