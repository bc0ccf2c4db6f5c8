"""Label Studio's events: counted, one judgement queued, answered in milliseconds. Annotations are read by the worker.

Label Studio delivers an event at most once, within its own request, with a second of patience. So nothing is decided
here: duplicates, disorder and events without an annotation only count; what is lost, the sweep notices.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from helioloop.errors import ServiceError
from helioloop.messaging import queues, redis_client
from helioloop.messaging.messages import RetrainCheck
from helioloop.messaging.retrain_state import due_at
from helioloop_backend import projects
from helioloop_backend.services import Services

logger = logging.getLogger(__name__)

START_TRAINING: Final = "START_TRAINING"
# Action -> field with the list of what it is about. An import counts once: only its annotations matter, and it does
# not say whether there are any.
COUNTED: Final = {
    "ANNOTATION_CREATED": None,
    "ANNOTATION_UPDATED": None,
    "ANNOTATIONS_CREATED": "annotation",
    "ANNOTATIONS_DELETED": "annotations",
    "TASKS_CREATED": None,
    "TASKS_DELETED": None,
}
# What label-studio-ml 2.x calls a deletion.
ALIASES: Final = {"ANNOTATION_DELETED": "ANNOTATIONS_DELETED"}


def receive(services: Services, action: str, payload: dict[str, Any]) -> dict[str, Any]:
    """Take an event in.

    Parameters
    ----------
    services : Services
        Redis and settings.
    action : str
        Label Studio's name of the event; unknown ones, and changes of the project itself (our own write-back causes
        them), are ignored.
    payload : dict
        The event without its action.

    Returns
    -------
    dict
        The answer: ``status`` is ``"ignored"``, ``"forced"`` or ``"noted"``, the last with the events ``waiting``.

    Raises
    ------
    BadRequest
        Where a counted event names no project.
    ServiceError
        Where Redis does not take it.
    """
    action = ALIASES.get(action, action)
    if action == START_TRAINING:
        project = projects.from_webhook(payload)
        with _redis(services, remedy="then press Start training again"):
            queues.send(services.connection, RetrainCheck(project=project, forced=True))
        logger.info("project %d: training was asked for", project)
        return {"status": "forced"}
    if action not in COUNTED:
        return {"status": "ignored"}
    project = projects.from_webhook(payload)
    with _redis(services, remedy="nothing is lost, the worker's sweep will find the change in Label Studio"):
        now = time.time()
        dirty = services.retrain.add_events(project, _count(action, payload), now=now)
        delay_seconds = max(0.0, due_at(dirty, services.settings) - now)
        queues.send(services.connection, RetrainCheck(project=project), delay_seconds=delay_seconds)
    return {"status": "noted", "waiting": dirty.count}


@contextmanager
def _redis(services: Services, *, remedy: str) -> Iterator[None]:
    """Say of an error of Redis what it means for the event."""
    try:
        with redis_client.plain_errors(services.settings):
            yield
    except ServiceError as error:
        raise ServiceError(f"{error}; {remedy}") from None


def _count(action: str, payload: dict[str, Any]) -> int:
    field = COUNTED[action]
    items = payload.get(field) if field is not None else None
    return max(1, len(items)) if isinstance(items, list) else 1
