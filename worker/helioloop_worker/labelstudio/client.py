"""The client of Label Studio: every call that helioloop makes, through the published client (label-studio-sdk).

No call creates, changes or deletes an annotation.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from helioloop.errors import LabelStudioError
from helioloop.labelstudio.predictions import PredictionContent
from helioloop.settings import Settings
from helioloop_worker.labelstudio.port import Counts, PredictionRow, ProjectInfo, Tab
from helioloop_worker.labelstudio.setup_calls import ONCE, SetupCalls
from helioloop_worker.labelstudio.task_calls import TaskCalls
from helioloop_worker.labelstudio.transport import Transport

CHANGED_TASKS = 500
"""Tasks that are changed in one call; SQLite limits the values in a statement."""


class LabelStudioClient(TaskCalls, SetupCalls):
    """The calls of helioloop to one Label Studio.

    Every failure is a `LabelStudioError` with one sentence, which never contains headers or tokens.

    Parameters
    ----------
    url : str
        Label Studio's address as seen from this machine.
    api_key : str
        Legacy token or personal access token.
    timeout_seconds : float
        Longest wait for one answer.

    Raises
    ------
    LabelStudioError
        Where the address or the token is malformed, or the token has expired.
    """

    def __init__(self, url: str, *, api_key: str, timeout_seconds: float) -> None:
        super().__init__(Transport(url, api_key=api_key, timeout_seconds=timeout_seconds))

    @classmethod
    def from_settings(cls, settings: Settings) -> "LabelStudioClient":
        """Return the client for the Label Studio in the settings."""
        return cls(
            settings.label_studio_url,
            api_key=settings.api_key(),
            timeout_seconds=settings.label_studio_timeout_seconds,
        )

    # -- reading ---------------------------------------------------------------------------------

    def project(self, project: int) -> ProjectInfo:
        """Return a project's title, configuration and model version."""
        with self._transport.calling(f"reading project {project}"):
            found = self._client.projects.get(id=project)
        return ProjectInfo(
            id=project,
            title=found.title or "",
            label_config=found.label_config or "",
            model_version=found.model_version or None,
            description=found.description or "",
            counts=_counts(found),
            created_at=None if found.created_at is None else found.created_at.isoformat(),
            instruction=found.expert_instruction or "",
        )

    def predictions(self, project: int) -> list[PredictionRow]:
        """Return all prediction rows of a project."""
        rows = self._transport.listed(
            f"reading the predictions of project {project}", self._client.predictions.list, project=project
        )
        return [
            PredictionRow(
                id=row.id or 0,
                task=row.task,
                model_version=row.model_version or "",
                score=row.score,
                content=PredictionContent.of(row.result),
            )
            for row in rows
            if row.task is not None
        ]

    def model_versions(self, project: int) -> dict[str, int]:
        """Return the number of predictions of each model version."""
        what = f"reading the model versions of project {project}"
        body = self._transport.call("GET", f"api/projects/{project}/model-versions/", what=what)
        if not isinstance(body, dict) or not all(isinstance(count, int) for count in body.values()):
            raise self._transport.unexpected_answer(what, "something other than a table of versions")
        return body

    # -- tasks and predictions -------------------------------------------------------------------

    def import_tasks(self, project: int, data: Sequence[Mapping[str, Any]]) -> list[int]:
        """Import tasks and return their ids, in order."""
        with self._transport.calling(f"importing {len(data)} tasks into project {project}"):
            answer = self._client.projects.import_tasks(
                id=project,
                request=[{"data": dict(entry)} for entry in data],  # type: ignore[misc]
                return_task_ids=True,
                request_options=ONCE,
            )
        ids = list(getattr(answer, "task_ids", None) or [])
        if len(ids) != len(data):
            raise LabelStudioError(
                f"Label Studio created {len(ids)} of {len(data)} tasks in project {project}, and it should create all "
                f"or none; look at the project, then ingest again (nothing is imported twice)"
            )
        return ids

    def set_data_field(
        self, project: int, tasks: Sequence[int], name: str, value: str, *, replaced: str | None = None
    ) -> None:
        """Set or edit one field of the data of tasks, with an action of the data manager: one task takes 0.1 s."""
        values = {"value_type": "String", "value": value}
        if replaced is not None:
            values = {"value_type": "Expression", "value": f"replace({json.dumps(replaced)}, {json.dumps(value)})"}
        for start in range(0, len(tasks), CHANGED_TASKS):
            chosen = list(tasks[start : start + CHANGED_TASKS])  # never empty, which could mean all tasks
            what = f"setting {name} of {len(chosen)} tasks in project {project}"
            body = self._transport.call(
                "POST",
                "api/dm/actions",
                params={"project": project, "id": "add_data_field"},
                json={"selectedItems": {"all": False, "included": chosen}, "value_name": name, **values},
                what=what,
            )
            if not isinstance(body, dict) or body.get("detail") != f"Updated {len(chosen)} tasks":
                found = body.get("detail") if isinstance(body, dict) else None
                raise LabelStudioError(
                    f"{what}: Label Studio answered {str(found)[:100]!r} and should have changed each of them; look "
                    "whether tasks were deleted, then ingest the release again"
                )

    def import_predictions(self, project: int, entries: Sequence[Mapping[str, Any]]) -> None:
        """Import predictions and check their number, because Label Studio drops invalid ones without an error."""
        with self._transport.calling(f"writing {len(entries)} predictions to project {project}"):
            answer = self._client.projects.import_predictions(
                id=project,
                request=[dict(entry) for entry in entries],  # type: ignore[misc]
                request_options=ONCE,
            )
        created = getattr(answer, "created", None)
        if created != len(entries):
            raise LabelStudioError(
                f"Label Studio kept {created} of {len(entries)} predictions for project {project}; it drops "
                "those that do not fit the labelling configuration (1.21.0 to 1.23.0 drop all with a timeline range): "
                "compare that with labeling_config/bipoles.xml, or install Label Studio 1.23.1 or later"
            )

    def set_model_version(self, project: int, version: str) -> None:
        """Make `version` the one whose scores Label Studio shows and sorts by."""
        with self._transport.calling(f"setting the model version of project {project} to {version}"):
            self._client.projects.update(id=project, model_version=version)

    def set_description(self, project: int, text: str) -> None:
        """Replace the description of a project."""
        with self._transport.calling(f"changing the description of project {project}"):
            self._client.projects.update(id=project, description=text)

    def delete_version(self, project: int, version: str) -> None:
        """Delete all predictions of one version."""
        what = f"deleting the predictions of {version} in project {project}"
        body = self._transport.call(
            "DELETE", f"api/projects/{project}/model-versions/", json={"model_version": version}, what=what
        )
        if not isinstance(body, dict):  # Label Studio answers the number of deleted rows
            raise self._transport.unexpected_answer(what, "something other than the number of deleted rows")

    def delete_predictions(self, rows: Sequence[PredictionRow]) -> None:
        """Delete single prediction rows."""
        for row in rows:
            with self._transport.calling(f"deleting prediction {row.id}"):
                self._client.predictions.delete(id=row.id)

    def rescore(self, row: PredictionRow, score: float) -> None:
        """Change a prediction's score in place."""
        with self._transport.calling(f"changing the score of prediction {row.id}"):
            self._client.predictions.update(id=row.id, score=score)

    def rewrite(self, row: PredictionRow, entry: Mapping[str, Any]) -> None:
        """Change result and score of a prediction in place; the task is named, by which Label Studio checks them."""
        with self._transport.calling(f"changing prediction {row.id}"):
            self._client.predictions.update(id=row.id, task=row.task, result=entry["result"], score=entry["score"])

    # -- tabs ------------------------------------------------------------------------------------

    def tabs(self, project: int) -> list[Tab]:
        """Return all tabs of a project."""
        what = f"reading the tabs of project {project}"
        views = self._transport.listed(what, self._client.views.list, project=project)
        return [Tab(id=view.id, settings=view.data or {}) for view in views if view.id is not None]

    def create_tab(self, project: int, settings: Mapping[str, Any]) -> int:
        """Create a tab and return its id."""
        what = f"adding the tab {settings.get('title')!r} to project {project}"
        with self._transport.calling(what):
            created = self._client.views.create(project=project, data=_own(settings), request_options=ONCE)
        number = getattr(created, "id", None)
        if not isinstance(number, int):
            raise self._transport.unexpected_answer(what, "something other than a tab")
        return number

    def change_tab(self, project: int, tab: int, settings: Mapping[str, Any]) -> None:
        """Replace all settings of a tab."""
        with self._transport.calling(f"changing the tab {settings.get('title')!r} of project {project}"):
            self._client.views.update(id=str(tab), project=project, data=_own(settings))


def _counts(project: Any) -> Counts | None:
    """Return what Label Studio counts in a project; None where it does not."""
    found = (project.task_number, project.total_annotations_number, project.skipped_annotations_number)
    if not all(isinstance(number, int) for number in found):
        return None
    tasks, annotations, skips = found
    return Counts(tasks=tasks, annotations=annotations, skips=skips)


def _own(settings: Mapping[str, Any]) -> Any:
    """Return the settings of a tab as a copy of their own, in the form that the client takes."""
    return json.loads(json.dumps(settings))
