"""The projects of the in-memory fake: tasks, predictions and tabs as rows, and the time of each change."""

import copy
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from helioloop.errors import LabelStudioError, MissingInLabelStudio
from helioloop_worker.labelstudio.fake_configuration import controls_of
from helioloop_worker.labelstudio.fake_setup import Call, Connections, FakeConnections
from helioloop_worker.labelstudio.port import PredictionRow, ProjectInfo


@dataclass(slots=True)
class FakeProject:
    """One project's rows."""

    info: ProjectInfo
    tasks: dict[int, dict[str, Any]] = field(default_factory=dict)
    predictions: dict[int, tuple[PredictionRow, dict[str, Any]]] = field(default_factory=dict)
    rows_of: dict[int, set[int]] = field(default_factory=dict)
    tabs: dict[int, dict[str, Any]] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)


class FakeProjects:
    """All projects of a fake Label Studio.

    Parameters
    ----------
    document_root : Path, optional
        Folder whose files are served as media; without it, none are.
    call : callable, optional
        Takes the requests to backends and webhooks; without it, each is answered with 200.
    """

    def __init__(self, *, document_root: Path | None = None, call: Call | None = None) -> None:
        self._projects: dict[int, FakeProject] = {}
        self._ids: Iterator[int] = itertools.count(1)  # one counter for all, so that an id belongs to one thing only
        self._latest = datetime.now(UTC)
        self.connections = FakeConnections(self._ids, document_root=document_root, call=call)

    def create_project(self, *, title: str, label_config: str, instruction: str = "") -> int:
        """Create an empty project and return its id; blanks at the ends of the title are removed."""
        title = title.strip()
        if title and not 3 <= len(title) <= 50:
            raise LabelStudioError("creating the project: Label Studio answered 400 {'title': ['3 to 50 characters']}")
        info = ProjectInfo(
            id=next(self._ids),
            title=title,
            label_config=label_config,
            model_version=None,
            created_at=datetime.now(UTC).isoformat(),
        )
        self._projects[info.id] = FakeProject(info=info, settings={"expert_instruction": instruction})
        return info.id

    def delete_task(self, task: int) -> None:
        """Delete a task with its annotations and predictions."""
        own = self._holding(task)
        for row in own.rows_of.pop(task, set()):
            del own.predictions[row]
        del own.tasks[task]

    def stored(self, project: int) -> list[dict[str, Any]]:
        """Return the imported predictions, oldest first."""
        return [copy.deepcopy(entry) for _, entry in self._project(project).predictions.values()]

    def configure(self, project: int, label_config: str) -> None:
        """Change the labelling configuration of a project; a control that answers were given with must stay."""
        own, there = self._project(project), controls_of(label_config)
        for task in own.tasks.values():
            for item in (item for annotation in task["annotations"] for item in annotation["result"]):
                if item["from_name"] not in there:
                    raise LabelStudioError(
                        f"answers of project {project} were given with the control {item['from_name']}; keep it"
                    )
        own.info = replace(own.info, label_config=label_config)

    def settings(self, project: int) -> dict[str, Any]:
        """Return the settings of a project that were changed."""
        return dict(self._project(project).settings)

    # -- inside ----------------------------------------------------------------------------------

    def _project(self, project: int) -> FakeProject:
        if project not in self._projects:
            raise MissingInLabelStudio(f"there is no project {project}; check the project id")
        return self._projects[project]

    def _connections(self, project: int) -> Connections:
        self._project(project)
        return self.connections.of(project)

    def _holding(self, task: int) -> FakeProject:
        for own in self._projects.values():
            if task in own.tasks:
                return own
        raise LabelStudioError(f"there is no task {task}; read the tasks again")

    def _shown(self, task: int) -> tuple[int | None, dict[str, Any]]:
        """Return id and copy of the prediction of a task by the version that its project shows; None and {} if none."""
        own = self._holding(task)
        for number in sorted(own.rows_of.get(task, ())):
            row, entry = own.predictions[number]
            if row.model_version == own.info.model_version:
                return row.id, copy.deepcopy(entry)
        return None, {}

    def _forget(self, own: FakeProject, row: int) -> None:
        """Delete a prediction; annotations that started from it lose the link, and keep their copy."""
        task = own.predictions.pop(row)[0].task
        own.rows_of[task].discard(row)
        for annotation in own.tasks[task]["annotations"]:
            if annotation.get("parent_prediction") == row:
                annotation["parent_prediction"] = None

    def _touch(self, task: dict[str, Any]) -> None:
        """Set the time of a task's last change, which imported predictions and changed data leave alone."""
        task["updated_at"] = self._now()

    def _task(self, task: int) -> dict[str, Any]:
        return self._holding(task).tasks[task]

    def _annotation(self, annotation: int) -> tuple[dict[str, Any], dict[str, Any]]:
        for own in self._projects.values():
            for task in own.tasks.values():
                for found in task["annotations"]:
                    if found["id"] == annotation:
                        return task, found
        raise LabelStudioError(f"there is no annotation {annotation}; read the tasks again")

    def _now(self) -> str:
        """Return the time in Label Studio's format, later at each call."""
        self._latest = max(datetime.now(UTC), self._latest + timedelta(microseconds=1))
        return self._latest.isoformat(timespec="microseconds").replace("+00:00", "Z")
