"""The text of ``helioloop status``: lines with a name and a value, made from the facts; the verdict comes first.

Lists are capped, with a number of what is left out; `full` lists everything. The names of lines are kept stable for
scripts that search them; those that need more than a few read the JSON (`status_json`).
"""

from collections.abc import Sequence
from typing import Final

from helioloop.words import count
from helioloop_worker.reports.audit import ProjectAudit
from helioloop_worker.reports.finding import Finding
from helioloop_worker.reports.release_lines import excluded_lines, reading_lines, watched_lines
from helioloop_worker.reports.service_lines import job_lines, queue_lines, round_line
from helioloop_worker.reports.status_facts import LabelFacts, ProfileFacts, ProjectStatus
from helioloop_worker.reports.status_line import HOW_TO_LIST_ALL, LISTED_NAMES, Line, capped, names_in_one_line
from helioloop_worker.reports.verdict import find_all

ROUNDS: Final = 3
"""Rounds of the audit that are listed, the latest ones."""
NEXT_SAMPLED: Final = 10
"""Cubes of the audit sample that are listed: an estimate needs at least ten."""
METRIC_NAMES: Final = {
    "cubes": "cubes scored",
    "labelled": "cubes with a label",
    "emergences": "labelled emergence",
    "agreement": "mean probability of the labels",
    "disagreeing": "fraction of labels that disagree",
    "auroc": "AUROC for the labels",
}
"""Name of a metric in a version's card -> name of its line. Probabilities and AUROC are out of fold."""


def status_lines(status: ProjectStatus, *, full: bool = False) -> list[Line]:
    """Return all lines, the verdict first; with `full` the lists are not capped."""
    lines = verdict_lines(find_all(status), full=full)
    if status.services is not None:
        lines.append(round_line(status.services.running_round))
    if status.last_check is not None:
        last = status.last_check
        lines.append(Line(name=f"last {last.step}", value=f"{last.at}: {last.outcome}"))
    if status.configuration is not None:
        lines.append(Line(name="labelling configuration", value=status.configuration))
    lines += model_lines(status, full=full)
    lines += [line for part in (reading_lines, excluded_lines, watched_lines) for line in part(status, full=full)]
    if status.project is not None:
        lines += submitted_lines(status)
        lines += label_lines(status.labels, full=full)
        lines += audit_lines(status.audit, full=full, checks=_checks(status.labels))
        lines += acceptance_lines(status, full=full)
    if status.services is not None:
        lines += [*queue_lines(status.services), *job_lines(status.services, full=full)]
    if status.disk is not None:
        lines.append(Line(name="disk use", value=status.disk.sentence()))
    return lines


def verdict_lines(findings: Sequence[Finding], *, full: bool = False) -> list[Line]:
    """Return whether all is well, what to do next, and what else was found."""
    first, *others = findings
    return [
        Line(name="verdict", value=f"{'All is well' if first.well else 'Not well'}. {first.sentence}"),
        Line(name="next", value=first.action),
        *capped(
            [Line(name="also", value=f"{other.sentence} {other.action}") for other in others], full=full, name="also"
        ),
    ]


def model_lines(status: ProjectStatus, *, full: bool = False) -> list[Line]:
    """Return the lines about a model folder's versions."""
    published, rejected = status.published, status.rejected
    versions = status.versions if full else status.versions[-LISTED_NAMES:]
    earlier = len(status.versions) - len(versions)
    names = f"{earlier} earlier ones, {', '.join(versions)}" if earlier else ", ".join(versions) or "none yet"
    lines = [
        Line(name="published version", value="none yet" if published is None else published.version),
        Line(name="versions", value=names),
        Line(name="profile", value=_profile(status.profile)),
    ]
    if rejected is not None:
        lines.append(
            Line(
                name="newest version",
                value=f"{rejected.version}, created {rejected.created_at}, is {rejected.reason}; to publish it anyway, "
                f"run `{rejected.command}`",
            )
        )
    if published is not None:
        lines += [
            Line(name="created", value=f"{published.created_at}; reason: {published.reason}"),
            Line(name="trained on", value=f"{published.labels} labelled cubes, {published.verified} of them verified"),
            Line(name="members", value=f"{published.members}, recipe {published.recipe}"),
            *(
                Line(name=METRIC_NAMES.get(name, name), value=f"{value:.3g}")
                for name, value in published.metrics.items()
            ),
        ]
    lines += [Line(name="failed round", value=reason) for reason in status.failed_rounds]
    return lines + [
        Line(name="damaged version", value=f"{sentence}; restore its folder from a backup")
        for sentence in status.unusable
    ]


