"""What a project answers to Label Studio: its published version, stored scores as predictions, counted events."""

from collections.abc import Sequence
from typing import Any, Final

from helioloop_backend import events, projects, services
from helioloop_backend.answers import Answer, Entry

UNTRAINED: Final = "untrained"
"""Answer of /setup before the first version of a project."""


class ProjectModel:
    """Answers with stored scores and takes in events; it has only a project and its configuration.

    Parameters
    ----------
    project_id : str or int, optional
        ``"1"`` or ``"1.<created>"``; events carry their project themselves.
    label_config : str, optional
        The labelling configuration that Label Studio sent.
    """

    def __init__(self, project_id: str | int | None = None, label_config: str | None = None) -> None:
        self.project_id = "" if project_id is None else str(project_id)
        self._label_config = label_config or ""

    def published_version(self) -> str:
        """Return the published version of the project, or ``untrained``."""
        return services.current().predictor.published(projects.from_uid(self.project_id)) or UNTRAINED

    def predict(self, tasks: Sequence[Any], context: Any = None, **_more: Any) -> list[Entry]:  # noqa: ARG002 - label-studio-ml's
        """Return one entry per task, in order; ``[]`` where no score is stored or none may be shown."""
        return self.answer(tasks).entries()

    def answer(self, tasks: Sequence[Any]) -> Answer:
        """Return what each task gets; counted in the metrics."""
        current = services.current()
        answer = current.predictor.answer(projects.from_uid(self.project_id), tasks, self._label_config)
        current.metrics.predicted(**answer.counts)
        return answer

    def fit(self, event: str, data: dict[str, Any], **_more: Any) -> dict[str, Any]:
        """Take in an event; nothing is trained here.

        Parameters
        ----------
        event : str
            Label Studio's name of the event.
        data : dict
            The event's payload.
        """
        return events.receive(services.current(), event, {key: value for key, value in data.items() if key != "action"})
