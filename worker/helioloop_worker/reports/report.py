"""The report of a project: one page with the figures that decide whether to go on verifying.

Comes in: the project as read from Label Studio, its model folder, and a loader of cubes. Nothing is changed. All
figures are those of other modules: audit, calibration, agreement of annotators.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

import helioloop
from helioloop.errors import CubeError
from helioloop.evaluation.audit import RoundAudit
from helioloop.evaluation.audit_sample import AuditSample
from helioloop.evaluation.calibration import intervals_in_words, probabilities_in_words
from helioloop.evaluation.estimates import CONFIDENCE, binomial_estimate
from helioloop.evaluation.project_sample import find_unmoved, read_sample
from helioloop.evaluation.reliability import reliability_bins
from helioloop.model.plan import Plan
from helioloop.model.runtime import CubeLoader
from helioloop.progress import Report
from helioloop.records.cubes import Key
from helioloop.records.labels import CurrentLabel, Label
from helioloop.records.scores import CubeScore
from helioloop.registry.acceptances import read_acceptances
from helioloop.registry.versions import Card, Registry
from helioloop_worker.labelstudio.project import ProjectState
from helioloop_worker.reports import figures
from helioloop_worker.reports.audit import ProjectAudit, read_audit
from helioloop_worker.reports.calibration import Calibration
from helioloop_worker.reports.contact_strip import contact_strip
from helioloop_worker.reports.human_work import HumanWork, read_human_work
from helioloop_worker.reports.page import figure, render_report
from helioloop_worker.reports.round_progress import in_words

GALLERY_CUBES = 12
BLIND_CHECKS = 20
"""The next cubes of the audit sample: what the model says about them is not shown before a human has answered."""
MIN_LABELS_FOR_FIGURE = 10
"""A reliability diagram of fewer labels shows nothing but chance."""
COVERAGE = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scored:
    """The published version: its card, scores, audit sample, and the cubes whose frame nobody moved."""

    card: Card
    scores: Mapping[Key, CubeScore]
    sample: AuditSample
    unmoved: Collection[str]


def make_report(
    state: ProjectState, registry: Registry, load: CubeLoader, *, report: Report, now: datetime | None = None
) -> str:
    """Return the report of a project as HTML.

    Parameters
    ----------
    state : ProjectState
        The project as read from Label Studio.
    registry : Registry
        Its model folder; scores are those of the published version.
    load : CubeLoader
        Returns the frames of the cubes in the gallery; one that cannot be read is shown without frames.
    report : Report
        Called with the progress.
    now : datetime or None
        When the report is made; None takes the clock.

    Raises
    ------
    RegistryError
        Where a file of the model folder is damaged.
    """
    steps = 3 + GALLERY_CUBES
    report(0, steps, "making the report")
    work = read_human_work(state.tasks.values(), state.controls, n_frames=state.profile.instrument.n_frames)
    audit = read_audit(registry, state.snapshot)
    report(1, steps, "making the report")
    scored = _read_scored(state, registry)
    cards = [registry.card(version) for version in registry.versions()]
    report(2, steps, "making the report")
    blind = _blind(state, registry, audit)
    values = {
        "title": state.info.title or f"Project {state.info.id}",
        "project": state.info.id,
        "at": f"{(now or datetime.now(UTC)).astimezone(UTC):%Y-%m-%d %H:%M} UTC",
        "version": helioloop.__version__,
        "tiles": _tiles(state, audit, scored, work),
        "rounds": _rounds(state, audit, work),
        "work": _work(work),
        "calibration": _calibration(scored),
        "confusion": _confusion(state, scored),
        "frames": _frames(state, scored),
        "agreement": _agreement(work),
        "versions": _versions(cards, registry.published()),
        "gallery": _gallery(state, scored, load, blind=blind, report=report, steps=steps),
    }
    page = render_report(values)
    report(steps, steps, "making the report")
    return page


def _read_scored(state: ProjectState, registry: Registry) -> _Scored | None:
    version = registry.published()
    if version is None:
        return None
    scores = registry.scores(version)
    labels = {cube: label for cube, label in state.snapshot.cubes.items() if cube in state.tasks}
    unmoved = find_unmoved(labels, registry)
    sample = read_sample(Plan.read(registry.folder(version)), scores, labels, unmoved=unmoved)
    return _Scored(card=registry.card(version), scores=scores, sample=sample, unmoved=unmoved)


def _blind(state: ProjectState, registry: Registry, audit: ProjectAudit) -> set[str]:
    """Return the unverified cubes that random checks come to next: the report must not show the model's answer.

    Annotators read the report. An answer given after the model's has been seen confirms the model and proves nothing.
    """
    checks = {cube for entry in read_acceptances(registry.root).values() for cube in entry.random_checks}
    return {
        cube
        for cube in (*audit.next_sampled[:BLIND_CHECKS], *checks)
        if cube in state.snapshot.cubes and not state.label(cube).verified
    }


# -- sections -------------------------------------------------------------------------------------


def _tiles(state: ProjectState, audit: ProjectAudit, scored: _Scored | None, work: HumanWork) -> list[dict[str, str]]:
    labels = state.snapshot.cubes.values()
    verified, cubes = sum(label.verified for label in labels), len(labels)
    last = audit.rounds[-1] if audit.rounds else None
    left = None if last is None else last.wrong_left
    return [
        {
            "name": "Verified",
            "value": f"{verified} of {cubes}",
            "note": f"{verified / cubes:.0%} of the cubes" if cubes else "no cubes yet",
        },
        {
            "name": "Labels estimated wrong",
            "value": "unknown" if left is None else f"about {left.value:.0f}",
            "note": "the audit sample is too small"
            if left is None
            else f"{left.lo:.0f} to {left.hi:.0f}, of {cubes - verified} unverified",
        },
        {
            "name": "Human time",
            "value": f"{work.hours:.1f} h",
            "note": "no times recorded" if work.median_seconds is None else f"median {work.median_seconds:.0f} s",
        },
        {
            "name": "Published version",
            "value": "none yet" if scored is None else scored.card.version,
            "note": "" if scored is None else f"of {_minute(scored.card.created_at)} UTC",
        },
    ]


def _rounds(state: ProjectState, audit: ProjectAudit, work: HumanWork) -> dict[str, Any]:
    if not audit.rounds:
        return {"sentences": ["No round yet: the first version begins the audit."], "figure": None, "rows": []}
    last = audit.rounds[-1]
    sentences = [*last.sentences(), *_saved(state, last, work)]
    if not any(one.verifications for one in audit.rounds):
        return {
            "sentences": [*sentences, "Nothing is verified yet, so there is no figure."],
            "figure": None,
            "rows": [],
        }
    return {
        "sentences": sentences,
        "figure": figure(figures.rounds_figure(audit.versions, audit.rounds)),
        "rows": list(zip(audit.versions, audit.rounds, strict=True)),
    }


def _saved(state: ProjectState, last: RoundAudit, work: HumanWork) -> list[str]:
    """Return what is saved against verifying all cubes, in words."""
    cubes, verified = len(state.snapshot.cubes), sum(label.verified for label in state.snapshot.cubes.values())
    unverified = cubes - verified
    if unverified == 0:
        return ["All cubes are verified; nothing was saved."]
    per_cube = work.seconds_per_cube
    hours = "" if per_cube is None else f", about {in_words(per_cube * unverified)} of work at the time taken so far"
    price = (
        "how many of their labels are wrong is not known yet"
        if last.wrong_left is None
        else f"about {last.wrong_left.value:.0f} of their labels are wrong "
        f"({last.wrong_left.value / cubes:.1%} of all labels)"
    )
    return [
        f"Saved so far against verifying all: {unverified} of {cubes} verifications ({unverified / cubes:.0%}){hours}; "
        f"{price}."
    ]


def _work(work: HumanWork) -> dict[str, Any]:
    if not work.answers:
        sentences = ["No annotator has answered yet."]
    else:
        sentences = [
            f"{work.answers} answers by {_count(len(work.annotators), 'annotator')} for {_count(work.cubes, 'cube')}, "
            f"{work.hours:.1f} hours in all."
        ]
    if work.answers > len(work.seconds):
        sentences.append(f"{_count(work.answers - len(work.seconds), 'answer')} without a time, made by a script.")
    if work.long:
        sentences.append(
            f"{_count(len(work.long), 'answer')} took over half an hour, together {sum(work.long) / 3600.0:.1f} hours: "
            "the task was probably left open. The hours contain this time, and the median hardly changes with it."
        )
    if work.skipped or work.not_counted:
        sentences.append(
            f"Not counted: {_count(work.skipped, 'skip')}, and {_count(work.not_counted, 'annotation')} that a bulk "
            "action copied from predictions or that name no single class."
        )
    return {
        "sentences": sentences,
        "annotators": [
            {"name": _who(one.name), "answers": one.answers, "hours": one.hours, "median_seconds": one.median_seconds}
            for one in work.annotators
        ],
        "figure": figure(figures.times_figure(work.seconds)) if len(work.seconds) >= MIN_LABELS_FOR_FIGURE else None,
    }


def _calibration(scored: _Scored | None) -> dict[str, Any]:
    if scored is None:
        return {"sentences": ["No version yet, so there are no probabilities."], "figure": None, "bins": []}
    sample = scored.sample
    n, start = len(sample.cubes), int(scored.card.instrument.get("frozen_frames", 0))
    fitted = Calibration.on_sample(sample, start=start, coverage=COVERAGE)
    sentences = [
        f"The audit sample of {scored.card.version} has {_count(n, 'cube')}, verified in random order.",
        probabilities_in_words(fitted.probabilities),
    ]
    if n < MIN_LABELS_FOR_FIGURE:
        sentences.append(f"A diagram needs {MIN_LABELS_FOR_FIGURE} cubes in the audit sample.")
        return {"sentences": sentences, "figure": None, "bins": []}
    bins = reliability_bins(sample.p_emergence, sample.emergence)
    return {"sentences": sentences, "figure": figure(figures.reliability_figure(bins)), "bins": bins}


def _confusion(state: ProjectState, scored: _Scored | None) -> dict[str, Any]:
    verified = {
        cube: label for cube, label in state.snapshot.cubes.items() if label.verified and label.crude is not None
    }
    if not verified:
        return {"sentences": ["No cube with a crude label is verified yet."], "tables": []}
    sampled = {true.cube for _, true in scored.sample.cubes} & verified.keys() if scored else set()
    changed = sum(verified[cube].label is not verified[cube].crude for cube in sampled)
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
        chosen = {cube: verified[cube] for cube in sampled}
        tables.append(_confusion_table(chosen, f"The {len(sampled)} cubes of the audit sample."))
    return {"sentences": [rate], "tables": tables}


def _confusion_table(labels: Mapping[str, CurrentLabel], caption: str) -> dict[str, Any]:
    counts = Counter((label.crude, label.label) for label in labels.values())
    return {
        "caption": caption,
        "rows": [(crude.value, [(crude is true, counts[crude, true]) for true in Label]) for crude in Label],
    }


def _frames(state: ProjectState, scored: _Scored | None) -> dict[str, Any]:
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
    fitted = Calibration.on_sample(
        scored.sample, start=int(scored.card.instrument.get("frozen_frames", 0)), coverage=COVERAGE
    )
    sentences = [
        *_coverage("Of frames that a human set", own),
        *_coverage("In the audit sample", [one for one in own if one.sampled]),
        f"{_count(len(timed) - len(own), 'frame')} submitted unchanged, as the model had proposed: no evidence for or "
        "against it.",
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
        f"{which}, {covered} of {len(timed)} are inside the model's interval ({covered / len(timed):.0%}); the median "
        f"distance is {off:g} frames."
    ]


def _agreement(work: HumanWork) -> dict[str, Any]:
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
        f"{_count(found.cubes, 'cube')} answered by two annotators or more; {found.agreeing} of "
        f"{_count(found.pairs, 'pair')} chose the same class ({found.agreeing / found.pairs:.0%}). {alpha}"
    ]
    if found.onset_differences:
        sentences.append(
            f"{_count(len(found.onset_differences), 'pair')} marked an onset both; the median distance is "
            f"{float(np.median(found.onset_differences)):g} frames, the largest {found.onset_differences[-1]}."
        )
    rows = [(_who(name), pairs, agreeing) for name, (pairs, agreeing) in found.by_annotator.items()]
    return {"sentences": sentences, "rows": rows}


def _versions(cards: Sequence[Card], published: str | None) -> list[dict[str, Any]]:
    return [
        {
            "version": card.version,
            "published": card.version == published,
            "made": _minute(card.created_at),
            "labels": len(card.labels),
            "verified": card.verified,
            "agreement": _metric(card, "agreement"),
            "auroc": _metric(card, "auroc"),
            "promotion": card.rejected or str(card.verdict.get("reason") or "–"),
            "reason": card.reason,
        }
        for card in reversed(cards)
    ]


def _gallery(
    state: ProjectState,
    scored: _Scored | None,
    load: CubeLoader,
    *,
    blind: Collection[str],
    report: Report,
    steps: int,
) -> dict[str, Any]:
    if scored is None:
        return {"sentences": ["No version yet, so nothing disagrees."], "cubes": []}
    found = []
    for name, task in state.tasks.items():
        label, score = state.label(name), scored.scores.get(task.cube.key)
        if label.label is not None and score is not None and name not in blind:
            found.append((1.0 - score.agreement(label.label), name, score, label))
    found.sort(key=lambda entry: (-entry[0], entry[1]))
    cubes = []
    for place, (disagreement, _, score, label) in enumerate(found[:GALLERY_CUBES]):
        report(2 + place, steps, "making the report")
        cubes.append(_gallery_cube(state, score, label, load, place=place, disagreement=disagreement))
    sentences = [
        "Disagreement is 1 − P(current label), by members that were not trained on the cube. The curve is P(emergence) "
        "as a function of the frames that the model has seen; the band is the interval of the emergence frame, a "
        "dotted line the frame of a human."
    ]
    if blind:
        sentences.append(
            f"{_count(len(blind), 'cube')} left out: random checks, which humans answer without the model."
        )
    if not cubes:
        sentences = ["No cube has a label and a score yet."]
    return {"sentences": sentences, "cubes": cubes}


def _gallery_cube(
    state: ProjectState, score: CubeScore, label: CurrentLabel, load: CubeLoader, *, place: int, disagreement: float
) -> dict[str, Any]:
    cube = state.tasks[score.cube].cube
    strip, unreadable = None, ""
    try:
        strip = contact_strip(load(cube))
    except CubeError:
        unreadable = "Its frames cannot be read now; the worker's log has the reason."
    frame = None if label.verified_frame is None else label.verified_frame.frame
    located = score.emergence
    return {
        "name": cube.name,
        "region": cube.region,
        "start": cube.start,
        "label": "" if label.label is None else label.label.value,
        "source": f"verified, {label.source.value}" if label.verified else label.source.value,
        "p": score.p_emergence,
        "spread": score.p_spread,
        "disagreement": disagreement,
        "found": None if located is None else f"{located.frame + 1} ({located.frame_lo + 1}–{located.frame_hi + 1})",
        "strip": strip,
        "frames": "" if strip is None else ", ".join(str(number + 1) for number in strip.frames),
        "unreadable": unreadable,
        "curve": None
        if score.curve is None
        else figure(figures.curve_figure(score, name=f"curve-{place}", verified_frame=frame)),
    }


# -- words ----------------------------------------------------------------------------------------


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _who(annotator: str) -> str:
    return f"annotator {annotator}"


def _minute(at: str) -> str:
    return f"{datetime.fromisoformat(at).astimezone(UTC):%Y-%m-%d %H:%M}"


def _metric(card: Card, name: str) -> str:
    return f"{card.metrics[name]:.3f}" if name in card.metrics else "–"
