"""Requests to plan a round: files in the model folder, so that a killed worker or an emptied Redis loses none.

    <model-dir>/round-requests/check.json    a retrain check found that a round is due
    <model-dir>/round-requests/forced.json   somebody pressed "Start training"

A retrain check adds a request and sends a planning job; the planning job deletes the requests that it has dealt with.
Reconciliation sends the job again where a request has none.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from rq.job import JobStatus

from helioloop.files import atomic
from helioloop.messaging import messages, queues
from helioloop_worker.context import Context

Request = Literal["check", "forced"]

_REQUESTS: Final[tuple[Request, ...]] = ("check", "forced")


def request_round(context: Context, project: int, *, forced: bool) -> None:
    """Add a request, unless there is the same one, and send a planning job, unless one waits or runs."""
    path = _path(context, project, "forced" if forced else "check")
    if not path.exists():
        atomic.write_json(path, {"requested_at": datetime.now(UTC).isoformat(timespec="seconds")})
    send_planning(context, project, anew=forced)


def send_planning(context: Context, project: int, *, anew: bool = False) -> bool:
    """Send a planning job, also a parked one if `anew`; False where one waits, runs or is parked."""
    return queues.send(context.connection, messages.PlanRound(project=project), anew=anew)


def requests(context: Context, project: int) -> frozenset[Request]:
    """Return the requests of a project that no planning job has dealt with."""
    return frozenset(request for request in _REQUESTS if _path(context, project, request).exists())


def settle_requests(context: Context, project: int, settled: frozenset[Request]) -> None:
    """Delete requests; one of the other kind that was added meanwhile stays."""
    for request in settled:
        _path(context, project, request).unlink(missing_ok=True)


def resend_planning(context: Context, project: int) -> str | None:
    """Send the planning job of a request again where it was lost or failed, and return what was done."""
    if not requests(context, project):
        return None
    status = queues.job_status(context.connection, messages.PlanRound(project=project))
    if status in {JobStatus.QUEUED, JobStatus.STARTED, JobStatus.SCHEDULED}:
        return None
    return "a round was requested and no job plans it: planning" if send_planning(context, project) else None


def _path(context: Context, project: int, request: Request) -> Path:
    return context.settings.model_dir(project) / "round-requests" / f"{request}.json"
