"""The annotations that the last complete retrain check covered: ``checked.json`` in the model folder.

The file is written last. A check that breaks off is made again: the events of its annotations still wait, and
reconciliation compares Label Studio with the file.
"""

import hashlib
import json
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from helioloop.files import atomic
from helioloop.labelstudio.tasks import annotation_stamps
from helioloop.messaging.retrain_state import PendingEvents
from helioloop.registry.label_snapshot import Snapshot
from helioloop_worker.context import Context
from helioloop_worker.labelstudio.project import ProjectState

CHECKED = "checked.json"
FIRST_CHECKED = "checked-before-first-round.txt"
"""A hash of the annotations and labels that a check before the first round covered, and found no round due."""
WHOLE = "write-back-all.txt"
WRITTEN = "written.json"
"""What Label Studio shows: the annotations and scores that the last write-back covered."""


def read_checked(model_dir: Path) -> dict[str, str] | None:
    """Return annotation id -> ``updated_at`` at the last complete check; None before the first."""
    path = model_dir / CHECKED
    return dict(json.loads(path.read_text())) if path.exists() else None


def write_checked(model_dir: Path, annotations: Mapping[str, str]) -> None:
    """Record the annotations that a check has covered."""
    atomic.write_compact_json(model_dir / CHECKED, dict(annotations))


def is_covered(model_dir: Path, snapshot: Snapshot, *, has_version: bool) -> bool:
    """Return whether the last complete check covered these annotations, and before the first round these labels.

    New cubes with crude labels change no annotation, and may be what the first round lacked.
    """
    if has_version:
        return read_checked(model_dir) == snapshot.annotations
    try:
        return (model_dir / FIRST_CHECKED).read_text() == _fingerprint(snapshot)
    except (FileNotFoundError, UnicodeDecodeError):
        return False


def _fingerprint(snapshot: Snapshot) -> str:
    """Return a hash of all annotations and current labels."""
    labels = {cube: None if label.label is None else label.label.value for cube, label in snapshot.cubes.items()}
    text = json.dumps([dict(snapshot.annotations), labels], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


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


def answers_of(project_state: ProjectState) -> dict[str, dict[str, str]]:
    """Return the annotations of each cube that has any: annotation id -> ``updated_at``."""
    return {
        cube: annotation_stamps([task.exported])
        for cube, task in project_state.tasks.items()
        if task.exported["annotations"]
    }


def complete_check(context: Context, project: int, snapshot: Snapshot, seen: PendingEvents | None) -> None:
    """Record that a check is complete: no round is due, or the round has begun.

    Parameters
    ----------
    context : Context
        Model folder and Redis.
    project : int
        Label Studio project.
    snapshot : Snapshot
        Annotations and labels, as read by the check.
    seen : PendingEvents or None
        The events that waited before the annotations were read.
    """
    model_dir = context.settings.model_dir(project)
    if context.registry(project).versions() or context.state.running(project) is not None:
        write_checked(model_dir, snapshot.annotations)
    else:
        atomic.write_text(model_dir / FIRST_CHECKED, _fingerprint(snapshot))
    if seen is not None:
        context.state.remove_events(project, seen)
