"""The table of what was read from each file of a release: written by ``helioloop check`` and at ingestion."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from helioloop.data.cube_report import CubeReport, Verdict
from helioloop.errors import HelioloopError
from helioloop.files import tables
from helioloop.files.names import shown_name

COLUMNS: Final = (
    "cube",
    "verdict",
    "frames_in_file",
    "frames_used",
    "start",
    "start_scale",
    "start_source",
    "unit",
    "unit_source",
    "region",
    "region_source",
    "reasons",
)
_BETWEEN: Final = "; "


def write_reading(path: Path, reports: Iterable[CubeReport]) -> None:
    """Replace `path` by a table of reports with the columns `COLUMNS`, in one step; None is an empty cell."""
    tables.write_table(path, COLUMNS, map(_row, reports))


def read_reading(path: Path, *, error: type[HelioloopError]) -> list[CubeReport]:
    """Return name, verdict and reasons of the reports in a table; their other values are None.

    Raises
    ------
    HelioloopError
        Of the class `error`, if the table cannot be read.
    """
    reports = []
    for row in tables.read_table(path, needed=("cube", "verdict", "reasons"), error=error):
        verdict, reasons = row.cells["verdict"], row.cells["reasons"]
        if verdict not in set(Verdict):
            raise error(
                f"{row.where}: verdict is {verdict!r}; it must be {', '.join(Verdict)}: ingest the release again"
            )
        reports.append(
            CubeReport(
                cube=row.cells["cube"],
                verdict=Verdict(verdict),
                reasons=tuple(reasons.split(_BETWEEN)) if reasons else (),
            )
        )
    return reports


def _row(report: CubeReport) -> dict[str, object]:
    row = {column: value for column in COLUMNS if (value := getattr(report, column)) is not None}
    if report.start is not None:
        row["start"] = f"{report.start}Z"
    reasons = _BETWEEN.join(reason.replace(";", ",") for reason in report.reasons)
    return row | {"cube": shown_name(report.cube), "reasons": shown_name(reasons)}
