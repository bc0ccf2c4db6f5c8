"""The current label of a cube at the moment of a /predict request."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from helioloop.labelstudio.annotations import current_label
from helioloop.labelstudio.tasks import crude_label
from helioloop.records.controls import Controls
from helioloop.records.labels import CurrentLabel, Label, LabelSource
from helioloop.registry.label_snapshot import Snapshot
from helioloop_backend.file_cache import FileCache
from helioloop_backend.model_folders import ModelFolders

NO_LABELS: Final[Mapping[str, CurrentLabel]] = MappingProxyType({})


class CurrentLabels:
    """Current labels from the worker's label snapshot, or from annotations that are newer than it.

    Parameters
    ----------
    folders : ModelFolders
        The model folders.
    """

    def __init__(self, folders: ModelFolders) -> None:
        self._folders = folders
        self._snapshots: FileCache[Snapshot | None] = FileCache()

    def of_project(self, project: int, controls: Controls, *, n_frames: int) -> "ProjectLabels":
        """Return the labels of a project as the worker read them last, for one request.

        Parameters
        ----------
        project : int
            Id of the Label Studio project.
        controls : Controls
            Names in the labelling configuration.
        n_frames : int
            Frames on the grid.
        """
        folder = self._folders.get(project)
        snapshot = self._snapshots.get(folder.labels, lambda: Snapshot.read(folder.path))
        return ProjectLabels(snapshot, controls, n_frames=n_frames)


class ProjectLabels:
    """The current labels of one project during one request.

    The annotations in a request belong to one task. A cube can have several duplicate tasks, so the label of a cube is
    the one in the snapshot, which was resolved from all its tasks. A request decides only where it contains an
    annotation that the snapshot does not have yet. A deleted annotation counts until the worker has read the project
    again: a request does not show whether it was deleted or is on a duplicate task.

    Parameters
    ----------
    snapshot : Snapshot or None
        None before the worker has read the project.
    controls : Controls
        Names in the labelling configuration.
    n_frames : int
        Frames on the grid.
    """

    def __init__(self, snapshot: Snapshot | None, controls: Controls, *, n_frames: int) -> None:
        self._annotations: Mapping[str, str] = {} if snapshot is None else snapshot.annotations
        self.known: Mapping[str, CurrentLabel] = NO_LABELS if snapshot is None else snapshot.cubes
        self._controls = controls
        self._n_frames = n_frames

    def label(self, task: Mapping[str, Any]) -> Label | None:
        """Return the current label of a task's cube; None where the cube has none.

        Parameters
        ----------
        task : mapping
            The task as Label Studio sent it; ``data`` names a cube.
        """
        data = task["data"]
        known = self.known.get(data["cube"])
        annotations = task.get("annotations")
        if not annotations:
            return crude_label(data) if known is None else known.label
        if known is not None and not _has_newer(annotations, self._annotations):
            return known.label
        requested = current_label(task, self._controls, n_frames=self._n_frames)
        if known is None or requested.source is not LabelSource.CRUDE:
            return requested.label
        return known.label


def _has_newer(annotations: Any, known: Mapping[str, str]) -> bool:
    """Return whether one of a task's annotations is new, or was changed, since the snapshot."""
    return isinstance(annotations, list) and any(
        _is_newer(annotation, known) for annotation in annotations if isinstance(annotation, Mapping)
    )


def _is_newer(annotation: Mapping[str, Any], known: Mapping[str, str]) -> bool:
    number = str(annotation.get("id"))
    if number not in known:
        return True
    if annotation.get("updated_at") == known[number]:
        return False
    try:
        return datetime.fromisoformat(str(annotation.get("updated_at"))) > datetime.fromisoformat(known[number])
    except (ValueError, TypeError):  # no time, or one with a zone and one without
        return False
