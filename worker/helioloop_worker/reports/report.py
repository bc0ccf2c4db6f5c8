"""The report of a project: one page with the figures that decide whether to go on verifying.

Comes in: the project as read from Label Studio, its model folder, and a loader of cubes. Nothing is changed. All
figures are those of other modules: audit, calibration, agreement of annotators.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import helioloop
from helioloop.evaluation.audit import RoundAudit
from helioloop.model.runtime import CubeLoader
from helioloop.progress import Report
from helioloop.registry.acceptances import read_acceptances
from helioloop.registry.card import Card
from helioloop.registry.random_checks import blind_cubes
from helioloop.registry.versions import Registry
from helioloop.words import count, duration
from helioloop_worker.labelstudio.project import ProjectState
from helioloop_worker.reports import figures
from helioloop_worker.reports.audit import ProjectAudit, read_audit
from helioloop_worker.reports.human_work import HumanWork, read_human_work
from helioloop_worker.reports.page import figure, render_report
from helioloop_worker.reports.report_gallery import gallery_section
from helioloop_worker.reports.report_sections import (
    agreement_section,
    calibration_section,
    confusion_section,
    frames_section,
    work_section,
)
from helioloop_worker.reports.scored import Scored, read_scored
from helioloop_worker.reports.times import minute

BLIND_CHECKS = 20
"""The next cubes of the audit sample: what the model says about them is not shown before a human has answered."""


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
    report(0, 3, "reading the project")
    work = read_human_work(state.tasks.values(), state.controls, n_frames=state.profile.instrument.n_frames)
    audit = read_audit(registry, state.snapshot)
    report(1, 3, "reading the project")
    scored = read_scored(state, registry)
    cards = [registry.card(version) for version in registry.versions()]
    report(3, 3, "reading the project")
    blind = _blind(state, registry, audit)
    values = {
        "title": state.info.title or f"Project {state.info.id}",
        "project": state.info.id,
        "at": f"{minute(now or datetime.now(UTC))} UTC",
        "version": helioloop.__version__,
        "tiles": _tiles(state, audit, scored, work),
        "rounds": _rounds(state, audit, work),
        "work": work_section(work),
        "calibration": calibration_section(scored),
        "confusion": confusion_section(state, scored),
        "frames": frames_section(state, scored),
        "agreement": agreement_section(work),
        "versions": _versions(cards, registry.published()),
        "gallery": gallery_section(state, scored, load, blind=blind, report=report),
    }
    return render_report(values)


def _blind(state: ProjectState, registry: Registry, audit: ProjectAudit) -> set[str]:
    """Return the unverified cubes that random checks come to next: the report must not show the model's answer.

    Annotators read the report. An answer given after the model's has been seen confirms the model and proves nothing.
    """
    checks = {cube for entry in read_acceptances(registry.root).values() for cube in entry.random_checks}
    checks |= blind_cubes(registry.root, state.snapshot.cubes)
    return {
        cube
        for cube in (*audit.next_sampled[:BLIND_CHECKS], *checks)
        if cube in state.snapshot.cubes and not state.label(cube).verified
    }


# -- sections -------------------------------------------------------------------------------------


def _tiles(state: ProjectState, audit: ProjectAudit, scored: Scored | None, work: HumanWork) -> list[dict[str, str]]:
    labels = state.snapshot.cubes.values()
    verified, cubes = sum(label.verified for label in labels), len(labels)
    last = audit.rounds[-1] if audit.rounds else None
    left = None if last is None or last.unscored else last.wrong_left
    return [
        {
            "name": "Verified",
            "value": f"{verified} of {cubes}",
            "note": f"{verified / cubes:.0%} of the cubes" if cubes else "no cubes yet",
        },
        {
            "name": "Labels estimated wrong",
            "value": "unknown" if left is None else f"about {left.value:.0f}",
            "note": _estimated(last),
        },
        {
            "name": "Human time",
            "value": work.time_in_words,
            "note": "no times recorded" if work.median_seconds is None else f"median {work.median_seconds:.0f} s",
        },
        {
            "name": "Published version",
            "value": "none yet" if scored is None else scored.card.version,
            "note": "" if scored is None else f"of {minute(datetime.fromisoformat(scored.card.created_at))} UTC",
        },
    ]


def _estimated(last: RoundAudit | None) -> str:
    """Return of how many labels the estimate of wrong ones is, or why there is none."""
    if last is not None and last.unscored:
        return f"{count(last.unscored, 'cube')} without a prediction yet"
    if last is None or last.wrong_left is None:
        return "the audit sample is too small"
    left = last.wrong_left
    return f"{left.lo:.0f} to {left.hi:.0f}, of {last.cubes - last.verified} unverified labels"


def _rounds(state: ProjectState, audit: ProjectAudit, work: HumanWork) -> dict[str, Any]:
    if not audit.rounds:
        return {"sentences": ["No round yet: the first version begins the audit."], "figure": None, "rows": []}
    last = audit.rounds[-1]
    sentences = [*last.sentences(), *_outside(state, last), *_saved(state, last, work)]
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


def _outside(state: ProjectState, last: RoundAudit) -> list[str]:
    """Return why the audit of a round has fewer cubes than the project, where it does."""
    cubes = len(state.snapshot.cubes) - last.cubes
    if cubes <= 0:
        return []
    are = "is" if cubes == 1 else "are"
    return [
        f"{count(cubes, 'cube')} of the project {are} not in the audit: no crude label, or no score. A verified one is "
        "trained on all the same."
    ]


def _saved(state: ProjectState, last: RoundAudit, work: HumanWork) -> list[str]:
    """Return what is saved against verifying all cubes, in words; nothing before the first one is verified."""
    cubes, verified = len(state.snapshot.cubes), sum(label.verified for label in state.snapshot.cubes.values())
    unverified = cubes - verified
    if unverified == 0:
        return ["All cubes are verified; nothing was saved."]
    if verified == 0:
        return []
    per_cube = work.seconds_per_cube
    hours = "" if per_cube is None else f", about {duration(per_cube * unverified)} of work at the time taken so far"
    price = (
        "how many of their labels are wrong is not known yet"
        if last.wrong_left is None or last.unscored
        else f"about {last.wrong_left.value:.0f} of their labels are wrong ({last.wrong_left.lo:.0f} to "
        f"{last.wrong_left.hi:.0f})"
    )
    return [
        f"Saved so far against verifying all: {unverified} of {cubes} verifications ({unverified / cubes:.0%}){hours}; "
        f"{price}."
    ]


def _versions(cards: Sequence[Card], published: str | None) -> list[dict[str, Any]]:
    return [
        {
            "version": card.version,
            "published": card.version == published,
            "made": minute(datetime.fromisoformat(card.created_at)),
            "labels": len(card.labels),
            "verified": card.verified,
            "agreement": _metric(card, "agreement"),
            "auroc": _metric(card, "auroc"),
            "promotion": card.rejected or str(card.verdict.get("reason") or "–"),
            "reason": card.reason,
        }
        for card in reversed(cards)
    ]


def _metric(card: Card, name: str) -> str:
    return f"{card.metrics[name]:.3f}" if name in card.metrics else "–"
