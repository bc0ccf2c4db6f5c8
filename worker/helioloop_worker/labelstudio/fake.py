"""An in-memory fake of Label Studio, for tests and for running the loop without a server.

It accepts, drops and refuses the same calls as Label Studio 1.23.2; one contract test runs on both. The methods
`annotate`, `revise` and `delete_annotation` do what annotators do on the labelling screen.
"""

import copy
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from defusedxml.ElementTree import fromstring

from helioloop.errors import LabelStudioError, MissingInLabelStudio
from helioloop.labelstudio.predictions import PredictionContent
from helioloop_worker.labelstudio.fake_setup import Call, Connections, FakeConnections
from helioloop_worker.labelstudio.port import Counts, PredictionRow, ProjectInfo, Tab, TaskNow
from helioloop_worker.labelstudio.setup_port import Backend, FetchedPart, Webhook

CHOICES, TIMELINE = "Choices", "TimelineLabels"
_VALUE_TAGS = {CHOICES: "Choice", TIMELINE: "Label"}
"""Controls whose predictions are checked, and the tags of their values."""
_DATA_KINDS: Mapping[str, tuple[type, ...]] = {"TimeSeries": (dict, list, str)}
"""Types of a value that a tag shows, where they are not text alone."""


@dataclass(slots=True)
class _Project:
    """One project's rows."""

    info: ProjectInfo
    tasks: dict[int, dict[str, Any]] = field(default_factory=dict)
    predictions: dict[int, tuple[PredictionRow, dict[str, Any]]] = field(default_factory=dict)
    rows_of: dict[int, set[int]] = field(default_factory=dict)
    tabs: dict[int, dict[str, Any]] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)


