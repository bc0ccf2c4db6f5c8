"""The sweep: what a lost webhook, an emptied Redis or a killed worker left undone, and what has had its time.

Above everything but `jobs`. It compares Label Studio and the files with what should be, and sends the jobs that mend
it; it does no long work itself.
"""

import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from helioloop.messaging import messages, queues, retrain_state
from helioloop.registry.label_snapshot import Snapshot
from helioloop.registry.unscorable import read_unscorable
from helioloop_worker.context import Context
from helioloop_worker.labelstudio.project import annotation_stamps, cube_tasks
from helioloop_worker.loop import ingest, retrain_check, rounds, writeback

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """What a sweep found and did, one sentence each; empty where all was well."""

    done: tuple[str, ...]


def reconcile(context: Context, project: int) -> Reconciled:
    """Mend one project.

    Raises
    ------
    LabelStudioError
        Where Label Studio refuses or does not answer; the next sweep tries again.
    """
    found = [
        rounds.resume(context, project),
        _unpublished(context, project),
        _changed_labels(context, project),
        _unwritten(context, project),
        *_superseded(context, project),
    ]
    done = tuple(sentence for sentence in found if sentence)
    for sentence in done:
        log.info("project %d: sweep: %s", project, sentence)
    return Reconciled(done=done)


def _unpublished(context: Context, project: int) -> str | None:
    """Publish a version that the gate let pass and nobody published: its closing broke off, and Redis was emptied."""
    registry = context.registry(project)
    newest = registry.unpublished()
    if newest is None or newest.rejected is not None or context.state.running(project) is not None:
        return None
    registry.publish(newest.version, why=newest.reason)
    queues.send(context.connection, messages.WriteBack(project=project, version=newest.version))
    return f"{newest.version} was made and never published: publishing and writing back"


def _changed_labels(context: Context, project: int) -> str | None:
    """Have a project judged whose events wait, or whose annotations no whole judgement has covered.

    That is what a lost webhook, a judgement that broke off, and a first ingestion have in common.
    """
    if ingest.ingesting(context, project) or context.state.running(project) is not None:
        return None  # a judgement follows; were it lost, the first sweep after it would find the same
    waiting = context.state.dirty(project)
    if waiting is not None:
        wait = retrain_state.due_at(waiting, context.settings) - time.time()
        sent = queues.send(context.connection, messages.RetrainCheck(project=project), delay_seconds=max(0.0, wait))
        return f"{waiting.count} events wait and nobody was going to judge them: judging" if sent else None
    now = annotation_stamps(context.label_studio.annotated_tasks(project))
    if retrain_check.read_checked(context.settings.model_dir(project)) == now:
        return None
    queues.send(context.connection, messages.RetrainCheck(project=project))
    return "annotations differ from those last judged: judging"


def _unwritten(context: Context, project: int) -> str | None:
    """Notice a published version that Label Studio does not show, wholly or at all, as far as write-back can help."""
    version = context.registry(project).published()
    if version is None:
        return None
    unscorable = read_unscorable(context.settings.model_dir(project), version)
    cubes = cube_tasks(context.label_studio.tasks(project))
    tasks = {number for task in cubes.values() if task.cube.sha256 not in unscorable for number in task.ids}
    rows = [row for row in context.label_studio.predictions(project) if row.model_version == version]
    lacking = len(tasks - {row.task for row in rows})
    snapshot = Snapshot.read(context.settings.model_dir(project))  # as last judged: a change that waits is judged first
    labels = {} if snapshot is None else snapshot.cubes
    if stale := writeback.stale(rows, cubes, context.registry(project).scores(version), labels):
        queues.send(context.connection, messages.WriteBack(project=project, version=version))
        return f"the scores of {len(stale)} tasks are not the agreement with their labels: writing back"
    if not lacking and (not tasks or context.label_studio.project(project).model_version == version):
        return None
    queues.send(context.connection, messages.WriteBack(project=project, version=version))
    return f"{lacking} tasks lack the prediction of {version}: writing back"


def _superseded(context: Context, project: int) -> list[str]:
    """Delete predictions of our superseded versions once no submit opened before the switch can still refer to them."""
    found = [version for version in context.label_studio.model_versions(project) if _is_over(context, project, version)]
    done = []
    for version in found:
        with writeback.writing(context, project):
            # read again: a rollback may have made it the active one while the place was waited for
            if _is_over(context, project, version) and context.label_studio.project(project).model_version != version:
                context.label_studio.delete_version(project, version)
                done.append(f"the predictions of {version} have had their grace time: deleted")
    return done


def _is_over(context: Context, project: int, version: str) -> bool:
    """Tell whether a version is ours, not the published one, and superseded for longer than the grace time."""
    registry = context.registry(project)
    if version not in registry.versions() or version == registry.published():
        return False
    since = writeback.superseded_since(context.settings.model_dir(project), version)
    return since is not None and (datetime.now(UTC) - since).total_seconds() >= context.settings.grace_seconds
