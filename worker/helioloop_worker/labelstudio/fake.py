"""An in-memory fake of Label Studio, for tests and for running the loop without a server.

It accepts, drops and refuses the same calls as Label Studio 1.23.2; one contract test runs on both. The methods
`annotate`, `revise` and `delete_annotation` do what annotators do on the labelling screen.
"""

import copy
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from helioloop.errors import LabelStudioError
from helioloop.labelstudio.predictions import PredictionContent
from helioloop_worker.labelstudio.fake_annotators import FakeAnnotators
from helioloop_worker.labelstudio.fake_configuration import controls_of, is_valid, refusal_of, shown_fields
from helioloop_worker.labelstudio.fake_projects import FakeProject
from helioloop_worker.labelstudio.port import Counts, PredictionRow, ProjectInfo, Tab, TaskNow
from helioloop_worker.labelstudio.setup_port import Backend, FetchedPart, Webhook


class FakeLabelStudio(FakeAnnotators):
    """The calls of `LabelStudio` and `LabelStudioSetup`, on the projects of one process.

    Parameters are those of `FakeProjects`.
    """

    # -- the port --------------------------------------------------------------------------------

    def project(self, project: int) -> ProjectInfo:
        """Return title, configuration, model version and counts; see `LabelStudio.project`."""
        own = self._project(project)
        return replace(own.info, counts=_counts(own), instruction=str(own.settings.get("expert_instruction", "")))

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
        shown = shown_fields(own.info.label_config)
        for place, values in enumerate(data):
            if fault := refusal_of(values, shown):
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
        controls = controls_of(own.info.label_config)
        kept = [entry for entry in entries if is_valid(entry, controls)]
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

    def find_projects(self, title: str) -> list[int]:
        """Return the projects with this title; see `LabelStudioSetup.find_projects`."""
        return [number for number, own in self._projects.items() if own.info.title == title]

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


def _counts(own: FakeProject) -> Counts:
    """Return what Label Studio counts in a project."""
    annotations = [annotation for task in own.tasks.values() for annotation in task["annotations"]]
    skips = sum(bool(annotation["was_cancelled"]) for annotation in annotations)
    return Counts(tasks=len(own.tasks), annotations=len(annotations) - skips, skips=skips)
