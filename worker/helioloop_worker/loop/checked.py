"""The annotations that the last complete retrain check covered: ``checked.json`` in the model folder.

The file is written last. A check that breaks off is made again: the events of its annotations still wait, and
reconciliation compares Label Studio with the file.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from helioloop.files import atomic
from helioloop.messaging.retrain_state import PendingEvents
from helioloop_worker.context import Context

CHECKED = "checked.json"
WRITTEN = "written.json"
"""The annotations whose labels Label Studio shows: those of the last complete write-back."""


def read_checked(model_dir: Path) -> dict[str, str] | None:
    """Return annotation id -> ``updated_at`` at the last complete check; None before the first."""
    path = model_dir / CHECKED
    return dict(json.loads(path.read_text())) if path.exists() else None


def write_checked(model_dir: Path, annotations: Mapping[str, str]) -> None:
    """Record the annotations that a check has covered."""
    atomic.write_json(model_dir / CHECKED, dict(annotations))


def read_written(model_dir: Path) -> dict[str, str] | None:
    """Return annotation id -> ``updated_at`` at the last complete write-back; None before the first."""
    path = model_dir / WRITTEN
    return dict(json.loads(path.read_text())) if path.exists() else None


def write_written(model_dir: Path, annotations: Mapping[str, str]) -> None:
    """Record the annotations that a write-back has covered."""
    atomic.write_json(model_dir / WRITTEN, dict(annotations))


def complete_check(context: Context, project: int, annotations: Mapping[str, str], seen: PendingEvents | None) -> None:
    """Record that a check is complete: no round is due, or the round has begun.

    Parameters
    ----------
    context : Context
        Model folder and Redis.
    project : int
        Label Studio project.
    annotations : mapping
        Annotation id -> ``updated_at``, as read by the check.
    seen : PendingEvents or None
        The events that waited before the annotations were read.
    """
    if context.registry(project).latest() is not None or context.state.running(project) is not None:
        # Before the first round nothing is recorded: new cubes with crude labels change no annotation.
        write_checked(context.settings.model_dir(project), annotations)
    if seen is not None:
        context.state.remove_events(project, seen)
