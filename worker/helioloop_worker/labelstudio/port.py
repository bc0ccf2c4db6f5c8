"""The port to Label Studio: what the loop asks of it, and the records it gets back.

`client` speaks to the real one, `fake` is the same in memory; one contract test runs on both.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectInfo:
    """What helioloop needs to know of a project."""

    id: int
    title: str
    label_config: str
    model_version: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionRow:
    """A prediction that Label Studio holds: which row, of which task, by which version, with which score."""

    id: int
    task: int
    model_version: str
    score: float | None = None


class LabelStudio(Protocol):
    """Port of a Label Studio whose projects are set up: what ingestion, judgement, write-back and sweep ask of it.

    `client.LabelStudioClient` asks the real one, `fake.FakeLabelStudio` answers in memory. Errors: `LabelStudioError`.
    """

    def project(self, project: int) -> ProjectInfo:
        """Return a project's title, configuration and model version."""

    def tasks(self, project: int) -> list[dict[str, Any]]:
        """Return all tasks of a project with their annotations, as Label Studio exports them."""

    def annotated_tasks(self, project: int) -> list[dict[str, Any]]:
        """Return only the tasks that have annotations, skips included."""

    def predictions(self, project: int) -> list[PredictionRow]:
        """Return all prediction rows of a project."""

    def model_versions(self, project: int) -> dict[str, int]:
        """Return how many predictions each model version has in a project, the active one even with none."""

    def import_tasks(self, project: int, data: Sequence[Mapping[str, Any]]) -> list[int]:
        """Import tasks and return their ids, in order."""

    def import_predictions(self, project: int, entries: Sequence[Mapping[str, Any]]) -> None:
        """Import predictions; an invalid one is left out and then refused, the others stay."""

    def set_model_version(self, project: int, version: str) -> None:
        """Make `version`, of which there must be predictions, the one whose scores are shown."""

    def delete_version(self, project: int, version: str) -> None:
        """Delete all predictions of one version; a project that showed it shows none then."""

    def delete_predictions(self, rows: Sequence[PredictionRow]) -> None:
        """Delete single prediction rows."""

    def rescore(self, row: PredictionRow, score: float) -> None:
        """Change a prediction's score in place: the row stays, for submits that name it."""

    def ensure_local_storage(self, project: int, path: str) -> None:
        """Serve the files under `path` to this project's annotators."""