class FakeLabelStudio:
    """The projects, tasks, annotations and predictions of one process.

    Parameters
    ----------
    document_root : Path, optional
        Folder whose files are served as media; without it, none are.
    call : callable, optional
        Takes the requests to backends and webhooks; without it, each is answered with 200.
    """

    def __init__(self, *, document_root: Path | None = None, call: Call | None = None) -> None:
        self._projects: dict[int, _Project] = {}
        self._ids: Iterator[int] = itertools.count(1)  # one counter for all, so that an id belongs to one thing only
        self._latest = datetime.now(UTC)
        self.connections = FakeConnections(self._ids, document_root=document_root, call=call)

    # -- the port --------------------------------------------------------------------------------

    def project(self, project: int) -> ProjectInfo:
        """Return title, configuration, model version and counts; see `LabelStudio.project`."""
        own = self._project(project)
        return replace(own.info, counts=_counts(own))

    def tasks(self, project: int) -> list[dict[str, Any]]:
        """Return all tasks; see `LabelStudio.tasks`."""
        return copy.deepcopy(list(self._project(project).tasks.values()))

    def tasks_after(self, project: int, task: int) -> list[dict[str, Any]]:
        """Return id and data of newer tasks; see `LabelStudio.tasks_after`."""
        own = self._project(project).tasks
        newer = [{"id": number, "data": own[number]["data"]} for number in sorted(own) if number > task]
        return copy.deepcopy(newer)

    def last_change(self, project: int) -> str | None:
        """Return the newest change; see `LabelStudio.last_change`."""
        return max((entry["updated_at"] for entry in self._project(project).tasks.values()), default=None)

    def changed_tasks(self, project: int, since: str) -> list[dict[str, Any]]:
        """Return the changed tasks; see `LabelStudio.changed_tasks`."""
        own, at = self._project(project).tasks, datetime.fromisoformat(since)
        chosen = [entry for entry in own.values() if datetime.fromisoformat(entry["updated_at"]) >= at]
        return copy.deepcopy(sorted(chosen, key=lambda entry: int(entry["id"])))

    def tasks_now(self, project: int, tasks: Sequence[int]) -> list[TaskNow]:
        """Return some tasks with their predictions; see `LabelStudio.tasks_now`."""
        own = self._project(project)
        return [
            TaskNow(
                id=task,
                data=copy.deepcopy(own.tasks[task]["data"]),
                predictions=tuple(own.predictions[row][0] for row in sorted(own.rows_of.get(task, ()))),
            )
            for task in sorted({*tasks} & own.tasks.keys())
        ]

    def annotated_tasks(self, project: int) -> list[dict[str, Any]]:
        """Return the annotated tasks; see `LabelStudio.annotated_tasks`."""
        return [entry for entry in self.tasks(project) if entry["annotations"]]

    def predictions(self, project: int) -> list[PredictionRow]:
        """Return all prediction rows; see `LabelStudio.predictions`."""
        return [row for row, _ in self._project(project).predictions.values()]

    def model_versions(self, project: int) -> dict[str, int]:
        """Return the count of each version; see `LabelStudio.model_versions`."""
        counts = dict(Counter(row.model_version for row in self.predictions(project)))
        active = self._project(project).info.model_version
        return counts if active is None else {active: 0, **counts}

    def import_tasks(self, project: int, data: Sequence[Mapping[str, Any]]) -> list[int]:
        """Import tasks; see `LabelStudio.import_tasks`. One that lacks a value that the screen shows refuses all."""
        own = self._project(project)
        shown = _shown_fields(own.info.label_config)
        for place, values in enumerate(data):
            if fault := _fault(values, shown):
                raise LabelStudioError(
                    f"importing {len(data)} tasks into project {project}: item {place}: {fault}; nothing was imported"
                )
        created = [next(self._ids) for _ in data]
        for task, values in zip(created, data, strict=True):
            own.tasks[task] = {"id": task, "data": copy.deepcopy(dict(values)), "annotations": []}
            self._touch(own.tasks[task])
        return created

    def set_data_field(
        self, project: int, tasks: Sequence[int], name: str, value: str, *, replaced: str | None = None
    ) -> None:
        """Set one field of the data of tasks; see `LabelStudio.set_data_field`."""
        own = self._project(project)
        found = [task for task in tasks if task in own.tasks]
        for task in found:
            data = own.tasks[task]["data"]
            if replaced is None or name in data:
                data[name] = value if replaced is None else data[name].replace(replaced, value)
        if len(found) != len(tasks):
            raise LabelStudioError(
                f"setting {name} of {len(tasks)} tasks in project {project}: {len(found)} were changed; look whether "
                "tasks were deleted, then ingest the release again"
            )

    def import_predictions(self, project: int, entries: Sequence[Mapping[str, Any]]) -> None:
        """Import predictions; see `LabelStudio.import_predictions`."""
        own = self._project(project)
        unknown = [entry.get("task") for entry in entries if entry.get("task") not in own.tasks]
        if unknown:
            raise LabelStudioError(f"project {project} has no task {unknown[0]}; nothing was written: read its tasks")
        controls = _controls(own.info.label_config)
        kept = [entry for entry in entries if _is_valid(entry, controls)]
        for entry in kept:
            row = PredictionRow(
                id=next(self._ids),
                task=entry["task"],
                model_version=str(entry.get("model_version") or "undefined"),
                score=entry.get("score"),
                content=PredictionContent.of(entry.get("result")),
            )
            own.predictions[row.id] = (row, copy.deepcopy(dict(entry)))
            own.rows_of.setdefault(row.task, set()).add(row.id)
        if len(kept) != len(entries):
            raise LabelStudioError(
                f"Label Studio kept {len(kept)} of {len(entries)} predictions for project {project}; it drops "
                "those that do not fit the labelling configuration: compare that with labeling_config/bipoles.xml"
            )

    def set_model_version(self, project: int, version: str) -> None:
        """Show a version; see `LabelStudio.set_model_version`."""
        own = self._project(project)
        if version != own.info.model_version and version not in self.model_versions(project):
            raise LabelStudioError(f"project {project} has no prediction of {version}; write them before showing it")
        own.info = replace(own.info, model_version=version)

    def set_description(self, project: int, text: str) -> None:
        """Replace the description; see `LabelStudio.set_description`."""
        own = self._project(project)
        own.info = replace(own.info, description=text)

    def delete_version(self, project: int, version: str) -> None:
        """Delete a version's predictions; see `LabelStudio.delete_version`."""
        own = self._project(project)
        for row in self.predictions(project):
            if row.model_version == version:
                self._forget(own, row.id)
        if own.info.model_version == version:
            own.info = replace(own.info, model_version=None)

    def rescore(self, row: PredictionRow, score: float) -> None:
        """Change a row's score; see `LabelStudio.rescore`."""
        for own in self._projects.values():
            if row.id in own.predictions:
                known, entry = own.predictions[row.id]
                own.predictions[row.id] = (replace(known, score=score), {**entry, "score": score})
                self._touch(own.tasks[known.task])
                return
        raise LabelStudioError(f"there is no prediction {row.id}; read the predictions again")

    def rewrite(self, row: PredictionRow, entry: Mapping[str, Any]) -> None:
        """Change a row's result and score, unchecked as in Label Studio; see `LabelStudio.rewrite`."""
        for own in self._projects.values():
            if row.id in own.predictions:
                known, stored = own.predictions[row.id]
                changed = {**stored, "result": copy.deepcopy(entry["result"]), "score": entry["score"]}
                content = PredictionContent.of(changed["result"])
                own.predictions[row.id] = (replace(known, score=entry["score"], content=content), changed)
                self._touch(own.tasks[known.task])
                return
        raise LabelStudioError(f"there is no prediction {row.id}; read the predictions again")

    def delete_predictions(self, rows: Sequence[PredictionRow]) -> None:
        """Delete rows; see `LabelStudio.delete_predictions`."""
        for row in rows:
            holding = next((own for own in self._projects.values() if row.id in own.predictions), None)
            if holding is None:
                raise LabelStudioError(f"there is no prediction {row.id}; read the predictions again")
            self._forget(holding, row.id)
            self._touch(holding.tasks[row.task])

    def ensure_local_storage(self, project: int, path: str) -> None:
        """Serve a folder; see `LabelStudio.ensure_local_storage`."""
        storages = self._connections(project).storages
        if path not in storages:
            storages.append(path)

    def tabs(self, project: int) -> list[Tab]:
        """Return all tabs; see `LabelStudio.tabs`."""
        found = self._project(project).tabs
        return [Tab(id=number, settings=copy.deepcopy(settings)) for number, settings in found.items()]

    def create_tab(self, project: int, settings: Mapping[str, Any]) -> int:
        """Create a tab; see `LabelStudio.create_tab`."""
        number = next(self._ids)
        self._project(project).tabs[number] = copy.deepcopy(dict(settings))
        return number

    def change_tab(self, project: int, tab: int, settings: Mapping[str, Any]) -> None:
        """Replace the settings of a tab; see `LabelStudio.change_tab`."""
        own = self._project(project).tabs
        if tab not in own:
            raise LabelStudioError(f"project {project} has no tab {tab}; read its tabs again")
        own[tab] = copy.deepcopy(dict(settings))

    # -- the port for setting up ----------------------------------------------------------------

    def find_project(self, title: str) -> int | None:
        """Return the project with this title; see `LabelStudioSetup.find_project`."""
        return next((number for number, own in self._projects.items() if own.info.title == title), None)

    def update_project(self, project: int, **values: Any) -> None:
        """Change settings, and send the event; see `LabelStudioSetup.update_project`."""
        self._project(project).settings.update(values)
        self.connections.emit(project, "PROJECT_UPDATED", {})

    def storages(self, project: int) -> list[str]:
        """Return the folders; see `LabelStudioSetup.storages`."""
        return list(self._connections(project).storages)

    def backends(self, project: int) -> list[Backend]:
        """Return the backends; see `LabelStudioSetup.backends`."""
        return [backend for backend, _ in self._connections(project).backends.values()]

    def ensure_backend(self, project: int, *, url: str, user: str, password: str) -> int:
        """Connect a backend; see `LabelStudioSetup.ensure_backend`."""
        self._project(project)
        return self.connections.ensure_backend(project, url=url, user=user, password=password)

    def delete_backend(self, backend: int) -> None:
        """Delete a backend; see `LabelStudioSetup.delete_backend`."""
        self.connections.delete_backend(backend)

    def webhooks(self, project: int) -> list[Webhook]:
        """Return the webhooks; see `LabelStudioSetup.webhooks`."""
        return list(self._connections(project).webhooks.values())

    def create_webhook(self, project: int, *, url: str, headers: Mapping[str, str], actions: Sequence[str]) -> int:
        """Create a webhook; see `LabelStudioSetup.create_webhook`."""
        self._project(project)
        return self.connections.create_webhook(project, url=url, headers=headers, actions=actions)

    def set_webhook_actions(self, webhook: int, actions: Sequence[str]) -> None:
        """Replace the events of a webhook; see `LabelStudioSetup.set_webhook_actions`."""
        self.connections.set_webhook_actions(webhook, actions)

    def delete_webhook(self, webhook: int) -> None:
        """Delete a webhook; see `LabelStudioSetup.delete_webhook`."""
        self.connections.delete_webhook(webhook)

    def fetch_media(self, address: str, *, n_bytes: int, page: str) -> FetchedPart:  # noqa: ARG002
        """Return the first bytes of a file; see `LabelStudioSetup.fetch_media`."""
        return self.connections.fetch_media(address, n_bytes=n_bytes)

    # -- projects and annotations ----------------------------------------------------------------

    def create_project(self, *, title: str, label_config: str, instruction: str = "") -> int:
        """Create an empty project and return its id."""
        info = ProjectInfo(
            id=next(self._ids),
            title=title,
            label_config=label_config,
            model_version=None,
            created_at=datetime.now(UTC).isoformat(),
        )
        self._projects[info.id] = _Project(info=info, settings={"expert_instruction": instruction})
        return info.id

    def annotate(
        self,
        task: int,
        choice: str,
        *,
        start: int | None = None,
        annotator: int = 1,
        skipped: bool = False,
    ) -> int:
        """Submit a class, and a timeline start (1-based) if given, as the labelling screen does; return the id.

        Label Studio keeps a copy of the shown version's prediction with the annotation.
        """
        number, now = next(self._ids), self._now()
        row, prediction = self._shown(task)
        self._task(task)["annotations"].append(
            {
                "id": number,
                "completed_by": annotator,
                "was_cancelled": skipped,
                "ground_truth": False,
                "created_at": now,
                "updated_at": now,
                "lead_time": 1.0,
                "prediction": prediction,
                "parent_prediction": row,
                "result": self._result(task, choice, start),
            }
        )
        self._touch(self._task(task))
        self.connections.emit(self._holding(task).info.id, "ANNOTATION_CREATED", {"annotation": {"id": number}})
        return number

    def copy_predictions(self, project: int, tasks: Sequence[int]) -> None:
        """Make annotations of the predictions of some tasks, as the bulk action of the Data Manager does."""
        for row, entry in list(self._project(project).predictions.values()):
            if row.task in tasks:
                now = self._now()
                self._task(row.task)["annotations"].append(
                    {
                        "id": next(self._ids),
                        "completed_by": 1,
                        "was_cancelled": False,
                        "ground_truth": False,
                        "created_at": now,
                        "updated_at": now,
                        "lead_time": None,
                        "prediction": {},
                        "parent_prediction": row.id,
                        "result": copy.deepcopy(entry["result"]),
                    }
                )
                self._touch(self._task(row.task))

    def revise(self, annotation: int, choice: str, *, start: int | None = None) -> None:
        """Change a submitted annotation."""
        task, found = self._annotation(annotation)
        found.update(updated_at=self._now(), result=self._result(task["id"], choice, start))
        self._touch(task)

    def delete_annotation(self, annotation: int) -> None:
        """Delete an annotation."""
        task, found = self._annotation(annotation)
        task["annotations"].remove(found)
        self._touch(task)

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
        own, there = self._project(project), _controls(label_config)
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

    def _project(self, project: int) -> _Project:
        if project not in self._projects:
            raise MissingInLabelStudio(f"there is no project {project}; check the project id")
        return self._projects[project]

    def _connections(self, project: int) -> Connections:
        self._project(project)
        return self.connections.of(project)

    def _holding(self, task: int) -> _Project:
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

    def _forget(self, own: _Project, row: int) -> None:
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

    def _result(self, task: int, choice: str, start: int | None) -> list[dict[str, Any]]:
        """Return the result that the screen sends, with the control names of the task's project."""
        names = {control.kind: control for control in _controls(self._holding(task).info.label_config).values()}
        result = [names[CHOICES].item({"choices": [choice]})]
        if start is not None:
            timeline = names[TIMELINE]
            ranges = [{"start": start, "end": start}]
            result.append(timeline.item({"ranges": ranges, "timelinelabels": [min(timeline.values)]}))
        return result

    def _now(self) -> str:
        """Return the time in Label Studio's format, later at each call."""
        self._latest = max(datetime.now(UTC), self._latest + timedelta(microseconds=1))
        return self._latest.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _counts(own: _Project) -> Counts:
    """Return what Label Studio counts in a project."""
    annotations = [annotation for task in own.tasks.values() for annotation in task["annotations"]]
    skips = sum(bool(annotation["was_cancelled"]) for annotation in annotations)
    return Counts(tasks=len(own.tasks), annotations=len(annotations) - skips, skips=skips)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Control:
    """The properties of a control that predictions are checked against."""

    kind: str
    name: str
    to_name: str
    values: frozenset[str]

    def item(self, value: dict[str, Any]) -> dict[str, Any]:
        return {"from_name": self.name, "to_name": self.to_name, "type": self.kind.lower(), "value": value}

    def accepts(self, item: Mapping[str, Any]) -> bool:
        """Tell whether an item of a result names this control and only values of it."""
        values = (item.get("value") or {}).get(self.kind.lower()) or ()
        kind = self.kind.lower()
        return item.get("to_name") == self.to_name and item.get("type") == kind and self.values >= {*values}


