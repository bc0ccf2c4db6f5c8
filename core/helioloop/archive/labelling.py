"""Crude labels of a whole release: from a table of regions and from the cubes, in several processes."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from astropy.table import Table

from helioloop.archive.making import spread
from helioloop.archive.regions import read_regions
from helioloop.data.crude_label_tables import (
    CRUDE_LABELS_FILE,
    LabelChange,
    update_labels,
    whole_label_table,
    write_crude_labels,
)
from helioloop.data.crude_labels import FIRST_FOUND_EAST_OF_DEG, CrudeLabel, KnownRegion, label_cube
from helioloop.data.cubes import is_cube_file
from helioloop.data.release import LABELS_FILE, Release, why_not_a_name
from helioloop.data.release_profile import read_release_profile
from helioloop.errors import ReleaseError
from helioloop.files import atomic
from helioloop.files.names import is_plain_name, shown_name
from helioloop.files.tables import OnDoubt, log_doubt
from helioloop.progress import Report, silent
from helioloop.records.region_spelling import one_spelling, spellings


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledRelease:
    """What was labelled.

    Parameters
    ----------
    labels : tuple of CrudeLabel
        All cubes, in the order of ``labels.csv``, then the others by name.
    changes : tuple of LabelChange
        Rows of ``labels.csv`` whose label differed from the crude one.
    unused_regions : tuple of str
        Regions of the table that no cube follows.
    """

    labels: tuple[CrudeLabel, ...]
    changes: tuple[LabelChange, ...]
    unused_regions: tuple[str, ...]


def label_release(
    folder: Path,
    *,
    regions_table: Path | None = None,
    threshold_deg: float = FIRST_FOUND_EAST_OF_DEG,
    keep_labels: bool = False,
    report: Report = silent,
    processes: int | None = None,
    on_doubt: OnDoubt = log_doubt,
) -> LabelledRelease:
    """Give the cubes of a release crude labels, in ``labels.csv`` and ``crude-labels.ecsv``.

    Both tables are written at the end. ``labels.csv`` is read just before it is written, so that a row verified
    meanwhile stays, and it is not written if no cube has a label. What it would lose is refused at the beginning.

    Parameters
    ----------
    folder : Path
        The release.
    regions_table : Path or None
        Table of regions; see `helioloop.archive.regions.read_regions`.
    threshold_deg : float
        A region first detected east of it is labelled non-emergence.
    keep_labels : bool
        Leave rows of ``labels.csv`` that have a label as they are.
    report : Report
        Called after each cube.
    processes : int or None
        Processes; all cores by default.
    on_doubt : OnDoubt
        Called with a sentence for each doubtful value of a table that was read nevertheless.

    Raises
    ------
    ReleaseError
        If the folder contains no cube, or a table cannot be used.
    OSError
        If the tables could not be written; nothing is labelled then.
    """
    cubes = _cubes(folder, on_doubt)
    atomic.check_replaceable(folder / CRUDE_LABELS_FILE)
    if not keep_labels or _unlabelled(folder):
        atomic.check_replaceable((folder / LABELS_FILE).resolve())  # a link to a label table is followed
    profile = read_release_profile(folder)
    regions = {} if regions_table is None else _known_regions(regions_table, on_doubt)
    task = partial(label_cube, profile=profile, regions=regions, threshold_deg=threshold_deg)
    found: dict[str, CrudeLabel] = {}
    report(0, len(cubes), "labelling cubes")
    for crude in spread(task, [folder / f"{cube}.fits" for cube in cubes], processes=processes):
        found[crude.cube] = crude
        report(len(found), len(cubes), "labelling cubes")
    labels = tuple(found[cube] for cube in cubes)
    provenance: dict[str, Any] = {"command": "crude-labels", "release": shown_name(folder.resolve().name)}
    if regions_table is not None:
        digest = hashlib.sha256(regions_table.read_bytes()).hexdigest()
        provenance |= {"regions_table": shown_name(regions_table.name), "regions_table_sha256": digest}
    write_crude_labels(folder / CRUDE_LABELS_FILE, labels, profile, threshold_deg=threshold_deg, provenance=provenance)
    written = labels if not keep_labels else tuple(crude for crude in labels if crude.cube in _unlabelled(folder))
    labelled = any(crude.label is not None for crude in written)
    followed = {name for crude in labels for name in (*spellings(crude.region or ""), one_spelling(crude.cube))}
    return LabelledRelease(
        labels=labels,
        changes=update_labels(folder, written) if labelled else (),
        unused_regions=tuple(name for name in regions if one_spelling(name) not in followed),
    )


def _cubes(folder: Path, on_doubt: OnDoubt) -> Sequence[str]:
    """Return the names of a release's cubes: those in its label table, then other cube files by name."""
    if not folder.is_dir():
        raise ReleaseError(f"{folder} is not a folder; a release is a folder of cubes: name another one")
    if whole_label_table(folder) is not None:
        release = Release.open(folder)
        for sentence in release.doubts:
            on_doubt(sentence)
        cubes = [row.cube for row in release.rows]
    else:
        cubes = sorted(path.name.removesuffix(".fits") for path in folder.iterdir() if is_cube_file(path))
    if not cubes:
        raise ReleaseError(f"{folder} contains no cube; a release has files <cube>.fits: add them")
    return _plainly_named(folder, cubes, on_doubt)


def _plainly_named(folder: Path, cubes: Sequence[str], on_doubt: OnDoubt) -> Sequence[str]:
    """Return the cubes whose name a table may have: one with another name would be refused wherever it is read."""
    plain = [cube for cube in cubes if is_plain_name(cube)]
    others = [cube for cube in cubes if not is_plain_name(cube)]
    if others:
        reason = why_not_a_name(others[0], what="cube")
        if not plain:
            raise ReleaseError(f"{folder} contains no cube that can be labelled: {reason}")
        left_out = "1 cube is" if len(others) == 1 else f"{len(others)} cubes are"
        on_doubt(f"{left_out} left out of the tables of {folder}: {reason}")
    return plain


def lacks_crude_labels(folder: Path) -> bool:
    """Return True if a release has cubes that are not in its table of crude labels."""
    path = folder / CRUDE_LABELS_FILE
    known = set(Table.read(path, format="ascii.ecsv")["cube"]) if path.exists() else set()
    return not known.issuperset(_cubes(folder, _silent))


def _unlabelled(folder: Path) -> set[str]:
    """Return the cubes without a label in ``labels.csv``."""
    if not (folder / LABELS_FILE).exists():
        return set(_cubes(folder, _silent))
    return {row.cube for row in Release.open(folder).rows if row.label is None}


def _silent(_: str) -> None:
    """Leave out doubts that are reported when the release is labelled."""


def _known_regions(path: Path, on_doubt: OnDoubt) -> dict[str, KnownRegion]:
    """Return the regions of a table by name."""
    return {
        region.name: KnownRegion(lon_deg=region.lon_deg, lat_deg=region.lat_deg, first_seen_tai=region.first_seen_tai)
        for region in read_regions(path, on_doubt=on_doubt)
    }
