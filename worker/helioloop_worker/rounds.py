"""A round on the queue: planned into a staging folder, its members one job each, then scoring, locating and closing.

Above `view` and `judging`, below `jobs`. Every step finds on disk what the steps before it left, so a step that died is
sent again and does only what is missing. No job waits for another: the queue's dependencies do.
"""

import json
import logging
import time
from pathlib import Path

from rq.exceptions import NoSuchJobError
from rq.job import Dependency, Job, JobStatus
from rq.serializers import JSONSerializer

from helioloop import atomic, messages, queues
from helioloop.messages import RoundStep
from helioloop.plan import PLAN_FILE, Plan, make_plan
from helioloop.recipes import find_recipe
from helioloop.registry import Registry
from helioloop_worker.context import Context
from helioloop_worker.judging import Decision
from helioloop_worker.view import View

log = logging.getLogger(__name__)

SHARE_CUBES = 30
"""Cubes whose masking curves one job computes; shares run side by side on several machines."""
MAX_ATTEMPTS = 3
"""A round whose steps failed this often is parked: the same inputs would fail again."""
SILENT_SECONDS = 120
"""A round without a sign of life for this long, and without a live job, is taken up again."""
STEP_SECONDS = 6 * 3600
"""Longest run of one step."""
ATTEMPTS = "attempts.json"
"""File in a staging folder that counts how often its round failed."""


def plan_round(context: Context, view: View, decision: Decision) -> Plan:
    """Plan a round over all cubes of a project as they are labelled now.

    Raises
    ------
    TooFewLabels
        Where a class has too few labelled cubes to train on.
    """
    registry = context.registry(view.project.id)
    return make_plan(
        view.planned(context.roots),
        recipe=find_recipe(context.settings.recipe),
        instrument=context.instrument,
        seed=context.settings.seed,
        parent=registry.published(),
        reason=decision.reason,
    )


def start(context: Context, project: int, plan: Plan) -> bool:
    """Start a round, unless one runs already: then wish one more after it.

    Returns
    -------
    bool
        True where the round was started.
    """
    if not context.state.begin(project, plan.fingerprint, now=time.time()):
        context.state.wish_trailing(project, forced=False)
        return False
    registry = context.registry(project)
    discard(registry, but=plan.fingerprint)
    staging = registry.staging(plan.fingerprint)
    (staging / ATTEMPTS).unlink(missing_ok=True)
    plan.save(staging)
    send_steps(context, project, plan)
    log.info("project %d: round %s starts: %s", project, plan.fingerprint[:16], plan.reason)
    return True


def send_steps(context: Context, project: int, plan: Plan) -> None:
    """Send all steps of a round, each behind those it needs; steps that wait or run already are left alone."""
    members, scoring, shares, closing = steps(project, plan)
    for member in members:
        queues.send(context.connection, member, timeout_seconds=STEP_SECONDS)
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
        [
            messages.Locate(project=project, fingerprint=fingerprint, share=share, shares=count)
            for share in range(count)
        ],
        messages.CloseRound(project=project, fingerprint=fingerprint),
    )


def _send_behind(context: Context, step: RoundStep, others: list[str]) -> None:
    """Send a step behind others; it runs even where one of them failed, so that a failure is said and not waited on."""
    queues.send(
        context.connection,
        step,
        depends_on=Dependency(others, allow_failure=True),
        timeout_seconds=STEP_SECONDS,
    )


