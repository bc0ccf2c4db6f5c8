"""The jobs that RQ runs, by name: each reads its payload, does one thing, and says how far it is.

Top of the worker. Payloads are those of `helioloop.messaging.messages`. Every job is safe to repeat.
"""

import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rq import get_current_job

from helioloop.emergence.locate import locate_emergences
from helioloop.errors import CubeError
from helioloop.messaging import messages, queues
from helioloop.messaging.claims import RedisClaims
from helioloop.model import ensemble
from helioloop.model.plan import Plan
from helioloop.progress import Report
from helioloop.records import CubeInfo, CubeScore, Key, Label
from helioloop.registry.label_snapshot import Snapshot
from helioloop.registry.score_store import read_scores, write_scores
from helioloop.registry.staging import Staging
from helioloop.registry.unscorable import add_unscorable, clear_unscorable
from helioloop.workflows import rounds as rounding
from helioloop_worker.context import Context
from helioloop_worker.loop import ingest as ingestion
from helioloop_worker.loop import reconcile as reconciliation
from helioloop_worker.loop import retrain_check, rounds, writeback

log = logging.getLogger(__name__)

UNLOCATED = "unlocated"
"""Folder in staging with scores that have no frame yet."""
LOCATED = "located"
"""Folder in staging with scores that are complete."""


def check_retraining(context: Context, project: int, forced: bool = False) -> str:
    """Read the annotations and start a round where the rules say so."""
    return _say(project, retrain_check.check_retraining(context, project, forced=forced))


def train_member(context: Context, project: int, fingerprint: str, member: str) -> str:
    """Train one member of a round."""
    staging, plan = _staged(context, project, fingerprint)
    runtime = context.runtime(_beating(context, project, fingerprint))
    return ensemble.train_member(plan, member, staging, runtime).name


def score_round(context: Context, project: int, fingerprint: str) -> int:
    """Score all cubes of a round out of fold; a cube that cannot be read any more is set aside."""
    staging, plan = _staged(context, project, fingerprint)
    done = _scores_of(plan, staging / UNLOCATED)
    scores = ensemble.score_cubes(
        context.ensembles.open(staging),
        [cube for cube in plan.cubes if cube.key not in done],
        context.runtime(_beating(context, project, fingerprint), on_excluded=_log_excluded),
    )
    _keep(staging / UNLOCATED, scores)
    return len(scores)


def locate(context: Context, project: int, fingerprint: str, share: int, shares: int) -> int:
    """Locate the emergence frames of every `shares`-th cube of a round."""
    staging, plan = _staged(context, project, fingerprint)
    unlocated, done = _scores_of(plan, staging / UNLOCATED), _scores_of(plan, staging / LOCATED)
    located = locate_emergences(
        context.ensembles.open(staging),
        plan.cubes,
        [score for key, score in sorted(unlocated.items())[share::shares] if key not in done],
        context.runtime(_beating(context, project, fingerprint), on_excluded=_log_excluded),
        labels={cube.name: cube.label for cube in plan.cubes},
    )
    _keep(staging / LOCATED, located)
    return len(located)


def _keep(folder: Path, scores: list[CubeScore]) -> None:
    """Keep scores in staging; no file where there are none, because a round with a new file counts as got further."""
    if scores:
        write_scores(folder, scores)


def close_round(context: Context, project: int, fingerprint: str) -> str:
    """Admit a round, publish and write it back if the gate lets it, and judge again where that was wished for.

    A version that the gate keeps is the newest all the same: the labels it was trained on start no round again.
    """
    registry, running = context.registry(project), context.state.running(project)
    if Staging(registry.root).has_plan(fingerprint):
        staging, plan = _staged(context, project, fingerprint)
        unlocated, located = _scores_of(plan, staging / UNLOCATED), _scores_of(plan, staging / LOCATED)
        if not unlocated or unlocated.keys() - located.keys():
            return _say(project, rounds.retry(context, project, plan))
        card = rounding.close_round(plan, staging, registry, list(located.values()))
    elif running is None or running.fingerprint != fingerprint:
        return _say(project, f"round {fingerprint[:16]} is over")
    elif (found := rounds.admitted(registry, running)) is not None:
        card = registry.card(found)  # a closing that broke off after it had admitted
    else:
        context.state.end(project, fingerprint)
        queues.send(context.connection, messages.RetrainCheck(project=project))
        return _say(project, f"round {fingerprint[:16]} left nothing on disk: judging anew")
    if card.rejected is None:
        registry.publish(card.version, why=card.reason)
        queues.send(context.connection, messages.WriteBack(project=project, version=card.version))
    if (trailing := context.state.end(project, fingerprint)) is not None:
        queues.send(context.connection, messages.RetrainCheck(project=project, forced=trailing.forced))
    return _say(project, f"{card.version} is {card.rejected or 'published'}")


