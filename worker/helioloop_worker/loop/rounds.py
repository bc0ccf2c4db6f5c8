"""Rounds as jobs: a planned round is started, its steps are queued, and a round that stopped is resumed or parked.

The steps of a round are one job for each member, one that scores, several that locate emergence frames, and one that
closes the round. Each step finds on disk the results of the steps before it, so a step that failed is sent again and
does only what is missing. The queue starts a step when the steps before it have ended; no job waits for another.
"""

import logging
import time
from dataclasses import dataclass
from datetime import datetime

from rq.job import Dependency, JobStatus

from helioloop.environment.stored_times import ahead_sentence, is_ahead, is_recent
from helioloop.messaging import messages, queues
from helioloop.messaging.job_monitor import failure, find_job
from helioloop.messaging.messages import RoundStep
from helioloop.messaging.retrain_state import Running
from helioloop.model.plan import Plan
from helioloop.registry.staging import MAX_ATTEMPTS, Staging
from helioloop.registry.versions import Registry
from helioloop_worker.context import Context
from helioloop_worker.loop.round_requests import is_forced, requests, was_any_fulfilled

log = logging.getLogger(__name__)

CHUNK_CUBES = 30
"""Cubes whose emergence frames one job locates, or more where that makes more than `MOST_CHUNKS` jobs."""
MOST_CHUNKS = 32
"""Jobs that locate the emergence frames of a round; several machines can work on them. Each reads the plan, which is as
long as the release, so their number must not grow with it."""
SILENT_SECONDS = 120
"""A round without a heartbeat for this long, and without a job that waits or runs, is resumed."""


# -- starting -------------------------------------------------------------------------------------


def start(context: Context, project: int, plan: Plan, *, forced: bool) -> bool:
    """Start a round; where another one runs already, request a follow-up run instead.

    Parameters
    ----------
    context : Context
        Where to start it.
    project : int
        Label Studio project.
    plan : Plan
        The round.
    forced : bool
        True where somebody pressed "Start training"; for the follow-up run.

    Returns
    -------
    bool
        True where the round was started.

    Raises
    ------
    RegistryError
        Where `helioloop train` makes the same round now.
    """
    staging = Staging(context.registry(project).root)
    with staging.locked(plan.fingerprint) as folder:
        if not staging.has_plan(plan.fingerprint):
            plan.save(folder)  # before the round counts as running: its steps read the plan
        while not context.state.begin(project, plan.fingerprint, now=time.time()):
            if context.state.request_follow_up(project, forced=forced):
                return False
    staging.discard(but=plan.fingerprint)
    staging.forget_attempts(plan.fingerprint)
    send_steps(context, project, plan)
    log.info("project %d: round %s starts: %s", project, plan.fingerprint[:16], plan.reason)
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """The messages of a round, in the order of the work."""

    members: tuple[messages.TrainMember, ...]
    scoring: messages.ScoreRound
    locating: tuple[messages.Locate, ...]
    closing: messages.CloseRound

    @property
    def all(self) -> tuple[RoundStep, ...]:
        """All messages."""
        return (*self.members, self.scoring, *self.locating, self.closing)


