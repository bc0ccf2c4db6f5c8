"""The text of ``helioloop status``: lines with a name and a value, made from the facts; the verdict comes first.

Lists are capped, with a number of what is left out; `full` lists everything. The names of lines are kept stable for
scripts that search them; those that need more than a few read the JSON (`status_json`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from helioloop.words import count, times
from helioloop_worker.reports.audit import ProjectAudit
from helioloop_worker.reports.failing_jobs import FailingJob
from helioloop_worker.reports.reading import ReadRelease
from helioloop_worker.reports.service_facts import RunningRound, ServiceFacts
from helioloop_worker.reports.status_facts import (
    ExcludedFacts,
    LabelFacts,
    ProfileFacts,
    ProjectStatus,
)
from helioloop_worker.reports.verdict import Finding, find_all

ROUNDS: Final = 3
"""Rounds of the audit that are listed, the latest ones."""
NEXT_SAMPLED: Final = 10
"""Cubes of the audit sample that are listed: an estimate needs at least ten."""
LISTED_EXCLUDED: Final = 3
"""Excluded cubes that are listed with their reason; the file has all."""
LISTED_REASONS: Final = 3
"""Reasons that are listed for a release, the most frequent ones; the table has all."""
LISTED: Final = 5
"""Contradictions, releases, folders, acceptances, jobs and further findings that are listed."""
LISTED_NAMES: Final = 10
"""Names that are listed on one line."""
SILENT_SECONDS: Final = 120.0
"""A round without a sign of life for this long is marked; reconciliation resumes it."""
METRIC_NAMES: Final = {
    "cubes": "cubes scored",
    "labelled": "cubes with a label",
    "emergences": "labelled emergence",
    "agreement": "mean probability of the labels",
    "disagreeing": "fraction of labels that disagree",
    "auroc": "AUROC for the labels",
}
"""Name of a metric in a version's card -> name of its line. Probabilities and AUROC are out of fold."""
_ALL: Final = "--all lists them"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the status: a name and its value in words."""

    name: str
    value: str


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
        *_capped(
            [Line(name="also", value=f"{other.sentence} {other.action}") for other in others], full=full, name="also"
        ),
    ]


def round_line(running: RunningRound | None) -> Line:
    """Return the line about the running round: version, step, time left and reason."""
    if running is None:
        value = "none"
    elif running.progress is None:
        value = f"being closed (since {running.since})"
    else:
        value = f"{running.progress.summary} (since {running.since})"
    if running is not None and running.silent_seconds > SILENT_SECONDS:
        value += f"; no sign of life for {running.silent_seconds / 60.0:.0f} min, so it will be resumed"
    return Line(name="running round", value=value)


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


def reading_lines(status: ProjectStatus, *, full: bool = False) -> list[Line]:
    """Return a line for each release that was ingested, and one for each of its most frequent reasons."""
    shown = status.releases if full else status.releases[-LISTED:]
    left_out = status.releases[: len(status.releases) - len(shown)]
    doubtful = sum(bool(release.warned or release.refused) for release in left_out)
    return [
        *(
            [Line(name="read from others", value=f"{len(left_out)} releases, {doubtful} with warned or refused cubes; "
                  f"{_ALL}")]
            if left_out else []
        ),
        *(line for release in shown for line in _reading(release, full=full)),
    ]  # fmt: skip


def _reading(release: ReadRelease, *, full: bool) -> Iterable[Line]:
    counts = f"{release.ok} ok, {release.warned} warned, {release.refused} refused"
    yield Line(name=f"read from {release.release}", value=f"{counts}; the full list is {release.table}")
    for entry in release.reasons if full else release.reasons[:LISTED_REASONS]:
        others = "" if entry.cubes == 1 else f" and {entry.cubes - 1} more"
        yield Line(name=f"reasons in {release.release}", value=f"{entry.cube}{others}: {entry.reason}")


def excluded_lines(status: ProjectStatus, *, full: bool = False) -> list[Line]:
    """Return the lines about cubes that ingestion excluded or that the published version cannot score."""
    lines = _capped([_excluded(entry, full=full) for entry in status.excluded], full=full, name="excluded from others")
    if status.unscorable and status.published is not None:
        value = (
            f"{status.unscorable} by {status.published.version}; they have no prediction, and the log of the scoring "
            "worker gives the reasons"
        )
        lines.append(Line(name="cubes that cannot be scored", value=value))
    return lines or [Line(name="excluded cubes", value="none")]


def _excluded(entry: ExcludedFacts, *, full: bool) -> Line:
    shown = entry.cubes if full else entry.cubes[:LISTED_EXCLUDED]
    listed = "; ".join(f"{cube.cube} ({cube.reason})" for cube in shown)
    more = f"; {len(entry.cubes) - len(shown)} more" if len(entry.cubes) > len(shown) else ""
    value = f"{len(entry.cubes)}: {listed}{more}; the full list is {entry.table}"
    return Line(name=f"excluded from {entry.release}", value=value)


def watched_lines(status: ProjectStatus, *, full: bool = False) -> list[Line]:
    """Return the lines about folders that ``helioloop watch`` set aside or whose predictions it waits for."""
    aside = [
        Line(
            name=f"set aside by watch, {entry.folder}",
            value=f"{entry.reason} (since {entry.since}; taken again once changed)",
        )
        for entry in status.set_aside
    ]
    waiting = _names(status.without_predictions, full=full)
    return [
        *_capped(aside, full=full, name="set aside by watch"),
        *([Line(name="ingested, predictions follow", value=waiting)] if waiting else []),
    ]


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
    return _capped(lines, full=full, name="accepted in others")


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
        Line(name="tied votes (crude label used)", value=_names(labels.tied, full=full) or "none"),
        *_capped(contradictions, full=full, name="contradictions"),
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
        *([Line(name="audit, earlier rounds", value=f"{earlier}; {_ALL}")] if earlier else []),
        *rounds[earlier:],
        Line(name="disagreements", value=f"{audit.disagreements_checked} of {audit.disagreements} checked"),
        Line(name="audit sample, next", value=f"{sampled} (label them in this order)" if sampled else none),
    ]


def queue_lines(services: ServiceFacts) -> list[Line]:
    """Return the lines about waiting events, and about the queues with their workers."""
    due = "" if services.check_due_at is None else f"; the retrain check is due at {services.check_due_at}"
    return [
        Line(name="annotation events waiting", value=f"{services.events_waiting}{due}"),
        *(
            Line(name=f"queue {queue.name}", value=f"{queue.waiting} waiting, {queue.workers} workers")
            for queue in services.queues
        ),
    ]


def job_lines(services: ServiceFacts, *, full: bool = False) -> list[Line]:
    """Return the progress of running jobs, and when and why the last job of each kind failed."""
    running = [
        Line(
            name=f"running {job.kind}",
            value=_subject(job.subject) + ("started" if job.done is None else f"{job.what}, {job.done} of {job.total}"),
        )
        for job in services.running_jobs
    ]
    failed = [
        Line(
            name=f"last failed {job.kind}",
            value=(f"{job.at}, " if job.at else "") + _subject(job.subject) + job.reason,
        )
        for job in services.failed_jobs
    ]
    return [
        *_capped(running, full=full, name="running jobs"),
        *(failed or [Line(name="failed jobs", value="none")]),
        *_capped([_failing(job) for job in services.failing_jobs], full=full, name="failing jobs"),
    ]


def _failing(job: FailingJob) -> Line:
    """Return the line of a job that is tried again or parked, under the name that ``helioloop retry`` takes."""
    then = "nothing tries it again" if job.parked else f"tried again from {job.next_at} on"
    return Line(
        name=f"{'parked' if job.parked else 'failing'} {job.name}",
        value=f"failed {times(job.failures)}, {then}: {job.reason}",
    )


def _subject(subject: str) -> str:
    return f"{subject}: " if subject else ""


def _capped(lines: list[Line], *, full: bool, name: str) -> list[Line]:
    """Return the first lines, and a line `name` with the number of others."""
    if full or len(lines) <= LISTED:
        return lines
    return [*lines[:LISTED], Line(name=name, value=f"{len(lines) - LISTED} more; {_ALL}")]


def _names(names: Sequence[str], *, full: bool) -> str:
    """Return names in one line; of many the first ones, and how many more there are."""
    if full or len(names) <= LISTED_NAMES:
        return ", ".join(names)
    return f"{', '.join(names[:LISTED_NAMES])} and {len(names) - LISTED_NAMES} more ({_ALL})"
