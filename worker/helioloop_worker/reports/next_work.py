"""What to do next with a project where all is well: the rules of the verdict's causes that are no fault.

Each rule returns sentences and actions; the order of the rules is in `verdict`.
"""

from typing import Final

from helioloop.labelstudio.tab_names import DISAGREEMENTS_FIRST
from helioloop.words import count
from helioloop_worker.reports.finding import Found, jobs_wait, sentence
from helioloop_worker.reports.mending import unplanned_round
from helioloop_worker.reports.status_facts import ProjectStatus

_SAMPLED_NAMED: Final = 3
"""Cubes of the audit sample that the next action names; a line of the status lists more."""


def first_round(status: ProjectStatus) -> Found:
    """Find work on the first version."""
    services = status.services
    if services is None or status.published or unplanned_round(status):
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
        return [(f"The first round is being prepared: {jobs_wait(waiting)}, {running} running.", "Wait a few minutes.")]
    return []


def no_release(status: ProjectStatus) -> Found:
    """Find that nothing has been ingested or trained yet."""
    if status.published or status.has_cubes or (status.services is not None and first_round(status)):
        return []
    if status.project is None:
        return [("There is no version yet.", f"Run `helioloop train RELEASE {status.place}`.")]
    return [("The project has no cubes yet.", f"Run `helioloop ingest RELEASE --project {status.project}`.")]


def stop(status: ProjectStatus) -> Found:
    """Find a reason of the audit to stop verifying."""
    audit = status.audit
    if audit is None or not audit.rounds or audit.rounds[-1].stop is None:
        return []
    return [
        (
            f"{shown(status)} No more labels need to be checked: {audit.rounds[-1].stop}.",
            f"Write the catalogue: `helioloop catalogue --project {status.project} --out catalogue.ecsv`.",
        )
    ]


def disagreements(status: ProjectStatus) -> Found:
    """Find cubes whose crude label and prediction disagree and that nobody has checked."""
    audit = status.audit
    if status.published is None or audit is None or stop(status):
        return []
    if audit.disagreements_checked >= audit.disagreements:
        return []
    return [
        (
            f"{shown(status)} {audit.disagreements_checked} of {audit.disagreements} disagreements are checked.",
            f"Label the next ones in the tab “{DISAGREEMENTS_FIRST}”: {status.tasks_url}",
        )
    ]


def contradictions(status: ProjectStatus) -> Found:
    """Find annotations that cannot be used as they are."""
    labels = status.labels
    if labels is None or not labels.contradictions:
        return []
    first, n = labels.contradictions[0], len(labels.contradictions)
    cubes = "1 cube has an annotation" if n == 1 else f"{n} cubes have annotations"
    return [
        (
            sentence(f"{cubes} to look at again, for example {first.cube}: {first.reason}"),
            f"Filter a tab by `cube`, open the cube, correct that and submit it again: {status.tasks_url}",
        )
    ]


def ties(status: ProjectStatus) -> Found:
    """Find cubes with as many votes for each class."""
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


def sample(status: ProjectStatus) -> Found:
    """Find the next cubes of the audit sample, once all disagreements are checked."""
    audit = status.audit
    if status.published is None or audit is None or not audit.next_sampled:
        return []
    if stop(status) or disagreements(status):
        return []
    named = ", ".join(audit.next_sampled[:_SAMPLED_NAMED])
    checked = f" All {audit.disagreements} disagreements are checked." if audit.disagreements else ""
    return [
        (
            f"{shown(status)}{checked}",
            f"Label the next cubes of the audit sample, in this order: {named} (filter a tab by `cube`): "
            f"{status.tasks_url}",
        )
    ]


def idle(status: ProjectStatus) -> str:
    """Return what to do where nothing is found, in a sentence."""
    if status.project is None:
        return f"Nothing to do; to score a release, run `helioloop score RELEASE {status.place} --out scores.csv`."
    waiting = status.audit.rounds[-1].unscored if status.audit is not None and status.audit.rounds else 0
    if waiting:
        return f"Wait: the worker scores {count(waiting, 'cube')} without a prediction."
    return "Nothing to do: no label waits for a check."


def shown(status: ProjectStatus) -> str:
    """Return which version is shown, in a sentence."""
    version = "No version" if status.published is None else status.published.version
    rejected = "" if status.rejected is None else f" ({status.rejected.version} was rejected by the promotion check)"
    return f"{version} is {'published' if status.project is None else 'shown'}{rejected}."
