"""Which cubes of a project have a task, kept up to date by reading only the tasks that are new."""

from dataclasses import dataclass
from typing import Any

from helioloop.labelstudio.copied_tasks import is_copied
from helioloop.labelstudio.tasks import crude_label, cube_tasks
from helioloop.records.labels import Label
from helioloop_worker.labelstudio.port import LabelStudio


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownCube:
    """What the task of a cube has: content hash, release and crude label."""

    sha256: str
    release: str
    crude: Label | None


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
        self._cubes: dict[str, KnownCube] = {}
        self._names: dict[str, str] = {}
        self.copied: dict[int, dict[str, Any]] = {}
        """Tasks that show the files of another project, by id, as Label Studio exports them."""
        self._add(label_studio.tasks(project))

    def find(self, cube: str) -> KnownCube | None:
        """Return what the task of a cube has; None where it has no task."""
        return self._cubes.get(cube)

    def sha256(self, cube: str) -> str | None:
        """Return the content hash of a cube's task; None where it has no task."""
        known = self.find(cube)
        return None if known is None else known.sha256

    def name_of(self, sha256: str) -> str | None:
        """Return the name under which a content has its task; None where it has no task."""
        return self._names.get(sha256)

    @property
    def empty(self) -> bool:
        """True where no cube has a task."""
        return not self._cubes

    def update(self) -> None:
        """Add the cubes of the tasks that were imported since the last reading."""
        self._add(self._label_studio.tasks_after(self._project, self._newest_task))

    def _add(self, exported: list[dict[str, Any]]) -> None:
        self.copied |= {entry["id"]: entry for entry in exported if is_copied(entry.get("data"), self._project)}
        newer = {
            name: KnownCube(
                sha256=task.cube.sha256, release=task.cube.release, crude=crude_label(task.exported["data"])
            )
            for name, task in cube_tasks(exported).items()
        }
        self._cubes = {**newer, **self._cubes}  # the older task of a cube counts, as everywhere
        self._names = {known.sha256: name for name, known in reversed(self._cubes.items())}
        self._newest_task = max([self._newest_task, *(entry["id"] for entry in exported)])
