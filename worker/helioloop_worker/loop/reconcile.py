"""Reconciliation: compares Label Studio and the model folder with what should be, and sends the jobs that are missing.

It repairs the effects of a lost webhook, an emptied Redis or a killed worker, and deletes predictions whose grace time
is over. It does no long work itself.

Annotations are compared at each reconciliation, by reading what has changed. All tasks and predictions are read, too,
unless that takes many seconds: then it is done less often (`KeptProjects.may_read_completely`).
"""

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

import redis
from redis.exceptions import LockError

from helioloop.errors import (
    ConfigurationError,
    HelioloopError,
    LabelStudioError,
    MissingInLabelStudio,
    RegistryError,
    ServiceError,
)
from helioloop.messaging import messages, queues, retrain_state
from helioloop.messaging.expiries import bring_back
from helioloop.messaging.job_failure import JobFailure
from helioloop.messaging.job_failures import JobFailures
from helioloop.messaging.work_figures import REPAIRS, add_to_figure
from helioloop.registry.acceptances import read_acceptances
from helioloop.registry.project_controls import read_project_controls
from helioloop.words import count
from helioloop_worker.context import Context
from helioloop_worker.labelstudio.port import ProjectInfo
from helioloop_worker.labelstudio.project import check_owner
from helioloop_worker.loop import rounds
from helioloop_worker.loop.acceptance import send_acceptance
from helioloop_worker.loop.changed_controls import CONFIGURATION, NEED_CONTROLS, configuration
from helioloop_worker.loop.checked import is_covered
from helioloop_worker.loop.damage import put_damaged_aside, restore_pointer
from helioloop_worker.loop.failing import fail_step, repeat_failed, step_key
from helioloop_worker.loop.late_snapshots import replace_late_snapshot
from helioloop_worker.loop.lost_media import media
from helioloop_worker.loop.parked_jobs import keep_parked
from helioloop_worker.loop.round_requests import requests, resend_planning
from helioloop_worker.loop.running_ingestions import ingesting
from helioloop_worker.loop.seen_project import SeenProject
from helioloop_worker.loop.shown_predictions import predictions
from helioloop_worker.loop.superseded import superseded

log = logging.getLogger(__name__)

