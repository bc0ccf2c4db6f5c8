"""The tables of crude labels: ``labels.csv``, in which verified rows stay as they are, and ``crude-labels.ecsv``."""

import io
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from astropy import units
from astropy.table import MaskedColumn, Table

from helioloop import __version__
from helioloop.data import first_detection
from helioloop.data.crude_labels import CrudeLabel
from helioloop.data.release import COLUMNS, LABELS_FILE, LabelRow, Release, write_labels
from helioloop.errors import ReleaseError
from helioloop.files import atomic
from helioloop.files.kinds import why_not_a_file
from helioloop.files.names import is_plain_name, shown_name
from helioloop.files.tables import WholeTable, read_whole_table, write_table
from helioloop.records.instrument import Instrument
from helioloop.records.labels import Label
from helioloop.records.profiles import Profile

CRUDE_LABELS_FILE = "crude-labels.ecsv"

_REFERENCES = (
    "rule: Chatterjee, Munoz-Jaramillo & Lamb 2022, Nature Astronomy 6, 796, doi:10.1038/s41550-022-01701-3",
    "area: Harvey & Zwaan 1993, Solar Phys. 148, 85, doi:10.1007/BF00675537",
    "field: Schrijver 1987, A&A 180, 241",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelChange:
    """A row of ``labels.csv`` whose label differs from the crude one.

    Parameters
    ----------
    cube : str
        Its cube.
    had : Label
        The label in the table.
    crude : Label or None
        The crude label; None if the rule gives none.
    verified : bool
        True if the row is verified, so it stays.
    """

    cube: str
    had: Label
    crude: Label | None
    verified: bool


def update_labels(folder: Path, labels: Sequence[CrudeLabel]) -> tuple[LabelChange, ...]:
    """Write crude labels into the label table of a release, in one step; return the labels that differed from them.

    Verified rows, the order of the rows, further columns, comment lines and the file's permissions stay, and of a link
    the file is replaced to which it leads. So does the label of a cube that the rule gives none. Cubes without a row
    get one at the end, except those whose name no table may have. A missing table is made.

    Raises
    ------
    ReleaseError
        If the table cannot be used.
    """
    path = folder / LABELS_FILE
    found = {crude.cube: crude.label for crude in labels}
    table = whole_label_table(folder)
    if table is None:
        write_labels(path, (LabelRow(cube=cube, label=label, verified=False) for cube, label in found.items()))
        return ()
    # those of the table in its order, then the other cubes
    rows = [row for row in Release.open(folder).rows if is_plain_name(row.cube)]
    cells: list[Mapping[str, str]] = [row.cells for row in table.rows]
    cells += [{}] * (len(rows) - len(cells))
    write_table(
        path.resolve(),
        list(dict.fromkeys((*COLUMNS, *table.columns))),
        ({**own, **_cells(_updated(row, found))} for own, row in zip(cells, rows, strict=True)),
        comments=table.comments,
        keep_mode=True,
    )
    return tuple(
        LabelChange(cube=row.cube, had=row.label, crude=found[row.cube], verified=row.verified)
        for row in rows
        if row.cube in found and row.label is not None and row.label != found[row.cube]
    )


def whole_label_table(folder: Path) -> WholeTable | None:
    """Return the label table of a release as it can be written again; None if there is none.

    Raises
    ------
    ReleaseError
        If it is no file or cannot be read, or would lose something when it is written again.
    """
    path = folder / LABELS_FILE
    if not os.path.lexists(path):
        return None
    reason = why_not_a_file(path)
    if reason is not None:
        raise ReleaseError(f"{path} {reason}")
    return read_whole_table(path, needed=COLUMNS, error=ReleaseError, on_doubt=_silent)


def write_crude_labels(
    path: Path, labels: Sequence[CrudeLabel], profile: Profile, *, threshold_deg: float, provenance: Mapping[str, Any]
) -> None:
    """Write crude labels with rule, place and time of the first detection as ECSV, in one step.

    Parameters
    ----------
    path : Path
        The table; replaced.
    labels : sequence of CrudeLabel
        One row each.
    profile : Profile
        Grid, for the column ``frame``.
    threshold_deg : float
        Central-meridian distance that separates the labels.
    provenance : mapping
        Further values for the table's header.
    """
    found = list(labels)
    table = Table(
        [
            MaskedColumn([crude.cube for crude in found], "cube", dtype=str, description="name without .fits"),
            MaskedColumn([crude.region or "" for crude in found], "region", dtype=str, description="region it follows"),
            MaskedColumn(
                [crude.label or "" for crude in found], "label", dtype=str, description="crude label, or empty"
            ),
            MaskedColumn(
                [crude.rule or "" for crude in found],
                "rule",
                dtype=str,
                description="source of the first detection: first_seen (regions table), pixels (the cube), or empty",
            ),
            _numbers(
                (crude.longitude_deg for crude in found),
                "longitude",
                unit=units.deg,
                description="central-meridian distance at the first detection, west positive",
            ),
            _numbers(
                (crude.uncertainty_deg for crude in found),
                "longitude_uncertainty",
                unit=units.deg,
                description="largest error of longitude to expect",
            ),
            MaskedColumn(
                [crude.longitude_source for crude in found],
                "longitude_source",
                dtype=str,
                description="WCS, regions table, both limbs, east limb or west limb",
            ),
            _numbers(
                (threshold_deg for _ in found),
                "threshold",
                unit=units.deg,
                description="first detected east of it: non-emergence; elsewhere: emergence",
            ),
            MaskedColumn(
                [f"{crude.utc}Z" if crude.utc else "" for crude in found],
                "first_detection",
                dtype=str,
                description="time of the first detection, UTC",
            ),
            MaskedColumn(
                [crude.tai for crude in found],
                "first_detection_tai",
                dtype=str,
                description="time of the first detection, TAI",
            ),
            _numbers(
                (crude.seconds for crude in found),
                "seconds",
                unit=units.s,
                description="time of the first detection since grid frame 0",
            ),
            _frames(found, profile.instrument),
            MaskedColumn(
                [crude.reason for crude in found],
                "reason",
                dtype=str,
                description="why there is no label, or what is doubtful",
            ),
        ],
        meta={
            "creator": f"helioloop {__version__}",
            "rule": "first detected near the east limb: non-emergence; elsewhere on the disk: emergence",
            "profile": profile.as_dict(),
            "detector": {
                "field_gauss": first_detection.PLAGE_GAUSS,
                "average_deg": first_detection.POLE_DEG,
                "area_per_polarity_deg2": first_detection.POLE_AREA_DEG2,
                "noise_ratio": first_detection.NOISE_RATIO,
                "square_deg": first_detection.REGION_DEG,
                "farthest_deg": first_detection.FARTHEST_DEG,
                "frames_in_a_row": first_detection.FRAMES_IN_A_ROW,
            },
            "references": list(_REFERENCES),
            **provenance,
        },
    )
    text = io.StringIO()
    table.write(text, format="ascii.ecsv", delimiter=",")
    atomic.write_text(path, shown_name(text.getvalue()))


def _silent(_: str) -> None:
    """Leave out doubts, which the release has when it is opened."""


def _updated(row: LabelRow, found: Mapping[str, Label | None]) -> LabelRow:
    """Return a row with its crude label; verified rows, and those without a crude label, as they are."""
    label = found.get(row.cube)
    return row if row.verified or label is None else LabelRow(cube=row.cube, label=label, verified=False)


def _cells(row: LabelRow) -> dict[str, str]:
    return {"cube": row.cube, "label": row.label or "", "verified": str(int(row.verified))}


def _numbers(values: Iterable[float | None], name: str, *, unit: units.UnitBase, description: str) -> MaskedColumn:
    found = [math.nan if value is None else round(value, 3) for value in values]
    mask = [math.isnan(value) for value in found]
    return MaskedColumn(found, name, mask=mask, dtype=float, unit=unit, description=description)


def _frames(found: Iterable[CrudeLabel], instrument: Instrument) -> MaskedColumn:
    """Return grid frames, 0-based; masked where the time is unknown or outside of the grid."""
    frames = [-1 if crude.frame is None else crude.frame for crude in found]
    mask = [not 0 <= frame < instrument.n_frames for frame in frames]
    return MaskedColumn(
        frames, "frame", mask=mask, dtype=int, description="grid frame of the first detection, counted from 0"
    )
