"""The cubes that the published version has still to score, in one chunk for each scoring job."""

from collections.abc import Mapping

from helioloop.labelstudio.tasks import CubeTask
from helioloop.messaging.messages import SCORE_CHUNK
from helioloop.records.cubes import CubeInfo, Key
from helioloop.records.scores import CubeScore
from helioloop_worker.labelstudio.project import ProjectState


def unscored_chunks(
    project_state: ProjectState,
    scores: Mapping[Key, CubeScore],
    unscorable: frozenset[str],
    *,
    among: Mapping[str, CubeTask] | None = None,
) -> tuple[tuple[CubeInfo, ...], ...]:
    """Return the cubes to be scored, in chunks.

    The chunk of a cube depends only on its place among all cubes, so cubes that are scored meanwhile do not move
    others, and a repeated chunk is the same job.

    Parameters
    ----------
    project_state : ProjectState
        All tasks.
    scores : mapping
        The scores that are there.
    unscorable : frozenset of str
        Content hashes of cubes that cannot be scored.
    among : mapping, optional
        Only these cubes are wanted.
    """
    tasks = list(project_state.tasks.values())
    chunks = (
        tuple(
            task.cube
            for task in tasks[start : start + SCORE_CHUNK]
            if (among is None or task.cube.name in among)
            and task.cube.key not in scores
            and task.cube.sha256 not in unscorable
        )
        for start in range(0, len(tasks), SCORE_CHUNK)
    )
    return tuple(chunk for chunk in chunks if chunk)
