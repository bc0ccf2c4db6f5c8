"""A release from spooled files: one cube for each region and disk passage, with its tables.

Of several observations in one slot the nearest to the slot's middle counts; the others are listed as excluded.
"""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from helioloop import __version__
from helioloop.archive.passages import Ephemeris, off_middle_seconds, passage_of, slot_of, slot_start, time_of
from helioloop.archive.regions import Region
from helioloop.archive.spool import Spool, SpooledFile
from helioloop.data.cubes import write_cube
from helioloop.data.release import LABELS_FILE, LabelRow, write_labels
from helioloop.data.release_profile import write_release_profile
from helioloop.files import tables
from helioloop.progress import Report
from helioloop.records.profiles import Profile
from helioloop.words import count

EXCLUDED_COLUMNS = ("file", "reason")


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeRelease:
    """What a run made.

    Parameters
    ----------
    folder : Path
        The release.
    profile : Profile
        Its profile.
    cubes : mapping of str to int
        Frames of each cube, by name.
    n_files : int
        Files read.
    excluded : mapping of str to str
        Reason for each file of which nothing was used.
    assumed : tuple of str
        What was assumed, a sentence each, with the number of files.
    """

    folder: Path
    profile: Profile
    cubes: Mapping[str, int]
    n_files: int
    excluded: Mapping[str, str]
    assumed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """One cube to write: a region on one disk passage, and its observations.

    Parameters
    ----------
    region : Region
        The region.
    rotation : int
        Carrington rotation in which it crosses the central meridian.
    first_slot : int
        Slot of grid frame 0.
    files : tuple of SpooledFile
        One per slot, in order of time.
    outside : int
        Observations outside of the grid.
    """

    region: Region
    rotation: int
    first_slot: int
    files: tuple[SpooledFile, ...]
    outside: int


def write_release(
    folder: Path,
    spool: Spool,
    files: Sequence[SpooledFile],
    regions: Sequence[Region],
    profile: Profile,
    *,
    command: str,
    report: Report,
) -> MadeRelease:
    """Write cubes, ``labels.csv`` with empty labels, ``release.toml`` and the table of excluded files.

    Parameters
    ----------
    folder : Path
        The release's folder.
    spool : Spool
        Patches of the files.
    files : sequence of SpooledFile
        All files, excluded ones too.
    regions : sequence of Region
        Regions that files may have patches of.
    profile : Profile
        Grid.
    command : str
        ``"cutouts"`` or ``"stack"``: what the excluded table is named after.
    report : Report
        Called after each cube.
    """
    usable = [file for file in files if file.reason is None]
    passages = sort_into_passages(usable, regions, profile)
    unused = unused_reasons(usable, passages, profile)
    reasons = {file.place: file.reason or unused.get(file.place) for file in files}
    excluded = {place: reason for place, reason in reasons.items() if reason is not None}
    cubes: dict[str, int] = {}
    for done, passage in enumerate(passages):
        report(done, len(passages), "writing cubes")
        name = cube_name(passage, profile)
        write_passage(folder / f"{name}.fits", passage, spool, profile)
        cubes[name] = len(passage.files)
    report(len(passages), len(passages), "writing cubes")
    tables.write_table(
        folder / f"{command}-excluded.csv",
        EXCLUDED_COLUMNS,
        ({"file": place, "reason": reason} for place, reason in excluded.items()),
    )
    if cubes:
        write_release_profile(folder, profile)
        write_labels(folder / LABELS_FILE, (LabelRow(cube=cube, label=None, verified=False) for cube in cubes))
    return MadeRelease(
        folder=folder,
        profile=profile,
        cubes=cubes,
        n_files=len(files),
        excluded=excluded,
        assumed=_counted(usable),
    )


def sort_into_passages(files: Sequence[SpooledFile], regions: Sequence[Region], profile: Profile) -> list[Passage]:
    """Sort files into regions and passages, in order of time, one per slot."""
    if not files:
        return []
    seconds = [file.seconds for file in files]
    ephemeris = Ephemeris.covering(min(seconds), max(seconds))
    groups: dict[tuple[str, int], list[SpooledFile]] = {}
    lon_deg = {region.name: region.lon_deg for region in regions}
    for file in files:
        for name in lon_deg.keys() & set(file.regions):
            groups.setdefault((name, passage_of(lon_deg[name], file.rotations)), []).append(file)
    by_name = {region.name: region for region in regions}
    passages = []
    for (name, rotation), group in sorted(groups.items()):
        first = ephemeris.first_slot(by_name[name], rotation, profile)
        inside = [file for file in group if 0 <= slot_of(file.seconds, profile) - first < profile.instrument.n_frames]
        if inside:
            passages.append(
                Passage(
                    region=by_name[name],
                    rotation=rotation,
                    first_slot=first,
                    files=_one_per_slot(inside, profile),
                    outside=len(group) - len(inside),
                )
            )
    return passages


def _one_per_slot(files: Sequence[SpooledFile], profile: Profile) -> tuple[SpooledFile, ...]:
    """Return the file nearest to the middle of each slot, in order of time; of two equally near ones the earlier."""
    nearest = sorted(files, key=lambda file: (off_middle_seconds(file.seconds, profile), file.seconds, file.place))
    slots: dict[int, SpooledFile] = {}
    for file in nearest:
        slots.setdefault(slot_of(file.seconds, profile), file)
    return tuple(file for _, file in sorted(slots.items()))


