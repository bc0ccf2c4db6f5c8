"""Label Studio's events: counts them and schedules one retrain check, which reads annotations.

Label Studio sends an event at most once, while its own user waits, and gives up after a second. So nothing is decided
here: every event only counts, whatever its order, and reconciliation finds the changes whose event was lost.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import redis
from werkzeug.exceptions import BadRequest, HTTPException, NotFound

from helioloop.errors import ServiceError
from helioloop.logs import fields
from helioloop.messaging import queues, redis_client
from helioloop.messaging.arrived_events import PROJECT_UPDATED, count_arrived_event
from helioloop.messaging.event_intake import UNKNOWN_PROJECTS
from helioloop.messaging.messages import RetrainCheck
from helioloop_backend import projects
from helioloop_backend.after_answer import after_answer
from helioloop_backend.services import Services

logger = logging.getLogger(__name__)

START_TRAINING: Final = "START_TRAINING"
# Action -> field with the list of changed objects. An import counts once: only its annotations matter, and the event
# does not contain them.
COUNTED: Final = {
    "ANNOTATION_CREATED": None,
    "ANNOTATION_UPDATED": None,
    "ANNOTATIONS_CREATED": "annotation",
    "ANNOTATIONS_DELETED": "annotations",
    "TASKS_CREATED": None,
    "TASKS_DELETED": None,
}
_LONGEST_ACTION: Final = 60
# The name of a deletion in label-studio-ml 2.x.
ALIASES: Final = {"ANNOTATION_DELETED": "ANNOTATIONS_DELETED"}


def receive(services: Services, action: str, payload: dict[str, Any]) -> dict[str, Any]:
    """Count an event, or request a round at once where somebody pressed "Start training".

    Parameters
    ----------
    services : Services
        Redis and settings.
    action : str
        Label Studio's name of the event. Unknown events are ignored, and so are changes of the project itself, which
        helioloop's own write-back causes.
    payload : dict
        The event without its action.

    Returns
    -------
    dict
        The answer: ``status`` is ``"ignored"``, ``"forced"`` or ``"noted"``, the last with the number of pending
        events as ``waiting``.

    Raises
    ------
    BadRequest
        Where the event has no project.
    ServiceError
        Where Redis cannot store it, or serves another model root.
    """
    action = ALIASES.get(action, action)
    if action == START_TRAINING:
        project = projects.from_webhook(payload)
        with _redis(services, remedy="then press Start training again"):
            _check_project(services, project)
            check = RetrainCheck(project=project, forced=True)
            is_new = queues.send(services.connection, check, anew=True)
        what = "a retrain check is queued at once" if is_new else "it joined the retrain check that waits"
        _log(action, project, f"somebody pressed Start training; {what}", outcome="forced", job=check.job_id)
        return {"status": "forced"}
    if action == PROJECT_UPDATED:
        _count_update(services, payload)
    if action not in COUNTED:
        _log(action, _project_or_none(payload), "ignored, because no label changes with it", outcome="ignored")
        return {"status": "ignored"}
    project = projects.from_webhook(payload)
    with _redis(services, remedy="nothing is lost: reconciliation will find the change in Label Studio"):
        unknown = _check_project(services, project)
        taken = services.intake.take_in(project, _count(action, payload))
        if unknown:
            services.intake.forget_unknown(project)
    waiting = taken.pending.count
    if taken.parked is None:
        what = "a retrain check is queued" if taken.is_new else "it joined the retrain check that waits"
        sentence = f"{what}, due in {taken.delay_seconds:.0f} s; events waiting: {waiting}"
        outcome = "queued" if taken.is_new else "joined"
    else:
        sentence = (
            f"no retrain check is queued, because it failed too often and is parked: {taken.parked}; events waiting: "
            f"{waiting}; remove the cause, then run `helioloop retry --project {project}`"
        )
        outcome = "parked"
    _log(action, project, sentence, outcome=outcome, job=RetrainCheck(project=project).job_id, waiting=waiting)
    return {"status": "noted", "waiting": waiting}


def _log(action: str, project: int | None, sentence: str, **more: Any) -> None:
    """Log what became of an event; nothing of its payload."""
    shown = action[:_LONGEST_ACTION]
    where = "" if project is None else f"project {project}: "
    extra = fields(action=shown, project=project, **more)
    after_answer(lambda: logger.info("%s%s: %s", where, shown, sentence, extra=extra))


def _project_or_none(payload: dict[str, Any]) -> int | None:
    try:
        return projects.from_webhook(payload)
    except BadRequest:
        return None


def _count_update(services: Services, payload: dict[str, Any]) -> None:
    """Count a change of a project, for `helioloop init`, which caused it; without Redis it is lost like any event."""
    try:
        project = projects.from_webhook(payload)
        services.redis_claim.require()
        _check_project(services, project)
        count_arrived_event(services.connection, project, PROJECT_UPDATED)
    except (HTTPException, ServiceError, redis.RedisError) as error:
        logger.warning("an event %s was not counted (%s)", PROJECT_UPDATED, type(error).__name__)


def _check_project(services: Services, project: int) -> bool:
    """Return whether a project has no model folder; the events of too many such projects are refused."""
    if services.settings.model_dir(project).is_dir():
        return False
    if not services.intake.admit_unknown(project):
        raise NotFound(
            f"project {project} has no model folder here, and more than {UNKNOWN_PROJECTS} such projects sent events "
            f"today; run `helioloop init --project {project}`, or remove this webhook from Label Studio"
        )
    return True


@contextmanager
def _redis(services: Services, *, remedy: str) -> Iterator[None]:
    """Add to an error of Redis, or to a Redis of another model root, what it means for the event."""
    try:
        with redis_client.plain_errors(services.settings):
            services.redis_claim.require()
            yield
    except ServiceError as error:
        raise ServiceError(f"{error}; {remedy}") from None


def _count(action: str, payload: dict[str, Any]) -> int:
    field = COUNTED[action]
    items = payload.get(field) if field is not None else None
    return max(1, len(items)) if isinstance(items, list) else 1
