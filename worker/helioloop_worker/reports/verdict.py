"""Whether all is well with a project, and what to do next: findings from the facts, the most urgent one first.

`RULES` is the order of causes. Causes before `WELL_FROM` need somebody to mend something; from there on all is well,
and the finding is the next piece of work. The first finding is the verdict of ``helioloop status``; docs/status.md
lists the causes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from helioloop.labelstudio.tab_names import DISAGREEMENTS_FIRST
from helioloop.messaging.messages import QUEUE_TRAIN
from helioloop.words import times
from helioloop_worker.reports.configuration import STEP, damaged_finding, lacking_controls
from helioloop_worker.reports.failing_jobs import FailingJob
from helioloop_worker.reports.job_status import FailedJob
from helioloop_worker.reports.missing_release import missing_release
from helioloop_worker.reports.other_code import other_code_finding
from helioloop_worker.reports.service_facts import QueueFacts
from helioloop_worker.reports.status_facts import ProjectStatus

_SAMPLED_NAMED: Final = 3
"""Cubes of the audit sample that the next action names; a line of the status lists more."""
_MANY_FAILURES: Final = 4
"""Reconciliation that failed so often does not succeed by itself."""
_START_TRAINING: Final = "press “Start training” in Label Studio (Settings, Model)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One finding about a project.

    Parameters
    ----------
    cause : str
        Stable name of the rule that found it.
    well : bool
        False where somebody has to mend something.
    sentence : str
        What was found.
    action : str
        What to do, with the command or the click.
    """

    cause: str
    well: bool
    sentence: str
    action: str


def find_all(status: ProjectStatus) -> list[Finding]:
    """Return all findings about a project or model folder, the most urgent one first; at least one."""
    problems = list(RULES)[: list(RULES).index(WELL_FROM)]
    found = [
        Finding(cause=cause, well=cause not in problems, sentence=sentence, action=action)
        for cause, rule in RULES.items()
        for sentence, action in rule(status)
    ]
    return found or [Finding(cause="nothing", well=True, sentence=_shown(status), action=_idle(status))]


Found = list[tuple[str, str]]
"""What a rule returns: pairs of sentence and action; empty where the rule does not apply."""


# -- what needs mending ---------------------------------------------------------------------------


def _redis(status: ProjectStatus) -> Found:
    if status.no_services is None:
        return []
    doctor = "helioloop doctor" if status.project is None else f"helioloop doctor --project {status.project}"
    action = (
        f"Start Redis or correct REDIS_URL; events, jobs and rounds are not shown here. `{doctor}` finds the cause."
    )
    return [(f"{status.no_services}.", action)]


def _worker(status: ProjectStatus) -> Found:
    """Find queues that no worker serves: first those where most jobs wait."""
    if status.services is None:
        return []
    by_role: dict[str, list[QueueFacts]] = {}
    for queue in status.services.queues:
        if queue.workers == 0:
            by_role.setdefault("train" if queue.name == QUEUE_TRAIN else "score", []).append(queue)
    found = []
    for role, served in sorted(by_role.items(), key=lambda item: -sum(queue.waiting for queue in item[1])):
        waiting = sum(queue.waiting for queue in served)
        names = ", ".join(queue.name for queue in served)
        where = f", where {_jobs(waiting)}" if waiting else ""
        plural = "queues" if len(served) > 1 else "queue"
        found.append((f"No worker serves the {plural} {names}{where}.", f"Run `helioloop worker --role {role}`."))
    return found


def _failed_round(status: ProjectStatus) -> Found:
    retry = f"Remove the cause, then {_START_TRAINING}." if status.project is not None else (
        "Remove the cause, then repeat `helioloop train`."
    )  # fmt: skip
    return [(f"{_sentence(reason.partition('; remove the cause')[0])}", retry) for reason in status.failed_rounds]


def _configuration(status: ProjectStatus) -> Found:
    lacking = () if status.services is None else lacking_controls(status.services.failing_jobs, status.project)
    return [*damaged_finding(status.damaged_controls, status.project), *lacking]


def _parked_job(status: ProjectStatus) -> Found:
    """Find jobs that failed too often, which nothing tries again."""
    if status.services is None:
        return []
    return [
        (
            _sentence(f"the {job.kind}{_of(job)} failed {times(job.failures)} and is parked: {job.reason}"),
            f"Remove the cause, then run `helioloop retry --project {status.project}`.",
        )
        for job in status.services.failing_jobs
        if job.parked
    ]


