"""An empty project of Label Studio with its backend, and the data that checks of the contract write into it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helioloop_worker.labelstudio.setup_port import LabelStudioSetup


@dataclass(frozen=True, kw_only=True)
class BackendPlace:
    """A backend that Label Studio reaches, its credentials, and the media root that Label Studio serves.

    Parameters
    ----------
    url, user, password, secret : str
        Address and credentials.
    media_root : Path
        Folder whose subfolders can be storages.
    arrived : callable
        Return how many events of a changed project arrived with the secret, for a project.
    """

    url: str
    user: str
    password: str
    secret: str
    media_root: Path
    arrived: Callable[[int], int]


@dataclass(frozen=True, kw_only=True)
class EmptyProject:
    """An empty project, and the actions of annotators in it.

    Parameters
    ----------
    label_studio : LabelStudioSetup
        The implementation to check.
    project : int
        The project's id; it has helioloop's labelling configuration.
    annotate, skip : callable
        Submit a class on a task, or skip the task; return the annotation's id.
    revise : callable
        Change an annotation's class.
    delete_annotation : callable
        Delete an annotation.
    copy_predictions : callable
        Apply the bulk action "Create Annotations From Predictions" to some tasks.
    configure : callable
        Change the labelling configuration, as a human does in the settings of the project.
    configured : callable
        Create another project with a labelling configuration, and return its id.
    titled : callable
        Create another project with a title, and return its id.
    backend : BackendPlace
        Where a backend answers.
    """

    label_studio: LabelStudioSetup
    project: int
    annotate: Callable[[int, str], int]
    skip: Callable[[int], int]
    revise: Callable[[int, str], None]
    delete_annotation: Callable[[int], None]
    copy_predictions: Callable[[list[int]], None]
    configure: Callable[[str], None]
    configured: Callable[[str], int]
    titled: Callable[[str], int]
    backend: BackendPlace

    def tasks(self, count: int) -> list[int]:
        """Import tasks for cubes c0, c1, … and return their ids."""
        return self.label_studio.import_tasks(self.project, [data_of(f"c{k}") for k in range(count)])

    def predict(self, *entries: dict[str, Any]) -> None:
        """Import predictions."""
        self.label_studio.import_predictions(self.project, entries)

    def rows(self) -> list[tuple[int, str]]:
        """Task and version of each prediction row, oldest first."""
        rows = sorted(self.label_studio.predictions(self.project), key=lambda row: row.id)
        return [(row.task, row.model_version) for row in rows]

    def stamps(self) -> dict[int, str]:
        """Annotation id -> when it last changed."""
        exported = self.label_studio.annotated_tasks(self.project)
        return {entry["id"]: entry["updated_at"] for task in exported for entry in task["annotations"]}


def data_of(cube: str) -> dict[str, str]:
    """A task's data; Label Studio requires all values that the labelling configuration shows."""
    files = {field: f"/{cube}.{ending}" for field, ending in (("video", "mp4"), ("curve", "json"), ("reason", "txt"))}
    return {**files, "cube": cube, "start": "2001-02-03T00:00:00Z", "crude_label": "emergence"}


def prediction(task: int, version: str = "v0001", **changes: Any) -> dict[str, Any]:
    """An emergence from frame 41 on, with a score of 0.25."""
    choice = {
        "from_name": "class",
        "to_name": "video",
        "type": "choices",
        "value": {"choices": ["emergence"]},
        "score": 0.75,
    }
    onset = {
        "from_name": "onset",
        "to_name": "video",
        "type": "timelinelabels",
        "value": {"ranges": [{"start": 41, "end": 225}], "timelinelabels": ["emergence onset"]},
        "score": 0.75,
    }
    return {"task": task, "result": [choice, onset], "score": 0.25, "model_version": version, **changes}


def choosing(value: str, *, control: str = "class") -> list[dict[str, Any]]:
    """A result that chooses `value`."""
    return [{"from_name": control, "to_name": "video", "type": "choices", "value": {"choices": [value]}}]
