"""The sweep: what a lost webhook, an emptied Redis or a killed worker left undone, and what has had its time.

Above everything but `jobs`. It compares Label Studio and the files with what should be, and sends the jobs that mend
it; it does no long work itself.
"""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime

from helioloop import messages, queues
from helioloop.snapshot import Snapshot
from helioloop_worker import rounds, writeback
from helioloop_worker.context import Context
from helioloop_worker.view import annotation_stamps

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What a sweep found and did, one sentence each; empty where all was well."""

    done: tuple[str, ...]


def sweep(context: Context, project: int) -> Swept:
    """Mend one project.

    Raises
    ------
    LabelStudioError
        Where Label Studio refuses or does not answer; the next sweep tries again.
    """
    found = [
        _taken_up(context, project),
        _changed_labels(context, project),
        _unwritten(context, project),
        *_superseded(context, project),
    ]
    done = tuple(sentence for sentence in found if sentence)
    for sentence in done:
        log.info("project %d: sweep: %s", project, sentence)
    return Swept(done=done)


def _taken_up(context: Context, project: int) -> str | None:
    return rounds.take_up(context, project)


def _changed_labels(context: Context, project: int) -> str | None:
    """Notice annotations that no webhook told of: created, changed or deleted since the last reading."""
    snapshot = Snapshot.read(context.settings.model_dir(project))
    now = annotation_stamps(context.gateway.annotated_tasks(project))
    known = {} if snapshot is None else dict(snapshot.annotations)
    if known == now:
        return None
    if context.state.dirty(project) is not None:
        return None  # a webhook told, and its judgement is on its way
    queues.send(context.connection, messages.Judge(project=project))
    return "annotations differ from those last read: judging"


def _unwritten(context: Context, project: int) -> str | None:
    """Notice a published version that Label Studio does not show, wholly or at all."""
    version = context.registry(project).published()
    if version is None:
        return None
    info = context.gateway.project(project)
    tasks = {entry["id"] for entry in context.gateway.tasks(project) if "sha256" in (entry.get("data") or {})}
    have = {row.task for row in context.gateway.predictions(project) if row.model_version == version}
    lacking = len(tasks - have)
    if info.model_version == version and not lacking:
        return None
    queues.send(context.connection, messages.WriteBack(project=project, version=version))
    return f"{lacking} tasks lack the prediction of {version}: writing back"


def _superseded(context: Context, project: int) -> list[str]:
    """Delete predictions of our superseded versions once no submit opened before the switch can still refer to them."""
    registry = context.registry(project)
    published = registry.published()
    ours = set(registry.versions())
    model_dir = context.settings.model_dir(project)
    done = []
    for version, count in context.gateway.model_versions(project).items():
        if version not in ours or version == published:
            continue
        since = writeback.superseded_since(model_dir, version)
        if since is None or (datetime.now(UTC) - since).total_seconds() < context.settings.grace_seconds:
            continue
        if context.gateway.project(project).model_version == version:
            continue  # Label Studio still shows it; the write-back comes first
        with writeback.writing(context, project):
            context.gateway.delete_version(project, version)
        done.append(
            f"{count} predictions of {version}, superseded since {since.isoformat(timespec='seconds')}, deleted"
        )
    return done
