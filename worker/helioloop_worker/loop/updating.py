"""Brings the predictions of a version up to date: missing ones are imported, others rewritten or rescored in place."""

import logging
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Self

from redis.lock import Lock

from helioloop.labelstudio.predictions import SAME_PROBABILITY
from helioloop.labelstudio.tasks import CubeTask
from helioloop.progress import Report
from helioloop.records.cubes import Key
from helioloop.records.labels import CurrentLabel, Label
from helioloop.records.scores import CubeScore
from helioloop.registry.acceptances import accepted_labels
from helioloop.registry.unscorable import read_unscorable
from helioloop_worker.context import Context
from helioloop_worker.labelstudio.port import PredictionRow
from helioloop_worker.labelstudio.project import ProjectState
from helioloop_worker.loop.contested_predictions import note_replaced
from helioloop_worker.loop.stored_predictions import (
    DifferingPrediction,
    difference_sentence,
    differing_predictions,
    made_elsewhere,
    prediction_of,
    rewrite_differing,
)

log = logging.getLogger(__name__)

CHUNK_PREDICTIONS = 500
"""Predictions in one request. Label Studio on SQLite writes about 1,100 a second and locks its database meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """What the predictions of some tasks are made from, and how they are written.

    Parameters
    ----------
    context : Context
        Model folder and Label Studio.
    project_state : ProjectState
        The tasks, and the controls of now.
    version : str
        The published version.
    scores : mapping
        The scores of the version.
    labels : mapping
        Cube name -> current label.
    unscorable : frozenset of str
        Content hashes of cubes that the version cannot score.
    lock : Lock
        Renewed between calls.
    report : Report
        Called with the number of predictions.
    """

    context: Context
    project_state: ProjectState
    version: str
    scores: Mapping[Key, CubeScore]
    labels: Mapping[str, CurrentLabel]
    unscorable: frozenset[str]
    lock: Lock
    report: Report

    @classmethod
    def of(
        cls,
        context: Context,
        project_state: ProjectState,
        version: str,
        *,
        scores: Mapping[Key, CubeScore],
        lock: Lock,
        report: Report,
    ) -> Self:
        """Return the update with the labels and unscorable cubes that the model folder has now; see the class."""
        model_dir = context.settings.model_dir(project_state.info.id)
        labels = {cube: project_state.label(cube) for cube in project_state.tasks}
        return cls(
            context=context,
            project_state=project_state,
            version=version,
            scores=scores,
            labels=with_accepted(labels, accepted_labels(model_dir, version)),
            unscorable=read_unscorable(model_dir, version),
            lock=lock,
            report=report,
        )


def with_accepted(labels: Mapping[str, CurrentLabel], accepted: Mapping[str, Label]) -> dict[str, CurrentLabel]:
    """Return the labels that scores in Label Studio agree with: the accepted one where a cube is not verified.

    The ensemble is sure of accepted labels, so their tasks come last in the queue, even where the crude label is
    another one.
    """
    return {
        cube: replace(label, label=accepted[cube]) if cube in accepted and not label.verified else label
        for cube, label in labels.items()
    }


def update_predictions(
    update: Update, rows: Sequence[PredictionRow], *, without: Set[str]
) -> tuple[list[dict[str, object]], list[DifferingPrediction]]:
    """Import, rewrite and rescore predictions; return those imported, and those that differed.

    Of the latter, the ones that cannot be made are still there (`delete_differing`).

    Parameters
    ----------
    update : Update
        What the predictions are made from.
    rows : sequence of PredictionRow
        The predictions of the version that the tasks have.
    without : set of str
        Cubes whose tasks get none.
    """
    context, state = update.context, update.project_state
    have = {row.task for row in rows}
    entries = new_entries(state, update.scores, update.labels, version=update.version, without=without, have=have)
    _import(update, entries)
    differing = differing_predictions(rows, state, update.scores, unscorable=update.unscorable)
    if sentence := difference_sentence(context, state, differing):
        log.warning("project %d: %s", state.info.id, sentence)
    rewritten = rewrite_differing(
        context, state, differing, labels=update.labels, lock=update.lock, report=update.report
    )
    note_replaced(context, state.info.id, update.version, made_elsewhere(context, state, differing))
    for row, agreement in outdated(rows, state.tasks, update.scores, update.labels, without=rewritten):
        update.lock.reacquire()
        context.label_studio.rescore(row, agreement)
    update.lock.reacquire()
    return entries, differing


def new_entries(
    project_state: ProjectState,
    scores: Mapping[Key, CubeScore],
    labels: Mapping[str, CurrentLabel],
    *,
    version: str,
    without: Set[str],
    have: Set[int],
) -> list[dict[str, object]]:
    """Return the predictions to import: of tasks that have none, except those of the cubes in `without`."""
    return [
        {"task": number, **prediction_of(project_state, score, labels[score.cube], version=version)}
        for task in project_state.tasks.values()
        if task.cube.name not in without and (score := scores.get(task.cube.key)) is not None
        for number in task.ids
        if number not in have
    ]


def _import(update: Update, entries: Sequence[dict[str, object]]) -> None:
    """Import predictions in chunks, renewing the lock."""
    for start in range(0, len(entries), CHUNK_PREDICTIONS):
        update.lock.reacquire()
        update.report(start, len(entries), "writing predictions")
        update.context.label_studio.import_predictions(
            update.project_state.info.id, entries[start : start + CHUNK_PREDICTIONS]
        )
    update.report(len(entries), len(entries), "writing predictions")


def outdated(
    rows: Iterable[PredictionRow],
    tasks: Mapping[str, CubeTask],
    scores: Mapping[Key, CubeScore],
    labels: Mapping[str, CurrentLabel],
    *,
    without: Set[int] = frozenset(),
) -> list[tuple[PredictionRow, float]]:
    """Return the prediction rows whose score is not the agreement with the current label, and the agreement.

    Labels change while a version is shown: until the next version is published, and longer where the promotion check
    rejects that one.

    Parameters
    ----------
    rows : iterable of PredictionRow
        Rows of one version.
    tasks : mapping
        Cube name -> tasks.
    scores : mapping
        The scores of the version.
    labels : mapping
        Cube name -> current label.
    without : set of int
        Rows that are left out.
    """
    agreement: dict[int, float] = {}
    for cube, task in tasks.items():
        score, label = scores.get(task.cube.key), labels.get(cube)
        if score is not None and label is not None:
            agreement.update(dict.fromkeys(task.ids, score.agreement(label.label or score.predicted)))
    return [
        (row, agreement[row.task])
        for row in rows
        if row.id not in without
        and row.task in agreement
        and (row.score is None or abs(row.score - agreement[row.task]) > SAME_PROBABILITY)
    ]
