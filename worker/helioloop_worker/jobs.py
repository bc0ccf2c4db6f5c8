"""The jobs that RQ runs, by name: each reads its payload, does one thing, and says how far it is.

Top of the worker. Payloads are those of `helioloop.messaging.messages`. Every job is safe to repeat.
"""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rq import get_current_job

from helioloop.emergence.locate import locate as locate_cubes
from helioloop.errors import CubeError
from helioloop.messaging import messages, queues
from helioloop.messaging.claims import RedisInFlight
from helioloop.model import ensemble
from helioloop.model.plan import Plan
from helioloop.progress import Report
from helioloop.records import CubeRef, CubeScore, Label, PlannedCube
from helioloop.registry.label_snapshot import Snapshot
from helioloop.registry.score_store import read_scores, write_scores
from helioloop.workflows import rounds as rounding
from helioloop_worker.context import Context, context
from helioloop_worker.loop import ingest as ingestion
from helioloop_worker.loop import reconcile as sweeping
from helioloop_worker.loop import retrain_check, rounds, writeback

log = logging.getLogger(__name__)

UNLOCATED = "unlocated"
"""Folder in staging with scores that have no frame yet."""
LOCATED = "located"
"""Folder in staging with scores that are complete."""


def judge(project: int, forced: bool = False) -> str:
    """Read the annotations and start a round where the rules say so."""
    return _say(project, retrain_check.judge(context(), project, forced=forced))


def train_member(project: int, fingerprint: str, member: str) -> str:
    """Train one member of a round."""
    here = context()
    staging, plan = _staged(here, project, fingerprint)
    report = _beating(here, project, fingerprint)
    path = ensemble.train_member(
        plan, member, staging, here.load, device=here.device, report=report, inputs=here.inputs
    )
    return path.name


def score_round(project: int, fingerprint: str) -> int:
    """Score all cubes of a round out of fold; a cube that cannot be read any more is set aside."""
    here = context()
    staging, plan = _staged(here, project, fingerprint)
    done = _scores_of(plan, staging / UNLOCATED)
    scores = ensemble.score_cubes(
        staging,
        [cube for cube in plan.cubes if (cube.ref.cube, cube.ref.sha256) not in done],
        here.load,
        device=here.device,
        report=_beating(here, project, fingerprint),
        inputs=here.inputs,
        set_aside=_set_aside,
    )
    _keep(staging / UNLOCATED, scores)
    return len(scores)


def locate(project: int, fingerprint: str, share: int, shares: int) -> int:
    """Locate the emergence frames of every `shares`-th cube of a round."""
    here = context()
    staging, plan = _staged(here, project, fingerprint)
    unlocated, done = _scores_of(plan, staging / UNLOCATED), _scores_of(plan, staging / LOCATED)
    located = locate_cubes(
        staging,
        plan.cubes,
        [score for key, score in sorted(unlocated.items())[share::shares] if key not in done],
        here.load,
        labels={cube.ref.cube: cube.label for cube in plan.cubes},
        device=here.device,
        report=_beating(here, project, fingerprint),
        set_aside=_set_aside,
    )
    _keep(staging / LOCATED, located)
    return len(located)


def _keep(folder: Path, scores: list[CubeScore]) -> None:
    """Keep scores in staging; no file where there are none, because a round with a new file counts as got further."""
    if scores:
        write_scores(folder, scores)


def close_round(project: int, fingerprint: str) -> str:
    """Admit a round, publish and write it back if the gate lets it, and judge again where that was wished for.

    A version that the gate keeps is the newest all the same: the labels it was trained on start no round again.
    """
    here = context()
    registry, running = here.registry(project), here.state.running(project)
    if rounds.staged(registry, fingerprint):
        staging, plan = _staged(here, project, fingerprint)
        unlocated, located = _scores_of(plan, staging / UNLOCATED), _scores_of(plan, staging / LOCATED)
        if not unlocated or unlocated.keys() - located.keys():
            return _say(project, rounds.retry(here, project, plan))
        card = rounding.close_round(plan, staging, registry, list(located.values()))
    elif running is None or running.fingerprint != fingerprint:
        return _say(project, f"round {fingerprint[:16]} is over")
    elif (found := rounds.admitted(registry, running)) is not None:
        card = registry.card(found)  # a closing that broke off after it had admitted
    else:
        here.state.end(project, fingerprint)
        queues.send(here.connection, messages.Judge(project=project))
        return _say(project, f"round {fingerprint[:16]} left nothing on disk: judging anew")
    if card.kept is None:
        registry.publish(card.version, why=card.reason)
        queues.send(here.connection, messages.WriteBack(project=project, version=card.version))
    if (trailing := here.state.end(project, fingerprint)) is not None:
        queues.send(here.connection, messages.Judge(project=project, forced=trailing.forced))
    return _say(project, f"{card.version} is {card.kept or 'published'}")