def _profile(profile: ProfileFacts) -> str:
    in_words = (
        f"{profile.name} ({profile.frames} frames of {profile.cadence_minutes:g} min, "
        f"{profile.size_px} × {profile.size_px} px over {profile.patch_deg:g}°)"
    )
    return in_words if profile.is_set else f"{in_words}, unless the first release has another one"


def acceptance_lines(status: ProjectStatus, *, full: bool = False) -> list[Line]:
    """Return one line per release whose labels are accepted under a risk guarantee, or are to be."""
    lines = []
    for found in status.acceptances:
        value = "none yet; the acceptance is queued"
        if found.version is not None:
            visible = found.random_checks_verified - found.random_checks_blind
            value = (
                f"{found.accepted} of {found.cubes} cubes, by {found.version}. {' '.join(found.sentences)} Random "
                f"checks: {found.random_checks_blind} of {found.random_checks} answered blind"
                + (
                    f"; verified with the prediction visible, which supports no guarantee: {visible}"
                    if visible > 0
                    else ""
                )
            )
        lines.append(Line(name=f"accepted in {found.release}", value=value))
    return capped(lines, full=full, name="accepted in others")


def submitted_lines(status: ProjectStatus) -> list[Line]:
    """Return the line about what annotators have submitted until now, read or not."""
    submitted, value = status.submitted, f"unknown: {status.no_submitted}"
    if submitted is not None:
        value = (
            f"{count(submitted.annotations, 'annotation')} of {submitted.annotated} of "
            f"{count(submitted.tasks, 'task')}, {count(submitted.skips, 'skip')}"
        )
    return [Line(name="submitted until now", value=value)]


def label_lines(labels: LabelFacts | None, *, full: bool = False) -> list[Line]:
    """Return the lines about the labels as last read from Label Studio."""
    if labels is None:
        return [Line(name="labels", value="not read from Label Studio yet")]
    contradictions = [
        Line(name=f"contradiction in {entry.cube}", value=entry.reason) for entry in labels.contradictions
    ]
    return [
        Line(name="labels read at", value=labels.read_at),
        Line(name="current labels", value=", ".join(f"{n} {word}" for word, n in labels.counts.items()) or "none"),
        Line(name="verified", value=f"{labels.verified} of {labels.cubes}"),
        *([] if labels.random_checks is None else [Line(name="random checks", value=labels.random_checks.sentence())]),
        Line(name="skipped", value=f"{labels.skipped} cubes, {labels.skipped_unanswered} of them without an answer"),
        Line(name="tied votes (crude label used)", value=names_in_one_line(labels.tied, full=full) or "none"),
        *capped(contradictions, full=full, name="contradictions"),
    ]


def _checks(labels: LabelFacts | None) -> int | None:
    return None if labels is None or labels.random_checks is None else labels.random_checks.checks


def audit_lines(audit: ProjectAudit | None, *, full: bool = False, checks: int | None = None) -> list[Line]:
    """Return one line per round of verification, and the cubes to verify next for the audit sample.

    Without random checks (`checks` is 0) there is no sample, however many cubes are left.
    """
    if audit is None:
        return []
    if not audit.versions:
        return [Line(name="audit", value="starts with the first version")]
    rounds = [
        Line(name=f"audit, {version}", value=" ".join(one.sentences()))
        for version, one in zip(audit.versions, audit.rounds, strict=True)
    ]
    earlier = 0 if full else max(len(rounds) - ROUNDS, 0)
    sampled = ", ".join(audit.next_sampled if full else audit.next_sampled[:NEXT_SAMPLED])
    none = "none left"
    if checks == 0 and audit.rounds[-1].verified < audit.rounds[-1].cubes:
        none = "none: the project has no random checks (HELIOLOOP_RANDOM_CHECKS)"
    return [
        *([Line(name="audit, earlier rounds", value=f"{earlier}; {HOW_TO_LIST_ALL}")] if earlier else []),
        *rounds[earlier:],
        Line(name="disagreements", value=f"{audit.disagreements_checked} of {audit.disagreements} checked"),
        Line(name="audit sample, next", value=f"{sampled} (label them in this order)" if sampled else none),
    ]