def _failed_job(status: ProjectStatus) -> Found:
    if status.services is None:
        return []
    # Reconciliation is never parked, so only the number of its failures shows that it does not succeed.
    failing = [
        job
        for job in status.services.failing_jobs
        if job.kind.startswith("reconciliation") and job.failures >= _MANY_FAILURES
        if job.kind != STEP and job.reason != status.damaged_controls
    ]
    parked = [job for job in status.services.failing_jobs if job.parked]
    listed = {(job.kind, job.subject) for job in (*parked, *failing)}
    named = {job.reason for job in status.services.failing_jobs if job.kind == STEP} | {status.damaged_controls}
    return [
        *(
            (
                _sentence(f"the {job.kind} failed {times(job.failures)}: {job.reason}"),
                f"Remove the cause; it is tried again from {job.next_at} on, or at once by `helioloop retry --project "
                f"{status.project}`.",
            )
            for job in failing
        ),
        *(
            (_sentence(f"the last {job.kind}{_of(job)} failed: {job.reason}"), _after_failure(status, job))
            for job in status.services.failed_jobs
            if not _is_past(status, job) and (job.kind, job.subject) not in listed and job.reason not in named
        ),
    ]


def _is_past(status: ProjectStatus, job: FailedJob) -> bool:
    """Return whether a later success, or another version, has made a failed job irrelevant."""
    published = None if status.published is None else status.published.version
    if job.subject in status.versions:
        return job.subject != published
    later = {
        "retrain check": status.labels.read_at if status.labels else None,
        "round planning": status.published.created_at if status.published else None,
    }.get(job.kind)
    return bool(later and job.at) and datetime.fromisoformat(str(later)) > datetime.fromisoformat(job.at)


def _after_failure(status: ProjectStatus, job: FailedJob) -> str:
    if job.kind == "ingestion":
        return f"Correct that, then run `helioloop ingest {job.subject} --project {status.project}` in its folder."
    if job.kind in {"retrain check", "round planning"}:
        return f"Correct that, then {_START_TRAINING}."
    return "Correct that; the worker tries it again by itself."


def _other_code(status: ProjectStatus) -> Found:
    if status.services is not None and status.services.running_round is not None:
        return []  # its version may replace this one
    return other_code_finding(status.other_code, project=status.project, place=status.place)


def _set_aside(status: ProjectStatus) -> Found:
    if not status.set_aside:
        return []
    first, more = status.set_aside[0], len(status.set_aside) - 1
    others = f" ({more} more are listed below)" if more else ""
    return [
        (
            _sentence(f"`helioloop watch` set the folder {first.folder} aside: {first.reason}") + others,
            "Correct that folder; a watch takes it again once it is changed.",
        )
    ]


def _no_round(status: ProjectStatus) -> Found:
    """Find cubes without a version, where nothing is going on that could lead to one."""
    services = status.services
    if status.project is None or services is None or status.published or not _has_cubes(status):
        return []
    busy = services.running_round or services.running_jobs or services.events_waiting
    if busy or status.failed_rounds or any(queue.waiting for queue in services.queues):
        return []
    return [
        (
            f"There is no version yet, and no round is running; {_why_no_round(status)}.",
            f"Do what that needs; to have the labels checked at once, {_START_TRAINING}. `helioloop doctor --project "
            f"{status.project}` checks the connections.",
        )
    ]


def _why_no_round(status: ProjectStatus) -> str:
    """Return why no round starts, as far as it is known."""
    if status.last_check is None:
        return "the labels were not checked yet, which a worker of the role score does within minutes"
    return f"the last {status.last_check.step}, at {status.last_check.at}, found: {status.last_check.outcome}"


# -- what to do next ------------------------------------------------------------------------------


def _first_round(status: ProjectStatus) -> Found:
    """Find work on the first version."""
    services = status.services
    if services is None or status.published:
        return []
    if services.running_round is not None:
        progress = services.running_round.progress
        step = "it is being closed" if progress is None else f"{progress.short}, {progress.left}"
        return [(f"The first round is running: {step}.", "Wait: predictions appear in Label Studio by themselves.")]
    waiting = sum(queue.waiting for queue in services.queues)
    ingestions = [job for job in services.running_jobs if job.kind == "ingestion"]
    if ingestions:
        job = ingestions[0]
        done = f": {job.progress}" if job.progress else ""
        return [(f"The release {job.subject} is being ingested{done}.", "Wait: the first round then starts by itself.")]
    if waiting or services.running_jobs or services.events_waiting:
        running = len(services.running_jobs)
        return [(f"The first round is being prepared: {_jobs(waiting)}, {running} running.", "Wait a few minutes.")]
    return []


