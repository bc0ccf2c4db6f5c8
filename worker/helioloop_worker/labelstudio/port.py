"""The port to Label Studio: the calls that the loop makes, and the records that they return.

`client` makes the calls to a real Label Studio and `fake` answers them in memory; one contract test runs on both.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from helioloop.labelstudio.predictions import PredictionContent


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What Label Studio counts in a project: its tasks, their annotations without skips, and their skips."""

    tasks: int
    annotations: int
    skips: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectInfo:
    """The settings of a project that helioloop uses, when it was created (ISO 8601), and its counts where given.

    The instruction is HTML; "" where there is none.
    """

    id: int
    title: str
    label_config: str
    model_version: str | None
    description: str = ""
    counts: Counts | None = None
    created_at: str | None = None
    instruction: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionRow:
    """A prediction in Label Studio: its row, its task, the name of its version, its score, and what it says."""

    id: int
    task: int
    model_version: str
    score: float | None = None
    content: PredictionContent | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskNow:
    """A task as it is now: its id, its data and the rows of its predictions."""

    id: int
    data: Mapping[str, Any]
    predictions: tuple[PredictionRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tab:
    """A tab of the Data Manager: its id, and its settings as Label Studio stores them."""

    id: int
    settings: Mapping[str, Any]


class LabelStudio(Protocol):
    """A Label Studio whose projects are set up. Every method raises `LabelStudioError` where a call fails."""

    def project(self, project: int) -> ProjectInfo:
        """Return a project's title, configuration and model version."""

    def tasks(self, project: int) -> list[dict[str, Any]]:
        """Return all tasks of a project with their annotations, as Label Studio exports them."""

    def tasks_after(self, project: int, task: int) -> list[dict[str, Any]]:
        """Return ``id`` and ``data`` of the tasks with an id above `task`, by id; later imports have higher ids."""

    def last_change(self, project: int) -> str | None:
        """Return the newest ``updated_at`` of the tasks of a project; None without tasks."""

    def changed_tasks(self, project: int, since: str) -> list[dict[str, Any]]:
        """Return the tasks that were changed at `since` or later, as Label Studio exports them, by id.

        New tasks count as changed, and tasks of which an annotation was submitted, changed or deleted. Deleted tasks
        are not there, nor are changes of a task's data or imported predictions.

        Parameters
        ----------
        project : int
            Label Studio project.
        since : str
            A time by Label Studio's clock (ISO 8601), such as one of `last_change`.
        """

    def tasks_now(self, project: int, tasks: Sequence[int]) -> list[TaskNow]:
        """Return data and predictions of some tasks, by id; those that are not in the project are left out."""

    def annotated_tasks(self, project: int) -> list[dict[str, Any]]:
        """Return only the tasks that have annotations, skips included."""

    def predictions(self, project: int) -> list[PredictionRow]:
        """Return all prediction rows of a project."""

    def model_versions(self, project: int) -> dict[str, int]:
        """Return the number of predictions of each model version; the active version is there even with none."""

    def import_tasks(self, project: int, data: Sequence[Mapping[str, Any]]) -> list[int]:
        """Import tasks and return their ids, in order.

        Where the data of one lack a value that the labelling configuration shows, none is imported and the call fails.
        """

    def set_data_field(
        self, project: int, tasks: Sequence[int], name: str, value: str, *, replaced: str | None = None
    ) -> None:
        """Set one field of the data of tasks, or replace the text `replaced` in it by `value`.

        The call fails where one of the tasks is not in the project.
        """

    def import_predictions(self, project: int, entries: Sequence[Mapping[str, Any]]) -> None:
        """Import predictions; where one is invalid, the others are imported and the call fails."""

    def set_model_version(self, project: int, version: str) -> None:
        """Make `version` the one whose scores are shown; it must have predictions."""

    def set_description(self, project: int, text: str) -> None:
        """Replace the description of a project; nothing else of it changes."""

    def delete_version(self, project: int, version: str) -> None:
        """Delete all predictions of one version; a project that shows this version shows none afterwards."""

    def delete_predictions(self, rows: Sequence[PredictionRow]) -> None:
        """Delete single prediction rows."""

    def rescore(self, row: PredictionRow, score: float) -> None:
        """Change the score of a prediction in place, so that a submit that names the row still finds it."""

    def rewrite(self, row: PredictionRow, entry: Mapping[str, Any]) -> None:
        """Change what a prediction says, and its score, in place; `entry` is in the form of `import_predictions`."""

    def tabs(self, project: int) -> list[Tab]:
        """Return all tabs of a project."""

    def create_tab(self, project: int, settings: Mapping[str, Any]) -> int:
        """Create a tab and return its id."""

    def change_tab(self, project: int, tab: int, settings: Mapping[str, Any]) -> None:
        """Replace all settings of a tab."""

    def ensure_local_storage(self, project: int, path: str) -> None:
        """Serve the files under `path` to the annotators of this project."""
