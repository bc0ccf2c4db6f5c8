"""Which cubes of a project have a task, kept up to date by reading only the tasks that are new."""

from collections.abc import Mapping
from typing import Any

from helioloop.labelstudio.tasks import cube_tasks
from helioloop_worker.labelstudio.port import LabelStudio


class KnownCubes:
    """The cubes that have a task; made with one reading of all tasks.

    Label Studio is asked again, and nothing is kept in Redis: the answer is right where two ingestions run side by
    side, where one broke off, and where Redis was emptied.

    Parameters
    ----------
    label_studio : LabelStudio
        Where the tasks are.
    project : int
        Label Studio project.
    """

    def __init__(self, label_studio: LabelStudio, project: int) -> None:
        self._label_studio = label_studio
        self._project = project
        self._newest_task = 0
        self._hashes: dict[str, str] = {}
        self._add(label_studio.tasks(project))

    def sha256(self, cube: str) -> str | None:
        """Return the content hash of a cube's task; None where it has no task."""
        return self._hashes.get(cube)

    @property
    def empty(self) -> bool:
        """True where no cube has a task."""
        return not self._hashes

    def update(self) -> None:
        """Add the cubes of the tasks that were imported since the last reading."""
        self._add(self._label_studio.tasks_after(self._project, self._newest_task))

    def _add(self, exported: list[dict[str, Any]]) -> None:
        newer: Mapping[str, str] = {name: task.cube.sha256 for name, task in cube_tasks(exported).items()}
        self._hashes = {**newer, **self._hashes}  # the older task of a cube counts, as everywhere
        self._newest_task = max([self._newest_task, *(entry["id"] for entry in exported)])
