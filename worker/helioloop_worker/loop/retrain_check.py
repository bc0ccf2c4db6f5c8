"""The retrain check: the annotations are read, and a round is requested where the rules want one.

A check takes seconds. The job that it sends, see `planning`, prepares the cubes and starts the round.
"""

import logging
import math
import time
from collections.abc import Iterable
from datetime import UTC, datetime

from helioloop.environment.stored_times import ahead_sentence, is_ahead
from helioloop.errors import TooFewLabels
from helioloop.messaging import messages, queues, retrain_state
from helioloop.messaging.retrain_state import PendingEvents
from helioloop.model.folds import assign_folds
from helioloop.registry.known_cards import latest_card
from helioloop.registry.staging import Staging
from helioloop.words import count
from helioloop_worker.context import Context
from helioloop_worker.labelstudio.project import ProjectState
from helioloop_worker.loop.checked import complete_check
from helioloop_worker.loop.retrain_policy import decide
from helioloop_worker.loop.round_requests import (
    add_request,
    request_round,
    requests,
    send_planning,
    settle_requests,
    was_fulfilled,
)
from helioloop_worker.loop.running_ingestions import ingesting
from helioloop_worker.loop.written_back import answers_of, read_written

log = logging.getLogger(__name__)

FOLLOW_UP = "a round runs; the next check follows it"


def check_retraining(context: Context, project: int, *, forced: bool, requested_at: float | None = None) -> str:
    """Check whether a project needs a round, request one if so, and return the outcome in a sentence.

    Parameters
    ----------
    context : Context
        Settings, Redis and Label Studio.
    project : int
        Label Studio project.
    forced : bool
        True where somebody pressed "Start training". The request is written into the model folder first.
    requested_at : float, optional
        When that was, in Unix seconds by the clock of who sent it. A forced request that a round has fulfilled since is
        an ordinary check, and the outcome says so: it came back with an older state of Redis, or that clock is behind.
        By default now.

    Raises
    ------
    LabelStudioError
        Where Label Studio refuses a call or does not answer; the events stay, and reconciliation repeats the check.
    """
    if forced and requested_at is not None and was_fulfilled(context, project, requested_at):
        at = datetime.fromtimestamp(requested_at, UTC).isoformat(timespec="seconds")
        outcome = check_retraining(context, project, forced=False)
        return (
            f"{outcome} (the request for training of {at} was fulfilled before; if “Start training” was pressed just "
            "now, the clock of the backend's machine is behind, which `helioloop doctor` shows)"
        )
    pending = requests(context, project)
    if forced and context.settings.model_dir(project).is_dir():
        add_request(context, project, forced=True)  # before Label Studio is asked: from now on it cannot get lost
    seen = context.state.pending_events(project)
    if not forced and seen is not None and (wait := _wait_seconds(context, project, seen)) > 0:
        queues.send(context.connection, messages.RetrainCheck(project=project), delay_seconds=wait)
        return f"{count(seen.count, 'event')} waiting; the check follows in {wait:.0f} s"
    if ingesting(context, project):
        if forced:  # the check that follows an ingestion is not forced
            request_round(context, project, forced=True)
        return "a release is being ingested; the check follows it"
    if context.state.request_follow_up(project, forced=forced):
        _show_answers(context, project, context.projects.read(project))
        return FOLLOW_UP
    if pending:  # planning reads the annotations itself
        if forced:
            request_round(context, project, forced=True)
        else:
            send_planning(context, project)
        _show_answers(context, project, context.projects.read(project))
        why = queues.why_parked(context.connection, messages.PlanRound(project=project))
        return "a round is being planned" if why is None else (
            f"a round is requested and its planning is parked, because {why}; remove the cause, then press “Start "
            f"training” or run `helioloop retry --project {project}`"
        )  # fmt: skip
    return _compare_labels(context, project, seen, forced=forced)


def _compare_labels(context: Context, project: int, seen: PendingEvents | None, *, forced: bool) -> str:
    """Compare the labels with those last trained on, request a round if one is due, and return the outcome."""
    read_at = time.time()
    project_state = context.projects.read(project)
    decision = decide(
        latest_card(context.registry(project)),
        project_state.snapshot.cubes,
        settings=context.settings,
        forced=forced,
        quiet_seconds=_quiet_seconds(project_state.snapshot.annotations.values()),
    )
    _show_answers(context, project, project_state)
    too_few = _too_few(project_state) if decision.start else None
    if decision.start and too_few is None:
        request_round(context, project, forced=forced)
        return f"a round is requested: {decision.reason}"
    if decision.waits:  # not recorded as checked, so that reconciliation checks again and again until it is due
        if seen is not None:
            context.state.remove_events(project, seen)
        return f"no round yet: {decision.reason}"
    if forced:
        settle_requests(context, project, frozenset({"forced"}), read_at=read_at)
    if context.state.running(project) is None:
        Staging(context.registry(project).root).discard()
    complete_check(context, project, project_state.snapshot, seen)
    return f"no round: {too_few or decision.reason}"


def _wait_seconds(context: Context, project: int, seen: PendingEvents) -> float:
    """Return the time until pending events have to be checked."""
    now = time.time()
    if is_ahead(seen.last_at, now=now):
        log.warning("%s", ahead_sentence(f"project {project}: the newest event that waits for a check", seen.last_at))
    return retrain_state.due_at(seen, context.settings, now=now) - now


def _quiet_seconds(updated_at: Iterable[str]) -> float:
    """Return the time since the newest annotation that is not ahead of this clock; infinity without one.

    Times that cannot be read do not count.
    """
    now = time.time()
    found = [at.timestamp() for text in updated_at if (at := _time(text)) is not None]
    past = [at for at in found if not is_ahead(at, now=now)]
    if len(past) < len(found):
        log.warning("%s", ahead_sentence("the newest annotation in Label Studio", max(found)))
    return now - max(past) if past else math.inf


def _time(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def _show_answers(context: Context, project: int, project_state: ProjectState) -> None:
    """Send a write-back where annotations differ from those of the last one, without waiting for a round.

    It changes the scores of corrected tasks, marks ties, and gives answered random checks their prediction.
    """
    version, written = context.registry(project).published(), read_written(context.settings.model_dir(project))
    if version is not None and written is not None and written.answers != answers_of(project_state):
        queues.send(context.connection, messages.WriteBack(project=project, version=version))


def _too_few(project_state: ProjectState) -> str | None:
    """Return why there are too few labels for a round even if all cubes can be read; None where there are enough."""
    try:
        assign_folds(project_state.cubes())
    except TooFewLabels as error:
        return str(error)
    return None