def take_up(context: Context, project: int) -> str | None:
    """Take up a round that went silent: its worker was killed, a step failed, or Redis was emptied.

    Returns
    -------
    str or None
        What was done, in a sentence; None where the running round is alive or none runs.
    """
    running = context.state.running(project)
    registry = context.registry(project)
    if running is None:
        return _judge_orphans(context, project)
    if time.time() - running.beat_at < SILENT_SECONDS:
        return None
    if not staged(registry, running.fingerprint):
        if version := admitted(registry, running.fingerprint):
            queues.send(context.connection, messages.CloseRound(project=project, fingerprint=running.fingerprint))
            return f"round {running.fingerprint[:16]} was admitted as {version} but not published: closing it"
        context.state.end(project, running.fingerprint)
        queues.send(context.connection, messages.Judge(project=project))
        return f"round {running.fingerprint[:16]} left no plan on disk: judging anew"
    plan = Plan.read(registry.staging(running.fingerprint))
    waiting = [step for group in _groups(project, plan) for step in group]
    if any(_alive(context, step) for step in waiting):
        context.state.beat(project, running.fingerprint, now=time.time())
        return None
    return retry(context, project, plan)


def _judge_orphans(context: Context, project: int) -> str | None:
    """Have a project judged whose round was begun and is run by nobody: Redis was emptied.

    The judgement plans the same round, whose staging folder holds what was done, or a newer one.
    """
    orphans = [folder.name for folder in _stagings(context.registry(project)) if _attempts(folder) < MAX_ATTEMPTS]
    if not orphans:
        return None
    queues.send(context.connection, messages.Judge(project=project))
    return f"round {orphans[0][:16]} was begun and nobody runs it: judging"


def discard(registry: Registry, *, but: str | None = None) -> None:
    """Delete the staging folders of rounds that will not be finished; only while no other round runs."""
    for folder in _stagings(registry):
        if folder.name != but:
            registry.discard(folder)


def _stagings(registry: Registry) -> list[Path]:
    folder = registry.root / "staging"
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def retry(context: Context, project: int, plan: Plan) -> str:
    """Send a round's steps again, or park the round where that has been done too often."""
    staging = context.registry(project).staging(plan.fingerprint)
    attempts = count_attempt(staging)
    if attempts >= MAX_ATTEMPTS:
        context.state.end(project, plan.fingerprint)
        said = (
            f"round {plan.fingerprint[:16]} failed {attempts} times and is parked; read the worker's log, then press "
            f'"Start training" to try again'
        )
        log.error("project %d: %s", project, said)
        return said
    for group in _groups(project, plan):
        for step in group:
            _forget(context, step)
    context.state.beat(project, plan.fingerprint, now=time.time())
    send_steps(context, project, plan)
    return f"round {plan.fingerprint[:16]} is taken up again (attempt {attempts + 1} of {MAX_ATTEMPTS})"


def count_attempt(staging: Path) -> int:
    """Count a failed attempt at the round in this folder and return how many there were."""
    attempts = _attempts(staging) + 1
    atomic.write_json(staging / ATTEMPTS, {"attempts": attempts})
    return attempts


def _attempts(staging: Path) -> int:
    path = staging / ATTEMPTS
    return int(json.loads(path.read_text())["attempts"]) if path.exists() else 0


def staged(registry: Registry, fingerprint: str) -> bool:
    """Tell whether a round is being made, not admitted yet."""
    return (registry.root / "staging" / fingerprint / PLAN_FILE).exists()


def admitted(registry: Registry, fingerprint: str) -> str | None:
    """Return the newest version that a round with this fingerprint became, if it was admitted."""
    return next(
        (name for name in reversed(registry.versions()) if registry.card(name).fingerprint == fingerprint), None
    )


def _groups(project: int, plan: Plan) -> list[list[RoundStep]]:
    members, scoring, shares, closing = steps(project, plan)
    return [list(members), [scoring], list(shares), [closing]]


def _alive(context: Context, step: RoundStep) -> bool:
    job = _job(context, step)
    if job is None:
        return False
    return job.get_status() in {JobStatus.QUEUED, JobStatus.STARTED, JobStatus.SCHEDULED}


def _forget(context: Context, step: RoundStep) -> None:
    job = _job(context, step)
    if job is not None:
        job.delete()


def _job(context: Context, step: RoundStep) -> Job | None:
    try:
        return Job.fetch(step.job_id, connection=context.connection, serializer=JSONSerializer)
    except NoSuchJobError:
        return None