LOCK_SECONDS: Final = 60.0
"""After this long, another process may reconcile a project whose reconciling worker was killed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """What a reconciliation found and did, one sentence each; empty where nothing was missing."""

    done: tuple[str, ...]


def reconcile(context: Context, project: int) -> Reconciled:
    """Reconcile one project; nothing is done where another process does so now.

    An error of one step does not stop the others. A step that failed is left out until its pause is over. Once Label
    Studio does not answer, the steps that need it are left out: each would wait as long, and the job has little time.

    Raises
    ------
    HelioloopError
        The first error of a step, after all steps. Label Studio refused a call or did not answer, for instance.
    MissingInLabelStudio
        Where Label Studio has no such project; nothing is done then.
    RegistryError
        Where the model folder belongs to another project; nothing is done then.
    """
    info, unreachable = _check_project(context, project)
    lock_key = f"helioloop:reconciling:{project}"
    bring_back(context.connection, {lock_key: LOCK_SECONDS})
    lock = context.connection.lock(lock_key, timeout=LOCK_SECONDS)
    if not lock.acquire(blocking=False):
        log.info("project %d: another process reconciles it", project)
        return Reconciled(done=())
    done: list[str] = []
    errors: list[HelioloopError] = [] if unreachable is None else [unreachable]
    failures = JobFailures(context.connection)
    failing = {known.key: known for known in failures.failing(project)}
    try:
        for step in _steps(context, project, info):
            name = _name(step)
            known = failing.get(step_key(project, name))
            if _is_left_out(name, known, errors):
                continue
            with suppress(LockError):  # a step before took longer; the others can be repeated all the same
                lock.reacquire()
            found, error = _take(context, project, step)
            if error is not None:
                errors.append(error)
                continue
            if known is not None:
                failures.forget(project, known.key)
            # 0 is written, too: Prometheus sees no increase where a counter appears with its first value.
            add_to_figure(context.connection, REPAIRS, str(project), name, value=len(found), times=len(found))
            for sentence in found:
                log.info("project %d: reconciliation: %s", project, sentence)
                done.append(sentence)
    finally:
        with suppress(LockError):
            lock.release()
    if errors:
        errors[0].is_counted = errors[0] is not unreachable  # by its step
        raise errors[0]
    return Reconciled(done=tuple(done))


def _is_left_out(name: str, known: JobFailure | None, errors: Sequence[HelioloopError]) -> bool:
    """Return whether a step is not taken: in a pause, or because another one failed for a reason that it shares."""
    if any(isinstance(error, LabelStudioError) and error.may_pass for error in errors) and name in _NEEDS_LABEL_STUDIO:
        return True
    if any(isinstance(error, ConfigurationError) for error in errors) and name in NEED_CONTROLS:
        return True
    return known is not None and known.is_held(time.time()) and name != CONFIGURATION


def _take(context: Context, project: int, step: "_Step") -> tuple[list[str], HelioloopError | None]:
    """Take a step of reconciliation; return what was done, one sentence each, and the error, which is counted.

    An error of the connection to Redis is raised: no other step could do anything.
    """
    try:
        found = step()
    except HelioloopError as error:
        fail_step(context, project, _name(step), error)
        return [], error
    except (redis.ConnectionError, redis.TimeoutError):
        raise
    except (OSError, ValueError, TypeError, LookupError, AttributeError, redis.RedisError) as error:
        log.exception("project %d: a step of reconciliation failed", project)  # a file that cannot be read, for example
        with suppress(redis.ResponseError):  # Redis may be what refuses
            fail_step(context, project, _name(step), error)
        return [], ServiceError(f"a step of reconciliation failed ({type(error).__name__}); see the log")
    return [found] if isinstance(found, str) else found or [], None


def _check_project(context: Context, project: int) -> tuple[ProjectInfo | None, LabelStudioError | None]:
    """Return the project in Label Studio, or the error of an outage; raise where the model folder is not its own."""
    try:
        info = context.label_studio.project(project)
        check_owner(info, settings=context.settings)
    except MissingInLabelStudio as error:
        raise MissingInLabelStudio(
            f"{error}; Label Studio answers the same to an account that was removed from the organization, so look "
            f"first whether others see the project; only if project {project} was deleted, move its model folder, "
            f"{context.settings.model_dir(project)}, away"
        ) from None
    except LabelStudioError as error:
        return None, error if error.may_pass else None  # the steps that need Label Studio fail with it
    return info, None


_Step = Callable[[], str | list[str] | None]
_NEEDS_LABEL_STUDIO: Final = frozenset({"labels", "annotations", "predictions", "media", "superseded"})
"""The steps that read or change Label Studio, by name."""


def _name(step: _Step) -> str:
    """Return the name of a step, under which its failures are counted."""
    function = step.func if isinstance(step, partial) else step
    return str(function.__name__).strip("_").replace("_", "-")


def _steps(context: Context, project: int, info: ProjectInfo | None) -> list[_Step]:
    """Return the steps in their order; `info` is the project in Label Studio, None where that is not known.

    The step `configuration` is left out where it cannot find anything out, so that its earlier failure stays counted.
    """
    found = SeenProject(context, project)
    first: list[_Step] = []
    if info is not None and _has_sound_controls(context, project):
        first = [partial(configuration, context, project, info)]
    return [
        *first,
        partial(keep_parked, context.connection, context.settings.model_dir(project), project),
        partial(put_damaged_aside, context, project),
        partial(restore_pointer, context, project),
        partial(rounds.resume, context, project),
        partial(rounds.send_follow_up, context, project),
        partial(_planning, context, project),
        partial(_publication, context, project),
        partial(repeat_failed, context, project),  # before those that wait for Label Studio
        partial(_labels, context, project, found),
        partial(_annotations, context, project, found),
        partial(predictions, context, project, found),
        partial(media, context, project, found),
        partial(_acceptance, context, project),
        partial(superseded, context, project),
    ]


def _has_sound_controls(context: Context, project: int) -> bool:
    """Return whether the kept controls can be read; where they are damaged, the step `annotations` gives the remedy."""
    try:
        read_project_controls(context.settings.model_dir(project))
    except RegistryError:
        return False
    return True


def _planning(context: Context, project: int) -> str | None:
    """Send the planning job of a requested round again where it was lost."""
    if ingesting(context, project):
        return None  # planning follows the ingestion
    return resend_planning(context, project)


def _publication(context: Context, project: int) -> str | None:
    """Publish a version that passed the promotion check and is not published: its last step broke off."""
    registry = context.registry(project)
    newest = registry.unpublished()
    if newest is None or newest.rejected is not None or context.state.running(project) is not None:
        return None
    if registry.publish_candidate(newest, why=newest.reason) is not None:
        return None  # somebody published another version just now
    queues.send(context.connection, messages.WriteBack(project=project, version=newest.version))
    return f"{newest.version} passed the promotion check and was not published: publishing and writing back"


def _labels(context: Context, project: int, found: SeenProject) -> str | None:
    """Write the label snapshot where it is not that of Label Studio, unless a check follows, which writes it."""
    model_dir, now, before = context.settings.model_dir(project), found.state.snapshot, found.snapshot_before
    has_version = context.registry(project).latest() is not None
    if before is None or not is_covered(model_dir, now, has_version=has_version):
        return None
    if not replace_late_snapshot(model_dir, now, before=before) or now.annotations == before.annotations:
        return None  # tasks were imported, for instance
    return "the label snapshot was not that of Label Studio: written again"


def _annotations(context: Context, project: int, found: SeenProject) -> str | None:
    """Send a retrain check where events wait, or annotations differ from those of the last complete check.

    That happens after a lost webhook, a check that broke off, and a first ingestion.
    """
    state = found.state
    if queues.is_parked(context.connection, messages.RetrainCheck(project=project)):
        return None
    if ingesting(context, project) or context.state.running(project) is not None or requests(context, project):
        return None  # a check follows; if it is lost, the next reconciliation finds the same
    waiting = context.state.pending_events(project)
    if waiting is not None:
        now = time.time()
        wait = retrain_state.due_at(waiting, context.settings, now=now) - now
        sent = queues.send(context.connection, messages.RetrainCheck(project=project), delay_seconds=max(0.0, wait))
        return f"{count(waiting.count, 'event')} waiting, and no check was queued: checking" if sent else None
    has_version = context.registry(project).latest() is not None
    if is_covered(context.settings.model_dir(project), state.snapshot, has_version=has_version):
        return None
    sent = queues.send(context.connection, messages.RetrainCheck(project=project))
    return "annotations differ from those of the last check: checking" if sent else None


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
