"""The sections of the report on single questions: work, reliability, crude labels, frames, agreement of annotators.

Each function returns the values that the report's template names: sentences, a figure or None, and rows of a table.
Where there are too few data for a figure, a sentence says so.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from helioloop.evaluation.calibration import intervals_in_words, probabilities_in_words
from helioloop.evaluation.estimates import CONFIDENCE, binomial_estimate
from helioloop.evaluation.reliability import reliability_bins
from helioloop.labelstudio.annotators import DELETED_ACCOUNTS
from helioloop.records.labels import CurrentLabel, Label
from helioloop.words import count
from helioloop_worker.labelstudio.project import ProjectState
from helioloop_worker.reports import figures
from helioloop_worker.reports.calibration import Calibration
from helioloop_worker.reports.human_work import HumanWork
from helioloop_worker.reports.page import figure
from helioloop_worker.reports.scored import Scored

MIN_FOR_FIGURE = 10
"""A figure of fewer labels or answers shows nothing but chance."""
COVERAGE = 0.9


def work_section(work: HumanWork) -> dict[str, Any]:
    """Return the work of the annotators: sentences, rows and the histogram of times."""
    if not work.answers:
        sentences = ["No annotator has answered yet."]
    else:
        sentences = [
            f"{work.answers} answers by {count(len(work.annotators), 'annotator')} for {count(work.cubes, 'cube')}, "
            f"{work.time_in_words} in all."
        ]
    if work.answers > len(work.seconds):
        sentences.append(f"{count(work.answers - len(work.seconds), 'answer')} without a time, made by a script.")
    if work.long:
        sentences.append(
            f"{count(len(work.long), 'answer')} took over half an hour, together {sum(work.long) / 3600.0:.1f} hours: "
            "the task was probably left open. The hours contain this time, and the median hardly changes with it."
        )
    if work.skipped:
        sentences.append(f"Not counted: {count(work.skipped, 'skip')}.")
    if work.not_counted:
        sentences.append(
            f"Not counted: {count(work.not_counted, 'annotation')} that a bulk action copied from predictions, or "
            "without exactly one class."
        )
    return {
        "sentences": sentences,
        "annotators": [
            {"name": _who(one.name), "answers": one.answers, "hours": one.hours, "median_seconds": one.median_seconds}
            for one in work.annotators
        ],
        "figure": figure(figures.times_figure(work.seconds)) if len(work.seconds) >= MIN_FOR_FIGURE else None,
    }


def calibration_section(scored: Scored | None) -> dict[str, Any]:
    """Return the reliability of the probabilities on the audit sample."""
    if scored is None:
        return {"sentences": ["No version yet, so there are no probabilities."], "figure": None, "bins": []}
    sample, fitted = scored.sample, _calibration(scored)
    n = len(sample.cubes)
    sentences = [
        f"The audit sample of {scored.card.version} has {count(n, 'cube')}, answered blind in random order.",
        probabilities_in_words(fitted.probabilities),
    ]
    if n < MIN_FOR_FIGURE:
        sentences.append(f"A diagram needs {MIN_FOR_FIGURE} cubes in the audit sample.")
        return {"sentences": sentences, "figure": None, "bins": []}
    bins = reliability_bins(sample.p_emergence, sample.emergence)
    return {"sentences": sentences, "figure": figure(figures.reliability_figure(bins)), "bins": bins}


def _calibration(scored: Scored) -> Calibration:
    """Return the calibrations on the audit sample; the sections say how far they go and apply none."""
    start = int(scored.card.instrument.get("frozen_frames", 0))
    return Calibration.on_sample(scored.sample, start=start, coverage=COVERAGE)


def confusion_section(state: ProjectState, scored: Scored | None) -> dict[str, Any]:
    """Return the tables of crude against verified labels, and how many crude labels are wrong."""
    verified = {
        cube: label for cube, label in state.snapshot.cubes.items() if label.verified and label.crude is not None
    }
    if not verified:
        return {"sentences": ["No cube with a crude label is verified yet."], "tables": []}
    answers = {true.cube: true.label for _, true in scored.sample.cubes} if scored else {}
    sampled = answers.keys() & verified.keys()
    changed = sum(answers[cube] is not verified[cube].crude for cube in sampled)
    if sampled:
        wrong = binomial_estimate(changed, len(sampled))
        rate = (
            f"In the audit sample, {changed} of {len(sampled)} crude labels were wrong: {wrong.value:.0%} "
            f"({wrong.lo:.0%} to {wrong.hi:.0%} with {CONFIDENCE:.0%} confidence). This holds for all crude labels."
        )
    else:
        rate = "How many of all crude labels are wrong is not known yet: the audit sample is empty."
    tables = [
        _confusion_table(verified, f"All {len(verified)} verified cubes; many were chosen because they disagree.")
    ]
    if sampled:
        chosen = {cube: replace(verified[cube], label=answers[cube]) for cube in sampled}
        tables.append(_confusion_table(chosen, f"The {len(sampled)} cubes of the audit sample."))
    return {"sentences": [rate], "tables": tables}


def _confusion_table(labels: Mapping[str, CurrentLabel], caption: str) -> dict[str, Any]:
    counts = Counter((label.crude, label.label) for label in labels.values())
    return {
        "caption": caption,
        "rows": [(crude.value, [(crude is true, counts[crude, true]) for true in Label]) for crude in Label],
    }


def frames_section(state: ProjectState, scored: Scored | None) -> dict[str, Any]:
    """Return the emergence intervals against the verified frames."""
    if scored is None:
        return {"sentences": ["No version yet, so no emergence is located."], "figure": None}
    sampled = {true.cube for _, true in scored.sample.cubes}
    timed = []
    for name, task in state.tasks.items():
        label, score = state.label(name), scored.scores.get(task.cube.key)
        if label.verified_frame is not None and score is not None and score.emergence is not None:
            timed.append(
                figures.TimedCube(
                    cube=name,
                    verified_frame=label.verified_frame.frame,
                    found=score.emergence,
                    unmoved=name in scored.unmoved,
                    sampled=name in sampled,
                )
            )
    if not timed:
        return {"sentences": ["No verified emergence has a frame of a human and one of the model yet."], "figure": None}
    own = [one for one in timed if not one.unmoved]
    located, frames = scored.sample.timed
    fitted = _calibration(scored)
    sentences = [
        *_coverage("Of frames that a human set", own),
        *_coverage("In the audit sample", [one for one in own if one.sampled]),
        f"Submitted unchanged, as the model had proposed: {count(len(timed) - len(own), 'frame')}. They are no "
        "evidence for or against it.",
        intervals_in_words(fitted.intervals, n_frames=len(frames), coverage=COVERAGE)
        if located
        else "Intervals: uncalibrated, no frame of the audit sample was set by a human.",
    ]
    svg = figures.frames_figure(timed, n_frames=state.profile.instrument.n_frames)
    return {"sentences": sentences, "figure": figure(svg)}


def _coverage(which: str, timed: Sequence[figures.TimedCube]) -> list[str]:
    if not timed:
        return []
    covered = sum(one.covered for one in timed)
    off = float(np.median([abs(one.found.frame - one.verified_frame) for one in timed]))
    return [
        f"{which}, {covered} of {len(timed)} are inside the model's interval ({covered / len(timed):.0%}); median "
        f"distance in frames: {off:g}."
    ]


def agreement_section(work: HumanWork) -> dict[str, Any]:
    """Return how far annotators agree."""
    found = work.agreement
    if not found.pairs:
        return {
            "sentences": ["No cube was answered by two annotators yet, so their agreement is not known."],
            "rows": [],
        }
    alpha = (
        "Krippendorff's alpha is not defined: all answers are of one class."
        if found.alpha is None
        else f"Krippendorff's alpha is {found.alpha:.2f} (1: always the same, 0: as by chance)."
    )
    sentences = [
        f"Answered by two annotators or more: {count(found.cubes, 'cube')}. The two chose the same class in "
        f"{found.agreeing} of {count(found.pairs, 'pair')} ({found.agreeing / found.pairs:.0%}). {alpha}"
    ]
    if found.onset_differences:
        sentences.append(
            f"Both marked an onset in {count(len(found.onset_differences), 'pair')}; distance in frames: median "
            f"{float(np.median(found.onset_differences)):g}, largest {found.onset_differences[-1]}."
        )
    rows = [(_who(name), pairs, agreeing) for name, (pairs, agreeing) in found.by_annotator.items()]
    return {"sentences": sentences, "rows": rows}


def _who(annotator: str) -> str:
    return annotator if annotator == DELETED_ACCOUNTS else f"annotator {annotator}"
