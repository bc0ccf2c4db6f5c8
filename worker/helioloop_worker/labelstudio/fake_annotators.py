"""What annotators do in the in-memory fake: submit, revise and delete annotations, as on the labelling screen."""

import copy
from collections.abc import Sequence
from typing import Any

from helioloop_worker.labelstudio.fake_configuration import CHOICES, TIMELINE, controls_of
from helioloop_worker.labelstudio.fake_projects import FakeProjects


class FakeAnnotators(FakeProjects):
    """The projects of a fake Label Studio, with what annotators do there."""

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

    def _result(self, task: int, choice: str, start: int | None) -> list[dict[str, Any]]:
        """Return the result that the screen sends, with the control names of the task's project."""
        names = {control.kind: control for control in controls_of(self._holding(task).info.label_config).values()}
        result = [names[CHOICES].item({"choices": [choice]})]
        if start is not None:
            timeline = names[TIMELINE]
            ranges = [{"start": start, "end": start}]
            result.append(timeline.item({"ranges": ranges, "timelinelabels": [min(timeline.values)]}))
        return result
