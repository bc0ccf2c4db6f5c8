"""The annotations that the last complete retrain check covered: ``checked.json`` in the model folder.

The file is written last. A check that breaks off is made again: the events of its annotations still wait, and
reconciliation compares Label Studio with the file.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from helioloop.files import atomic
from helioloop.messaging.retrain_state import PendingEvents
from helioloop.registry.label_snapshot import Snapshot
from helioloop_worker.context import Context

CHECKED = "checked.json"
FIRST_CHECKED = "checked-before-first-round.txt"
"""A hash of the annotations and labels that a check before the first round covered, and found no round due."""


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
