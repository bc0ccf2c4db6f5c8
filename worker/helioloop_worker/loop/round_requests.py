"""Requests to plan a round: files in the model folder, so that a killed worker or an emptied Redis loses none.

    <model-dir>/round-requests/check.json      a retrain check found that a round is due
    <model-dir>/round-requests/forced.json     somebody pressed "Start training"
    <model-dir>/round-requests/fulfilled.json  until when requests of the second kind have been dealt with

A retrain check adds a request and sends a planning job; the planning job deletes the requests that it has dealt with.
Reconciliation sends the job again where a request has none. During a round a forced request stays until that round has
ended. What Redis has of forced requests is only a hint: a state of Redis from before may have fulfilled ones.
"""

import json
import logging
import math
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rq.job import JobStatus

from helioloop.environment.stored_times import ahead_sentence, is_ahead
from helioloop.files import atomic
from helioloop.messaging import messages, queues
from helioloop.registry.requested_rounds import REQUESTS, Request, request_path
from helioloop_worker.context import Context

log = logging.getLogger(__name__)

_FULFILLED: Final = "fulfilled"


def add_request(context: Context, project: int, *, forced: bool) -> None:
    """Add a request, unless there is the same one."""
    path = _path(context, project, "forced" if forced else "check")
    if not path.exists():
        atomic.write_json(path, {"requested_at": datetime.now(UTC).isoformat(timespec="seconds")})


def request_round(context: Context, project: int, *, forced: bool) -> None:
    """Add a request, unless there is the same one, and send a planning job, unless one waits or runs."""
    add_request(context, project, forced=forced)
    send_planning(context, project, anew=forced)


def send_planning(context: Context, project: int, *, anew: bool = False) -> bool:
    """Send a planning job, also a parked one if `anew`; False where one waits, runs or is parked."""
    return queues.send(context.connection, messages.PlanRound(project=project), anew=anew)


def requests(context: Context, project: int) -> frozenset[Request]:
    """Return the requests of a project that no planning job has dealt with."""
    return frozenset(request for request in REQUESTS if _path(context, project, request).exists())


def is_forced(context: Context, project: int) -> bool:
    """Return whether somebody pressed "Start training" and no round has begun since."""
    return "forced" in requests(context, project)


def settle_requests(context: Context, project: int, settled: frozenset[Request], *, read_at: float = -math.inf) -> None:
    """Delete requests; one of the other kind that was added meanwhile stays.

    Parameters
    ----------
    context : Context
        Where the model folder is.
    project : int
        Label Studio project.
    settled : frozenset of str
        The requests that were dealt with.
    read_at : float
        When the annotations were read for a forced request, in Unix seconds; those made until then are fulfilled.
    """
    if "forced" in settled:
        until = max(read_at, _fulfilled_until(context, project))
        atomic.write_json(_path(context, project, _FULFILLED), {"until": until})
    for request in settled:
        _path(context, project, request).unlink(missing_ok=True)


def was_fulfilled(context: Context, project: int, requested_at: float) -> bool:
    """Return whether a forced request of this time (Unix seconds) has been dealt with.

    Redis may contain such a request: it came back with the state that it had before.
    """
    return not is_forced(context, project) and requested_at <= _fulfilled_until(context, project)


def was_any_fulfilled(context: Context, project: int) -> bool:
    """Return whether any forced request has been dealt with; False too where only an older helioloop did that."""
    return _path(context, project, _FULFILLED).exists()


def resend_planning(context: Context, project: int) -> str | None:
    """Send the planning job of a request again where it was lost or failed, and return what was done.

    During a round none is sent for a forced request, which waits until the round has ended.
    """
    pending = requests(context, project)
    if not pending or (pending == {"forced"} and context.state.running(project) is not None):
        return None
    status = queues.job_status(context.connection, messages.PlanRound(project=project))
    if status in {JobStatus.QUEUED, JobStatus.STARTED, JobStatus.SCHEDULED}:
        return None
    return "a round was requested and no job plans it: planning" if send_planning(context, project) else None


def _fulfilled_until(context: Context, project: int) -> float:
    """Return until when forced requests have been dealt with; minus infinity where none was.

    So too where that time is ahead: it would hide all requests until then. The next fulfilled one replaces it.
    """
    path = _path(context, project, _FULFILLED)
    try:
        until = float(json.loads(path.read_text())["until"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return -math.inf
    if is_ahead(until, now=time.time()):
        log.warning("%s", ahead_sentence(f"project {project}: the last fulfilled request for training ({path})", until))
        return -math.inf
    return until


def _path(context: Context, project: int, name: str) -> Path:
    return request_path(context.settings.model_dir(project), name)
