"""Planning: the job that deals with requests for a round, prepares the cubes of the project, and starts the round.

It may have to grid every cube, which can take hours. It records the retrain check as complete and deletes the request
only when the round has begun, or when it is certain that none is due. Killed at any point, it is sent again by
reconciliation and starts with the cubes that are in the cache.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from helioloop.data.moved_cubes import missing_sentence
from helioloop.errors import CubesAway, TooFewLabels
from helioloop.files.release_folders import missing_releases
from helioloop.messaging import messages, queues, retrain_state
from helioloop.model.plan import make_plan
from helioloop.progress import Report
from helioloop.records.cubes import CubeInfo
from helioloop.records.profiles import Profile
from helioloop.registry.card import Card
from helioloop.registry.staging import Staging
from helioloop.words import count
from helioloop_worker.context import Context
from helioloop_worker.labelstudio.project import read_project
from helioloop_worker.loop import rounds
from helioloop_worker.loop.checked import complete_check
from helioloop_worker.loop.readable import readable_cubes
from helioloop_worker.loop.retrain_check import FOLLOW_UP
from helioloop_worker.loop.retrain_policy import decide
from helioloop_worker.loop.round_requests import requests, settle_requests
from helioloop_worker.loop.running_ingestions import ingesting

log = logging.getLogger(__name__)

MOST_AWAY: Final = 0.1
"""A round starts by itself without at most this fraction of the cubes that the last version was trained on. More of
them are a disk that is away rather than damaged files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """The result of a request.

    Parameters
    ----------
    sentence : str
        What was done.
    settled : bool
        False where the request stays, to be dealt with later.
    complete : bool
        False where the retrain check does not count as complete.
    """

    sentence: str
    settled: bool = True
    complete: bool = True


def plan_round(context: Context, project: int, *, report: Report) -> str:
    """Deal with the requests for a round, and return the outcome in a sentence.

    Parameters
    ----------
    context : Context
        Settings, Redis, Label Studio and the device.
    project : int
        Label Studio project.
    report : Report
        Called with the number of cubes prepared.

    Raises
    ------
    LabelStudioError
        Where Label Studio refuses a call or does not answer; the requests stay.
    """
    outcome = _Outcome(sentence="no round is requested")
    while outcome.settled and (pending := requests(context, project)):
        read_at = time.time()
        outcome = _plan(context, project, forced="forced" in pending, report=report)
        if outcome.settled:
            settle_requests(context, project, pending, read_at=read_at)
    later = context.state.pending_events(project)
    if outcome.settled and later is not None:  # they came after the annotations were read
        now = time.time()
        wait = max(0.0, retrain_state.due_at(later, context.settings, now=now) - now)
        queues.send(context.connection, messages.RetrainCheck(project=project), delay_seconds=wait)
    return outcome.sentence


def _plan(context: Context, project: int, *, forced: bool, report: Report) -> _Outcome:
    """Plan and start one round, unless the labels no longer want one."""
    if ingesting(context, project):
        return _Outcome(sentence="a release is being ingested; planning follows it", settled=False, complete=False)
    if context.state.request_follow_up(project, forced=forced):
        return _follow_up(context, project, forced=forced)
    seen = context.state.pending_events(project)
    project_state = read_project(context.label_studio, project, settings=context.settings)
    last = context.registry(project).latest()
    decision = decide(last, project_state.snapshot.cubes, settings=context.settings, forced=forced)
    outcome = _Outcome(sentence=f"no round: {decision.reason}")
    if decision.start:
        loader = context.loader(project_state.profile)
        every = project_state.cubes()
        if lacking := missing_releases(context.roots.roots, {cube.release for cube in every}):
            log.warning("project %d: %s", project, missing_sentence(lacking))
        cubes = readable_cubes(every, loader, report)
        if last is not None and not forced:
            _wait_for_cubes(last, every, cubes, lacking)
        outcome = _start(
            context,
            project,
            cubes,
            profile=project_state.profile,
            reason=decision.reason,
            last=last,
            forced=forced,
            unreadable=len(every) - len(cubes),
        )
    if outcome.complete:
        complete_check(context, project, project_state.snapshot, seen)
    return outcome


def _wait_for_cubes(
    last: Card, every: Sequence[CubeInfo], readable: Sequence[CubeInfo], lacking: Sequence[str]
) -> None:
    """Refuse a round in which a release, or many cubes, of the last version would not take part.

    Its version would count as trained on all labels, so that those of the others would have to change to be learnt.

    Raises
    ------
    CubesAway
        The planning fails, and is tried again.
    """
    keys = {cube.key for cube in readable}
    known = [cube for cube in every if cube.name in last.labels]
    away = [cube for cube in known if cube.key not in keys]
    if len(away) <= MOST_AWAY * len(known) and not {cube.release for cube in away} & {*lacking}:
        return
    releases = ", ".join(sorted({cube.release for cube in away}))
    raise CubesAway(
        f"{len(away)} of {count(len(known), 'cube')} that {last.version} was trained on cannot be read now, those of "
        f"release {releases}; rounds wait for them: give the folder back (its name, its disk, or its parent folder in "
        "HELIOLOOP_RELEASE_ROOTS), or press “Start training” to train without them"
    )


def _follow_up(context: Context, project: int, *, forced: bool) -> _Outcome:
    """Return the outcome where another round runs, after which the annotations are read again.

    A forced request stays until then, so that Redis, which may be emptied, is not all that has it.
    """
    if forced:
        settle_requests(context, project, frozenset({"check"}))
    return _Outcome(sentence=FOLLOW_UP, settled=not forced, complete=False)


def _start(
    context: Context,
    project: int,
    cubes: Sequence[CubeInfo],
    *,
    profile: Profile,
    reason: str,
    last: Card | None,
    forced: bool,
    unreadable: int,
) -> _Outcome:
    """Start a round on these cubes, unless there is no point in it or another process makes it.

    Raises
    ------
    TooFewLabels
        Where there are too few labels because cubes cannot be read: the planning fails, and is tried again.
    """
    registry = context.registry(project)
    staging = Staging(registry.root)
    try:
        plan = make_plan(
            cubes,
            recipe=context.recipe,
            instrument=profile.instrument,
            profile=profile,
            seed=context.settings.seed,
            parent=registry.published(),
            reason=reason,
        )
    except TooFewLabels as error:
        if unreadable:
            raise TooFewLabels(
                f"{unreadable} of {unreadable + len(cubes)} cubes cannot be read, for which the worker's log has the "
                f"reasons; of the others, {error}"
            ) from None
        return _Outcome(sentence=f"no round: {error}")
    if not forced:
        if last is not None and plan.fingerprint == last.fingerprint:
            return _Outcome(sentence=f"no round: labels, data, recipe and code are those of {last.version}")
        if (parked := staging.parked(plan.fingerprint)) is not None:
            return _Outcome(sentence=f"no round: {parked}")
    if staging.is_locked(plan.fingerprint):
        return _Outcome(
            sentence="another process, such as `helioloop train`, makes this round now; planning follows it",
            settled=False,
            complete=False,
        )
    if not rounds.start(context, project, plan, forced=forced):
        return _follow_up(context, project, forced=forced)
    return _Outcome(sentence=f"round started: {reason}")
