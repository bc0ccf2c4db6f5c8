"""Reconciliation: compares Label Studio and the model folder with what should be, and sends the jobs that are missing.

It repairs the effects of a lost webhook, an emptied Redis or a killed worker, and deletes predictions whose grace time
is over. It does no long work itself.
"""

import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from helioloop.labelstudio.tasks import annotation_stamps, cube_tasks
from helioloop.messaging import messages, queues, retrain_state
from helioloop.registry.acceptances import accepted_labels, read_acceptances
from helioloop.registry.label_snapshot import Snapshot
from helioloop.registry.random_checks import blind_cubes
from helioloop.registry.unscorable import read_unscorable
from helioloop_worker.context import Context
from helioloop_worker.labelstudio.project import check_owner
from helioloop_worker.loop import ingest, rounds, writeback
from helioloop_worker.loop.acceptance import send_acceptance
from helioloop_worker.loop.checked import read_checked
from helioloop_worker.loop.random_checks import shown_rows
from helioloop_worker.loop.round_requests import requests, resend_planning
from helioloop_worker.loop.shown_versions import superseded_since

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """What a reconciliation found and did, one sentence each; empty where nothing was missing."""

    done: tuple[str, ...]


def reconcile(context: Context, project: int) -> Reconciled:
    """Reconcile one project.

    Raises
    ------
    LabelStudioError
        Where Label Studio refuses a call or does not answer; the next reconciliation tries again.
    RegistryError
        Where the model folder belongs to another project; nothing is done then.
    """
    check_owner(context.label_studio.project(project), settings=context.settings)
    found = [
        rounds.resume(context, project),
        _planning(context, project),
        _publication(context, project),
        _annotations(context, project),
        _write_back(context, project),
        _acceptance(context, project),
        *_superseded(context, project),
    ]
    done = tuple(sentence for sentence in found if sentence)
    for sentence in done:
        log.info("project %d: reconciliation: %s", project, sentence)
    return Reconciled(done=done)


def _planning(context: Context, project: int) -> str | None:
    """Send the planning job of a requested round again where it was lost."""
    if ingest.ingesting(context, project):
        return None  # planning follows the ingestion
    return resend_planning(context, project)


def _publication(context: Context, project: int) -> str | None:
    """Publish a version that passed the promotion check and is not published: its last step broke off."""
    registry = context.registry(project)
    newest = registry.unpublished()
    if newest is None or newest.rejected is not None or context.state.running(project) is not None:
        return None
    registry.publish(newest.version, why=newest.reason)
    queues.send(context.connection, messages.WriteBack(project=project, version=newest.version))
    return f"{newest.version} passed the promotion check and was not published: publishing and writing back"


def _annotations(context: Context, project: int) -> str | None:
    """Send a retrain check where events wait, or annotations differ from those of the last complete check.

    That happens after a lost webhook, a check that broke off, and a first ingestion.
    """
    if ingest.ingesting(context, project) or context.state.running(project) is not None or requests(context, project):
        return None  # a check follows; if it is lost, the next reconciliation finds the same
    waiting = context.state.pending_events(project)
    if waiting is not None:
        wait = retrain_state.due_at(waiting, context.settings) - time.time()
        sent = queues.send(context.connection, messages.RetrainCheck(project=project), delay_seconds=max(0.0, wait))
        return f"{waiting.count} events wait and no check was queued: checking" if sent else None
    now = annotation_stamps(context.label_studio.annotated_tasks(project))
    if read_checked(context.settings.model_dir(project)) == now:
        return None
    queues.send(context.connection, messages.RetrainCheck(project=project))
    return "annotations differ from those of the last check: checking"


def _write_back(context: Context, project: int) -> str | None:
    """Send a write-back where Label Studio does not show the published version completely."""
    version = context.registry(project).published()
    if version is None:
        return None
    unscorable = read_unscorable(context.settings.model_dir(project), version)
    cubes = cube_tasks(context.label_studio.tasks(project))
    snapshot = Snapshot.read(context.settings.model_dir(project))  # as last checked: a waiting change is checked first
    blind = blind_cubes(context.settings.model_dir(project), {} if snapshot is None else snapshot.cubes)
    tasks = {
        number
        for task in cubes.values()
        if task.cube.sha256 not in unscorable and task.cube.name not in blind
        for number in task.ids
    }
    all_rows = context.label_studio.predictions(project)
    if shown := shown_rows(all_rows, cubes, blind, context.registry(project).versions()):
        queues.send(context.connection, messages.WriteBack(project=project, version=version))
        return f"{len(shown)} predictions of random checks that nobody has answered are there: deleting them"
    rows = [row for row in all_rows if row.model_version == version]
    lacking = len(tasks - {row.task for row in rows})
    accepted = accepted_labels(context.settings.model_dir(project), version)
    labels = {} if snapshot is None else writeback.with_accepted(snapshot.cubes, accepted)
    if outdated := writeback.outdated(rows, cubes, context.registry(project).scores(version), labels):
        queues.send(context.connection, messages.WriteBack(project=project, version=version))
        return f"the scores of {len(outdated)} tasks are not the agreement with their labels: writing back"
    if not lacking and (not tasks or context.label_studio.project(project).model_version == version):
        return None
    queues.send(context.connection, messages.WriteBack(project=project, version=version))
    return f"{lacking} tasks lack the prediction of {version}: writing back"


def _acceptance(context: Context, project: int) -> str | None:
    """Send the acceptance of releases again whose job was lost, or that another version had accepted."""
    version = context.registry(project).published()
    if version is None:
        return None
    lacking = [
        found
        for found in read_acceptances(context.settings.model_dir(project)).values()
        if found.version != version and send_acceptance(context.connection, project, found)
    ]
    return f"labels of {lacking[0].release} are to be accepted by {version}: accepting" if lacking else None


def _superseded(context: Context, project: int) -> list[str]:
    """Delete the predictions of superseded versions after the grace time: submits that were open refer to them."""
    found = [
        version
        for version in context.label_studio.model_versions(project)
        if _may_be_deleted(context, project, version)
    ]
    done = []
    for version in found:
        with writeback.writing(context, project):
            # Checked again: while this process waited for the lock, a rollback may have published the version.
            shown = context.label_studio.project(project).model_version
            if _may_be_deleted(context, project, version) and shown != version:
                context.label_studio.delete_version(project, version)
                done.append(f"the grace time of the predictions of {version} is over: deleted")
    return done


def _may_be_deleted(context: Context, project: int, version: str) -> bool:
    """Tell whether a version is helioloop's, is not published, and has been superseded for the grace time.

    So is a version that the model folder has lost, because it was restored from an older backup than Label Studio.
    """
    registry = context.registry(project)
    is_ours = version in registry.versions() or registry.was_lost(version)
    if not is_ours or version == registry.published():
        return False
    since = superseded_since(context.settings.model_dir(project), version)
    return since is not None and (datetime.now(UTC) - since).total_seconds() >= context.settings.grace_seconds
