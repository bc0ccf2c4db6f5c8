"""The current label of a cube at the moment of a /predict request."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from helioloop.labelstudio.annotations import current_label
from helioloop.records.controls import Controls
from helioloop.records.labels import CurrentLabel, Label, LabelSource
from helioloop.registry.label_snapshot import FILE_NAME, Snapshot
from helioloop.settings import Settings
from helioloop_backend.file_cache import FileCache


class CurrentLabels:
    """Current labels from the worker's label snapshot, or from annotations that are newer than it.

    The annotations in a request belong to one task. A cube can have several duplicate tasks, so the label of a cube is
    the one in the snapshot, which was resolved from all its tasks. A request decides only where it contains an
    annotation that the snapshot does not have yet. A deleted annotation counts until the worker has read the project
    again: a request does not show whether it was deleted or is on a duplicate task.

    Parameters
    ----------
    settings : Settings
        Where the model folders are.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._snapshots: FileCache[Snapshot | None] = FileCache()

    def known(self, project: int) -> Mapping[str, CurrentLabel]:
        """Return the labels by cube as the worker read them last; empty before the first time."""
        snapshot = self._snapshot(project)
        return {} if snapshot is None else snapshot.cubes

    def label(self, project: int, task: Mapping[str, Any], controls: Controls, *, n_frames: int) -> Label | None:
        """Return the current label of a task's cube; None where the cube has none.

        Parameters
        ----------
        project : int
            Id of the Label Studio project.
        task : mapping
            The task as Label Studio sent it; ``data`` names a cube.
        controls : Controls
            Names in the labelling configuration.
        n_frames : int
            Frames on the grid.
        """
        requested = current_label(task, controls, n_frames=n_frames)
        snapshot = self._snapshot(project)
        known = None if snapshot is None else snapshot.cubes.get(requested.cube)
        if snapshot is None or known is None:
            return requested.label
        annotated = requested.source is not LabelSource.CRUDE
        return requested.label if annotated and _has_newer(task, snapshot.annotations) else known.label

    def _snapshot(self, project: int) -> Snapshot | None:
        folder = self._settings.model_dir(project)
        return self._snapshots.get(folder / FILE_NAME, lambda: Snapshot.read(folder))


def _has_newer(task: Mapping[str, Any], known: Mapping[str, str]) -> bool:
    """Return whether a task has an annotation that is new, or was changed, since the snapshot."""
    annotations = task.get("annotations")
    return isinstance(annotations, list) and any(
        _is_newer(annotation, known) for annotation in annotations if isinstance(annotation, Mapping)
    )


def _is_newer(annotation: Mapping[str, Any], known: Mapping[str, str]) -> bool:
    number = str(annotation.get("id"))
    if number not in known:
        return True
    try:
        return datetime.fromisoformat(str(annotation.get("updated_at"))) > datetime.fromisoformat(known[number])
    except (ValueError, TypeError):  # no time, or one with a zone and one without
        return False
