"""Acceptance: labels of a new release that need no human, under a risk guarantee from the project's audit sample.

Accepted tasks are marked in the data of the task, where Label Studio can filter
them. No annotation is written. In the queue accepted tasks come last: the score of their prediction is the agreement
with the accepted label (see `writeback`).
"""

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import redis
from redis.lock import Lock

from helioloop.errors import CubeError
from helioloop.evaluation.audit_sample import AuditSample
from helioloop.evaluation.project_sample import read_earlier_sample
from helioloop.evaluation.random_checks import choose_release_checks
from helioloop.evaluation.risk_control import RiskGuarantee, make_guarantee, smallest_guarantee, split
from helioloop.labelstudio.tasks import cube_of, cube_tasks
from helioloop.messaging import messages, queues
from helioloop.model.plan import Plan
from helioloop.progress import Report, silent
from helioloop.records.cubes import CubeInfo
from helioloop.records.labels import Label
from helioloop.records.scores import CubeScore
from helioloop.registry.acceptances import Acceptance, read_acceptances, write_acceptance
from helioloop.registry.label_snapshot import Snapshot
from helioloop.registry.random_checks import RandomChecks, blind_cubes
from helioloop.workflows.drift import release_drift
from helioloop.workflows.learning_code import other_code
from helioloop.workflows.prelabel import score_by_fold
from helioloop.workflows.prelabel_report import guarantee_in_words, no_guarantee_in_words, percent
from helioloop_worker.context import Context
from helioloop_worker.labelstudio.project import ProjectState, read_project
from helioloop_worker.loop.random_checks import MARK, all_marks, update_random_checks, write_marks
from helioloop_worker.loop.round_steps import log_excluded
from helioloop_worker.loop.writing import writing
from helioloop_worker.loop.written_back import require_whole_write_back

log = logging.getLogger(__name__)


WITHDRAWN = "The risk guarantee is therefore withdrawn: nothing is accepted, and its tasks stay in the queue."


def accept(context: Context, project: int, wanted: Acceptance, *, report: Report) -> Acceptance:
    """Accept the labels of a release for which the audit sample supports the guarantee, and mark its tasks.

    Parameters
    ----------
    context : Context
        Settings, Redis and Label Studio.
    project : int
        Label Studio project.
    wanted : Acceptance
        Release, rate and confidence.
    report : Report
        Called with the number of cubes scored.

    Returns
    -------
    Acceptance
        The outcome; without a version where none is published or another one was published meanwhile.

    Raises
    ------
    LabelStudioError, ServiceError
        Where Label Studio refuses a call, or another process writes for too long; repeat the call.
    """
    model_dir = context.settings.model_dir(project)
    found = read_acceptances(model_dir).get(wanted.release)
    if found is None or (found.rate, found.confidence) != (wanted.rate, wanted.confidence):
        write_acceptance(model_dir, wanted)
    registry = context.registry(project)
    version = registry.published()
    if version is None:
        return wanted
    state = read_project(context.label_studio, project, settings=context.settings)
    outcome = _outcome(context, project, wanted, state, version=version, report=report)
    with writing(context, project) as lock:
        if registry.published() != version:
            return wanted  # the write-back of the other version has the release accepted anew
        update_random_checks(
            context,
            project,
            version=version,
            cubes=[task.cube for task in state.tasks.values()],
            labels=state.snapshot.cubes,
            predicted=frozenset(state.tasks),
            more=outcome.random_checks,
        )
        _mark(context, project, outcome, lock)
        require_whole_write_back(model_dir)  # which agrees with the accepted labels
        write_acceptance(model_dir, outcome)  # last: an acceptance that broke off is not that of the version
    log.info(
        "project %d: release %s: %d labels accepted by %s", project, wanted.release, len(outcome.accepted), version
    )
    return outcome


def withdraw(context: Context, project: int, version: str) -> list[Acceptance]:
    """Withdraw the labels that other versions than `version` had accepted, and return what is to be accepted anew."""
    model_dir = context.settings.model_dir(project)
    stale = [found for found in read_acceptances(model_dir).values() if found.version not in {None, version}]
    if stale:
        with writing(context, project) as lock:
            for found in stale:
                withdrawn = replace(found, version=None, accepted={}, sentences=())
                _mark(context, project, withdrawn, lock)
                require_whole_write_back(model_dir)
                write_acceptance(model_dir, withdrawn)
    return [found for found in read_acceptances(model_dir).values() if found.version != version]


def send_acceptance(connection: redis.Redis, project: int, wanted: Acceptance) -> bool:
    """Send the job that accepts a release's labels; return False if it waits or runs already."""
    message = messages.Accept(project=project, release=wanted.release, rate=wanted.rate, confidence=wanted.confidence)
    return queues.send(connection, message)