def _scores_of(plan: Plan, folder: Path) -> dict[tuple[str, str], CubeScore]:
    """Return the scores in a staging folder of the plan's own cubes: a resumed round may have lost some."""
    own = {(cube.ref.cube, cube.ref.sha256) for cube in plan.cubes}
    return {key: score for key, score in read_scores(folder).items() if key in own}


def score(project: int, version: str, cubes: list[dict[str, Any]]) -> int | str:
    """Score and locate cubes that the published version has no score of, then have them written back.

    Returns
    -------
    int or str
        How many were scored; a sentence where nothing was, because the version is no longer the published one. The
        later one has its own cubes scored.
    """
    here = context()
    registry = here.registry(project)
    asked = messages.asked_cubes(cubes)
    refs = [cube.ref for cube in asked]
    try:
        if registry.published() != version:
            return _say(project, f"{version} is no longer published: {len(asked)} cubes are not scored with it")
        located = _score_and_locate(here, project, version, asked)
    finally:
        RedisInFlight(here.connection).release(project, version, refs)  # may be asked for again
    registry.add_scores(version, located)
    scored = {score.sha256 for score in located} | {sha256 for _, sha256 in registry.scores(version)}
    writeback.note_unscorable(
        here.settings.model_dir(project), version, [ref for ref in refs if ref.sha256 not in scored]
    )
    if located and version == registry.published():
        queues.send(here.connection, messages.WriteBack(project=project, version=version))
    return len(located)


def _score_and_locate(here: Context, project: int, version: str, asked: list[PlannedCube]) -> list[CubeScore]:
    """Score and locate those of the cubes that the version has no score of."""
    registry = here.registry(project)
    stored = registry.scores(version)
    cubes = [cube for cube in asked if (cube.ref.cube, cube.ref.sha256) not in stored]
    if not cubes:
        return []  # another job has been here; no need to load the members
    folder, report = registry.folder(version), job_report()
    labels = _labels(here, project)
    scores = ensemble.score_cubes(
        folder, cubes, here.load, device=here.device, report=report, inputs=here.inputs, set_aside=_set_aside
    )
    return locate_cubes(
        folder, cubes, scores, here.load, labels=labels, device=here.device, report=report, set_aside=_set_aside
    )


def _staged(here: Context, project: int, fingerprint: str) -> tuple[Path, Plan]:
    staging = here.registry(project).staging(fingerprint)
    return staging, Plan.read(staging)


def _labels(here: Context, project: int) -> dict[str, Label | None]:
    """Return the labels last read from Label Studio."""
    snapshot = Snapshot.read(here.settings.model_dir(project))
    return {} if snapshot is None else {cube: label.label for cube, label in snapshot.cubes.items()}


def _set_aside(ref: CubeRef, error: CubeError) -> None:
    log.warning("cube %s is set aside: %s", ref.cube, error)


def write_back(project: int, version: str) -> dict[str, int]:
    """Write a version's predictions into Label Studio; cubes without a score come after, when they are scored."""
    here = context()
    written = writeback.write_back(here, project, version, report=job_report())
    for share in written.shares:
        queues.send(here.connection, messages.ScoreBulk(project=project, version=version, cubes=share))
    return {"written": written.written, "present": written.present, "missing": len(written.missing)}


def ingest(project: int, release: str) -> dict[str, Any]:
    """Check, render and import a release; then have it scored, or start the first round."""
    here = context()
    outcome = ingestion.ingest(here, project, release, report=job_report())
    writeback.forget_unscorable(here.settings.model_dir(project))
    version = here.registry(project).published()
    if version is not None:
        queues.send(here.connection, messages.WriteBack(project=project, version=version))
    queues.send(here.connection, messages.Judge(project=project))
    return outcome.as_dict()


def sweep(project: int) -> list[str]:
    """Mend what was left undone in a project."""
    return list(sweeping.sweep(context(), project).done)


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


def _beating(here: Context, project: int, fingerprint: str) -> Report:
    """Return a report that also gives the round's sign of life."""

    def beat() -> None:
        here.state.beat(project, fingerprint, now=time.time())

    beat()
    return job_report(also=beat)


def _say(project: int, sentence: str) -> str:
    log.info("project %d: %s", project, sentence)
    return sentence
