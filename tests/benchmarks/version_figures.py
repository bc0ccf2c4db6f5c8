"""The figures of one version against the truth; the first round and the campaign both report them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from statistics import fmean, stdev

import numpy as np

from helioloop.data.truth import TrueCube
from helioloop.emergence.authors_estimate import authors_estimate
from helioloop.emergence.curve_onset import Curve, curve_onset
from helioloop.evaluation.calibration import IntervalCalibration
from helioloop.evaluation.metrics import NEAR_FRAMES, frame_errors
from helioloop.records.instrument import Instrument
from helioloop.records.labels import Label
from helioloop.records.scores import CubeScore
from tests.benchmarks.bench import Bench, Figures

COVERAGE = 0.9
"""Fraction of the true emergence frames that calibrated intervals are to contain."""
REPEATS = 100
"""How often a random sample or split is repeated where that is cheap."""


def version_figures(bench: Bench, seed: int, scores: Mapping[str, CubeScore], labels: Mapping[str, Label]) -> Figures:
    """Return all figures of a version, by kind too; `labels` are those it was trained on."""
    truth = bench.experiment(seed).truth
    error, _ = frame_errors(scores.values(), truth)
    evaluation = bench.experiment(seed).evaluate(scores.values(), labels)
    return {
        **evaluation.figures(),
        "without_frame": float(np.isinf(error).mean()) if len(error) else None,
        "frames_by": frames_by(scores.values(), truth, start=bench.runtime.instrument.frozen_frames),
        "calibrated": calibrated_coverage(scores.values(), truth, instrument=bench.runtime.instrument),
        "kinds": [
            {
                **asdict(kind),
                **_of_kind([score for score in scores.values() if truth[score.cube].kind == kind.kind], truth, labels),
            }
            for kind in evaluation.kinds
        ],
    }


def _of_kind(
    scores: list[CubeScore], truth: Mapping[str, TrueCube], labels: Mapping[str, Label]
) -> dict[str, float | None]:
    """Return how many wrong labels the ensemble contradicts, and how many emergence frames are near."""
    error, _ = frame_errors(scores, truth)
    return {
        "wrong_seen": sum(
            labels[score.cube] is not truth[score.cube].label and score.predicted is truth[score.cube].label
            for score in scores
        ),
        "frames": len(error),
        "frames_near": int((error <= NEAR_FRAMES).sum()),
    }


def frames_by(
    scores: Iterable[CubeScore], truth: Mapping[str, TrueCube], *, start: int
) -> dict[str, dict[str, float | None]]:
    """Return the errors of other estimates of the emergence frame on the same curves, if a frame was located.

    Returns
    -------
    dict
        ``steepest`` is the authors' estimate, the median of the members' steepest frames; ``ramp`` is the onset of the
        ramp fitted to the mean curve, without the flux. A score without curves of its members counts as located by
        neither.
    """

    def ramp(curves: Curve) -> int | None:
        found = curve_onset(curves, start=start)
        return None if found is None else found.frame

    estimates: dict[str, Callable[[Curve], int | None]] = {
        "steepest": lambda curves: round(authors_estimate(curves, start=start).frame),
        "ramp": ramp,
    }
    known = list(scores)
    figures: dict[str, dict[str, float | None]] = {}
    for name, estimate in estimates.items():
        estimated = []
        for score in known:
            if score.emergence is None or score.member_curves is None:
                estimated.append(replace(score, emergence=None))
            else:
                frame = estimate(np.array(score.member_curves.unpack()))
                found = None if frame is None else replace(score.emergence, frame=frame)
                estimated.append(replace(score, emergence=found))
        error, _ = frame_errors(estimated, truth)
        figures[name] = {
            "frame_error_frames": float(np.median(error)) if len(error) else None,
            "frame_near": float((error <= NEAR_FRAMES).mean()) if len(error) else None,
        }
    return figures


def calibrated_coverage(
    scores: Iterable[CubeScore], truth: Mapping[str, TrueCube], *, instrument: Instrument
) -> dict[str, float] | None:
    """Return the coverage of intervals calibrated on a random half of the true emergences and tested on the other.

    Returns
    -------
    dict or None
        Over `REPEATS` random halves: mean and deviation of the coverage, mean factor, and median width in frames
        before and after. None if a half is too small.
    """
    start = instrument.frozen_frames
    found, frames = [], []
    for score in sorted(scores, key=lambda score: score.cube):
        frame = truth[score.cube].frame
        if truth[score.cube].label is not Label.EMERGENCE or frame is None:
            continue
        if score.emergence is None:
            continue
        found.append(score.emergence)
        frames.append(frame)
    covered, factors, widths = [], [], []
    for k in range(REPEATS):
        order = np.random.default_rng(k).permutation(len(found)).tolist()
        half, others = order[: len(order) // 2], order[len(order) // 2 :]
        fitted = IntervalCalibration.calibrate(
            [found[i] for i in half], [frames[i] for i in half], start=start, coverage=COVERAGE
        )
        if fitted is None:
            return None
        intervals = [(fitted.apply(found[i], start=start, n_frames=instrument.n_frames), frames[i]) for i in others]
        covered.append(fmean(one.frame_lo <= frame <= one.frame_hi for one, frame in intervals))
        factors.append(fitted.factor)
        widths.extend(one.frame_hi - one.frame_lo for one, _ in intervals)
    return {
        "coverage": fmean(covered),
        "deviation": stdev(covered),
        "factor": fmean(factors),
        "width_frames": float(np.median(widths)),
        "raw_width_frames": float(np.median([one.frame_hi - one.frame_lo for one in found])),
    }