def unused_reasons(files: Sequence[SpooledFile], passages: Sequence[Passage], profile: Profile) -> dict[str, str]:
    """Return why files that gave patches are in no cube."""
    used = {file.place: file for passage in passages for file in passage.files}
    in_slot = {slot_of(file.seconds, profile): file for file in used.values()}
    reasons = {}
    for file in files:
        if file.place not in used:
            other = in_slot.get(slot_of(file.seconds, profile))
            reasons[file.place] = (
                f"its time is outside of the {profile.instrument.n_frames} grid frames of every region that it shows"
                if other is None
                else _why_other(file, other)
            )
    return reasons


def _why_other(file: SpooledFile, other: SpooledFile) -> str:
    """Return why another file of the same slot is used."""
    if "://" not in file.place and os.path.realpath(file.place) == os.path.realpath(other.place):
        return f"it is the same file as {other.place}, which is used once"
    if file.seconds == other.seconds:
        return f"{other.name} has the same time, and one observation of a grid slot is used"
    return f"{other.name} is nearer to the middle of the same grid slot, of which one observation is used"


def cube_name(passage: Passage, profile: Profile) -> str:
    """Return the name of a passage's cube: the region and the day of grid frame 0."""
    return f"{passage.region.name}_{time_of(_nominal(passage.first_slot, profile)).strftime('%Y%m%d')}"


def write_passage(path: Path, passage: Passage, spool: Spool, profile: Profile) -> None:
    """Write the cube of a passage."""
    start = slot_start(passage.first_slot, profile)
    frames = np.stack([spool.patch(file, passage.region.name) for file in passage.files])
    write_cube(
        path,
        frames,
        np.array([file.seconds - start for file in passage.files]),
        start=str(time_of(start).utc.isot).removesuffix(".000"),
        region=passage.region.name,
        instrument=profile.instrument,
        header=_cards(passage, profile),
    )


def _cards(passage: Passage, profile: Profile) -> dict[str, str | float]:
    """Return coordinates, sources, times and history of a cube."""
    region, files, size = passage.region, passage.files, profile.instrument.size_px
    step = profile.degrees_per_px
    factors = sorted({file.factor for file in files})
    middle = (size + 1) / 2.0
    return {
        # With CRVAL2 on the equator plate carrée is linear in latitude; elsewhere FITS means an oblique map.
        "CTYPE1": "CRLN-CAR",
        "CTYPE2": "CRLT-CAR",
        "CUNIT1": "deg",
        "CUNIT2": "deg",
        "CRPIX1": middle,
        "CRPIX2": middle - region.lat_deg / step,
        "CRVAL1": region.lon_deg,
        "CRVAL2": 0.0,
        "CDELT1": step,
        "CDELT2": step,
        "WCSNAME": "Carrington Heliographic",
        "CAR_ROT": passage.rotation,
        "REG_LON": region.lon_deg,
        "REG_LAT": region.lat_deg,
        "TAI-BEG": _tai(slot_start(passage.first_slot, profile)),
        "TAI-FRST": _tai(files[0].seconds),
        "TAI-LAST": _tai(files[-1].seconds),
        "TIMECARD": ", ".join(sorted({file.time_card.partition(" ")[0] for file in files})),
        "NSOURCE": len(files),
        "SRCFIRST": files[0].name,
        "SRCLAST": files[-1].name,
        "PROFILE": profile.name,
        "TO_MDI": factors[0],
        "CREATOR": f"helioloop {__version__}",
        "HISTORY": _history(passage, profile, factors),
    }


def _history(passage: Passage, profile: Profile, factors: list[float]) -> str:
    grid = profile.instrument
    sentences = [
        f"{len(passage.files)} observations, one per slot of {grid.cadence_seconds:g} s, the nearest to its middle",
        f"averaged over pixels of {profile.degrees_per_px:.6g} deg in Carrington longitude and latitude",
        f"field times {', '.join(f'{factor:g}' for factor in factors)} to the scale of MDI level 1.8.2"
        + (f" ({profile.to_mdi_source})" if factors == [profile.to_mdi_factor] else ""),
        "grid frame 0: the first slot with a pixel of the patch on the disk, begun "
        f"{profile.grid_tolerance_seconds:g} s before its nominal time",
        "NaN off the disk",
        *_counted(passage.files),
    ]
    if passage.outside:
        sentences.append(f"{passage.outside} observations lie outside of the grid and were left out")
    return "; ".join(sentences).encode("ascii", "replace").decode("ascii")


def count_assumed(files: Iterable[SpooledFile]) -> dict[str, int]:
    """Return what was assumed, a sentence each, with the number of files."""
    return dict(Counter(sentence for file in files for sentence in file.assumed))


def _counted(files: Iterable[SpooledFile]) -> tuple[str, ...]:
    """Return what was assumed, each with the number of files."""
    return tuple(f"{sentence} ({count(n, 'file')})" for sentence, n in count_assumed(files).items())


def _nominal(slot: int, profile: Profile) -> float:
    return slot * profile.instrument.cadence_seconds


def _tai(seconds: float) -> str:
    return str(time_of(seconds).isot)