def _no_release(status: ProjectStatus) -> Found:
    """Find that nothing has been ingested or trained yet."""
    if status.published or _has_cubes(status) or (status.services is not None and _first_round(status)):
        return []
    if status.project is None:
        return [("There is no version yet.", f"Run `helioloop train RELEASE {status.place}`.")]
    return [("The project has no cubes yet.", f"Run `helioloop ingest RELEASE --project {status.project}`.")]


def _stop(status: ProjectStatus) -> Found:
    """Find a reason of the audit to stop verifying."""
    audit = status.audit
    if audit is None or not audit.rounds or audit.rounds[-1].stop is None:
        return []
    return [
        (
            f"{_shown(status)} No more labels need to be checked: {audit.rounds[-1].stop}.",
            f"Write the catalogue: `helioloop catalogue --project {status.project} --out catalogue.ecsv`.",
        )
    ]


def _disagreements(status: ProjectStatus) -> Found:
    """Find cubes whose crude label and prediction disagree and that nobody has checked."""
    audit = status.audit
    if status.published is None or audit is None or _stop(status):
        return []
    if audit.disagreements_checked >= audit.disagreements:
        return []
    return [
        (
            f"{_shown(status)} {audit.disagreements_checked} of {audit.disagreements} disagreements are checked.",
            f"Label the next ones in the tab “{DISAGREEMENTS_FIRST}”: {status.tasks_url}",
        )
    ]


def _contradictions(status: ProjectStatus) -> Found:
    labels = status.labels
    if labels is None or not labels.contradictions:
        return []
    first, n = labels.contradictions[0], len(labels.contradictions)
    cubes = "1 cube has an annotation" if n == 1 else f"{n} cubes have annotations"
    return [
        (
            _sentence(f"{cubes} to look at again, for example {first.cube}: {first.reason}"),
            f"Filter a tab by `cube`, open the cube and submit it again: {status.tasks_url}",
        )
    ]


def _ties(status: ProjectStatus) -> Found:
    labels = status.labels
    if labels is None or not labels.tied:
        return []
    n = len(labels.tied)
    cubes = f"1 cube, {labels.tied[0]}, has" if n == 1 else f"{n} cubes, for example {labels.tied[0]}, have"
    return [
        (
            f"{cubes} as many votes for one class as for the other, so the crude label is used.",
            f"Let another annotator label them, or set an annotation as ground truth: {status.tasks_url}",
        )
    ]


def _sample(status: ProjectStatus) -> Found:
    """Find the next cubes of the audit sample, once all disagreements are checked."""
    audit = status.audit
    if status.published is None or audit is None or not audit.next_sampled:
        return []
    if _stop(status) or _disagreements(status):
        return []
    named = ", ".join(audit.next_sampled[:_SAMPLED_NAMED])
    checked = f" All {audit.disagreements} disagreements are checked." if audit.disagreements else ""
    return [
        (
            f"{_shown(status)}{checked}",
            f"Label the next cubes of the audit sample, in this order: {named} (filter a tab by `cube`): "
            f"{status.tasks_url}",
        )
    ]


RULES: Final[dict[str, Callable[[ProjectStatus], Found]]] = {
    "redis": _redis,
    "worker": _worker,
    "failed-round": _failed_round,
    "configuration": _configuration,
    "parked-job": _parked_job,
    "failed-job": _failed_job,
    "missing-release": missing_release,
    "other-code": _other_code,
    "set-aside": _set_aside,
    "no-round": _no_round,
    "first-round": _first_round,
    "no-release": _no_release,
    "stop": _stop,
    "disagreements": _disagreements,
    "contradictions": _contradictions,
    "ties": _ties,
    "audit-sample": _sample,
}
"""Cause -> rule, the most urgent first."""
WELL_FROM: Final = "first-round"
"""From this cause on all is well."""


# -- words ----------------------------------------------------------------------------------------


def _shown(status: ProjectStatus) -> str:
    """Return which version is shown, in a sentence."""
    version = "No version" if status.published is None else status.published.version
    rejected = "" if status.rejected is None else f" ({status.rejected.version} was rejected by the promotion check)"
    return f"{version} is {'published' if status.project is None else 'shown'}{rejected}."


def _idle(status: ProjectStatus) -> str:
    if status.project is None:
        return f"Nothing to do; to score a release, run `helioloop score RELEASE {status.place} --out scores.csv`."
    return "Nothing to do: no label waits for a check."


def _has_cubes(status: ProjectStatus) -> bool:
    return bool(status.releases or status.excluded or (status.labels is not None and status.labels.cubes))


def _of(job: FailedJob | FailingJob) -> str:
    return f" of {job.subject}" if job.subject else ""


def _jobs(n: int) -> str:
    return "1 job waits" if n == 1 else f"{n} jobs wait"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
