"""What the last write-back covered, and so what is new for the next one: ``written.json`` in the model folder.

The next one looks at all tasks where something else than annotations and scores has changed, or where the last one
broke off.
"""

import json
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from helioloop.files import atomic
from helioloop.labelstudio.tasks import CubeTask, annotation_stamps
from helioloop.registry.versions import Registry
from helioloop_worker.labelstudio.project import ProjectState

WRITTEN = "written.json"
"""What Label Studio shows: the annotations and scores that the last write-back covered."""
WHOLE = "write-back-all.txt"
"""Exists while the next write-back has to look at all tasks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenBack:
    """What the last write-back covered; the next one of the same version covers only what is new.

    Parameters
    ----------
    version : str or None
        The version; None in a file of an earlier helioloop.
    answers : mapping
        Cube -> annotation id -> ``updated_at``.
    score_files : frozenset of str
        The score files of the version whose scores were written.
    newest_task : int
        The newest task of a cube that was there.
    """

    version: str | None
    answers: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    score_files: frozenset[str] = frozenset()
    newest_task: int = 0


def read_written(model_dir: Path) -> WrittenBack | None:
    """Return what the last write-back covered; None before the first."""
    path = model_dir / WRITTEN
    if not path.exists():
        return None
    values = json.loads(path.read_text())
    if "score_files" not in values:
        return WrittenBack(version=None)
    return WrittenBack(
        version=values["version"],
        answers=values["answers"],
        score_files=frozenset(values["score_files"]),
        newest_task=values["newest_task"],
    )


def write_written(model_dir: Path, written: WrittenBack) -> None:
    """Record what a write-back has covered."""
    atomic.write_compact_json(model_dir / WRITTEN, {**asdict(written), "score_files": sorted(written.score_files)})


def written_now(project_state: ProjectState, registry: Registry, version: str) -> WrittenBack:
    """Return what a write-back that begins now covers."""
    newest = max((number for task in project_state.tasks.values() for number in task.ids), default=0)
    return WrittenBack(
        version=version,
        answers=answers_of(project_state),
        score_files=registry.score_files(version),
        newest_task=newest,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class New:
    """What is new since a write-back: cubes with a new score, annotation or task, and of these the cubes with a task.

    Parameters
    ----------
    tasks, imported : mapping
        Cube name -> tasks.
    """

    tasks: Mapping[str, CubeTask]
    imported: Mapping[str, CubeTask]


def new_in(before: WrittenBack, now: WrittenBack, project_state: ProjectState, registry: Registry) -> New:
    """Return what is new since a write-back of the same version."""
    names = {cube for cube, answers in now.answers.items() if before.answers.get(cube) != answers}
    names |= before.answers.keys() - now.answers.keys()
    for file in sorted(now.score_files - before.score_files):
        names |= {score.cube for score in registry.scores_in(str(now.version), file)}
    imported = {cube: task for cube, task in project_state.tasks.items() if task.ids[-1] > before.newest_task}
    known = {cube: project_state.tasks[cube] for cube in sorted(names) if cube in project_state.tasks}
    return New(tasks=known | imported, imported=imported)


def answers_of(project_state: ProjectState) -> dict[str, dict[str, str]]:
    """Return the annotations of each cube that has any: annotation id -> ``updated_at``."""
    return {
        cube: annotation_stamps([task.exported])
        for cube, task in project_state.tasks.items()
        if task.exported["annotations"]
    }


def require_whole_write_back(model_dir: Path) -> str:
    """Let the next write-back look at all tasks, and return a name for this request.

    It stands until a write-back that began after it has ended: other things than annotations and scores have changed,
    or a write-back of all tasks broke off.
    """
    request = uuid.uuid4().hex
    atomic.write_text(model_dir / WHOLE, request)
    return request


def needs_whole_write_back(model_dir: Path) -> bool:
    """Return whether the next write-back has to look at all tasks."""
    return (model_dir / WHOLE).exists()


def settle_whole_write_back(model_dir: Path, request: str) -> None:
    """Forget a request, unless another one came meanwhile."""
    path = model_dir / WHOLE
    with suppress(FileNotFoundError):
        if path.read_text() == request:
            path.unlink()