def _outcome(
    context: Context, project: int, wanted: Acceptance, state: ProjectState, *, version: str, report: Report
) -> Acceptance:
    """Return what a version accepts of a release; nothing where other code made the version."""
    registry = context.registry(project)
    labels = state.snapshot.cubes
    cubes = [task.cube for task in state.tasks.values() if task.cube.release == wanted.release]
    other = other_code(registry, version)
    if other is not None:
        refusal = (f'{other}: press "Start training" in Label Studio, and the release is accepted anew.', WITHDRAWN)
        return replace(wanted, version=version, accepted={}, random_checks=(), n_cubes=len(cubes), sentences=refusal)
    plan, stored = Plan.read(registry.folder(version)), registry.scores(version)
    unverified = [cube for cube in cubes if cube.key in stored and not state.label(cube.name).verified]
    sample = read_earlier_sample(plan, stored, labels, release=wanted.release)
    guarantee = make_guarantee(sample.p_emergence, sample.emergence, rate=wanted.rate, confidence=wanted.confidence)
    checks = choose_release_checks(cubes)
    known = blind_cubes(context.settings.model_dir(project), labels)
    accepted: dict[str, Label] = {}
    drift = release_drift(
        cubes,
        registry,
        context.runtime(project, report, on_excluded=log_excluded),
        version=version,
        sampled=None if guarantee is None else {cube.cube for _, cube in sample.cubes},
    )
    if drift.found or (guarantee is not None and not drift.alike):
        words = (*drift.sentences(), WITHDRAWN)
    elif guarantee is None:
        smallest = smallest_guarantee(sample.p_emergence, sample.emergence, confidence=wanted.confidence)
        words = no_guarantee_in_words(
            rate=wanted.rate, confidence=wanted.confidence, n_sampled=len(sample.cubes), smallest=smallest
        )
        words += drift.sentences()
    else:
        scores = _scores(context, project, version, unverified, sample=sample, report=report)
        accepted = _accepted(scores, guarantee, without={*checks, *known})
        words = guarantee_in_words(guarantee, accepted=len(accepted))
    return replace(
        wanted,
        version=version,
        accepted=accepted,
        random_checks=tuple(checks) if accepted else (),
        n_cubes=len(cubes),
        sentences=words,
    )


def _scores(
    context: Context,
    project: int,
    version: str,
    cubes: Sequence[CubeInfo],
    *,
    sample: AuditSample,
    report: Report,
) -> list[CubeScore]:
    """Return the scores by the members of one fold; a cube that cannot be read any more is logged and left out."""
    registry = context.registry(project)
    ensemble, stored = context.ensembles.open(registry.folder(version)), registry.scores(version)
    runtime, scores = context.runtime(project, silent), []
    for done, cube in enumerate(cubes, start=1):
        try:
            scores += score_by_fold(ensemble, sample, [cube], stored, runtime, located=False)
        except CubeError as error:
            log_excluded(cube.name, error)
        report(done, len(cubes), "accepting labels")
    return scores


def _accepted(scores: list[CubeScore], guarantee: RiskGuarantee, *, without: set[str]) -> dict[str, Label]:
    """Return the accepted label of each cube; cubes that are checked at random go to the human in any case."""
    indices, _ = split(np.array([score.p_emergence for score in scores], dtype=np.float64), guarantee)
    return {scores[k].cube: scores[k].predicted for k in indices.tolist() if scores[k].cube not in without}


def _mark(context: Context, project: int, acceptance: Acceptance, lock: Lock) -> None:
    """Set the mark of the release's tasks that have another one, with one call per mark."""
    risk = f"at {percent(acceptance.rate)} risk, {acceptance.version}"
    marks = {cube: f"accepted {label} {risk}" for cube, label in acceptance.accepted.items()}
    exported = context.label_studio.tasks(project)
    checks = RandomChecks.read(context.settings.model_dir(project))
    snapshot = Snapshot.read(context.settings.model_dir(project))
    labels = {} if snapshot is None else snapshot.cubes
    marks |= all_marks(checks, [task.cube for task in cube_tasks(exported).values()], labels)
    tasks: dict[str, list[int]] = {}
    for entry in exported:
        cube = cube_of(entry.get("data"))
        if cube is None or cube.release != acceptance.release:
            continue
        mark = marks.get(cube.name, "")
        if entry["data"].get(MARK) != mark:
            tasks.setdefault(mark, []).append(entry["id"])
    write_marks(context, project, tasks, lock)
