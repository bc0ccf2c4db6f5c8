"""Emergence frames and their intervals against the truth, with other estimates on the same curves."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
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

COVERAGE = 0.9
"""Fraction of the true emergence frames that calibrated intervals are to contain."""
REPEATS = 100
"""How often a random sample or split is repeated where that is cheap."""


def interval_frames(scores: Iterable[CubeScore], truth: Mapping[str, TrueCube]) -> float | None:
    """Return the median width in frames of the raw intervals of located true emergences; None without any."""
    widths = [
        score.emergence.frame_hi - score.emergence.frame_lo
        for score in scores
        if score.emergence is not None and truth[score.cube].label is Label.EMERGENCE
    ]
    return float(np.median(widths)) if widths else None


def authors_scores(scores: Iterable[CubeScore], *, start: int) -> list[CubeScore]:
    """Return the scores with the authors' estimate in place of the emergence frame; see `frames_by`."""
    return with_frames(scores, lambda curves: round(authors_estimate(curves, start=start).frame))


def with_frames(scores: Iterable[CubeScore], estimate: Callable[[Curve], int | None]) -> list[CubeScore]:
    """Return the scores with another estimate of located frames, from the members' curves; None without curves."""
    estimated = []
    for score in scores:
        frame = None
        if score.emergence is not None and score.member_curves is not None:
            frame = estimate(np.array(score.member_curves.unpack()))
        found = None if frame is None or score.emergence is None else replace(score.emergence, frame=frame)
        estimated.append(replace(score, emergence=found))
    return estimated


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

    known = list(scores)
    figures: dict[str, dict[str, float | None]] = {}
    for name, estimated in (
        ("steepest", authors_scores(known, start=start)),
        ("ramp", with_frames(known, ramp)),
    ):
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
        Over `REPEATS` random halves: mean and deviation of the coverage, mean factor, and median width in frames. None
        if a half is too small.
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
    }
