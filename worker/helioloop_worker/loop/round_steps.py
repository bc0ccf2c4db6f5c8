"""The steps of a round: each reads the plan and earlier results in the staging folder, and adds its own.

A step that is repeated does only what is missing.
"""

import json
import logging
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from helioloop.emergence.locate import locate_emergences
from helioloop.errors import CubeError, HelioloopError, ServiceError
from helioloop.files import atomic
from helioloop.messaging import messages, queues
from helioloop.messaging.retrain_state import Running
from helioloop.model import ensemble, members
from helioloop.model.plan import Plan
from helioloop.model.runtime import Runtime
from helioloop.records.cubes import CubeInfo, Key
from helioloop.records.scores import CubeScore
from helioloop.registry.card import Card
from helioloop.registry.label_snapshot import Snapshot
from helioloop.registry.score_store import read_scores, read_some_scores, write_scores
from helioloop.registry.staging import LOCATED, UNLOCATED, Staging
from helioloop.workflows import rounds as rounding
from helioloop.workflows.fields import keep_trained_fields, measure_fields
from helioloop_worker.context import Context
from helioloop_worker.loop import rounds
from helioloop_worker.loop.announcing import send_report
from helioloop_worker.loop.job_progress import round_report
from helioloop_worker.loop.pieces import in_pieces
from helioloop_worker.loop.random_checks import update_random_checks

log = logging.getLogger(__name__)

_UNREADABLE: Final = f"{UNLOCATED}/unreadable.json"
"""File in staging with the cubes that could not be read, written when the scoring of a round has ended."""


def train_member(context: Context, project: int, fingerprint: str, member: str) -> str:
    """Train one member of a round and return the name of its file.

    On a GPU the first of these jobs trains all members together where their recipe allows it; the others find them.
    """
    folder, plan = _staged(context, project, fingerprint)
    runtime = context.runtime(project, round_report(context, project, fingerprint))
    if members.trains_together(plan, runtime.device):
        members.train_all_members(plan, folder, runtime)
    return members.train_member(plan, member, folder, runtime).name


def score_round(context: Context, project: int, fingerprint: str) -> int:
    """Score all cubes of a round with their out-of-fold members, and return the number of new scores.

    The field statistics of the cubes trained on are kept beside the scores. Cubes that cannot be read are noted last.
    """
    folder, plan = _staged(context, project, fingerprint)
    done = scores_of(plan, folder / UNLOCATED, curves=False)
    runtime = context.runtime(project, round_report(context, project, fingerprint), on_excluded=log_excluded)
    ensemble.keep_growth_odds(plan, folder, runtime)
    trained, left = context.ensembles.open(folder), [cube for cube in plan.cubes if cube.key not in done]
    n_scored = 0

    def score(cubes: Sequence[CubeInfo], before: int) -> None:
        nonlocal n_scored
        scores = ensemble.score_cubes(trained, cubes, _counting_from(runtime, before, len(left)))
        _add(folder / UNLOCATED, scores)
        n_scored += len(scores)

    in_pieces(left, score)
    keep_trained_fields(plan, folder, lambda cubes: measure_fields(cubes, runtime))
    _write_unreadable(plan, folder)
    return n_scored


def locate(context: Context, project: int, fingerprint: str, chunk: int, chunks: int) -> int:
    """Locate the emergence frames of every `chunks`-th cube from number `chunk` on; return the number of new scores.

    Only the scores of these cubes are read. What is located is stored every half minute.
    """
    folder, plan = _staged(context, project, fingerprint)
    cubes = {cube.key: cube for cube in sorted(plan.cubes, key=lambda cube: cube.key)[chunk::chunks]}
    done = read_some_scores(folder / LOCATED, cubes, curves=False)
    unlocated = read_some_scores(folder / UNLOCATED, cubes.keys() - done.keys())
    left = [unlocated[key] for key in cubes if key in unlocated]
    runtime = context.runtime(project, round_report(context, project, fingerprint), on_excluded=log_excluded)
    trained = context.ensembles.open(folder)

    def locate_some(scores: Sequence[CubeScore], before: int) -> None:
        chosen = [cubes[score.key] for score in scores]
        located = locate_emergences(
            trained,
            chosen,
            scores,
            _counting_from(runtime, before, len(left)),
            labels={cube.name: cube.label for cube in chosen},
        )
        _add(folder / LOCATED, located)

    in_pieces(left, locate_some)
    return len(left)


