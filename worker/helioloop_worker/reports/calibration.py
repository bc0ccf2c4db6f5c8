"""Probabilities and intervals calibrated on a project's audit sample."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from helioloop.evaluation.audit_sample import AuditSample
from helioloop.evaluation.calibration import IntervalCalibration, ProbabilityCalibration
from helioloop.records.scores import CubeScore, Emergence


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Calibrations of probabilities and intervals on an audit sample.

    Parameters
    ----------
    probabilities : ProbabilityCalibration or None
        None if the sample has too few labels.
    intervals : IntervalCalibration or None
        None if the sample has too few emergence frames.
    coverage : float
        Fraction of the true frames that calibrated intervals contain.
    """

    probabilities: ProbabilityCalibration | None
    intervals: IntervalCalibration | None
    coverage: float

    @classmethod
    def on_sample(cls, sample: AuditSample, *, start: int, coverage: float) -> Self:
        """Calibrate on a sample; `start` is the first frame that is not frozen."""
        return cls(
            probabilities=ProbabilityCalibration.calibrate(sample.p_emergence, sample.emergence),
            intervals=IntervalCalibration.calibrate(*sample.timed, start=start, coverage=coverage),
            coverage=coverage,
        )

    @property
    def frame_source(self) -> str:
        """How the table describes a frame that the model located."""
        return "model, uncalibrated" if self.intervals is None else f"model, calibrated {self.coverage:g}"

    def probability(self, score: CubeScore | None) -> float | None:
        """Return the calibrated probability of emergence; None without a score or a calibration."""
        if self.probabilities is None or score is None:
            return None
        return float(self.probabilities.apply(np.array([score.p_emergence]))[0])

    def interval(self, found: Emergence, *, start: int, n_frames: int) -> Emergence:
        """Return an emergence with its calibrated interval, or unchanged without a calibration."""
        return found if self.intervals is None else self.intervals.apply(found, start=start, n_frames=n_frames)