def steps_of(project: int, plan: Plan) -> Steps:
    """Return the messages of a round."""
    count = min(MOST_CHUNKS, max(1, -(-len(plan.cubes) // CHUNK_CUBES)))
    fingerprint = plan.fingerprint
    return Steps(
        members=tuple(
            messages.TrainMember(project=project, fingerprint=fingerprint, member=member.name)
            for member in plan.members
        ),
        scoring=messages.ScoreRound(project=project, fingerprint=fingerprint),
        locating=tuple(
            messages.Locate(project=project, fingerprint=fingerprint, chunk=k, chunks=count) for k in range(count)
        ),
        closing=messages.CloseRound(project=project, fingerprint=fingerprint),
    )


def send_steps(context: Context, project: int, plan: Plan) -> None:
    """Send all steps of a round, each behind those that it needs; a step that waits or runs already is left alone."""
    steps = steps_of(project, plan)
    for member in steps.members:
        queues.send(context.connection, member)
    _send_behind(context, steps.scoring, steps.members)
    for locating in steps.locating:
        _send_behind(context, locating, [steps.scoring])
    _send_behind(context, steps.closing, steps.locating)


def _send_behind(context: Context, step: RoundStep, needed: "tuple[RoundStep, ...] | list[RoundStep]") -> None:
    """Send a step that runs when the needed ones have ended, even if they failed: the last step reports the failure."""
    job_ids = [other.job_id for other in needed]
    queues.send(context.connection, step, depends_on=Dependency(job_ids, allow_failure=True))


# -- resuming -------------------------------------------------------------------------------------


def resume(context: Context, project: int) -> str | None:
    """Resume a round that stopped, because its worker was killed, a step failed or Redis was emptied.

    Returns
    -------
    str or None
        What was done, in a sentence; None where the running round is alive or none runs.
    """
    running = context.state.running(project)
    if running is None:
        return _check_after_loss(context, project)
    now = time.time()
    if is_recent(running.heartbeat_at, now=now, seconds=SILENT_SECONDS):
        return None
    if is_ahead(running.heartbeat_at, now=now):
        what = f"project {project}: the last heartbeat of round {running.fingerprint[:16]}"
        log.warning("%s", ahead_sentence(what, running.heartbeat_at))
    staging = Staging(context.registry(project).root)
    if not staging.has_plan(running.fingerprint):
        sent = _send_closing(context, messages.CloseRound(project=project, fingerprint=running.fingerprint))
        return f"round {running.fingerprint[:16]} has left its staging folder: closing it" if sent else None
    plan = Plan.read(staging.folder(running.fingerprint))
    if any(_is_alive(context, step) for step in steps_of(project, plan).all):
        context.state.heartbeat(project, running.fingerprint, now=time.time())
        return None
    return retry(context, project, plan)


def _send_closing(context: Context, closing: messages.CloseRound) -> bool:
    """Send the closing of a round without a plan, which waits for no step; tell whether it was sent."""
    if queues.job_status(context.connection, closing) is JobStatus.DEFERRED:
        waiting = find_job(context.connection, closing.job_id)
        if waiting is not None:
            waiting.delete()
    return queues.send(context.connection, closing)


def _check_after_loss(context: Context, project: int) -> str | None:
    """Send a retrain check where a round was begun and Redis holds nothing of it, because it was emptied.

    The check leads to a plan of the same round, which goes on in its staging folder, or of a newer one. Where a round
    is requested already, planning does the same.
    """
    if requests(context, project):
        return None
    staging = Staging(context.registry(project).root)
    lost = [
        fingerprint
        for fingerprint in staging.fingerprints()
        if not staging.is_locked(fingerprint) and staging.parked(fingerprint) is None
    ]
    if not lost:
        return None
    sent = queues.send(context.connection, messages.RetrainCheck(project=project))
    return f"round {lost[0][:16]} was begun and no job of it is left: checking" if sent else None


def retry(context: Context, project: int, plan: Plan) -> str:
    """Send the steps of a failed round again, or park the round where that has been done too often."""
    steps = steps_of(project, plan).all
    reasons = _failures(context, steps)
    staging = Staging(context.registry(project).root)
    for step in steps:
        if (job := find_job(context.connection, step.job_id)) is not None:
            job.delete()
    # Counted after what may fail: an attempt that was not made does not count.
    attempts = staging.count_attempt(plan.fingerprint, reasons)
    sentence = f"round {plan.fingerprint[:16]} failed: {'; '.join(reasons) or 'a worker was lost'}"
    log.error("project %d: %s", project, sentence)
    if attempts >= MAX_ATTEMPTS:
        end(context, project, plan.fingerprint)
        return staging.parked(plan.fingerprint) or sentence
    context.state.heartbeat(project, plan.fingerprint, now=time.time())
    send_steps(context, project, plan)
    return f"{sentence}; it is resumed"


def end(context: Context, project: int, fingerprint: str) -> None:
    """End a round, and send the check that was requested during it."""
    context.state.end(project, fingerprint)
    send_follow_up(context, project)


def send_follow_up(context: Context, project: int) -> str | None:
    """Send the check that was requested during a round that has ended; return what was done, None where none was.

    It is settled after it is sent: a worker that is killed in between leaves it to reconciliation. It is forced where
    the model folder has a forced request: what Redis has of it may be older than the round that fulfilled it.
    """
    follow_up = context.state.follow_up(project)
    if follow_up is None:
        return None
    kept_by_redis = follow_up.forced and not was_any_fulfilled(context, project)  # by an older helioloop
    forced = is_forced(context, project) or kept_by_redis
    check = messages.RetrainCheck(project=project, forced=forced)
    sent = queues.send(context.connection, check, anew=forced)  # as "Start training" does
    context.state.settle_follow_up(project, follow_up)
    return "a check was requested during a round that has ended: checking" if sent else None


def _failures(context: Context, steps: tuple[RoundStep, ...]) -> list[str]:
    """Return the reasons of the failed steps, each once."""
    jobs = [find_job(context.connection, step.job_id) for step in steps]
    reasons = [failure(job) for job in jobs if job is not None and job.get_status(refresh=False) is JobStatus.FAILED]
    return list(dict.fromkeys(reasons))


def _is_alive(context: Context, step: RoundStep) -> bool:
    return queues.job_status(context.connection, step) in {JobStatus.QUEUED, JobStatus.STARTED, JobStatus.SCHEDULED}


# -- on disk --------------------------------------------------------------------------------------


def admitted(registry: Registry, running: Running) -> str | None:
    """Return the version that the running round became, if it was admitted.

    Versions from before the round began do not count: a forced repeat has the fingerprint of an older version.
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
