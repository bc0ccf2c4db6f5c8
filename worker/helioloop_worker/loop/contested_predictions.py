"""Predictions that two deployments write into one project, each in place of the other's: they are left for longer.

The other one may be the worker of the machine from which the project was moved, or one with a copy of the model folder.
"""

import logging
import time
from collections.abc import Collection
from datetime import UTC, datetime

from helioloop.registry.replaced_predictions import (
    ReplacedPredictions,
    add_replaced_predictions,
    read_replaced_predictions,
)
from helioloop.words import count
from helioloop_worker.context import Context

log = logging.getLogger(__name__)


def note_replaced(context: Context, project: int, version: str, tasks: Collection[int]) -> None:
    """Note that predictions which another network had made were replaced; say so where that was done before."""
    if not tasks:
        return
    noted = add_replaced_predictions(context.settings.model_dir(project), version, tasks, now=time.time())
    if noted.is_contested:
        log.warning(
            "project %d: predictions of %s were replaced %d times within a day, so another deployment writes into this "
            "project, too; find its worker and stop it, then run `helioloop init --project %d` here; until %s they are "
            "left as they are",
            project, version, len(noted.times), project, _at(noted),
        )  # fmt: skip


def is_left(context: Context, project: int, version: str, tasks: Collection[int]) -> bool:
    """Return whether predictions that another network made are left for now, because they are contested."""
    model_dir, now = context.settings.model_dir(project), time.time()
    noted = read_replaced_predictions(model_dir, version, now=now)
    if noted is None or now >= noted.next_at or not noted.tasks & set(tasks):
        return False
    log.warning(
        "project %d: %s of %s by another deployment, which are replaced from %s on",
        project, count(len(tasks), "prediction"), version, _at(noted),
    )  # fmt: skip
    return True


def _at(noted: ReplacedPredictions) -> str:
    return datetime.fromtimestamp(noted.next_at, UTC).isoformat(timespec="seconds")
