"""Scores cubes with the published version, when the web side or a write-back finds that they have no score."""

from collections.abc import Sequence
from dataclasses import replace

from helioloop.emergence.locate import locate_emergences
from helioloop.messaging import messages, queues
from helioloop.messaging.claims import RedisClaims
from helioloop.model import ensemble
from helioloop.progress import Report
from helioloop.records.cubes import CubeInfo
from helioloop.records.scores import CubeScore
from helioloop.registry.label_snapshot import Snapshot
from helioloop.registry.unscorable import add_unscorable
from helioloop.words import count
from helioloop_worker.context import Context
from helioloop_worker.loop.round_steps import log_excluded


def score(context: Context, project: int, version: str, cubes: Sequence[CubeInfo], *, report: Report) -> int | str:
    """Score and locate the cubes that the published version has no score of, and send their write-back.

    Parameters
    ----------
    context : Context
        Model folder, members and Redis.
    project : int
        Label Studio project.
    version : str
        The version that was published when the cubes were requested.
    cubes : sequence of CubeInfo
        Which cubes.
    report : Report
        Called with the number of cubes done.

    Returns
    -------
    int or str
        The number of new scores; a sentence where another version is published by now. Its own jobs score the cubes.
    """
    registry = context.registry(project)
    try:
        if registry.published() != version:
            return f"{version} is no longer published: {count(len(cubes), 'cube')} not scored with it"
        located = _score_and_locate(context, project, version, cubes, report)
        registry.add_scores(version, located)
        new = {score.sha256 for score in located}
        left = [cube for cube in cubes if cube.sha256 not in new]
        known = {sha256 for _, sha256 in registry.scores_of(version, left, curves=False)}
        unscorable = [cube for cube in left if cube.sha256 not in known]
        add_unscorable(context.settings.model_dir(project), version, unscorable)
    finally:
        # Last: from here on the cubes can be requested again, unless they are known to have a score or to get none.
        RedisClaims(context.connection).release(project, version, cubes)
    if located and version == registry.published():
        queues.send(context.connection, messages.WriteBack(project=project, version=version))
    return len(located)


def _score_and_locate(
    context: Context, project: int, version: str, requested: Sequence[CubeInfo], report: Report
) -> list[CubeScore]:
    """Return the scores of the cubes that the version has no score of."""
    registry = context.registry(project)
    stored = registry.scores_of(version, requested, curves=False)
    cubes = [cube for cube in requested if cube.key not in stored]
    if not cubes:
        return []  # another job has scored them, so the members need not be loaded
    members = context.ensembles.open(registry.folder(version))
    runtime = context.runtime(project, report, on_excluded=log_excluded)
    scores = ensemble.score_cubes(members, cubes, runtime)
    labelled = _with_labels(context, project, cubes)
    labels = {cube.name: cube.label for cube in labelled}
    return locate_emergences(members, labelled, scores, runtime, labels=labels)


def _with_labels(context: Context, project: int, cubes: Sequence[CubeInfo]) -> list[CubeInfo]:
    """Return the cubes with the labels last read from Label Studio, which a message does not have."""
    snapshot = Snapshot.read_if_changed(context.settings.model_dir(project))
    found = {} if snapshot is None else {cube.name: snapshot.cubes.get(cube.name) for cube in cubes}
    return [
        cube if (label := found.get(cube.name)) is None else replace(cube, label=label.label, verified=label.verified)
        for cube in cubes
    ]
