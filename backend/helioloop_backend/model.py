"""The model class for label-studio-ml 1.0.9 and 2.x, and the manager that 1.0.9 calls.

Version 1.0.9 has one global model, loses events in a queue of length one and names jobs by the second; `Manager`
replaces these parts (fetch, predict, webhook). Version 2.x makes one instance per request. Both call the same two
modules: `predictions` and `events`.
"""

from collections.abc import Sequence
from typing import Any, Final

from label_studio_ml.model import LabelStudioMLBase, LabelStudioMLManager, ModelWrapper
from werkzeug.exceptions import BadRequest

from helioloop_backend import events, projects, services
from helioloop_backend.predictions import Entry

UNTRAINED: Final = "untrained"
"""Answer of /setup before the first version of a project."""


class HelioloopModel(LabelStudioMLBase):  # type: ignore[misc] # label-studio-ml is published without types
    """Answers with stored scores and takes in events; it has only a project and its configuration.

    Parameters
    ----------
    project_id : str or int
        ``"1"`` or ``"1.<created>"``; first positional argument in 2.x, keyword from `Manager`.
    label_config : str
        The labelling configuration that Label Studio sent.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # The constructor of the base class is not called: that of 1.0.9 parses the configuration with a parser that
        # follows DOCTYPEs, and that of 2.x opens a cache on disk.
        positional = dict(zip(("project_id", "label_config"), args, strict=False))
        given = positional | kwargs
        project = given.get("project_id")
        self.project_id = "" if project is None else str(project)
        self.label_config = given.get("label_config") or ""
        self.setup()

    def setup(self) -> None:
        """Do nothing; 2.x calls this once per request."""

    @property
    def model_version(self) -> str:
        """The published version of the project, or ``untrained``."""
        registry = services.current().registry(projects.from_uid(self.project_id))
        return registry.published() or UNTRAINED

    def predict(self, tasks: Sequence[Any], context: Any = None, **kwargs: Any) -> list[Entry]:  # noqa: ARG002 - both APIs
        """Return one entry per task, in order; ``[]`` where no score is stored or none may be shown."""
        current = services.current()
        answer = current.predictor.answer(projects.from_uid(self.project_id), tasks, self.label_config)
        current.metrics.predicted(
            hits=answer.hits,
            misses=answer.misses,
            unscorable=answer.unscorable,
            foreign=answer.foreign,
            blind=answer.blind,
        )
        return answer.entries

    def fit(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Take in an event; nothing is trained here.

        1.0.9 calls ``fit(tasks, workdir, event=, data=, job_id=)``, 2.x ``fit(event, data, **kwargs)``.
        """
        event, data = kwargs.get("event"), kwargs.get("data")
        if event is None and args and isinstance(args[0], str):
            event, data = args[0], data if len(args) == 1 else args[1]
        if not isinstance(event, str) or not isinstance(data, dict):
            raise BadRequest("the event has no action or no payload; Label Studio sends both")
        return events.receive(services.current(), event, {k: v for k, v in data.items() if k != "action"})


class Manager(LabelStudioMLManager):  # type: ignore[misc] # label-studio-ml is published without types
    """The calls from the routes of label-studio-ml 1.0.9; without state, for any number of projects."""

    @classmethod
    def initialize(cls, model_class: type[HelioloopModel], **init_kwargs: Any) -> None:
        """Store the model class; the method of 1.0.9 would also connect to a Redis of its own settings."""
        cls.model_class = model_class
        cls.init_kwargs = init_kwargs

    @classmethod
    def fetch(cls, project: Any = None, label_config: Any = None, *_args: Any, **_kwargs: Any) -> ModelWrapper:
        """Return the project's model and its published version.

        The keywords contain the user's access token, which is not stored.
        """
        model = cls.model_class(project_id=project, label_config=label_config)
        return ModelWrapper(model=model, model_version=model.model_version)

    @classmethod
    def predict(
        cls, tasks: Sequence[Any], project: Any = None, label_config: Any = None, *_args: Any, **kwargs: Any
    ) -> tuple[list[Entry], ModelWrapper]:
        """Return the entries and the model; no /setup is needed before."""
        wrapper = cls.fetch(project, label_config)
        return wrapper.model.predict(tasks, **kwargs), wrapper

    @classmethod
    def webhook(cls, event: str, data: dict[str, Any]) -> dict[str, Any]:
        """Take in an event."""
        answer: dict[str, Any] = cls.model_class().fit(event, data)
        return answer
