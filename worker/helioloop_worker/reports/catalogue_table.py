"""The rows of the catalogue, and the CSV tables of catalogue and audit sample."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from helioloop.data.frame_times import FrameTime
from helioloop.data.positions import CarringtonPosition
from helioloop.evaluation.audit_sample import AuditSample
from helioloop.files import tables
from helioloop.labelstudio.tasks import CubeTask
from helioloop.records.labels import CurrentLabel
from helioloop.records.scores import CubeScore, Emergence
from helioloop.workflows.cells import decimal

COLUMNS = (
    "release",
    "cube",
    "region",
    "label",
    "label_source",
    "crude_label",
    "label_predicted",
    "disagreement",
    "p_emergence",
    "p_spread",
    "p_calibrated",
    "emergence_frame",
    "emergence_frame_lo",
    "emergence_frame_hi",
    "emergence_frame_from",
    "emergence_time_utc",
    "emergence_time_tai",
    "model_version",
)
POSITION_COLUMNS = ("carrington_lon", "carrington_lat")
"""Further columns of the formats other than CSV."""
SAMPLE_COLUMNS = ("cube", "label", "emergence_frame")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One cube of the catalogue.

    Parameters
    ----------
    task : CubeTask
        The cube and its tasks.
    label : CurrentLabel
        Its current label.
    score : CubeScore or None
        Its score by the published version; None if it is not scored yet.
    p_calibrated : float or None
        Calibrated probability of emergence; None if the audit sample is too small for a calibration.
    emergence : Emergence or None
        The emergence frame with its interval; a human's frame is its own interval. None if there is no emergence, or
        no frame is known.
    frame_source : str
        Where the frame comes from and whether its interval is calibrated, as the table writes it; empty without a
        frame.
    time : FrameTime or None
        Start of the emergence frame; None without a frame, or if the cube's files give no start time.
    position : CarringtonPosition or None
        Where the region is; None if it was not read, or if the cube's file does not have it.
    """

    task: CubeTask
    label: CurrentLabel
    score: CubeScore | None
    p_calibrated: float | None
    emergence: Emergence | None
    frame_source: str
    time: FrameTime | None
    position: CarringtonPosition | None = None

    def values(self, version: str) -> dict[str, str | int | float | None]:
        """Return the cube's values by column, `COLUMNS` and then `POSITION_COLUMNS`; None means unknown."""
        label, score, found = self.label, self.score, self.emergence
        agreement = None if score is None or label.label is None else score.agreement(label.label)
        return {
            "release": self.task.cube.release,
            "cube": self.task.cube.name,
            "region": self.task.cube.region,
            "label": label.label,
            "label_source": label.source,
            "crude_label": label.crude,
            "label_predicted": None if score is None else score.predicted,
            "disagreement": None if agreement is None else 1.0 - agreement,
            "p_emergence": None if score is None else score.p_emergence,
            "p_spread": None if score is None else score.p_spread,
            "p_calibrated": self.p_calibrated,
            "emergence_frame": None if found is None else found.frame,
            "emergence_frame_lo": None if found is None else found.frame_lo,
            "emergence_frame_hi": None if found is None else found.frame_hi,
            "emergence_frame_from": self.frame_source or None,
            "emergence_time_utc": None if self.time is None else self.time.utc,
            "emergence_time_tai": None if self.time is None else self.time.tai,
            "model_version": None if score is None else version,
            "carrington_lon": None if self.position is None else self.position.lon_deg,
            "carrington_lat": None if self.position is None else self.position.lat_deg,
        }

    def row(self, version: str) -> dict[str, str | int]:
        """Return the cube's row of the CSV table; an empty cell means unknown."""
        values = self.values(version)
        return {column: _cell(values[column]) for column in COLUMNS}


def write_catalogue(path: Path, entries: Iterable[Entry], *, version: str) -> None:
    """Write one row per cube as CSV with the columns `COLUMNS`; an existing file is replaced in one step."""
    tables.write_table(path, COLUMNS, (entry.row(version) for entry in entries))


def write_sample(path: Path, sample: AuditSample) -> None:
    """Write the audit sample as the table that ``helioloop triage --random`` reads; replaced in one step."""
    rows = (
        {"cube": true.cube, "label": true.label, "emergence_frame": "" if true.frame is None else true.frame}
        for _, true in sample.cubes
    )
    tables.write_table(path, SAMPLE_COLUMNS, rows)


def _cell(value: str | int | float | None) -> str | int:
    return value if isinstance(value, str | int) else decimal(value)
