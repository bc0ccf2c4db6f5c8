"""A round on the queue: planned into a staging folder, its members one job each, then scoring, locating and closing.

Above `view` and `judging`, below `jobs`. Every step finds on disk what the steps before it left, so a step that died is
sent again and does only what is missing. No job waits for another: the queue's dependencies do.
"""

import json
import logging
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from rq.job import Dependency, JobStatus

from helioloop import atomic
from helioloop.messaging import messages, queues
from helioloop.messaging.job_monitor import failure, find_job
from helioloop.messaging.messages import RoundStep
from helioloop.messaging.retrain_state import Running
from helioloop.model.plan import PLAN_FILE, Plan, make_plan
from helioloop.registry.versions import Registry
from helioloop_worker.context import Context
from helioloop_worker.labelstudio.project import ProjectState
from helioloop_worker.loop.retrain_policy import Decision

log = logging.getLogger(__name__)

SHARE_CUBES = 30
"""Cubes whose masking curves one job computes; shares run side by side on several machines."""
MAX_ATTEMPTS = 3
"""A round that failed this often without getting any further is parked: the same inputs would fail again."""
SILENT_SECONDS = 120
"""A round without a sign of life for this long, and without a live job, is taken up again."""
ATTEMPTS = "attempts.json"
"""File in a staging folder: how often its round failed, how far it was, and why it failed last."""


# -- starting -------------------------------------------------------------------------------------


def plan_round(context: Context, view: ProjectState, decision: Decision) -> Plan:
    """Plan a round over all cubes of a project as they are labelled now.

    Raises
    ------
    TooFewLabels
        Where a class has too few labelled cubes to train on.
    """
    registry = context.registry(view.project.id)
    return make_plan(
        view.planned(context.loader),
        recipe=context.recipe,
        instrument=context.instrument,
        seed=context.settings.seed,
        parent=registry.published(),
        reason=decision.reason,
    )


def start(context: Context, project: int, plan: Plan, *, forced: bool) -> bool:
    """Start a round, unless one runs already: then wish one more after it.

    Returns
    -------
    bool
        True where the round was started.
    """
    registry = context.registry(project)
    if not staged(registry, plan.fingerprint):
        plan.save(registry.staging(plan.fingerprint))  # before it counts as running: what runs has a plan on disk
    while not context.state.begin(project, plan.fingerprint, now=time.time()):
        if context.state.request_follow_up(project, forced=forced):
            return False
    discard(registry, but=plan.fingerprint)
    (registry.staging(plan.fingerprint) / ATTEMPTS).unlink(missing_ok=True)
    send_steps(context, project, plan)
    log.info("project %d: round %s starts: %s", project, plan.fingerprint[:16], plan.reason)
    return True


def send_steps(context: Context, project: int, plan: Plan) -> None:
    """Send all steps of a round, each behind those it needs; steps that wait or run already are left alone."""
    members, scoring, shares, closing = steps(project, plan)
    for member in members:
        queues.send(context.connection, member)
    _send_behind(context, scoring, [member.job_id for member in members])
    for share in shares:
        _send_behind(context, share, [scoring.job_id])
    _send_behind(context, closing, [share.job_id for share in shares])


