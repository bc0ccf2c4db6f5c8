"""The figures of one version against the truth; the first round and the campaign both report them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from statistics import fmean

import numpy as np

from helioloop.data.truth import TrueCube
from helioloop.evaluation.metrics import NEAR_FRAMES, frame_errors
from helioloop.records.labels import Label
from helioloop.records.scores import CubeScore
from helioloop.synthetic.scenario import Kind
from tests.benchmarks.bench import Bench, Figures
from tests.benchmarks.emerging_flux import WEAK_FLUX_MX, emerging_flux_mx
from tests.benchmarks.frame_figures import REPEATS, authors_scores, calibrated_coverage, frames_by, interval_frames
from tests.benchmarks.probability_figures import calibration_error, error_when_calibrated


def version_figures(bench: Bench, seed: int, scores: Mapping[str, CubeScore], labels: Mapping[str, Label]) -> Figures:
    """Return all figures of a version, by kind too; `labels` are those it was trained on."""
    truth, instrument = bench.experiment(seed).truth, bench.runtime.instrument
    known = [scores[cube] for cube in sorted(scores)]
    evaluation = bench.experiment(seed).evaluate(known, labels)
    steepest = authors_scores(known, start=instrument.frozen_frames)
    drawn = bench.is_drawn(seed)
    flux_mx = emerging_flux_mx(bench.generator, seed=seed, n=bench.n, instrument=instrument) if drawn else {}
    return {
        **evaluation.figures(),
        **shares(known, truth, labels, flux_mx=flux_mx),
        **probability_figures(known, truth),
        "frames_by": frames_by(known, truth, start=instrument.frozen_frames),
        "interval_frames": interval_frames(known, truth),
        "calibrated": calibrated_coverage(known, truth, instrument=instrument),
        "kinds": [
            {**asdict(kind), **of_kind(kind.kind, known, truth, labels, steepest=steepest)} for kind in evaluation.kinds
        ],
    }


def share(hits: Iterable[bool]) -> dict[str, float | None]:
    """Return how many are true, of how many, and the fraction (None of none)."""
    found = list(hits)
    return {"count": sum(found), "of": len(found), "share": fmean(found) if found else None}


def shares(
    scores: Sequence[CubeScore],
    truth: Mapping[str, TrueCube],
    labels: Mapping[str, Label],
    *,
    flux_mx: Mapping[str, float],
) -> dict[str, dict[str, float | None]]:
    """Return where the method fails, as counts and fractions.

    Parameters
    ----------
    scores, truth, labels
        As in `version_figures`.
    flux_mx : mapping of str to float
        Peak flux of the region that emerges, by cube.

    Returns
    -------
    dict
        ``weak_class_wrong`` of the emergences under `WEAK_FLUX_MX`; ``inside_contradicted`` of the wrong labels where a
        region emerges inside an older one; ``no_frame`` of the emergences with a known frame; ``frame_given`` of the
        non-emergences.
    """
    emergences = [score for score in scores if truth[score.cube].label is Label.EMERGENCE]
    weak = [score for score in emergences if flux_mx.get(score.cube, np.inf) < WEAK_FLUX_MX]
    inside = [score for score in scores if truth[score.cube].kind == Kind.INSIDE]
    return {
        "weak_class_wrong": share(score.predicted is not Label.EMERGENCE for score in weak),
        "inside_contradicted": share(
            score.predicted is truth[score.cube].label
            for score in inside
            if labels[score.cube] is not truth[score.cube].label
        ),
        "no_frame": share(score.emergence is None for score in emergences if truth[score.cube].frame is not None),
        "frame_given": share(
            score.emergence is not None for score in scores if truth[score.cube].label is Label.NON_EMERGENCE
        ),
    }


def probability_figures(scores: Sequence[CubeScore], truth: Mapping[str, TrueCube]) -> dict[str, float | None]:
    """Return the expected calibration error without random labels and with 100."""
    p = np.array([score.p_emergence for score in scores])
    emergence = np.array([truth[score.cube].label is Label.EMERGENCE for score in scores], dtype=np.bool_)
    return {
        "calibration_error": calibration_error(p, emergence) if len(p) else None,
        "calibration_error_100": error_when_calibrated(p, emergence, repeats=REPEATS),
    }


def of_kind(
    kind: str,
    scores: Sequence[CubeScore],
    truth: Mapping[str, TrueCube],
    labels: Mapping[str, Label],
    *,
    steepest: Sequence[CubeScore],
) -> dict[str, int]:
    """Return counts for one kind: contradicted wrong labels, frames of emergences, frames given to non-emergences.

    `steepest` are the scores with the authors' estimate of the frame.
    """
    ours = [score for score in scores if truth[score.cube].kind == kind]
    error, _ = frame_errors(ours, truth)
    authors, _ = frame_errors([score for score in steepest if truth[score.cube].kind == kind], truth)
    others = [score for score in ours if truth[score.cube].label is Label.NON_EMERGENCE]
    return {
        "wrong_seen": sum(
            labels[score.cube] is not truth[score.cube].label and score.predicted is truth[score.cube].label
            for score in ours
        ),
        "frames": len(error),
        "frames_near": int((error <= NEAR_FRAMES).sum()),
        "authors_near": int((authors <= NEAR_FRAMES).sum()),
        "no_frame": int(np.isinf(error).sum()),
        "non_emergences": len(others),
        "frame_given": sum(score.emergence is not None for score in others),
    }
