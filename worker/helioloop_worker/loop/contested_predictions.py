"""What two deployments write into one project, each in place of the other's: it is left, for longer and longer.

These are predictions with the name of one version, or the version that the project shows. The other deployment may be
the worker of the machine from which the project was moved, or one with a copy of the model folder.
"""

import logging
import time
from collections.abc import Collection
from datetime import UTC, datetime

from helioloop.registry.replaced_predictions import (
    Replacements,
    add_replaced_predictions,
    read_replaced_predictions,
)
from helioloop.registry.shown_versions import read_replaced_versions
from helioloop.registry.version_names import is_version_name
from helioloop.words import count
from helioloop_worker.context import Context
from helioloop_worker.labelstudio.port import ProjectInfo

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


def say_contested_version(context: Context, project: int, version: str) -> None:
    """Say where Label Studio showed another version than this deployment's again and again."""
    noted = read_replaced_versions(context.settings.model_dir(project), version, now=time.time())
    if noted is not None and noted.is_contested:
        log.warning(
            "project %d: Label Studio showed another version than %s, now %s, %d times within a day, so another "
            "deployment writes into this project, too, or somebody chooses the version in its settings; find its "
            "worker and stop it, then run `helioloop init --project %d` here; until %s what is shown is left",
            project, version, noted.other, len(noted.times), project, _at(noted),
        )  # fmt: skip


def is_shown_or_left(context: Context, info: ProjectInfo, version: str) -> bool:
    """Return whether Label Studio shows a version, or another one that is left for now, because it is contested."""
    if info.model_version == version:
        return True
    if info.model_version is None or not is_version_name(info.model_version):
        return False
    now = time.time()
    noted = read_replaced_versions(context.settings.model_dir(info.id), version, now=now)
    if noted is None or now >= noted.next_at:
        return False
    log.warning(
        "project %d: Label Studio shows %s, by another deployment; %s is shown again from %s on",
        info.id, info.model_version, version, _at(noted),
    )  # fmt: skip
    return True


def _at(noted: Replacements) -> str:
    return datetime.fromtimestamp(noted.next_at, UTC).isoformat(timespec="seconds")
