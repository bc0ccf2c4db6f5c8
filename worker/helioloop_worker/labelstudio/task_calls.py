"""The calls to Label Studio that read tasks: all of them, the newer, the changed and the annotated ones."""

import json
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from helioloop.labelstudio.predictions import PredictionContent
from helioloop_worker.labelstudio.port import PredictionRow, TaskNow
from helioloop_worker.labelstudio.transport import Calls

PAGE_TASKS = 100
"""Tasks in one page of a listing."""
EXPORT_PAUSES_SECONDS = (0.5, 2.0)
"""Pauses before an export that was cut off is read again. Label Studio 1.23 writes each export into a file named after
project, minute and content, and answers with that file, so that one of two equal exports at a time finds it half
written."""


class TaskCalls(Calls):
    """The calls of `LabelStudio` that read tasks; `LabelStudioClient` has them too."""

    def tasks(self, project: int) -> list[dict[str, Any]]:
        """Return all tasks of a project with their annotations, as Label Studio exports them (one call)."""
        return self._export(project, download_all_tasks=True)

    def tasks_after(self, project: int, task: int) -> list[dict[str, Any]]:
        """Return id and data of the tasks with an id above `task`, by id, in pages."""
        found = self._pages(project, task, what=f"reading the new tasks of project {project}")
        return [{"id": entry["id"], "data": entry.get("data")} for entry in found]

    def last_change(self, project: int) -> str | None:
        """Return the newest ``updated_at`` of the tasks of a project, from a page of one task."""
        what = f"reading the last change of project {project}"
        page = self._page(project, {"ordering": ["-tasks:updated_at"]}, what=what, page_size=1)
        newest = page[0].get("updated_at") if page else None
        if page and not isinstance(newest, str):
            raise self._transport.unexpected_answer(what, "a task without the time of its last change")
        return newest

    def changed_tasks(self, project: int, since: str) -> list[dict[str, Any]]:
        """Return the tasks that were changed at `since` or later, as the export has them.

        The Data Manager finds them, but its list of annotations lacks the copy of the prediction.
        """
        at = datetime.fromisoformat(since).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")  # the only form it reads
        later = {"filter": "filter:tasks:updated_at", "operator": "greater_or_equal", "type": "Datetime", "value": at}
        what = f"reading the changed tasks of project {project}"
        ids = [entry["id"] for entry in self._pages(project, 0, later, what=what)]
        found: list[dict[str, Any]] = []
        for start in range(0, len(ids), PAGE_TASKS):
            chosen = ids[start : start + PAGE_TASKS]  # never empty, which would mean all tasks
            exported = self._export(project, download_all_tasks=True, **{"ids[]": chosen})
            if not {entry.get("id") for entry in exported} <= {*chosen}:
                raise self._transport.unexpected_answer(what, "tasks that were not requested")
            found += sorted(exported, key=lambda entry: int(entry["id"]))
        return found

    def tasks_now(self, project: int, tasks: Sequence[int]) -> list[TaskNow]:
        """Return data and predictions of some tasks, in pages of ids."""
        what = f"reading {len(tasks)} tasks of project {project}"
        wanted = sorted({*tasks})
        found: list[TaskNow] = []
        for start in range(0, len(wanted), PAGE_TASKS):
            chosen = wanted[start : start + PAGE_TASKS]  # never empty, which would mean all tasks
            query = {"selectedItems": {"all": False, "included": chosen}, "ordering": ["tasks:id"]}
            page = self._page(project, query, what=what, fields="all")
            if not {entry.get("id") for entry in page} <= {*chosen}:
                raise self._transport.unexpected_answer(what, "tasks that were not requested")
            found += [TaskNow(id=entry["id"], data=entry.get("data") or {}, predictions=_rows(entry)) for entry in page]
        return found

    def _pages(
        self, project: int, task: int, *filters: Mapping[str, Any], what: str, fields: str = "task_only"
    ) -> list[dict[str, Any]]:
        """Return the tasks with an id above `task` that pass the filters, by id.

        Each page begins above the last id of the one before. Numbered pages would skip tasks while others change.
        """
        found: list[dict[str, Any]] = []
        while True:
            newest = found[-1]["id"] if found else task
            above = {"filter": "filter:tasks:id", "operator": "greater", "type": "Number", "value": newest}
            query = {"filters": {"conjunction": "and", "items": [above, *filters]}, "ordering": ["tasks:id"]}
            page = self._page(project, query, what=what, fields=fields)
            ids = [entry.get("id") for entry in page]
            if not all(isinstance(number, int) and number > newest for number in ids):
                raise self._transport.unexpected_answer(what, "tasks that were not requested")
            found += page
            if len(page) < PAGE_TASKS:
                return found

    def _page(
        self,
        project: int,
        query: Mapping[str, Any],
        *,
        what: str,
        page_size: int | None = None,
        fields: str = "task_only",
    ) -> list[dict[str, Any]]:
        """Return one page of tasks as the Data Manager lists them; with fields "all", also what belongs to them."""
        which = {
            "project": project,
            "page_size": page_size or PAGE_TASKS,
            "resolve_uri": "false",
            "fields": fields,
            "query": json.dumps(query),
        }
        body = self._transport.call("GET", "api/tasks", params=which, what=what)
        return self._list_of_tasks(what, body.get("tasks") if isinstance(body, dict) else None)

    def annotated_tasks(self, project: int) -> list[dict[str, Any]]:
        """Return only the annotated tasks, which costs less."""
        return self._export(project)

    def _export(self, project: int, **which: Any) -> list[dict[str, Any]]:
        """Read an export in one call; the client's own method for it does not retry."""
        what = f"reading the tasks of project {project}"
        found = None
        for pause in (0.0, *EXPORT_PAUSES_SECONDS):
            time.sleep(pause)
            answer = self._transport.raw(
                "GET", f"api/projects/{project}/export", params={"export_type": "JSON", **which}, what=what
            )
            found = self._transport.body_of(answer, what=what)
            if found is not None or "json" not in answer.headers.get("content-type", ""):
                break
        return self._list_of_tasks(what, found)

    def _list_of_tasks(self, what: str, found: Any) -> list[dict[str, Any]]:
        if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
            raise self._transport.unexpected_answer(what, "something other than a list of tasks")
        return found


def _rows(task: Mapping[str, Any]) -> tuple[PredictionRow, ...]:
    """Return the rows of a listed task's predictions."""
    return tuple(
        PredictionRow(
            id=row["id"],
            task=task["id"],
            model_version=row.get("model_version") or "",
            score=row.get("score"),
            content=PredictionContent.of(row.get("result")),
        )
        for row in task.get("predictions") or ()
    )