def _scores_of(plan: Plan, folder: Path) -> dict[Key, CubeScore]:
    """Return the scores in a staging folder of the plan's own cubes: a resumed round may have lost some."""
    own = {cube.key for cube in plan.cubes}
    return {key: score for key, score in read_scores(folder).items() if key in own}


def score(context: Context, project: int, version: str, cubes: list[dict[str, Any]]) -> int | str:
    """Score and locate cubes that the published version has no score of, then have them written back.

    Returns
    -------
    int or str
        How many were scored; a sentence where nothing was, because the version is no longer the published one. The
        later one has its own cubes scored.
    """
    registry = context.registry(project)
    asked = [CubeInfo.from_dict(entry) for entry in cubes]
    try:
        if registry.published() != version:
            return _say(project, f"{version} is no longer published: {len(asked)} cubes are not scored with it")
        located = _score_and_locate(context, project, version, asked)
    finally:
        RedisClaims(context.connection).release(project, version, asked)  # may be asked for again
    registry.add_scores(version, located)
    scored = {score.sha256 for score in located} | {sha256 for _, sha256 in registry.scores(version)}
    add_unscorable(context.settings.model_dir(project), version, [cube for cube in asked if cube.sha256 not in scored])
    if located and version == registry.published():
        queues.send(context.connection, messages.WriteBack(project=project, version=version))
    return len(located)


def _score_and_locate(context: Context, project: int, version: str, asked: list[CubeInfo]) -> list[CubeScore]:
    """Score and locate those of the cubes that the version has no score of."""
    registry = context.registry(project)
    stored = registry.scores(version)
    cubes = [cube for cube in asked if cube.key not in stored]
    if not cubes:
        return []  # another job has scored them; no need to load the members
    members = context.ensembles.open(registry.folder(version))
    runtime = context.runtime(job_report(), on_excluded=_log_excluded)
    scores = ensemble.score_cubes(members, cubes, runtime)
    return locate_emergences(members, cubes, scores, runtime, labels=_labels(context, project))


def _staged(context: Context, project: int, fingerprint: str) -> tuple[Path, Plan]:
    folder = Staging(context.registry(project).root).folder(fingerprint)
    return folder, Plan.read(folder)


def _labels(context: Context, project: int) -> dict[str, Label | None]:
    """Return the labels last read from Label Studio."""
    snapshot = Snapshot.read(context.settings.model_dir(project))
    return {} if snapshot is None else {cube: label.label for cube, label in snapshot.cubes.items()}


def _log_excluded(cube: str, error: CubeError) -> None:
    log.warning("cube %s is excluded: %s", cube, error)


def write_back(context: Context, project: int, version: str) -> dict[str, int]:
    """Write a version's predictions into Label Studio; cubes without a score come after, when they are scored."""
    written = writeback.write_back(context, project, version, report=job_report())
    for share in written.shares:
        queues.send(context.connection, messages.ScoreBulk(project=project, version=version, cubes=share))
    return {"written": written.written, "present": written.present, "missing": len(written.missing)}


def ingest(context: Context, project: int, release: str) -> dict[str, Any]:
    """Check, render and import a release; then have it scored, or start the first round."""
    outcome = ingestion.ingest(context, project, release, report=job_report())
    clear_unscorable(context.settings.model_dir(project))
    version = context.registry(project).published()
    if version is not None:
        queues.send(context.connection, messages.WriteBack(project=project, version=version))
    queues.send(context.connection, messages.RetrainCheck(project=project))
    return outcome.as_dict()


def reconcile(context: Context, project: int) -> list[str]:
    """Mend what was left undone in a project."""
    return list(reconciliation.reconcile(context, project).done)


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    f"{__name__}.{function.__name__}": function
    for function in (
        check_retraining, train_member, score_round, locate, close_round, score, write_back, ingest, reconcile,
    )
}  # fmt: skip
"""The jobs by the name that messages give them; a worker runs no other function."""


# -- how far it is --------------------------------------------------------------------------------


def job_report(also: Callable[[], None] | None = None) -> Report:
    """Return a report that writes to the running job's meta and, now and then, to the log."""
    job = get_current_job()
    said = {"at": 0.0, "logged": 0.0}

    def report(done: int, total: int, what: str) -> None:
        now = time.monotonic()
        if done < total and now - said["at"] < 1.0:
            return
        said["at"] = now
        if job is not None:
            job.meta["progress"] = {"done": done, "total": total, "what": what}
            job.save_meta()  # type: ignore[no-untyped-call]
        if also is not None:
            also()
        if done >= total or now - said["logged"] > 10.0:
            said["logged"] = now
            log.info("%s: %d of %d", what, done, total)

    return report


def _beating(context: Context, project: int, fingerprint: str) -> Report:
    """Return a report that also gives the round's sign of life."""

    def heartbeat() -> None:
        context.state.heartbeat(project, fingerprint, now=time.time())

    heartbeat()
    return job_report(also=heartbeat)


def _say(project: int, sentence: str) -> str:
    log.info("project %d: %s", project, sentence)
    return sentence
