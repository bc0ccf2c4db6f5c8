"""Predictions in Label Studio that have the name of the published version and are not of its scores.

Label Studio stores the name of a version and nothing else about it. Where a model folder was lost, restored from an
older backup or replaced by a copy, another network may have that name. A prediction says a class, its probability and
an onset, so it is compared with what the version's stored score gives. Predictions that earlier releases of helioloop
wrote need no mark for that.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from redis.lock import Lock

from helioloop.labelstudio.predictions import PredictionContent, prediction
from helioloop.progress import Report
from helioloop.records.cubes import Key
from helioloop.records.labels import CurrentLabel
from helioloop.records.scores import CubeScore
from helioloop.words import count
from helioloop_worker.context import Context
from helioloop_worker.labelstudio.port import PredictionRow
from helioloop_worker.labelstudio.project import ProjectState

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignPrediction:
    """A prediction that is not of the version whose name it has; `score` is what that version has for its cube."""

    row: PredictionRow
    score: CubeScore


def foreign_predictions(
    rows: Iterable[PredictionRow], project_state: ProjectState, scores: Mapping[Key, CubeScore]
) -> list[ForeignPrediction]:
    """Return the predictions that say something else than the scores of the version whose name they have.

    Parameters
    ----------
    rows : iterable of PredictionRow
        Rows with the name of one version; those whose content cannot be read are passed over.
    project_state : ProjectState
        The tasks, and the names of the controls.
    scores : mapping
        The scores of that version. A prediction of a cube without a score is passed over: it is compared when the cube
        is scored.
    """
    found: dict[int, tuple[CubeScore, PredictionContent]] = {}
    for task in project_state.tasks.values():
        if (score := scores.get(task.cube.key)) is not None:
            content = PredictionContent.of(_body(project_state, score, None, version="")["result"])
            if content is not None:
                found.update(dict.fromkeys(task.ids, (score, content)))
    return [
        ForeignPrediction(row=row, score=found[row.task][0])
        for row in rows
        if row.task in found and row.content is not None and not row.content.is_same(found[row.task][1])
    ]


def unscorable_predictions(
    rows: Iterable[PredictionRow],
    project_state: ProjectState,
    scores: Mapping[Key, CubeScore],
    unscorable: frozenset[str],
) -> list[PredictionRow]:
    """Return the predictions of cubes that the version whose name they have cannot score."""
    cubes = [task for task in project_state.tasks.values() if task.cube.sha256 in unscorable]
    tasks = {number for task in cubes if task.cube.key not in scores for number in task.ids}
    return [row for row in rows if row.task in tasks]


def rewrite_foreign(
    context: Context,
    project_state: ProjectState,
    foreign: Iterable[ForeignPrediction],
    *,
    labels: Mapping[str, CurrentLabel],
    lock: Lock,
    report: Report,
) -> frozenset[int]:
    """Replace what these predictions say by the version's own scores, and return their rows.

    They are changed in place, a call for each: an open task refers to its prediction and could not be submitted without
    it, and an answer to a task without any would count as blind.
    """
    chosen = list(foreign)
    for done, one in enumerate(chosen):
        lock.reacquire()
        report(done, len(chosen), "replacing predictions of another version of the same name")
        body = _body(project_state, one.score, labels[one.score.cube], version=one.row.model_version)
        context.label_studio.rewrite(one.row, body)
    if chosen:
        sentence = foreign_sentence(len(chosen), chosen[0].row.model_version, done="replaced")
        log.warning("project %d: %s", project_state.info.id, sentence)
    return frozenset(one.row.id for one in chosen)


def delete_foreign(context: Context, project: int, rows: Iterable[PredictionRow], lock: Lock) -> None:
    """Delete predictions that the version whose name they have cannot make.

    The files of the labelling screen must have been written before: an answer that follows counts as blind.
    """
    chosen = list(rows)
    for row in chosen:
        lock.reacquire()
        context.label_studio.delete_predictions([row])
    if chosen:
        log.warning("project %d: %s", project, foreign_sentence(len(chosen), chosen[0].model_version, done="deleted"))


def foreign_sentence(n: int, version: str, *, done: str = "replacing them") -> str:
    """Return that predictions are not of the version whose name they have, and what is done."""
    return (
        f"{count(n, 'prediction')} named {version}, not by the {version} in the model folder, as after its loss, a "
        f"restore or a copy: {done}"
    )


def _body(project_state: ProjectState, score: CubeScore, label: CurrentLabel | None, *, version: str) -> dict[str, Any]:
    return prediction(
        score,
        None if label is None else label.label,
        project_state.controls,
        model_version=version,
        n_frames=project_state.profile.instrument.n_frames,
    )
