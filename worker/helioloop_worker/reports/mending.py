"""What of a project needs mending: the rules of the verdict's causes that somebody has to remove.

Each rule returns sentences and actions; the order of the rules is in `verdict`.
"""

from datetime import datetime
from typing import Final

from helioloop.messaging.roles import role_of
from helioloop.words import times
from helioloop_worker.reports.configuration import STEP, damaged_finding, lacking_controls
from helioloop_worker.reports.failing_jobs import FailingJob
from helioloop_worker.reports.finding import Found, jobs_wait, sentence
from helioloop_worker.reports.job_status import FailedJob
from helioloop_worker.reports.other_code import other_code_finding
from helioloop_worker.reports.service_facts import QueueFacts
from helioloop_worker.reports.status_facts import ProjectStatus

_MANY_FAILURES: Final = 4
"""Reconciliation that failed so often does not succeed by itself."""
_START_TRAINING: Final = "press “Start training” in Label Studio (Settings, Model)"


def redis(status: ProjectStatus) -> Found:
    """Find that Redis does not answer, or stores nothing."""
    if status.redis_fault is None:
        return []
    doctor = "helioloop doctor" if status.project is None else f"helioloop doctor --project {status.project}"
    action = (
        "Start Redis or correct REDIS_URL; events, jobs and rounds are not shown here."
        if status.services is None
        else "Correct that; until then no job runs. Reconciliation finds later what annotators submit meanwhile."
    )
    return [(f"{status.redis_fault}.", f"{action} `{doctor}` finds the cause.")]


def model_folder(status: ProjectStatus) -> Found:
    """Find that Redis is in use for another model folder, or that workers work in another one."""
    services = status.services
    if services is None:
        return []
    doctor = f"`helioloop doctor --project {status.project}` names the folders."
    if services.was_replaced:
        return [
            (
                "This model folder is not the one for which Redis was in use, and is at its place: its disk is not "
                "mounted, or it was made anew or restored without model-root-id.txt.",
                "Mount the disk. Where the folder that is there now is the right one, take another database of Redis "
                "(REDIS_URL with another number at its end), or stop workers and backend and empty that one (FLUSHDB). "
                f"{doctor}",
            )
        ]
    if services.foreign_redis is not None:
        return [
            (
                f"Redis is in use for another model folder than this one ({services.foreign_redis}): its workers, "
                "queues and events are another deployment's.",
                "Give each deployment a Redis database of its own in REDIS_URL, or the same HELIOLOOP_MODEL_ROOT; "
                f"where there is only one deployment, mount the disk of its model folder. {doctor}",
            )
        ]
    if not services.foreign_workers:
        return []
    n, names = len(services.foreign_workers), ", ".join(services.foreign_workers)
    which = f"The worker {names} works" if n == 1 else f"The workers {names} work"
    return [
        (
            f"{which} in another model folder than this one, so nothing that it does is seen here.",
            f"Set its HELIOLOOP_MODEL_ROOT to this folder, by an absolute path, and restart it. {doctor}",
        )
    ]


def label_studio(status: ProjectStatus) -> Found:
    """Find that Label Studio refuses what is asked of it, as a token that was replaced or whose user is gone."""
    if not status.is_refused or status.no_submitted is None:
        return []
    return [
        (
            sentence(status.no_submitted),
            "Correct that, and restart the workers where their settings change. "
            f"`helioloop doctor --project {status.project}` finds the cause.",
        )
    ]


def worker(status: ProjectStatus) -> Found:
    """Find queues that no worker serves: first those where most jobs wait."""
    if status.services is None:
        return []
    by_role: dict[str, list[QueueFacts]] = {}
    for queue in status.services.queues:
        if queue.workers == 0:
            by_role.setdefault(role_of(queue.name), []).append(queue)
    found = []
    for role, served in sorted(by_role.items(), key=lambda item: -sum(queue.waiting for queue in item[1])):
        waiting = sum(queue.waiting for queue in served)
        names = ", ".join(queue.name for queue in served)
        where = f", where {jobs_wait(waiting)}" if waiting else ""
        plural = "queues" if len(served) > 1 else "queue"
        found.append((f"No worker serves the {plural} {names}{where}.", f"Run `helioloop worker --role {role}`."))
    return found


def failed_round(status: ProjectStatus) -> Found:
    """Find rounds that are parked."""
    retry = f"Remove the cause, then {_START_TRAINING}." if status.project is not None else (
        "Remove the cause, then repeat `helioloop train`."
    )  # fmt: skip
    return [(f"{sentence(reason.partition('; remove the cause')[0])}", retry) for reason in status.failed_rounds]


