"""The catalogue and the audit sample as CSV tables."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from helioloop.data.frame_times import FrameTime
from helioloop.evaluation.audit_sample import AuditSample
from helioloop.files import tables
from helioloop.labelstudio.tasks import CubeTask
from helioloop.records.labels import CurrentLabel
from helioloop.records.scores import CubeScore, Emergence
from helioloop.workflows.cells import decimal, frame_cells, time_cells

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
    """

    task: CubeTask
    label: CurrentLabel
    score: CubeScore | None
    p_calibrated: float | None
    emergence: Emergence | None
    frame_source: str
    time: FrameTime | None

    def row(self, version: str) -> dict[str, str | int]:
        """Return the cube's row of the table; an empty cell means unknown."""
        label, score = self.label, self.score
        agreement = None if score is None or label.label is None else score.agreement(label.label)
        return {
            "release": self.task.cube.release,
            "cube": self.task.cube.name,
            "region": self.task.cube.region or "",
            "label": label.label or "",
            "label_source": label.source,
            "crude_label": label.crude or "",
            "label_predicted": "" if score is None else score.predicted,
            "disagreement": decimal(None if agreement is None else 1.0 - agreement),
            "p_emergence": decimal(None if score is None else score.p_emergence),
            "p_spread": decimal(None if score is None else score.p_spread),
            "p_calibrated": decimal(self.p_calibrated),
            **frame_cells(self.emergence),
            "emergence_frame_from": self.frame_source,
            **time_cells(self.time),
            "model_version": "" if score is None else version,
        }


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