def steps(
    project: int, plan: Plan
) -> tuple[list[messages.TrainMember], messages.ScoreRound, list[messages.Locate], messages.CloseRound]:
    """Return the messages of a round: members, scoring, shares of masking, closing."""
    count = max(1, -(-len(plan.cubes) // SHARE_CUBES))
    fingerprint = plan.fingerprint
    return (
        [messages.TrainMember(project=project, fingerprint=fingerprint, member=member.name) for member in plan.members],
        messages.ScoreRound(project=project, fingerprint=fingerprint),
        [messages.Locate(project=project, fingerprint=fingerprint, chunk=k, chunks=count) for k in range(count)],
        messages.CloseRound(project=project, fingerprint=fingerprint),
    )


def _send_behind(context: Context, step: RoundStep, others: list[str]) -> None:
    """Send a step behind others; it runs even where one of them failed, so that a failure is said and not waited on."""
    queues.send(context.connection, step, depends_on=Dependency(others, allow_failure=True))


# -- going on -------------------------------------------------------------------------------------


def take_up(context: Context, project: int) -> str | None:
    """Take up a round that went silent: its worker was killed, a step failed, or Redis was emptied.

    Returns
    -------
    str or None
        What was done, in a sentence; None where the running round is alive or none runs.
    """
    running = context.state.running(project)
    if running is None:
        return _judge_orphans(context, project)
    if time.time() - running.heartbeat_at < SILENT_SECONDS:
        return None
    registry = context.registry(project)
    if not staged(registry, running.fingerprint):
        queues.send(context.connection, messages.CloseRound(project=project, fingerprint=running.fingerprint))
        return f"round {running.fingerprint[:16]} is staged no more: closing it"
    plan = Plan.read(registry.staging(running.fingerprint))
    if any(_alive(context, step) for step in _all_steps(project, plan)):
        context.state.heartbeat(project, running.fingerprint, now=time.time())
        return None
    return retry(context, project, plan)


def _judge_orphans(context: Context, project: int) -> str | None:
    """Have a project judged whose round was begun and is run by nobody: Redis was emptied.

    The judgement plans the same round, whose staging folder holds what was done, or a newer one.
    """
    registry = context.registry(project)
    orphans = [folder.name for folder in _stagings(registry) if parked(registry, folder.name) is None]
    if not orphans:
        return None
    queues.send(context.connection, messages.RetrainCheck(project=project))
    return f"round {orphans[0][:16]} was begun and nobody runs it: judging"


def retry(context: Context, project: int, plan: Plan) -> str:
    """Send a round's steps again, or park the round where that has been done too often."""
    reasons = _failures(context, project, plan)
    attempts = _count_attempt(context.registry(project).staging(plan.fingerprint), reasons)
    said = f"round {plan.fingerprint[:16]} failed: {'; '.join(reasons) or 'a worker was lost'}"
    log.error("project %d: %s", project, said)
    for step in _all_steps(project, plan):
        if (job := find_job(context.connection, step.job_id)) is not None:
            job.delete()
    if attempts >= MAX_ATTEMPTS:
        trailing = context.state.end(project, plan.fingerprint)
        if trailing is not None:
            queues.send(context.connection, messages.RetrainCheck(project=project, forced=trailing.forced))
        return parked(context.registry(project), plan.fingerprint) or said
    context.state.heartbeat(project, plan.fingerprint, now=time.time())
    send_steps(context, project, plan)
    return f"{said}; it is taken up again"


def parked(registry: Registry, fingerprint: str) -> str | None:
    """Return why a round is parked, in a sentence; None where it is not."""
    path = registry.root / "staging" / fingerprint / ATTEMPTS
    kept: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"attempts": 0}
    if kept["attempts"] < MAX_ATTEMPTS:
        return None
    return (
        f"round {fingerprint[:16]} failed {kept['attempts']} times and is parked "
        f'({"; ".join(kept["reasons"]) or "workers were lost"}); mend that, then press "Start training"'
    )


def all_parked(registry: Registry) -> Iterator[str]:
    """Return the sentences of all parked rounds."""
    for folder in _stagings(registry):
        if said := parked(registry, folder.name):
            yield said


def _count_attempt(staging: Path, reasons: list[str]) -> int:
    """Count a failed attempt; a round that got further than the last time counts from one again."""
    path = staging / ATTEMPTS
    kept = json.loads(path.read_text()) if path.exists() else {"attempts": 0, "files": -1}
    files = sum(entry.is_file() and entry.name != ATTEMPTS for entry in staging.rglob("*"))
    attempts = 1 if files > kept["files"] else kept["attempts"] + 1
    atomic.write_json(path, {"attempts": attempts, "files": files, "reasons": reasons})
    return int(attempts)


def _failures(context: Context, project: int, plan: Plan) -> list[str]:
    """Return what the failed steps said, each once."""
    jobs = [find_job(context.connection, step.job_id) for step in _all_steps(project, plan)]
    said = [failure(job) for job in jobs if job is not None and job.get_status() is JobStatus.FAILED]
    return list(dict.fromkeys(said))


# -- on disk --------------------------------------------------------------------------------------


def staged(registry: Registry, fingerprint: str) -> bool:
    """Tell whether a round is being made, not admitted yet."""
    return (registry.root / "staging" / fingerprint / PLAN_FILE).exists()


def admitted(registry: Registry, running: Running) -> str | None:
    """Return the version that the running round became, if it was admitted.

    Versions from before the round began do not count: a forced repeat bears the fingerprint of an older one.
    """
    return next(
        (
            name
            for name in reversed(registry.versions())
            if (card := registry.card(name)).fingerprint == running.fingerprint
            and datetime.fromisoformat(card.created_at).timestamp() >= int(running.since)
        ),
        None,
    )


def discard(registry: Registry, *, but: str | None = None) -> None:
    """Delete the staging folders of rounds that will not be finished; only while no other round runs."""
    for folder in _stagings(registry):
        if folder.name != but:
            registry.discard(folder)


def _stagings(registry: Registry) -> list[Path]:
    folder = registry.root / "staging"
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def _all_steps(project: int, plan: Plan) -> list[RoundStep]:
    members, scoring, shares, closing = steps(project, plan)
    return [*members, scoring, *shares, closing]


def _alive(context: Context, step: RoundStep) -> bool:
    return queues.job_status(context.connection, step) in {JobStatus.QUEUED, JobStatus.STARTED, JobStatus.SCHEDULED}