def close_round(context: Context, project: int, fingerprint: str) -> str:
    """Admit a round as a version, publish it if the promotion check passes it, and send the jobs that follow.

    These are the write-back of a published version and a requested follow-up run. The labels of a rejected version
    count as trained on too, so they do not start another round.

    Returns
    -------
    str
        What was done, in a sentence.
    """
    registry, running = context.registry(project), context.state.running(project)
    if running is None or running.fingerprint != fingerprint:
        return f"round {fingerprint[:16]} is closed already"
    if Staging(registry.root).has_plan(fingerprint):
        folder, plan = _staged(context, project, fingerprint)
        unlocated, located = scores_of(plan, folder / UNLOCATED), scores_of(plan, folder / LOCATED)
        if _unscored(plan, folder, unlocated) or not unlocated or unlocated.keys() - located.keys():
            return rounds.retry(context, project, plan)
        snapshot = Snapshot.read(registry.root)
        labels = {} if snapshot is None else snapshot.cubes
        blind = [cube for cube, label in labels.items() if label.blind is not None]
        card = rounding.close_round(
            plan,
            folder,
            registry,
            list(located.values()),
            blind=blind,
            used_names=_used_names(context, project),
            confirm=lambda: _confirm_owner(context, project, running),
        )
    elif (version := rounds.admitted(registry, running)) is not None:
        card = registry.card(version)  # an earlier closing admitted the version and broke off
    else:
        queues.send(context.connection, messages.RetrainCheck(project=project))
        rounds.end(context, project, fingerprint)
        return f"round {fingerprint[:16]} has no files any more: checking again"
    outcome = card.rejected or _publish(context, project, card, running)
    if card.rejected is not None:
        send_report(context, project)  # of a published version the write-back has it made
    rounds.end(context, project, fingerprint)
    return f"{card.version} is {outcome}"


def _publish(context: Context, project: int, card: Card, running: Running) -> str:
    """Publish an admitted version and send the write-back; return "published", or why it was not published."""
    registry = context.registry(project)
    _choose_random_checks(context, project, card.version)
    _confirm_owner(context, project, running)
    overtaken = registry.publish_candidate(card, why=card.reason)
    if (published := registry.published()) is not None:
        queues.send(context.connection, messages.WriteBack(project=project, version=published))
    return "published" if overtaken is None else f"not published: {overtaken}"


def _confirm_owner(context: Context, project: int, running: Running) -> None:
    """Raise a `ServiceError` where the round that this process closes is not the running one any more.

    That happens to a process that was stopped for long: another worker has closed the round meanwhile.
    """
    if not running.is_still(context.state.running(project)):
        raise ServiceError(
            f"round {running.fingerprint[:16]} was closed by another worker, or Redis was emptied; "
            "reconciliation does what is missing"
        )


def _used_names(context: Context, project: int) -> frozenset[str]:
    """Return the versions whose predictions Label Studio has; none where it cannot be asked.

    A model folder that was restored from an old backup lacks versions that Label Studio shows. If a new version had the
    name of one of them, its predictions would count as written already.
    """
    try:
        return frozenset(context.label_studio.model_versions(project))
    except HelioloopError as error:  # a train worker may have no token
        log.warning("project %d: the names of versions in Label Studio are not read: %s", project, error)
        return frozenset()


def _choose_random_checks(context: Context, project: int, version: str) -> None:
    """Choose the random checks of a version before it is published, and with it scores that the backend answers."""
    registry = context.registry(project)
    snapshot, plan = Snapshot.read(registry.root), Plan.read(registry.folder(version))
    labels = {} if snapshot is None else snapshot.cubes
    update_random_checks(context, project, version=version, cubes=plan.cubes, labels=labels)


def scores_of(plan: Plan, folder: Path, *, curves: bool = True) -> dict[Key, CubeScore]:
    """Return the scores in a staging folder of the cubes in the plan; a resumed round may have scores of others."""
    own = {cube.key for cube in plan.cubes}
    return {key: score for key, score in read_scores(folder, curves=curves).items() if key in own}


def _write_unreadable(plan: Plan, folder: Path) -> None:
    """Note the cubes that still have no score after all were tried; scores in staging lack these alone."""
    unscored = sorted(_unscored(plan, folder, scores_of(plan, folder / UNLOCATED, curves=False)))
    if unscored or (folder / _UNREADABLE).exists():
        (folder / UNLOCATED).mkdir(exist_ok=True)
        atomic.write_json(folder / _UNREADABLE, [*_unreadable(folder), *unscored])


def _unscored(plan: Plan, folder: Path, scores: Collection[Key]) -> set[Key]:
    """Return the cubes that scoring has not tried yet: it was killed, or what it had stored was damaged."""
    return {cube.key for cube in plan.cubes} - {*scores} - _unreadable(folder)


def _unreadable(folder: Path) -> set[Key]:
    """Return the cubes of a round that scoring could not read; none where it has not ended."""
    try:
        return {(str(name), str(sha256)) for name, sha256 in json.loads((folder / _UNREADABLE).read_text())}
    except (FileNotFoundError, ValueError, TypeError):  # what is damaged is written again
        return set()


def log_excluded(cube: str, error: CubeError) -> None:
    """Log that a cube cannot be read any more."""
    log.warning("cube %s is excluded: %s", cube, error)


def _staged(context: Context, project: int, fingerprint: str) -> tuple[Path, Plan]:
    folder = Staging(context.registry(project).root).folder(fingerprint)
    return folder, Plan.read(folder)


def _counting_from(runtime: Runtime, before: int, total: int) -> Runtime:
    """Return the runtime with a report that counts items from `before` on, of `total`."""
    return replace(runtime, report=lambda done, _, what: runtime.report(before + done, total, what))


def _add(folder: Path, scores: list[CubeScore]) -> None:
    """Add scores to staging; no file where there are none, because a new file counts as progress of the round."""
    if scores:
        write_scores(folder, scores)