def configuration(status: ProjectStatus) -> Found:
    """Find a labelling configuration that lacks controls, and damaged notes of its controls."""
    lacking = () if status.services is None else lacking_controls(status.services.failing_jobs, status.project)
    return [*damaged_finding(status.damaged_controls, status.project), *lacking]


def parked_job(status: ProjectStatus) -> Found:
    """Find jobs that failed too often, which nothing tries again."""
    if status.services is None:
        return []
    return [
        (
            sentence(f"the {job.kind}{_of(job)} failed {times(job.failures)} and is parked: {job.reason}"),
            f"Remove the cause, then run `helioloop retry --project {status.project}`.",
        )
        for job in status.services.failing_jobs
        if job.parked
    ]


def failed_job(status: ProjectStatus) -> Found:
    """Find jobs that failed and are not parked."""
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
                sentence(f"the {job.kind} failed {times(job.failures)}: {job.reason}"),
                f"Remove the cause; it is tried again from {job.next_at} on, or at once by `helioloop retry --project "
                f"{status.project}`.",
            )
            for job in failing
        ),
        *(
            (sentence(f"the last {job.kind}{_of(job)} failed: {job.reason}"), _after_failure(status, job))
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


def damaged_version(status: ProjectStatus) -> Found:
    """Find that a file of the published version is missing or was cut off."""
    if status.damaged is None or status.published is None:
        return []
    if status.services is not None and status.services.running_round is not None:
        return []  # its version may replace this one
    version = status.published.version
    found = f"{version}, which is published, is damaged: {status.damaged}."
    if status.project is not None:
        action = (
            f"A worker repeats its round by itself, within minutes and once; if {version} stays, {_START_TRAINING}, or "
            "restore its folder from a backup."
        )
    elif status.versions[-1:] == (version,):
        action = (
            f"Run `helioloop train RELEASE {status.place}` on the same release: only what is damaged is trained. Or "
            f"restore the folder of {version} from a backup."
        )
    else:
        action = (
            f"Publish another version, `helioloop rollback VERSION {status.place}`, or restore the folder of {version} "
            "from a backup."
        )
    return [(found, action)]


def other_code(status: ProjectStatus) -> Found:
    """Find that another learning code made the published version."""
    if status.services is not None and status.services.running_round is not None:
        return []  # its version may replace this one
    return other_code_finding(status.other_code, project=status.project, place=status.place)


def set_aside(status: ProjectStatus) -> Found:
    """Find folders that ``helioloop watch`` could not take."""
    if not status.set_aside:
        return []
    first, more = status.set_aside[0], len(status.set_aside) - 1
    others = f" ({more} more are listed below)" if more else ""
    return [
        (
            sentence(f"`helioloop watch` set the folder {first.folder} aside: {first.reason}") + others,
            "Correct that folder; a watch takes it again once it is changed.",
        )
    ]


def contested_predictions(status: ProjectStatus) -> Found:
    """Find predictions that this deployment and another one replace in turn."""
    found = status.contested_predictions
    if found is None:
        return []
    what, cause, left = (
        f"The predictions of {found.version} in Label Studio were replaced",
        "another deployment writes into this project, too",
        "the predictions are left as they are",
    )
    if found.other is not None:
        what = f"Label Studio showed another version than {found.version}, such as {found.other},"
        cause += ", or somebody chooses the version in its settings"
        left = "the version that is shown is left"
    return [
        (
            f"{what} {found.replaced} times within a day, the last time at {found.last_at}: {cause}.",
            "Find its worker, as on the machine from which the project was moved, or with a copy of the model folder, "
            f"and stop it; then run `helioloop init --project {status.project}` here. Until {found.next_at} {left}.",
        )
    ]


def unplanned_round(status: ProjectStatus) -> Found:
    """Find a requested round that no job plans, though reconciliation has sent one."""
    services = status.services
    if status.round_requested_at is None or services is None or services.is_planned:
        return []
    ingests = any(job.kind == "ingestion" for job in services.running_jobs)
    if services.running_round or ingests or status.failed_rounds or parked_job(status):
        return []  # it waits for that
    return [
        (
            f"A round was requested at {status.round_requested_at}, and no worker has planned it.",
            "Look into the log of the worker of the role train: what its round planning says, and where its model "
            f"folders are. `helioloop doctor --project {status.project}` compares the folders.",
        )
    ]


def no_round(status: ProjectStatus) -> Found:
    """Find cubes without a version, where nothing is going on that could lead to one."""
    services = status.services
    if status.project is None or services is None or status.published or not status.has_cubes:
        return []
    busy = services.running_round or services.running_jobs or services.events_waiting
    if busy or status.failed_rounds or unplanned_round(status) or any(queue.waiting for queue in services.queues):
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


def _of(job: FailedJob | FailingJob) -> str:
    return f" of {job.subject}" if job.subject else ""