def _controls(label_config: str) -> dict[str, _Control]:
    root = fromstring(label_config, forbid_dtd=True)
    found = [
        _Control(
            kind=kind,
            name=tag.get("name", ""),
            to_name=tag.get("toName", ""),
            values=frozenset(str(child.get("alias") or child.get("value", "")) for child in tag.iter(value_tag)),
        )
        for kind, value_tag in _VALUE_TAGS.items()
        for tag in root.iter(kind)
    ]
    return {control.name: control for control in found}


def _shown_fields(label_config: str) -> dict[str, str]:
    """Return the fields of the task data that a labelling configuration shows, and the tag that shows each."""
    tags = fromstring(label_config, forbid_dtd=True).iter()
    shown = [(tag.get("value", ""), tag.tag) for tag in tags if tag.get("name")]
    return {value.removeprefix("$"): tag for value, tag in shown if value.startswith("$")}


def _fault(data: Mapping[str, Any], shown: Mapping[str, str]) -> str | None:
    """Return why Label Studio refuses the data of a task; None where it takes them."""
    for name, tag in shown.items():
        if name not in data:
            return f'"{name}" key is expected in task data'
        kinds = _DATA_KINDS.get(tag, (str,))
        if not isinstance(data[name], kinds):
            return f"data['{name}']={data[name]} is of type '{type(data[name]).__name__}', but {tag} expects another"
    return None


def _is_valid(entry: Mapping[str, Any], controls: Mapping[str, _Control]) -> bool:
    """Tell whether Label Studio keeps a prediction; it drops the others without an error."""
    score = entry.get("score")
    if score is not None and not 0.0 <= score <= 1.0:  # scores of single items are not checked
        return False
    return all(
        item.get("from_name") in controls and controls[item["from_name"]].accepts(item) for item in entry["result"]
    )
