"""Predictions in Label Studio that say something else than the published version and the controls of now give.

Label Studio stores the name of a version and nothing else about it. Where a model folder was lost, restored from an
older backup or replaced by a copy, another network may have that name. And where a team has changed the labelling
configuration, predictions name controls or values that it lacks now. So what a prediction says (class, probability,
onset) and names is compared with what the version's stored score gives. Predictions that earlier releases of helioloop
wrote need no mark for that, and a replacement that breaks off goes on with those that still differ.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from redis.lock import Lock

from helioloop.labelstudio.control_changes import changes_since_written
from helioloop.labelstudio.predictions import PredictionContent, prediction
from helioloop.progress import Report
from helioloop.records.cubes import Key
from helioloop.records.labels import CurrentLabel
from helioloop.records.scores import CubeScore
from helioloop.words import count
from helioloop_worker.context import Context
from helioloop_worker.labelstudio.port import PredictionRow
from helioloop_worker.labelstudio.project import ProjectState
from helioloop_worker.loop.changed_controls import noted_controls

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferingPrediction:
    """A prediction that says something else than it should.

    Parameters
    ----------
    row : PredictionRow
        The prediction in Label Studio.
    score : CubeScore or None
        What the version whose name it has stores for its cube; None where it cannot be made: the version has no score,
        and either cannot make one, or the labelling configuration lacks what the prediction names.
    wanted : PredictionContent or None
        What it should say; None without a score.
    """

    row: PredictionRow
    score: CubeScore | None = None
    wanted: PredictionContent | None = None


def prediction_of(
    project_state: ProjectState, score: CubeScore, label: CurrentLabel | None, *, version: str
) -> dict[str, Any]:
    """Return the prediction that a stored score gives with the controls of now."""
    return prediction(
        score,
        None if label is None else label.label,
        project_state.controls,
        model_version=version,
        n_frames=project_state.profile.instrument.n_frames,
    )


def differing_predictions(
    rows: Iterable[PredictionRow],
    project_state: ProjectState,
    scores: Mapping[Key, CubeScore],
    *,
    unscorable: frozenset[str],
) -> list[DifferingPrediction]:
    """Return the predictions that say something else than the scores of the version whose name they have.

    Parameters
    ----------
    rows : iterable of PredictionRow
        Rows with the name of one version; those whose content cannot be read are passed over.
    project_state : ProjectState
        The tasks, and the names of the controls.
    scores : mapping
        The scores of that version. A prediction of a cube without a score is passed over where it fits the controls: it
        is compared when the cube is scored.
    unscorable : frozenset of str
        Content hashes of cubes that the version cannot score.
    """
    wanted: dict[int, tuple[CubeScore, PredictionContent | None]] = {}
    never: set[int] = set()
    for task in project_state.tasks.values():
        if (score := scores.get(task.cube.key)) is not None:
            content = PredictionContent.of(prediction_of(project_state, score, None, version="")["result"])
            wanted.update(dict.fromkeys(task.ids, (score, content)))
        elif task.cube.sha256 in unscorable:
            never.update(task.ids)
    tasks = {number for task in project_state.tasks.values() for number in task.ids}
    found = []
    for row in rows:
        if row.task in wanted:
            score, content = wanted[row.task]
            if row.content is not None and content is not None and not row.content.is_same(content):
                found.append(DifferingPrediction(row=row, score=score, wanted=content))
        elif row.task in tasks:
            misfit = row.content is not None and not row.content.fits(project_state.controls)
            if misfit or row.task in never:
                found.append(DifferingPrediction(row=row))
    return found


def rewrite_differing(
    context: Context,
    project_state: ProjectState,
    differing: Iterable[DifferingPrediction],
    *,
    labels: Mapping[str, CurrentLabel],
    lock: Lock,
    report: Report,
) -> frozenset[int]:
    """Replace what these predictions say by the version's own scores, and return their rows.

    They are changed in place, a call for each: an open task refers to its prediction and could not be submitted without
    it, and an answer to a task without any would count as blind. Those that cannot be made are left alone.
    """
    chosen = [(one.row, one.score) for one in differing if one.score is not None]
    for done, (row, score) in enumerate(chosen):
        lock.reacquire()
        report(done, len(chosen), "writing predictions again")
        body = prediction_of(project_state, score, labels[score.cube], version=row.model_version)
        context.label_studio.rewrite(row, body)
    return frozenset(row.id for row, _ in chosen)


def delete_differing(
    context: Context, differing: Iterable[DifferingPrediction], lock: Lock, *, without: Set[int]
) -> None:
    """Delete the predictions that cannot be made; they are written once the version has a score.

    The files of the labelling screen must have been written before: an answer that follows counts as blind. Rows in
    `without` are deleted already.
    """
    for one in differing:
        if one.score is None and one.row.id not in without:
            lock.reacquire()
            context.label_studio.delete_predictions([one.row])


def difference_sentence(
    context: Context, project_state: ProjectState, differing: Sequence[DifferingPrediction]
) -> str | None:
    """Return why predictions of one version differ, and what is done; None where there are none."""
    if not differing:
        return None
    version, n = differing[0].row.model_version, len(differing)
    change = _changed_configuration(context, project_state, differing)
    if change is not None:
        return f"the labelling configuration was changed: {change}; writing {count(n, 'prediction')} of {version} again"
    return (
        f"{count(n, 'prediction')} named {version}, not by the {version} in the model folder, as after its loss, a "
        "restore or a copy: replacing them"
    )


def made_elsewhere(
    context: Context, project_state: ProjectState, differing: Sequence[DifferingPrediction]
) -> frozenset[int]:
    """Return the tasks whose predictions of one version another network made; none where the configuration changed."""
    if not differing or _changed_configuration(context, project_state, differing) is not None:
        return frozenset()
    return frozenset(one.row.task for one in differing if one.score is not None)


def _changed_configuration(
    context: Context, project_state: ProjectState, differing: Sequence[DifferingPrediction]
) -> str | None:
    """Return what has changed in the labelling configuration since these were written, in words; None where nothing."""
    noted = noted_controls(context, project_state.info.id, differing[0].row.model_version)
    contents = [(one.row.content, one.wanted) for one in differing if one.row.content is not None]
    return changes_since_written(contents, project_state.controls, noted=noted)
